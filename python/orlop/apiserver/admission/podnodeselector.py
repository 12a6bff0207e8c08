"""PodNodeSelector: a namespace says by an annotation on which nodes its pods run.

As plugin/pkg/admission/podnodeselector, without its file of defaults and limits.
"""

from orlop.api import errors, scheme
from orlop.apiserver.admission.base import Admission, Attributes

ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
CONFLICT = "pod node label selector conflicts with its namespace node label selector"
_NAMESPACE = scheme.by_resource("", "v1", "namespaces")


class PodNodeSelector(Admission):
    """Adds what the namespace says to a new pod's selector, and refuses one that says otherwise."""

    operations = ("CREATE",)
    resources = ("pods",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("namespaces",)

    async def admit(self, a: Attributes) -> None:
        for key, value in self._wanted(a).items():
            a.object.spec.node_selector.setdefault(key, value)
        await self.validate(a)

    async def validate(self, a: Attributes) -> None:
        has = a.object.spec.node_selector
        if any(has.get(key) != value for key, value in self._wanted(a).items()):
            raise errors.forbidden("pods", "", a.object.metadata.name, CONFLICT)

    def _wanted(self, a: Attributes) -> dict[str, str]:
        found = self.objects.hub.get("namespaces", "", a.namespace)
        if found is None or ANNOTATION.encode() not in found[0]:
            return {}
        assert _NAMESPACE is not None
        text: str = self.objects.decode(_NAMESPACE, found[0]).metadata.annotations.get(ANNOTATION, "")
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        return {key.strip(): value.strip() for key, _, value in pairs}
