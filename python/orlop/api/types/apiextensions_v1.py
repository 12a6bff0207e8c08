"""apiextensions.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from typing import Any

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class ConversionRequest(ApiStruct):
    uid: str = _f(default_factory=str)
    desired_api_version: str = _f(default_factory=str, name="desiredAPIVersion")
    objects: list[Any] = _f(default_factory=lambda: list())


class ConversionResponse(ApiStruct):
    uid: str = _f(default_factory=str)
    converted_objects: list[Any] = _f(default_factory=lambda: list())
    result: meta_v1.Status = _f(default_factory=lambda: meta_v1.Status())


class ConversionReview(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apiextensions.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ConversionReview")
    request: ConversionRequest | None = None
    response: ConversionResponse | None = None


class CustomResourceColumnDefinition(ApiStruct):
    name: str = _f(default_factory=str)
    type: str = _f(default_factory=str)
    format: str = ""
    description: str = ""
    priority: int = 0
    json_path: str = _f(default_factory=str)


class ServiceReference(ApiStruct):
    namespace: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    path: str | None = None
    port: int | None = None


class WebhookClientConfig(ApiStruct):
    url: str | None = None
    service: ServiceReference | None = None
    ca_bundle: bytes = b""


class WebhookConversion(ApiStruct):
    client_config: WebhookClientConfig | None = None
    conversion_review_versions: list[str] = _f(default_factory=lambda: list())


class CustomResourceConversion(ApiStruct):
    strategy: str = _f(default_factory=str)
    webhook: WebhookConversion | None = None


class CustomResourceDefinitionNames(ApiStruct):
    plural: str = _f(default_factory=str)
    singular: str = ""
    short_names: list[str] = _f(default_factory=list)
    kind: str = _f(default_factory=str)
    list_kind: str = ""
    categories: list[str] = _f(default_factory=list)


class CustomResourceSubresourceScale(ApiStruct):
    spec_replicas_path: str = _f(default_factory=str)
    status_replicas_path: str = _f(default_factory=str)
    label_selector_path: str | None = None


class CustomResourceSubresources(ApiStruct):
    status: Any = None
    scale: CustomResourceSubresourceScale | None = None


class ExternalDocumentation(ApiStruct):
    description: str = ""
    url: str = ""


class ValidationRule(ApiStruct):
    rule: str = _f(default_factory=str)
    message: str = ""
    message_expression: str = ""
    reason: str | None = None
    field_path: str = ""
    optional_old_self: bool | None = None


class JSONSchemaProps(ApiStruct):
    id: str = ""
    schema: str = _f(default="", name="$schema")
    ref: str | None = _f(default=None, name="$ref")
    description: str = ""
    type: str = ""
    format: str = ""
    title: str = ""
    default: Any = None
    maximum: float | None = None
    exclusive_maximum: bool = False
    minimum: float | None = None
    exclusive_minimum: bool = False
    max_length: int | None = None
    min_length: int | None = None
    pattern: str = ""
    max_items: int | None = None
    min_items: int | None = None
    unique_items: bool = False
    multiple_of: float | None = None
    enum: list[Any] = _f(default_factory=list)
    max_properties: int | None = None
    min_properties: int | None = None
    required: list[str] = _f(default_factory=list)
    items: Any = None
    all_of: list["JSONSchemaProps"] = _f(default_factory=list)
    one_of: list["JSONSchemaProps"] = _f(default_factory=list)
    any_of: list["JSONSchemaProps"] = _f(default_factory=list)
    not_: "JSONSchemaProps | None" = None
    properties: dict[str, "JSONSchemaProps"] = _f(default_factory=dict)
    additional_properties: Any = None
    pattern_properties: dict[str, "JSONSchemaProps"] = _f(default_factory=dict)
    dependencies: dict[str, Any] = _f(default_factory=dict)
    additional_items: Any = None
    definitions: dict[str, "JSONSchemaProps"] = _f(default_factory=dict)
    external_docs: ExternalDocumentation | None = None
    example: Any = None
    nullable: bool = False
    x_kubernetes_preserve_unknown_fields: bool | None = _f(default=None, name="x-kubernetes-preserve-unknown-fields")
    x_kubernetes_embedded_resource: bool = _f(default=False, name="x-kubernetes-embedded-resource")
    x_kubernetes_int_or_string: bool = _f(default=False, name="x-kubernetes-int-or-string")
    x_kubernetes_list_map_keys: list[str] = _f(default_factory=list, name="x-kubernetes-list-map-keys")
    x_kubernetes_list_type: str | None = _f(default=None, name="x-kubernetes-list-type")
    x_kubernetes_map_type: str | None = _f(default=None, name="x-kubernetes-map-type")
    x_kubernetes_validations: list[ValidationRule] = _f(default_factory=list, name="x-kubernetes-validations")


class CustomResourceValidation(ApiStruct):
    open_apiv3_schema: JSONSchemaProps | None = _f(default=None, name="openAPIV3Schema")


class SelectableField(ApiStruct):
    json_path: str = _f(default_factory=str)


class CustomResourceDefinitionVersion(ApiStruct):
    name: str = _f(default_factory=str)
    served: bool = _f(default_factory=bool)
    storage: bool = _f(default_factory=bool)
    deprecated: bool = False
    deprecation_warning: str | None = None
    schema: CustomResourceValidation | None = None
    subresources: CustomResourceSubresources | None = None
    additional_printer_columns: list[CustomResourceColumnDefinition] = _f(default_factory=list)
    selectable_fields: list[SelectableField] = _f(default_factory=list)


class CustomResourceDefinitionSpec(ApiStruct):
    group: str = _f(default_factory=str)
    names: CustomResourceDefinitionNames = _f(default_factory=lambda: CustomResourceDefinitionNames())
    scope: str = _f(default_factory=str)
    versions: list[CustomResourceDefinitionVersion] = _f(default_factory=lambda: list())
    conversion: CustomResourceConversion | None = None
    preserve_unknown_fields: bool = False


class CustomResourceDefinitionCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""
    observed_generation: int = 0


class CustomResourceDefinitionStatus(ApiStruct):
    conditions: list[CustomResourceDefinitionCondition] = _f(default_factory=lambda: list())
    accepted_names: CustomResourceDefinitionNames = _f(default_factory=lambda: CustomResourceDefinitionNames())
    stored_versions: list[str] = _f(default_factory=lambda: list())
    observed_generation: int = 0


class CustomResourceDefinition(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apiextensions.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CustomResourceDefinition")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: CustomResourceDefinitionSpec = _f(default_factory=lambda: CustomResourceDefinitionSpec())
    status: CustomResourceDefinitionStatus = _f(default_factory=lambda: CustomResourceDefinitionStatus())


class CustomResourceDefinitionList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apiextensions.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CustomResourceDefinitionList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[CustomResourceDefinition] = _f(default_factory=lambda: list())
