"""DefaultIngressClass: an ingress that says nothing of a class gets the default one.

As plugin/pkg/admission/network/defaultingressclass.
"""

from orlop.api import scheme
from orlop.api.types import networking_v1
from orlop.apiserver.admission.base import Admission, Attributes

IS_DEFAULT = "ingressclass.kubernetes.io/is-default-class"
BY_ANNOTATION = "kubernetes.io/ingress.class"
_CLASS = scheme.by_resource("networking.k8s.io", "v1", "ingressclasses")


class DefaultIngressClass(Admission):
    """Of several default classes the newest counts, of equally old ones the first by name."""

    operations = ("CREATE",)
    resources = ("networking.k8s.io/ingresses",)

    async def admit(self, a: Attributes) -> None:
        ingress: networking_v1.Ingress = a.object
        if ingress.spec.ingress_class_name is not None or BY_ANNOTATION in ingress.metadata.annotations:
            return
        assert _CLASS is not None
        items = self.objects.hub.list(_CLASS.resource, None, "", "", 0, None).items
        classes: list[networking_v1.IngressClass] = [
            self.objects.decode(_CLASS, item) for item in items if IS_DEFAULT.encode() in item
        ]
        default = sorted(
            (c for c in classes if c.metadata.annotations.get(IS_DEFAULT) == "true"), key=lambda c: c.metadata.name
        )
        if default:
            newest = max(default, key=lambda c: str(c.metadata.creation_timestamp))
            ingress.spec.ingress_class_name = newest.metadata.name
