"""admissionregistration.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class ApplyConfiguration(ApiStruct):
    expression: str = ""


class AuditAnnotation(ApiStruct):
    key: str = _f(default_factory=str)
    value_expression: str = _f(default_factory=str)


class ExpressionWarning(ApiStruct):
    field_ref: str = _f(default_factory=str)
    warning: str = _f(default_factory=str)


class JSONPatch(ApiStruct):
    expression: str = ""


class MatchCondition(ApiStruct):
    name: str = _f(default_factory=str)
    expression: str = _f(default_factory=str)


class NamedRuleWithOperations(ApiStruct):
    resource_names: list[str] = _f(default_factory=list)
    operations: list[str] = _f(default_factory=list)
    api_groups: list[str] = _f(default_factory=list)
    api_versions: list[str] = _f(default_factory=list)
    resources: list[str] = _f(default_factory=list)
    scope: str | None = None


class MatchResources(ApiStruct):
    namespace_selector: meta_v1.LabelSelector | None = None
    object_selector: meta_v1.LabelSelector | None = None
    resource_rules: list[NamedRuleWithOperations] = _f(default_factory=list)
    exclude_resource_rules: list[NamedRuleWithOperations] = _f(default_factory=list)
    match_policy: str | None = None


class Mutation(ApiStruct):
    patch_type: str = _f(default_factory=str)
    apply_configuration: ApplyConfiguration | None = None
    json_patch: JSONPatch | None = None


class ParamKind(ApiStruct):
    api_version: str = ""
    kind: str = ""


class Variable(ApiStruct):
    name: str = _f(default_factory=str)
    expression: str = _f(default_factory=str)


class MutatingAdmissionPolicySpec(ApiStruct):
    param_kind: ParamKind | None = None
    match_constraints: MatchResources | None = None
    variables: list[Variable] = _f(default_factory=list)
    mutations: list[Mutation] = _f(default_factory=list)
    failure_policy: str | None = None
    match_conditions: list[MatchCondition] = _f(default_factory=list)
    reinvocation_policy: str = ""


class MutatingAdmissionPolicy(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "MutatingAdmissionPolicy")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: MutatingAdmissionPolicySpec = _f(default_factory=lambda: MutatingAdmissionPolicySpec())


class ParamRef(ApiStruct):
    name: str = ""
    namespace: str = ""
    selector: meta_v1.LabelSelector | None = None
    parameter_not_found_action: str | None = None


class MutatingAdmissionPolicyBindingSpec(ApiStruct):
    policy_name: str = ""
    param_ref: ParamRef | None = None
    match_resources: MatchResources | None = None


class MutatingAdmissionPolicyBinding(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "MutatingAdmissionPolicyBinding")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: MutatingAdmissionPolicyBindingSpec = _f(default_factory=lambda: MutatingAdmissionPolicyBindingSpec())


class MutatingAdmissionPolicyBindingList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "MutatingAdmissionPolicyBindingList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[MutatingAdmissionPolicyBinding] = _f(default_factory=lambda: list())


class MutatingAdmissionPolicyList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "MutatingAdmissionPolicyList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[MutatingAdmissionPolicy] = _f(default_factory=lambda: list())


class RuleWithOperations(ApiStruct):
    operations: list[str] = _f(default_factory=list)
    api_groups: list[str] = _f(default_factory=list)
    api_versions: list[str] = _f(default_factory=list)
    resources: list[str] = _f(default_factory=list)
    scope: str | None = None


class ServiceReference(ApiStruct):
    namespace: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    path: str | None = None
    port: int | None = None


class WebhookClientConfig(ApiStruct):
    url: str | None = None
    service: ServiceReference | None = None
    ca_bundle: bytes = b""


class MutatingWebhook(ApiStruct):
    name: str = _f(default_factory=str)
    client_config: WebhookClientConfig = _f(default_factory=lambda: WebhookClientConfig())
    rules: list[RuleWithOperations] = _f(default_factory=list)
    failure_policy: str | None = None
    match_policy: str | None = None
    namespace_selector: meta_v1.LabelSelector | None = None
    object_selector: meta_v1.LabelSelector | None = None
    side_effects: str | None = _f(default_factory=_none)
    timeout_seconds: int | None = None
    admission_review_versions: list[str] = _f(default_factory=lambda: list())
    reinvocation_policy: str | None = None
    match_conditions: list[MatchCondition] = _f(default_factory=list)


class MutatingWebhookConfiguration(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "MutatingWebhookConfiguration")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    webhooks: list[MutatingWebhook] = _f(default_factory=list)


class MutatingWebhookConfigurationList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "MutatingWebhookConfigurationList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[MutatingWebhookConfiguration] = _f(default_factory=lambda: list())


class Rule(ApiStruct):
    api_groups: list[str] = _f(default_factory=list)
    api_versions: list[str] = _f(default_factory=list)
    resources: list[str] = _f(default_factory=list)
    scope: str | None = None


class TypeChecking(ApiStruct):
    expression_warnings: list[ExpressionWarning] = _f(default_factory=list)


class Validation(ApiStruct):
    expression: str = _f(default_factory=str)
    message: str = ""
    reason: str | None = None
    message_expression: str = ""


class ValidatingAdmissionPolicySpec(ApiStruct):
    param_kind: ParamKind | None = None
    match_constraints: MatchResources | None = None
    validations: list[Validation] = _f(default_factory=list)
    failure_policy: str | None = None
    audit_annotations: list[AuditAnnotation] = _f(default_factory=list)
    match_conditions: list[MatchCondition] = _f(default_factory=list)
    variables: list[Variable] = _f(default_factory=list)


class ValidatingAdmissionPolicyStatus(ApiStruct):
    observed_generation: int = 0
    type_checking: TypeChecking | None = None
    conditions: list[meta_v1.Condition] = _f(default_factory=list)


class ValidatingAdmissionPolicy(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ValidatingAdmissionPolicy")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ValidatingAdmissionPolicySpec = _f(default_factory=lambda: ValidatingAdmissionPolicySpec())
    status: ValidatingAdmissionPolicyStatus = _f(default_factory=lambda: ValidatingAdmissionPolicyStatus())


class ValidatingAdmissionPolicyBindingSpec(ApiStruct):
    policy_name: str = ""
    param_ref: ParamRef | None = None
    match_resources: MatchResources | None = None
    validation_actions: list[str] = _f(default_factory=list)


class ValidatingAdmissionPolicyBinding(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ValidatingAdmissionPolicyBinding")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ValidatingAdmissionPolicyBindingSpec = _f(default_factory=lambda: ValidatingAdmissionPolicyBindingSpec())


class ValidatingAdmissionPolicyBindingList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ValidatingAdmissionPolicyBindingList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ValidatingAdmissionPolicyBinding] = _f(default_factory=lambda: list())


class ValidatingAdmissionPolicyList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ValidatingAdmissionPolicyList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ValidatingAdmissionPolicy] = _f(default_factory=lambda: list())


class ValidatingWebhook(ApiStruct):
    name: str = _f(default_factory=str)
    client_config: WebhookClientConfig = _f(default_factory=lambda: WebhookClientConfig())
    rules: list[RuleWithOperations] = _f(default_factory=list)
    failure_policy: str | None = None
    match_policy: str | None = None
    namespace_selector: meta_v1.LabelSelector | None = None
    object_selector: meta_v1.LabelSelector | None = None
    side_effects: str | None = _f(default_factory=_none)
    timeout_seconds: int | None = None
    admission_review_versions: list[str] = _f(default_factory=lambda: list())
    match_conditions: list[MatchCondition] = _f(default_factory=list)


class ValidatingWebhookConfiguration(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ValidatingWebhookConfiguration")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    webhooks: list[ValidatingWebhook] = _f(default_factory=list)


class ValidatingWebhookConfigurationList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "admissionregistration.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ValidatingWebhookConfigurationList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ValidatingWebhookConfiguration] = _f(default_factory=lambda: list())
