"""What a claim needs next: a volume, a provisioner, or to be told why it has none."""

from collections.abc import Callable, Iterable
from typing import Protocol

from orlop.api import volumes as rules
from orlop.api.errors import ApiError
from orlop.api.types import storage_v1
from orlop.control.controller import Context
from orlop.controllers.persistentvolume.binding import Binding, Claim, Volume
from orlop.controllers.persistentvolume.newest import Newest


class Classes(Protocol):
    """The storage classes, by name and all."""

    def get(self, namespace: str, name: str) -> storage_v1.StorageClass | None: ...
    def items(self) -> Iterable[storage_v1.StorageClass]: ...


class ClaimSync:
    """Upstream's syncClaim."""

    def __init__(
        self,
        context: Context,
        volumes: Newest[Volume],
        classes: Classes,
        binding: Binding,
        candidates: Callable[[Claim, bool], list[Volume]],
        waiting_pods: Callable[[Claim], list[str]],
    ) -> None:
        """`candidates` are the volumes reserved for a claim and, unless the scheduler is to choose, the free ones of
        its class; `waiting_pods` the names of pods that use it and have no node yet."""
        self._context = context
        self._volumes = volumes
        self._classes = classes
        self._binding = binding
        self._candidates = candidates
        self._waiting_pods = waiting_pods

    async def sync(self, claim: Claim) -> None:
        """Brings the claim on; raises what a write raises, and what can only be tried again."""
        if rules.BIND_COMPLETED in claim.metadata.annotations:
            await self._bound(claim)
        elif claim.spec.volume_name:
            await self._named(claim)
        else:
            await self._unbound(claim)

    async def _unbound(self, claim: Claim) -> None:
        storage_class = self._classes.get("", rules.claim_class(claim))
        delayed = rules.waits_for_consumer(storage_class)
        if fit := rules.fitting(claim, self._candidates(claim, delayed), delayed=delayed):
            await self._binding.bind(fit[0], claim)
            return
        if rules.asks_no_class(claim) and (default := rules.default_class(self._classes.items())) is not None:
            # It was made before there was a default class. The next look is by that class.
            await self._binding.annotate(claim, {}, default.metadata.name)
            return
        if delayed and rules.SELECTED_NODE not in claim.metadata.annotations:
            self._tell_waiting(claim)
        elif rules.claim_class(claim):
            await self._provision(claim, storage_class)
            return
        else:
            words = "no persistent volumes available for this claim and no storage class is set"
            self._context.recorder.event(claim, "Normal", "FailedBinding", words)
        await self._binding.claim_phase(claim, "Pending", None)

    def _tell_waiting(self, claim: Claim) -> None:
        pods = self._waiting_pods(claim)
        if not pods:
            words = "waiting for first consumer to be created before binding"
            self._context.recorder.event(claim, "Normal", "WaitForFirstConsumer", words)
            return
        named = f"pod {pods[0]}" if len(pods) == 1 else f"pods {','.join(pods)}"
        self._context.recorder.event(claim, "Normal", "WaitForPodScheduled", f"waiting for {named} to be scheduled")

    async def _provision(self, claim: Claim, storage_class: storage_v1.StorageClass | None) -> None:
        """Names the provisioner on the claim: every provisioner works from outside, by that annotation."""
        recorder = self._context.recorder
        if storage_class is None:
            words = f'storageclass.storage.k8s.io "{rules.claim_class(claim)}" not found'
            recorder.event(claim, "Warning", "ProvisioningFailed", words)
            return
        name = storage_class.provisioner
        if name.startswith("kubernetes.io/"):  # upstream's own, none of which is here
            recorder.event(claim, "Warning", "ProvisioningFailed", f"no volume plugin matched name: {name}")
            return
        claim = await self._binding.annotate(claim, {rules.PROVISIONER_BETA: name, rules.PROVISIONER: name})
        words = (
            f"Waiting for a volume to be created either by the external provisioner '{name}' or manually by the system "
            "administrator. If volume creation is delayed, please verify that the provisioner is running and correctly "
            "registered."
        )
        recorder.event(claim, "Normal", "ExternalProvisioning", words)

    async def _named(self, claim: Claim) -> None:
        """A claim that names its volume."""
        volume = self._volumes.get("", claim.spec.volume_name)
        if volume is None:
            await self._binding.claim_phase(claim, "Pending", None)
        elif volume.spec.claim_ref is None:
            if why := rules.mismatch(volume, claim):
                words = f'Cannot bind to requested volume "{volume.metadata.name}": {why}'
                self._context.recorder.event(claim, "Warning", "VolumeMismatch", words)
                await self._binding.claim_phase(claim, "Pending", None)
            else:
                await self._binding.bind(volume, claim)
        elif rules.is_bound_to(volume, claim):
            await self._binding.bind(volume, claim)
        elif rules.BOUND_BY_CONTROLLER not in claim.metadata.annotations:
            words = f'volume "{volume.metadata.name}" already bound to a different claim.'
            self._context.recorder.event(claim, "Warning", "FailedBinding", words)
            await self._binding.claim_phase(claim, "Pending", None)
        else:
            meta, ref = claim.metadata, volume.spec.claim_ref
            raise ApiError(
                f'invalid binding of claim "{meta.namespace}/{meta.name}" to volume "{volume.metadata.name}": volume '
                f'already claimed by "{ref.namespace}/{ref.name}"'
            )

    async def _bound(self, claim: Claim) -> None:
        """A claim that was bound: its volume must still be there and be its own."""
        lost = ""
        volume = None
        if not claim.spec.volume_name:
            lost = "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!"
        elif (volume := self._volumes.get("", claim.spec.volume_name)) is None:
            lost = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"
        if lost or volume is None:
            await self._binding.claim_phase(claim, "Lost", None, ("Warning", "ClaimLost", lost))
        elif volume.spec.claim_ref is None or volume.spec.claim_ref.uid == claim.metadata.uid:
            await self._binding.bind(volume, claim)
        else:
            words = "Two claims are bound to the same volume, this one is bound incorrectly"
            await self._binding.claim_phase(claim, "Lost", None, ("Warning", "ClaimMisbound", words))
