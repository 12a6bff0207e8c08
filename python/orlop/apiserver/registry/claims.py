"""Rules of PersistentVolumeClaims: pkg/apis/core/validation, pkg/registry/core/persistentvolumeclaim."""

from msgspec.structs import replace

from orlop.api.errors import IMMUTABLE, FieldError, forbidden_field, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import names, podtemplate, podwarnings
from orlop.apiserver.registry.common import POSITIVE_QUANTITY, immutable, quantity, subdomain
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.specdiff import diff
from orlop.apiserver.registry.strategy import Strategy

ACCESS_MODES = ("ReadOnlyMany", "ReadWriteMany", "ReadWriteOnce", "ReadWriteOncePod")
VOLUME_MODES = ("Block", "Filesystem")
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
OLD_SOURCES = (("", "PersistentVolumeClaim"), ("snapshot.storage.k8s.io", "VolumeSnapshot"))
"""What the first field for it can name: group and kind."""
ONLY = "spec is immutable after creation except resources.requests and volumeAttributesClassName for bound claims"


def default(claim: core_v1.PersistentVolumeClaim) -> None:
    """Defaults of a claim, by itself or in a StatefulSet's template."""
    if not claim.status.phase:
        claim.status.phase = "Pending"
    default_spec(claim.spec)


def default_spec(spec: core_v1.PersistentVolumeClaimSpec) -> None:
    """Defaults of a claim's spec wherever it stands."""
    if spec.volume_mode is None:
        spec.volume_mode = "Filesystem"


def drop(spec: core_v1.PersistentVolumeClaimSpec) -> None:
    """Takes out sources in other namespaces, whose gate, CrossNamespaceVolumeDataSource, is closed, and those that the
    older of both fields never knew."""
    if spec.data_source_ref is not None and spec.data_source_ref.namespace:
        spec.data_source_ref = None
    source = spec.data_source
    if source is not None and spec.data_source_ref is None and (source.api_group or "", source.kind) not in OLD_SOURCES:
        spec.data_source = None


def validate_access_modes(modes: list[str], path: str) -> list[FieldError]:
    """What is wrong with access modes, besides having none."""
    errors = [unsupported(path, mode, ACCESS_MODES) for mode in modes if mode not in ACCESS_MODES]
    if "ReadWriteOncePod" in modes and any(mode in ACCESS_MODES[:-1] for mode in modes):
        errors.append(forbidden_field(path, "may not use ReadWriteOncePod with other access modes"))
    return errors


def class_annotation(metadata: meta_v1.ObjectMeta) -> list[str]:
    """Advice on the annotation that named a class before there was a field."""
    if CLASS_ANNOTATION not in metadata.annotations:
        return []
    words = 'deprecated since v1.8; use "storageClassName" attribute instead'
    return [f"metadata.annotations[{CLASS_ANNOTATION}]: {words}"]


class PersistentVolumeClaims(Strategy):
    """A request for a volume."""

    returns_deleted = True

    def default(self, obj: core_v1.PersistentVolumeClaim) -> None:
        default(obj)
        drop(obj.spec)
        _data_sources(obj.spec)

    def prepare_create(self, obj: core_v1.PersistentVolumeClaim) -> None:
        obj.status.phase = "Pending"

    def validate(self, obj: core_v1.PersistentVolumeClaim) -> list[FieldError]:
        return validate_spec(obj.spec, "spec")

    def validate_update(
        self, new: core_v1.PersistentVolumeClaim, old: core_v1.PersistentVolumeClaim
    ) -> list[FieldError]:
        errors = self.validate(new)
        spec, before = new.spec, old.spec
        kept = replace(spec, volume_name=spec.volume_name if before.volume_name else before.volume_name)
        annotation, earlier = (m.annotations.get(CLASS_ANNOTATION, "") for m in (new.metadata, old.metadata))
        moved = bool(earlier) and annotation in ("", earlier) and spec.storage_class_name == earlier
        if before.storage_class_name is None and (moved or CLASS_ANNOTATION not in old.metadata.annotations):
            # A claim made before there was a default class, or the field, gets it afterwards.
            kept.storage_class_name = None if spec.storage_class_name else kept.storage_class_name
        if annotation != earlier and not moved:
            errors.append(invalid_value(f"metadata.annotations.{CLASS_ANNOTATION}", annotation, IMMUTABLE))
        bound = old.status.phase == "Bound"
        if bound:
            if kept.resources.requests and "storage" in before.resources.requests:
                requests = {**kept.resources.requests, "storage": before.resources.requests["storage"]}
                kept.resources = replace(kept.resources, requests=requests)
            kept.volume_attributes_class_name = before.volume_attributes_class_name
        if kept != before:
            errors.append(forbidden_field("spec", f"{ONLY}\n{diff(before, kept)}"))
        amounts = (spec.resources.requests, before.resources.requests, old.status.capacity)
        size, earlier_size, granted = (parse(amount.get("storage", "0")) for amount in amounts)
        if size < earlier_size and size <= granted:
            words = "field can not be less than status.capacity"
            errors.append(forbidden_field("spec.resources.requests.storage", words))
        errors += immutable(spec.volume_mode, before.volume_mode, "volumeMode")
        path, earlier_class = "spec.volumeAttributesClassName", before.volume_attributes_class_name
        if earlier_class is not None and spec.volume_attributes_class_name is None:
            errors.append(forbidden_field(path, "update from non-nil value to nil is forbidden"))
        return errors

    def warnings(
        self, new: core_v1.PersistentVolumeClaim, old: core_v1.PersistentVolumeClaim | None = None
    ) -> list[str]:
        return class_annotation(new.metadata) + podwarnings.claim(new.spec, "spec")

    def validate_status(
        self, new: core_v1.PersistentVolumeClaim, old: core_v1.PersistentVolumeClaim
    ) -> list[FieldError]:
        errors: list[FieldError] = []
        if not new.spec.access_modes:
            errors.append(required("Spec.accessModes"))
        for name, value in sorted(new.status.capacity.items()):
            errors += quantity(value, f"status.capacity[{name}]")
        return errors


def _data_sources(spec: core_v1.PersistentVolumeClaimSpec) -> None:
    """dataSource and dataSourceRef say the same where both can."""
    if spec.data_source is not None and spec.data_source_ref is None:
        source = spec.data_source
        spec.data_source_ref = core_v1.TypedObjectReference(
            api_group=source.api_group, kind=source.kind, name=source.name
        )
    elif spec.data_source_ref is not None and spec.data_source is None and not spec.data_source_ref.namespace:
        ref = spec.data_source_ref
        spec.data_source = core_v1.TypedLocalObjectReference(api_group=ref.api_group, kind=ref.kind, name=ref.name)


def validate_spec(spec: core_v1.PersistentVolumeClaimSpec, path: str) -> list[FieldError]:
    """What is wrong with a claim's spec, by itself or in an ephemeral volume."""
    errors: list[FieldError] = []
    if not spec.access_modes:
        errors.append(required(f"{path}.accessModes", "at least 1 access mode is required"))
    if spec.selector is not None:
        errors += podtemplate.validate_selector(spec.selector, f"{path}.selector")
    errors += validate_access_modes(spec.access_modes, f"{path}.accessModes")
    storage = spec.resources.requests.get("storage")
    where = f"{path}.resources[storage]"
    if storage is None:
        errors.append(required(where))
    else:
        errors += quantity(storage, where, POSITIVE_QUANTITY)
    if spec.storage_class_name:
        errors += subdomain(spec.storage_class_name, f"{path}.storageClassName")
    if spec.volume_mode is not None and spec.volume_mode not in VOLUME_MODES:
        errors.append(unsupported(f"{path}.volumeMode", spec.volume_mode, VOLUME_MODES))
    for name, source in (("dataSource", spec.data_source), ("dataSourceRef", spec.data_source_ref)):
        if source is not None:
            errors += _data_source(source, f"{path}.{name}")
    ref = spec.data_source_ref
    if ref is not None and ref.namespace:
        errors += [
            invalid_value(f"{path}.dataSourceRef.namespace", ref.namespace, m) for m in names.label(ref.namespace)
        ]
    if spec.data_source is not None and ref is not None:
        # What is shown as wrong is the field's path, which Go writes as an empty object.
        if ref.namespace:
            errors.append(invalid_value(path, {}, "may not be specified when dataSourceRef.namespace is specified"))
        elif _named(spec.data_source) != _named(ref):
            errors.append(invalid_value(path, {}, "must match dataSourceRef"))
    if spec.volume_attributes_class_name:
        errors += subdomain(spec.volume_attributes_class_name, f"{path}.volumeAttributesClassName")
    return errors


DataSource = core_v1.TypedLocalObjectReference | core_v1.TypedObjectReference


def _named(source: DataSource) -> tuple[str | None, str, str]:
    return source.api_group, source.kind, source.name


def _data_source(source: DataSource, path: str) -> list[FieldError]:
    errors = [required(f"{path}.{n}") for n, value in (("name", source.name), ("kind", source.kind)) if not value]
    if not source.api_group and source.kind != "PersistentVolumeClaim":
        words = "must be 'PersistentVolumeClaim' when referencing the default apiGroup"
        errors.append(invalid_value(path, source.kind, words))
    if source.api_group:
        errors += subdomain(source.api_group, f"{path}.apiGroup")
    return errors
