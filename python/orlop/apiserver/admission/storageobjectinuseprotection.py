"""StorageObjectInUseProtection: what is stored carries the finalizer that keeps it while it is in use from the start.

As plugin/pkg/admission/storage/storageobjectinuseprotection.
"""

from orlop.api import volumes as rules
from orlop.apiserver.admission.base import Admission, Attributes

FINALIZERS = {
    "persistentvolumeclaims": rules.PVC_PROTECTION,
    "persistentvolumes": rules.PV_PROTECTION,
    "storage.k8s.io/volumeattributesclasses": rules.VAC_PROTECTION,
}


class StorageObjectInUseProtection(Admission):
    """Adds the finalizers, which the protection controllers take off."""

    operations = ("CREATE",)
    resources = tuple(FINALIZERS)

    async def admit(self, a: Attributes) -> None:
        finalizer = FINALIZERS[a.kind.resource]
        finalizers = a.object.metadata.finalizers
        if finalizer not in finalizers:
            finalizers.append(finalizer)
