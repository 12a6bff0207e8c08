"""Rules of CustomResourceDefinitions and APIServices as objects; what they bring about is another room's."""

import re

import msgspec

from orlop import native
from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, required
from orlop.api.types import apiextensions_v1, apiregistration_v1
from orlop.apiserver.registry import meta, names, selectablefields, webhooks
from orlop.apiserver.registry.common import duplicates, one_of, told
from orlop.apiserver.registry.strategy import Strategy

SCOPES = ("Cluster", "Namespaced")
COLUMN_TYPES = ("boolean", "date", "integer", "number", "string")
COLUMN_FORMATS = ("byte", "date", "date-time", "double", "float", "int32", "int64", "password")
APPROVED = "api-approved.kubernetes.io"
_PROTECTED = re.compile(r"(^|\.)(k8s|kubernetes)\.io$")
MAX_WARNING = 256
"""Characters of what users of a deprecated version are told."""
ONE_STORAGE = "must have exactly one version marked as storage version"


def is_protected(group: str) -> bool:
    """Whether a group is the project's own: its definitions need an approval."""
    return _PROTECTED.search(group) is not None


class CustomResourceDefinitions(Strategy):
    """A kind that users bring."""

    generation = True
    keeps_new_status = True
    unconditional_update = False

    def holds(self, obj: apiextensions_v1.CustomResourceDefinition) -> bool:
        return obj.metadata.deletion_timestamp is None  # its instances end first

    def mark_deleting(self, obj: apiextensions_v1.CustomResourceDefinition) -> None:
        if meta.CLEANUP not in obj.metadata.finalizers:
            obj.metadata.finalizers = [*obj.metadata.finalizers, meta.CLEANUP]

    def default(self, obj: apiextensions_v1.CustomResourceDefinition) -> None:
        given = obj.spec.names
        if not given.singular:
            given.singular = given.kind.lower()
        if not given.list_kind and given.kind:
            given.list_kind = f"{given.kind}List"
        if obj.spec.conversion is None:
            obj.spec.conversion = apiextensions_v1.CustomResourceConversion(strategy="None")
        webhook = obj.spec.conversion.webhook
        if webhook is not None and webhook.client_config is not None:
            service = webhook.client_config.service
            if service is not None and service.port is None:
                service.port = webhooks.HTTPS

    def prepare_create(self, obj: apiextensions_v1.CustomResourceDefinition) -> None:
        obj.status = apiextensions_v1.CustomResourceDefinitionStatus(
            stored_versions=[v.name for v in obj.spec.versions if v.storage][:1]
        )

    def prepare_update(
        self, new: apiextensions_v1.CustomResourceDefinition, old: apiextensions_v1.CustomResourceDefinition
    ) -> None:
        for version in new.spec.versions:
            if version.storage and version.name not in new.status.stored_versions:
                new.status.stored_versions = [*new.status.stored_versions, version.name]

    def validate(self, obj: apiextensions_v1.CustomResourceDefinition) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if obj.metadata.name != f"{spec.names.plural}.{spec.group}":
            words = 'must be spec.names.plural+"."+spec.group'
            errors.append(invalid_value("metadata.name", obj.metadata.name, words))
        errors += _spec(spec)
        stored = obj.status.stored_versions
        if not stored:
            words = "must have at least one stored version"
            errors.append(invalid_value("status.storedVersions", None, words))
        if _PROTECTED.search(spec.group) and APPROVED not in obj.metadata.annotations:
            words = (
                f'protected groups must have approval annotation "{APPROVED}", see '
                "https://github.com/kubernetes/enhancements/pull/1111"
            )
            errors.append(required(f"metadata.annotations[{APPROVED}]", words))
        return errors

    def warnings(
        self,
        new: apiextensions_v1.CustomResourceDefinition,
        old: apiextensions_v1.CustomResourceDefinition | None = None,
    ) -> list[str]:
        out: list[str] = []
        if old is not None:
            return out
        for version in new.spec.versions:
            if version.schema is not None and version.schema.open_apiv3_schema is not None:
                out += native.schema_check(msgspec.json.encode(version.schema.open_apiv3_schema), "")[1]
        return list(dict.fromkeys(out))

    def validate_update(
        self, new: apiextensions_v1.CustomResourceDefinition, old: apiextensions_v1.CustomResourceDefinition
    ) -> list[FieldError]:
        errors = self.validate(new)
        established = any(c.type == "Established" and c.status == "True" for c in old.status.conditions)
        for fixed, path, after, before in (
            (established, "spec.scope", new.spec.scope, old.spec.scope),
            (established, "spec.names.kind", new.spec.names.kind, old.spec.names.kind),
            (True, "spec.group", new.spec.group, old.spec.group),
            (True, "spec.names.plural", new.spec.names.plural, old.spec.names.plural),
        ):
            if fixed and after != before:
                errors.append(invalid_value(path, after, IMMUTABLE))
        there = {v.name for v in new.spec.versions}
        for i, version in enumerate(new.status.stored_versions):
            if version not in there:
                words = f"missing from spec.versions; {version} was previously a storage version, and must remain in "
                words += "spec.versions until a storage migration ensures no data remains persisted in "
                words += f"{version} and removes {version} from status.storedVersions"
                errors.append(invalid_value(f"status.storedVersions[{i}]", version, words))
        return errors


def _spec(spec: apiextensions_v1.CustomResourceDefinitionSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    if not spec.group:
        errors.append(required("spec.group"))
    elif wrong := names.subdomain(spec.group):
        errors.append(invalid_value("spec.group", spec.group, ",".join(wrong)))
    elif "." not in spec.group:
        errors.append(invalid_value("spec.group", spec.group, "should be a domain with at least one dot"))
    errors += one_of(spec.scope, SCOPES, "spec.scope")
    for i, version in enumerate(spec.versions):
        if version.schema is None or version.schema.open_apiv3_schema is None:
            errors.append(required(f"spec.versions[{i}].schema.openAPIV3Schema", "schemas are required"))
    shared = _Shared.of(spec.versions)
    for i, version in enumerate(spec.versions):
        path = f"spec.versions[{i}]"
        if wrong := names.label_1035(version.name):
            errors.append(invalid_value(f"{path}.name", version.name, ",".join(wrong)))
        errors += _version(version, path, shared)
    storing = sum(version.storage for version in spec.versions)
    if duplicates(v.name for v in spec.versions):
        words = "must contain unique version names"
        errors.append(invalid_value("spec.versions", [v.name for v in spec.versions], words))
    if storing != 1:
        errors.append(invalid_value("spec.versions", [v.name for v in spec.versions], ONE_STORAGE))
    errors += _names(spec.names)
    if spec.versions:
        errors += shared.wrong(spec.versions[0])
    if spec.preserve_unknown_fields:
        words = (
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead"
        )
        errors.append(invalid_value("spec.preserveUnknownFields", True, words))
    return errors + _conversion(spec.conversion)


class _Shared(msgspec.Struct):
    """What all versions have alike: upstream keeps it once, in the specification, and tells of it there."""

    schema: bool
    subresources: bool
    columns: bool
    fields: bool

    @classmethod
    def of(cls, versions: list[apiextensions_v1.CustomResourceDefinitionVersion]) -> "_Shared":
        first = versions[0] if versions else apiextensions_v1.CustomResourceDefinitionVersion()
        schema = all(v.schema == first.schema for v in versions)
        return cls(
            schema=schema,
            subresources=all(v.subresources == first.subresources for v in versions),
            columns=all(v.additional_printer_columns == first.additional_printer_columns for v in versions),
            fields=schema and all(v.selectable_fields == first.selectable_fields for v in versions),
        )

    def wrong(self, version: apiextensions_v1.CustomResourceDefinitionVersion) -> list[FieldError]:
        """What is wrong with it."""
        errors = _schema(version, "spec.validation") if self.schema else []
        errors += _scale(version, "spec") if self.subresources else []
        errors += _columns(version, "spec") if self.columns else []
        return errors + (_fields(version, "spec") if self.fields else [])


def _version(version: apiextensions_v1.CustomResourceDefinitionVersion, path: str, shared: _Shared) -> list[FieldError]:
    errors = _deprecation(version, f"{path}.deprecationWarning")
    errors += [] if shared.schema else _schema(version, f"{path}.schema")
    errors += [] if shared.subresources else _scale(version, path)
    errors += [] if shared.columns else _columns(version, path)
    return errors + ([] if shared.fields else _fields(version, path))


def _columns(version: apiextensions_v1.CustomResourceDefinitionVersion, path: str) -> list[FieldError]:
    columns = enumerate(version.additional_printer_columns)
    return [wrong for i, column in columns for wrong in _column(column, f"{path}.additionalPrinterColumns[{i}]")]


def _fields(version: apiextensions_v1.CustomResourceDefinitionVersion, path: str) -> list[FieldError]:
    schema = None if version.schema is None else version.schema.open_apiv3_schema
    return selectablefields.validate(version.selectable_fields, schema, f"{path}.selectableFields")


def _deprecation(version: apiextensions_v1.CustomResourceDefinitionVersion, path: str) -> list[FieldError]:
    text = version.deprecation_warning
    if text is None:
        return []
    wrong: list[str] = []
    if not version.deprecated:
        wrong.append("can only be set for deprecated versions")
    if len(text) > MAX_WARNING:
        wrong.append(f"must be <= {MAX_WARNING} characters long")
    if not text:
        wrong.append("must not be an empty string")
    if (at := next((i for i, letter in enumerate(text) if not letter.isprintable()), None)) is not None:
        words = "must only contain printable UTF-8 characters; non-printable character found at index"
        wrong.append(f"{words} {at}")
    return [invalid_value(path, text, words) for words in wrong]


def _scale(version: apiextensions_v1.CustomResourceDefinitionVersion, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    scale = None if version.subresources is None else version.subresources.scale
    if scale is None:
        return errors
    path = f"{path}.subresources.scale"
    for name, given, below, words in (
        ("specReplicasPath", scale.spec_replicas_path, (".spec.",), ".spec"),
        ("statusReplicasPath", scale.status_replicas_path, (".status.",), ".status"),
        ("labelSelectorPath", scale.label_selector_path or "", (".spec.", ".status."), "either .spec or .status"),
    ):
        where = f"{path}.{name}"
        if not given:
            errors += [required(where)] if len(below) == 1 else []
        elif not given.startswith("."):
            errors.append(invalid_value(where, given, "must be a simple json path starting with ."))
        elif not given.startswith(below):
            errors.append(invalid_value(where, given, f"should be a json path under {words}"))
    return errors


def _schema(version: apiextensions_v1.CustomResourceDefinitionVersion, path: str) -> list[FieldError]:
    """What is wrong with a schema: Rust knows the rules."""
    schema = None if version.schema is None else version.schema.open_apiv3_schema
    if schema is None:
        return []
    path = f"{path}.openAPIV3Schema"
    try:
        problems, _ = native.schema_check(msgspec.json.encode(schema), path)
    except native.WireError as error:
        return [invalid_value(path, "", str(error))]
    return told(problems)


def _names(given: apiextensions_v1.CustomResourceDefinitionNames) -> list[FieldError]:
    errors: list[FieldError] = []
    parts = (
        ("plural", given.plural, True),
        ("singular", given.singular, True),
        ("kind", given.kind, False),
        ("listKind", given.list_kind, False),
    )
    errors += [required(f"spec.names.{name}") for name, value, _ in parts if not value]
    for name, value, lower in parts:
        text = value if lower else value.lower()
        if value and (wrong := names.label_1035(text)):
            words = "" if lower else "may have mixed case, but should otherwise match: "
            errors.append(invalid_value(f"spec.names.{name}", value, words + ",".join(wrong)))
    for i, value in enumerate(given.short_names):
        if wrong := names.label_1035(value):
            errors.append(invalid_value(f"spec.names.shortNames[{i}]", value, ",".join(wrong)))
    if given.kind and given.kind == given.list_kind:
        words = "kind and listKind may not be the same"
        errors.append(invalid_value("spec.names.listKind", given.list_kind, words))
    for i, value in enumerate(given.categories):
        if wrong := names.label_1035(value):
            errors.append(invalid_value(f"spec.names.categories[{i}]", value, ",".join(wrong)))
    return errors


def _column(column: apiextensions_v1.CustomResourceColumnDefinition, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not column.name:
        errors.append(required(f"{path}.name"))
    errors += one_of(column.type, COLUMN_TYPES, f"{path}.type", f"must be one of {','.join(COLUMN_TYPES)}")
    if column.format and column.format not in COLUMN_FORMATS:
        words = f"must be one of {','.join(COLUMN_FORMATS)}"
        errors.append(invalid_value(f"{path}.format", column.format, words))
    if not column.json_path:
        errors.append(required(f"{path}.jsonPath"))
    elif not column.json_path.startswith((".", "{")):
        words = "must be a simple json path starting with ."
        errors.append(invalid_value(f"{path}.jsonPath", column.json_path, words))
    return errors


def _conversion(conversion: apiextensions_v1.CustomResourceConversion | None) -> list[FieldError]:
    if conversion is None:
        return []
    path = "spec.conversion"
    errors = one_of(conversion.strategy, ("None", "Webhook"), f"{path}.strategy")
    webhook = conversion.webhook
    if conversion.strategy == "Webhook":
        if webhook is None or webhook.client_config is None:
            errors.append(required(f"{path}.webhookClientConfig", "required when strategy is set to Webhook"))
        else:
            where = webhook.client_config
            errors += webhooks.client_config(where.url, where.service, f"{path}.webhookClientConfig")  # type: ignore[arg-type]
        given = [] if webhook is None else webhook.conversion_review_versions
        errors += webhooks.review_versions(given, f"{path}.conversionReviewVersions", "")
    elif webhook is not None:
        words = "should not be set when strategy is not set to Webhook"
        errors.append(forbidden_field(f"{path}.webhookClientConfig", words))
        if webhook.conversion_review_versions:
            errors.append(forbidden_field(f"{path}.conversionReviewVersions", words))
    return errors


class APIServices(Strategy):
    """Who serves a group's version."""

    status_keeps_metadata = True
    unconditional_update = False
    keeps_new_status = True

    def prepare_create(self, obj: apiregistration_v1.APIService) -> None:
        obj.status = apiregistration_v1.APIServiceStatus()
        if obj.spec.service is None:
            local = apiregistration_v1.APIServiceCondition(
                type="Available",
                status="True",
                last_transition_time=obj.metadata.creation_timestamp,
                reason="Local",
                message="Local APIServices are always available",
            )
            obj.status.conditions = [local]

    def name_rule(self, name: str) -> list[str]:
        return names.path_segment(name)

    def default(self, obj: apiregistration_v1.APIService) -> None:
        if obj.spec.service is not None and obj.spec.service.port is None:
            obj.spec.service.port = webhooks.HTTPS

    def validate(self, obj: apiregistration_v1.APIService) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        wanted = f"{spec.version}.{spec.group}"
        if obj.metadata.name != wanted:
            words = f'must be `spec.version+"."+spec.group`: {wanted!r}'.replace("'", '"')
            errors.append(invalid_value("metadata.name", obj.metadata.name, words))
        if spec.group:
            errors += [invalid_value("spec.group", spec.group, m) for m in names.subdomain(spec.group)]
        elif spec.version != "v1":
            words = "only v1 may have an empty group and it better be legacy kube"
            errors.append(required("spec.group", words))
        if not spec.version:
            errors.append(required("spec.version"))
        else:
            errors += [invalid_value("spec.version", spec.version, m) for m in names.label_1035(spec.version)]
        if not 1 <= spec.group_priority_minimum <= 20000:
            words = "must be positive and less than 20000"
            errors.append(invalid_value("spec.groupPriorityMinimum", spec.group_priority_minimum, words))
        if not 1 <= spec.version_priority <= 1000:
            words = "must be positive and less than 1000"
            errors.append(invalid_value("spec.versionPriority", spec.version_priority, words))
        if spec.service is None:
            if spec.ca_bundle:
                words = "local APIServices may not have a caBundle"
                errors.append(invalid_value("spec.caBundle", f"{len(spec.ca_bundle)} bytes", words))
            if spec.insecure_skip_tls_verify:
                words = "local APIServices may not have insecureSkipTLSVerify"
                errors.append(invalid_value("spec.insecureSkipTLSVerify", True, words))
            return errors
        if not spec.service.namespace:
            errors.append(required("spec.service.namespace"))
        if not spec.service.name:
            errors.append(required("spec.service.name"))
        if spec.service.port is not None and (wrong := names.port_number(spec.service.port)):
            errors.append(invalid_value("spec.service.port", spec.service.port, f"port is not valid: {wrong[0]}"))
        if spec.insecure_skip_tls_verify and spec.ca_bundle:
            words = "may not be true if caBundle is present"
            errors.append(invalid_value("spec.insecureSkipTLSVerify", True, words))
        return errors
