"""ExtendedResourceToleration: a pod that asks for a device tolerates the taint that keeps others off its nodes.

As plugin/pkg/admission/extendedresourcetoleration.
"""

from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.registry.resources import is_extended


class ExtendedResourceToleration(Admission):
    """The taint has the resource's name for its key."""

    resources = ("pods",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ()

    async def admit(self, a: Attributes) -> None:
        spec: core_v1.PodSpec = a.object.spec
        containers = (*spec.init_containers, *spec.containers)
        asked = {name for c in containers if c.resources is not None for name in c.resources.requests}
        for name in sorted(filter(is_extended, asked)):
            wanted = core_v1.Toleration(key=name, operator="Exists", effect="NoSchedule")
            if wanted not in spec.tolerations:
                spec.tolerations.append(wanted)
