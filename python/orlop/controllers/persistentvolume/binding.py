"""The writes of which a binding consists, each done only where it is missing.

A volume is bound in four writes: its claimRef, its phase, the claim's volumeName, the claim's phase. Any of them may be
the last before a crash; whoever comes next goes on with the first that is missing.
"""

from typing import Literal

from orlop.api import volumes as rules
from orlop.api.quantity import parse
from orlop.api.types import core_v1
from orlop.client import copy
from orlop.clock import rfc3339
from orlop.control.controller import Context
from orlop.controllers.persistentvolume.newest import Newest

Claim = core_v1.PersistentVolumeClaim
Volume = core_v1.PersistentVolume

Event = tuple[Literal["Normal", "Warning"], str, str]
"""Type, reason, message."""


class Binding:
    """Writes volumes and claims, and keeps what it has written."""

    def __init__(self, context: Context, volumes: Newest[Volume], claims: Newest[Claim]) -> None:
        self._context = context
        self._client = context.client
        self._volumes = volumes
        self._claims = claims

    async def bind(self, volume: Volume, claim: Claim) -> None:
        """Binds both to each other, or goes on with it."""
        volume = await self._reserve(volume, claim)
        await self.volume_phase(volume, "Bound")
        claim = await self._name(claim, volume)
        await self.claim_phase(claim, "Bound", volume)

    async def _reserve(self, volume: Volume, claim: Claim) -> Volume:
        wanted = copy(volume)
        rules.reserve(wanted, claim)
        return volume if wanted == volume else self._volumes.wrote(await self._client.update(wanted))

    async def _name(self, claim: Claim, volume: Volume) -> Claim:
        wanted = copy(claim)
        if claim.spec.volume_name != volume.metadata.name:
            wanted.spec.volume_name = volume.metadata.name
            wanted.metadata.annotations.setdefault(rules.BOUND_BY_CONTROLLER, "yes")
        wanted.metadata.annotations.setdefault(rules.BIND_COMPLETED, "yes")
        return claim if wanted == claim else self._claims.wrote(await self._client.update(wanted))

    async def unbind(self, volume: Volume) -> None:
        """Takes back the controller's half; of a reservation by the user only the uid goes."""
        wanted = copy(volume)
        if wanted.metadata.annotations.pop(rules.BOUND_BY_CONTROLLER, None) is not None:
            wanted.spec.claim_ref = None
        elif wanted.spec.claim_ref is not None:
            wanted.spec.claim_ref.uid = ""
        written = self._volumes.wrote(await self._client.update(wanted))
        await self.volume_phase(written, "Available")

    async def volume_phase(self, volume: Volume, phase: str, event: Event | None = None) -> Volume:
        """Sets the phase; tells `event`, whose message becomes the status's, only when the phase changes."""
        message = event[2] if event is not None else ""
        if volume.status.phase == phase:
            return volume
        wanted = copy(volume)
        wanted.status = core_v1.PersistentVolumeStatus(
            phase=phase, message=message, last_phase_transition_time=rfc3339(self._context.clock.now())
        )
        written = self._volumes.wrote(await self._client.update_status(wanted))
        if event is not None:
            self._context.recorder.event(written, *event)
        return written

    async def claim_phase(self, claim: Claim, phase: str, volume: Volume | None, event: Event | None = None) -> Claim:
        """Sets phase, and what the volume gives; tells `event` only when the phase changes."""
        wanted = copy(claim)
        status = wanted.status
        became = status.phase != phase
        status.phase = phase
        if volume is None:
            status.access_modes, status.capacity, status.current_volume_attributes_class_name = [], {}, None
        else:
            status.access_modes = list(volume.spec.access_modes)
            # A claim that is bound already grows by being expanded, in its own time.
            if became or "storage" not in status.capacity:
                given = volume.spec.capacity["storage"]
                if parse(status.capacity.get("storage", "0")) != parse(given):
                    status.capacity = {**status.capacity, "storage": given}
                name = volume.spec.volume_attributes_class_name
                status.current_volume_attributes_class_name = name or None
        if wanted == claim:
            return claim
        written = self._claims.wrote(await self._client.update_status(wanted))
        if became and event is not None:
            self._context.recorder.event(written, *event)
        return written

    async def annotate(self, claim: Claim, annotations: dict[str, str], storage_class: str | None = None) -> Claim:
        """Adds annotations, and the class of a claim that has none."""
        wanted = copy(claim)
        wanted.metadata.annotations.update(annotations)
        if storage_class is not None:
            wanted.spec.storage_class_name = storage_class
        return claim if wanted == claim else self._claims.wrote(await self._client.update(wanted))
