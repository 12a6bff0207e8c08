"""PodTopologyLabels: a pod that gets its node is labelled with the node's zone and region, so that it can tell them.

As plugin/pkg/admission/podtopologylabels (KEP-4742).
"""

import msgspec

from orlop.api.types.base import ApiStruct
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.auth import Authorizer
from orlop.apiserver.config import Config
from orlop.apiserver.registry.objects import Objects
from orlop.clock import Clock

LABELS = ("topology.kubernetes.io/zone", "topology.kubernetes.io/region")
MAX_NODES = 20_000
"""Nodes whose places are remembered; each some 200 bytes."""


class _Metadata(ApiStruct):
    labels: dict[str, str] = msgspec.field(default_factory=dict)


class _Node(ApiStruct):
    metadata: _Metadata = msgspec.field(default_factory=_Metadata)


_decode = msgspec.json.Decoder(_Node).decode


class PodTopologyLabels(Admission):
    """On bindings, and on pods that are made with a node; it goes before what a pod says itself."""

    operations = ("CREATE",)
    resources = ("pods",)
    subresources = ("", "binding")

    def __init__(self, objects: Objects, clock: Clock, config: Config, authorizer: Authorizer) -> None:
        super().__init__(objects, clock, config, authorizer)
        self._known: dict[str, tuple[int, dict[str, str]]] = {}

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("nodes",) if a.object.spec.node_name else ()

    async def admit(self, a: Attributes) -> None:
        if not a.subresource:
            node = a.object.spec.node_name
        else:
            node = a.object.target.name if a.object.target.kind == "Node" else ""
        if node:
            a.object.metadata.labels.update(self._place(node))

    def _place(self, node: str) -> dict[str, str]:
        """The node's labels that tell where it is, read once a revision: each binding asks."""
        found = self.objects.hub.get("nodes", "", node)
        if found is None or b'"topology.kubernetes.io/' not in found[0]:
            return {}
        value, revision = found
        known = self._known.get(node)
        if known is None or known[0] != revision:
            labels = _decode(value).metadata.labels
            if len(self._known) >= MAX_NODES:
                self._known.clear()
            known = self._known[node] = (revision, {key: labels[key] for key in LABELS if key in labels})
        return known[1]
