"""Says who expands a claim that asks for more than it has. Upstream: pkg/controller/volume/expand.

Upstream's own volume plug-ins are gone; what is left of its controller is this event. The provisioner does the work
(`localpath` here, a CSI driver's resizer elsewhere).
"""

from orlop.api import volumes as rules
from orlop.api.quantity import parse
from orlop.api.types import core_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result


def wants_more(claim: core_v1.PersistentVolumeClaim) -> bool:
    """Whether a bound claim asks for more than it has been given."""
    given = claim.status.capacity.get("storage", "0")
    return claim.status.phase == "Bound" and parse(rules.storage_of(claim)) > parse(given)


class ExpandController(Controller):
    """Keys are claims."""

    name = "persistentvolume-expander-controller"
    account = "expand-controller"
    component = "volume_expand"

    def setup(self, builder: Builder) -> None:
        self.claims = builder.for_(
            core_v1.PersistentVolumeClaim,
            changed=lambda old, new: old.spec.resources.requests != new.spec.resources.requests,
        )

    async def reconcile(self, key: Key) -> Result | None:
        claim = self.claims.get(*key)
        if claim is not None and wants_more(claim):
            words = "waiting for an external controller to expand this PVC"
            self.context.recorder.event(claim, "Normal", "ExternalExpanding", words)
        return None
