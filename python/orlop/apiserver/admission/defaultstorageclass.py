"""DefaultStorageClass: a claim that says nothing of a class gets the default one.

As plugin/pkg/admission/storage/storageclass/setdefault.
"""

from orlop.api import scheme, volumes as rules
from orlop.api.types import storage_v1
from orlop.apiserver.admission.base import Admission, Attributes

_CLASS = scheme.by_resource("storage.k8s.io", "v1", "storageclasses")


class DefaultStorageClass(Admission):
    """Of several default classes the newest counts."""

    operations = ("CREATE",)
    resources = ("persistentvolumeclaims",)

    async def admit(self, a: Attributes) -> None:
        if not rules.asks_no_class(a.object) or _CLASS is None:
            return
        items = self.objects.hub.list(_CLASS.resource, None, "", "", 0, None).items
        classes: list[storage_v1.StorageClass] = [
            self.objects.decode(_CLASS, item) for item in items if b"is-default-class" in item
        ]
        default = rules.default_class(classes)
        if default is not None:
            a.object.spec.storage_class_name = default.metadata.name
