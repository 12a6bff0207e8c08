"""LimitPodHardAntiAffinityTopology: required anti-affinity may keep others off a node, not off a whole zone.

As plugin/pkg/admission/antiaffinity.
"""

from orlop.api import errors
from orlop.apiserver.admission.base import Admission, Attributes

HOSTNAME = "kubernetes.io/hostname"


class LimitPodHardAntiAffinityTopology(Admission):
    """Refuses pods with other topology keys."""

    resources = ("pods",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ()

    async def validate(self, a: Attributes) -> None:
        affinity = a.object.spec.affinity
        apart = affinity.pod_anti_affinity if affinity is not None else None
        for term in apart.required_during_scheduling_ignored_during_execution if apart is not None else ():
            if term.topology_key != HOSTNAME:
                why = (
                    f"affinity.PodAntiAffinity.RequiredDuringScheduling has TopologyKey {term.topology_key} but only "
                    f"key {HOSTNAME} is allowed"
                )
                raise errors.forbidden("pods", "", a.object.metadata.name, why)
