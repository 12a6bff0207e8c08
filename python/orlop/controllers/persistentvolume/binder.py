"""Binds claims to volumes and reclaims volumes whose claims are gone. Upstream: pkg/controller/volume/persistentvolume.

Keys are claims and volumes: those of volumes have no namespace. Upstream looks at all of them every 15 seconds; here a
claim is looked at when something changes that may help it.
"""

from collections.abc import Iterable

from orlop.api import errors, volumes as rules
from orlop.api.types import storage_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.controllers.persistentvolume.binding import Binding, Claim, Volume
from orlop.controllers.persistentvolume.claims import ClaimSync
from orlop.controllers.persistentvolume.newest import Newest
from orlop.controllers.views import PodView

BY_CLAIM = "claim"
"""The index of pods by the claims they use, `namespace/name`."""


def claims_index(pod: PodView) -> list[str]:
    """The indexer of BY_CLAIM."""
    names = (rules.claim_name(pod.metadata.name, volume) for volume in pod.spec.volumes)
    return [f"{pod.metadata.namespace}/{name}" for name in names if name]


_PENDING = "pending"
_BY_VOLUME = "volume"
_FREE = "free"
_BY_REFERENCE = "reference"


class PersistentVolumeBinder(Controller):
    """Phases, bindings and reclaiming."""

    name = "persistentvolume-binder-controller"
    account = "persistent-volume-binder"
    component = "persistentvolume-controller"

    def setup(self, builder: Builder) -> None:
        self.claim_cache = builder.for_(Claim, indexers={_PENDING: _pending_index, _BY_VOLUME: _volume_index})
        indexers = {_FREE: _free_index, _BY_REFERENCE: _reference_index}
        self.volume_cache = builder.watches(Volume, self._around, indexers=indexers)
        self.classes = builder.watches(storage_v1.StorageClass, lambda _: self._pending())
        self.pods = builder.watches(
            PodView,
            self._awaited,
            changed=lambda old, new: old.spec.node_name != new.spec.node_name,
            indexers={BY_CLAIM: claims_index},
        )
        builder.workers(1)  # two claims at a time would often want the same volume (upstream has one worker too)
        self.claims: Newest[Claim] = Newest(self.claim_cache)
        self.volumes: Newest[Volume] = Newest(self.volume_cache)
        self.binding = Binding(self.context, self.volumes, self.claims)
        self.claim_sync = ClaimSync(
            self.context, self.volumes, self.classes, self.binding, self._candidates, self._waiting_pods
        )

    def _around(self, volume: Volume) -> Iterable[Key]:
        """The volume, its claim, and while it is free, the claims it might be for."""
        yield key_of(volume)
        ref = volume.spec.claim_ref
        if ref is not None:
            yield Key(ref.namespace, ref.name)
        else:
            yield from self._pending()
        for claim in self.claim_cache.by_index(_BY_VOLUME, volume.metadata.name):
            yield key_of(claim)

    def _pending(self) -> list[Key]:
        return [key_of(claim) for claim in self.claim_cache.by_index(_PENDING, "yes")]

    def _awaited(self, pod: PodView) -> Iterable[Key]:
        """The claims that wait for a pod, of a pod that waits for a node."""
        for name in claims_index(pod) if not pod.spec.node_name else ():
            claim = self.claims.get(*name.split("/", 1))
            if claim is not None and not rules.is_fully_bound(claim):
                yield key_of(claim)

    def _candidates(self, claim: Claim, delayed: bool) -> list[Volume]:
        meta = claim.metadata
        free = [] if delayed else self.volume_cache.by_index(_FREE, rules.claim_class(claim))
        reserved = self.volume_cache.by_index(_BY_REFERENCE, f"{meta.namespace}/{meta.name}")
        newest = (self.volumes.get("", v.metadata.name) for v in (*free, *reserved))
        return [volume for volume in newest if volume is not None]

    def _waiting_pods(self, claim: Claim) -> list[str]:
        meta = claim.metadata
        pods = self.pods.by_index(BY_CLAIM, f"{meta.namespace}/{meta.name}")
        return sorted(p.metadata.name for p in pods if not p.spec.node_name)

    async def reconcile(self, key: Key) -> Result | None:
        if key.namespace:
            claim = self.claims.get(*key)
            if claim is not None and claim.metadata.deletion_timestamp is None:
                await self.claim_sync.sync(claim)
            self._look_at_others(key, claim)
        else:
            volume = self.volumes.get("", key.name)
            if volume is not None:
                await self._volume(volume)
        return None

    def _look_at_others(self, key: Key, claim: Claim | None) -> None:
        """Volumes that think they are the claim's, and are not: it is gone, or has taken another."""
        for volume in self.volume_cache.by_index(_BY_REFERENCE, str(key)):
            if claim is None or claim.spec.volume_name not in ("", volume.metadata.name):
                self.context.enqueue(key_of(volume), 0)

    async def _volume(self, volume: Volume) -> None:
        """Upstream's syncVolume."""
        ref, name = volume.spec.claim_ref, volume.metadata.name
        if ref is None or not ref.uid:
            # Free, or reserved by its user for a claim that has not come yet: the claim's own look binds it.
            await self.binding.volume_phase(volume, "Available")
            if ref is not None and self.claims.get(ref.namespace, ref.name) is not None:
                self.context.enqueue(Key(ref.namespace, ref.name), 0)
            return
        claim = await self._claim_of(volume)
        if claim is None:
            if volume.status.phase not in ("Released", "Failed"):
                volume = await self.binding.volume_phase(volume, "Released")
            await self._reclaim(volume)
        elif not claim.spec.volume_name:
            if rules.modes_differ(volume, claim):
                words = (
                    f'Cannot bind PersistentVolume to requested PersistentVolumeClaim "{claim.metadata.name}" due to '
                    "incompatible volumeMode."
                )
                self.context.recorder.event(volume, "Warning", "VolumeMismatch", words)
                words = f'Cannot bind PersistentVolume "{name}" to requested PersistentVolumeClaim due to incompatible '
                self.context.recorder.event(claim, "Warning", "VolumeMismatch", f"{words}volumeMode.")
            else:
                self.context.enqueue(key_of(claim), 0)
        elif claim.spec.volume_name == name:
            await self.binding.volume_phase(volume, "Bound")
        elif rules.PROVISIONED_BY in volume.metadata.annotations and _deletes(volume):
            # Made for this claim, which has taken another one meanwhile.
            if volume.status.phase not in ("Released", "Failed"):
                volume = await self.binding.volume_phase(volume, "Released")
            await self._reclaim(volume)
        else:
            await self.binding.unbind(volume)

    async def _claim_of(self, volume: Volume) -> Claim | None:
        """The claim that the volume is bound to. Its absence is asked of the server: data depends on it."""
        ref = volume.spec.claim_ref
        assert ref is not None
        claim = self.claims.get(ref.namespace, ref.name)
        if claim is None or claim.metadata.uid != ref.uid:
            try:
                claim = await self.context.client.get(Claim, ref.name, ref.namespace)
            except errors.NotFound:
                return None
        return claim if claim.metadata.uid == ref.uid else None

    async def _reclaim(self, volume: Volume) -> None:
        """What the policy says of a released volume. Deleting is the provisioner's, if one has made it."""
        spec, annotations = volume.spec, volume.metadata.annotations
        if rules.MIGRATED_TO in annotations or volume.status.phase == "Failed":
            return
        if spec.persistent_volume_reclaim_policy == "Recycle":
            words = "No recycler plugin found for the volume!"
            await self.binding.volume_phase(volume, "Failed", ("Warning", "VolumeFailedRecycle", words))
        elif _deletes(volume):
            provisioner = annotations.get(rules.PROVISIONED_BY, "")
            if not provisioner or provisioner.startswith("kubernetes.io/"):
                name = volume.metadata.name
                words = f'error getting deleter volume plugin for volume "{name}": no deletable volume plugin matched'
                await self.binding.volume_phase(volume, "Failed", ("Warning", "VolumeFailedDelete", words))


def _deletes(volume: Volume) -> bool:
    return volume.spec.persistent_volume_reclaim_policy == "Delete"


def _pending_index(claim: Claim) -> list[str]:
    return [] if rules.is_fully_bound(claim) else ["yes"]


def _volume_index(claim: Claim) -> list[str]:
    return [claim.spec.volume_name] if claim.spec.volume_name else []


def _free_index(volume: Volume) -> list[str]:
    return [rules.volume_class(volume)] if volume.spec.claim_ref is None else []


def _reference_index(volume: Volume) -> list[str]:
    ref = volume.spec.claim_ref
    return [f"{ref.namespace}/{ref.name}"] if ref is not None else []
