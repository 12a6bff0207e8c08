"""PodTopologyLabels: a pod that gets its node is labelled with the node's zone and region, so that it can tell them.

As plugin/pkg/admission/podtopologylabels (KEP-4742).
"""

from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.admission.metadata import Mentioning
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects
from orlop.clock import Clock

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")


class PodTopologyLabels(Admission):
    """On bindings, and on pods that are made with a node; it goes before what a pod says itself."""

    operations = ("CREATE",)
    resources = ("pods",)
    subresources = ("", "binding")

    def __init__(self, objects: Objects, clock: Clock, config: Config, authorizer: Authorizer) -> None:
        super().__init__(objects, clock, config, authorizer)
        self._nodes = Mentioning(objects, "nodes", '"topology.kubernetes.io/')

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("nodes",) if a.object.spec.node_name else ()

    async def admit(self, a: Attributes) -> None:
        if not a.subresource:
            node = a.object.spec.node_name
        else:
            node = a.object.target.name if a.object.target.kind == "Node" else ""
        if node:
            place = self._nodes(node).labels
            a.object.metadata.labels.update({key: place[key] for key in LABELS if key in place})
