"""Rules of VolumeAttachments: pkg/apis/storage/validation, pkg/registry/storage/volumeattachment."""

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required, too_long
from orlop.api.types import storage_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.drivers import driver_name
from orlop.apiserver.registry.persistentvolumes import validate_inline
from orlop.apiserver.registry.strategy import Strategy

MAX_ATTACH_BYTES = 256 * 1024
MAX_ERROR_BYTES = 1024


class VolumeAttachments(Strategy):
    """A volume that shall be at a node."""

    status_keeps_metadata = True
    returns_deleted = True
    unconditional_update = False

    def validate(self, obj: storage_v1.VolumeAttachment) -> list[FieldError]:
        errors = self._validate(obj)
        # What v1 asks besides comes after.
        errors += driver_name(obj.spec.attacher, "spec.attacher")
        name = obj.spec.source.persistent_volume_name
        if name is not None:
            errors += [invalid_value("spec.source.persistentVolumeName", name, m) for m in names.subdomain(name)]
        return errors

    def _validate(self, obj: storage_v1.VolumeAttachment) -> list[FieldError]:
        spec, path = obj.spec, "spec.source"
        errors = [] if spec.attacher else [required("spec.attacher", spec.attacher)]
        name, inline = spec.source.persistent_volume_name, spec.source.inline_volume_spec
        words = "must specify exactly one of inlineVolumeSpec and persistentVolumeName"
        if name is None and inline is None:
            errors.append(required(path, words))
        elif name is not None and inline is not None:
            errors.append(forbidden_field(path, words))
        elif name == "":
            errors.append(required(f"{path}.persistentVolumeName", "must specify non empty persistentVolumeName"))
        elif inline is not None:
            errors += validate_inline(inline, f"{path}.inlineVolumeSpec")
        errors += [invalid_value("spec.nodeName", spec.node_name, m) for m in names.subdomain(spec.node_name)]
        return errors + _attachment_status(obj.status)

    def validate_update(self, new: storage_v1.VolumeAttachment, old: storage_v1.VolumeAttachment) -> list[FieldError]:
        return self._validate(new)

    def validate_status(self, new: storage_v1.VolumeAttachment, old: storage_v1.VolumeAttachment) -> list[FieldError]:
        return self._validate(new)


def _attachment_status(status: storage_v1.VolumeAttachmentStatus) -> list[FieldError]:
    errors: list[FieldError] = []
    if sum(len(k.encode()) + len(v.encode()) for k, v in status.attachment_metadata.items()) > MAX_ATTACH_BYTES:
        errors.append(too_long("status.attachmentMetadata", MAX_ATTACH_BYTES))
    for name, error in (("attachError", status.attach_error), ("detachError", status.detach_error)):
        if error is None:
            continue
        if len(error.message.encode()) > MAX_ERROR_BYTES:
            # Upstream names the other limit.
            errors.append(too_long(f"status.{name}.message", MAX_ATTACH_BYTES))
        if error.error_code is not None and error.error_code < 0:
            words = "must be between 0 and 2147483647, inclusive"
            errors.append(invalid_value(f"status.{name}.errorCode", error.error_code, words))
    return errors
