"""PersistentVolumeClaimResize: a claim grows only when it is bound and its class allows it.

As plugin/pkg/admission/storage/persistentvolume/resize.
"""

from orlop.api import errors, scheme, volumes as rules
from orlop.api.quantity import parse
from orlop.api.types import storage_v1
from orlop.apiserver.admission.base import Admission, Attributes

_CLASS = scheme.by_resource("storage.k8s.io", "v1", "storageclasses")


class PersistentVolumeClaimResize(Admission):
    """Refuses what nobody would do."""

    operations = ("UPDATE",)
    resources = ("persistentvolumeclaims",)

    async def validate(self, a: Attributes) -> None:
        if parse(rules.storage_of(a.object)) <= parse(rules.storage_of(a.old)):
            return
        if a.old.status.phase != "Bound":
            words = "Only bound persistent volume claims can be expanded"
            raise errors.forbidden(a.kind.plural, a.kind.group, a.name, words)
        name = rules.claim_class(a.object)
        found: storage_v1.StorageClass | None = None
        if name and name == rules.claim_class(a.old) and _CLASS is not None:
            found = self.objects.get(_CLASS, "", name)
        if found is None or not found.allow_volume_expansion:
            words = (
                "only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must "
                "support resize"
            )
            raise errors.forbidden(a.kind.plural, a.kind.group, a.name, words)
