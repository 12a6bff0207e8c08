"""PodNodeSelector: a namespace says by an annotation on which nodes its pods run.

As plugin/pkg/admission/podnodeselector, without its file of defaults and limits.
"""

from orlop.api import errors
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.admission.metadata import Mentioning
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects
from orlop.clock import Clock

ANNOTATION = "scheduler.alpha.kubernetes.io/node-selector"
CONFLICT = "pod node label selector conflicts with its namespace node label selector"


class PodNodeSelector(Admission):
    """Adds what the namespace says to a new pod's selector, and refuses one that says otherwise."""

    operations = ("CREATE",)
    resources = ("pods",)

    def __init__(self, objects: Objects, clock: Clock, config: Config, authorizer: Authorizer) -> None:
        super().__init__(objects, clock, config, authorizer)
        self._namespaces = Mentioning(objects, "namespaces", ANNOTATION)

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
        text = self._namespaces(a.namespace).annotations.get(ANNOTATION, "")
        pairs = (part.partition("=") for part in text.split(",") if part.strip())
        return {key.strip(): value.strip() for key, _, value in pairs}
