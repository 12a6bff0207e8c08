"""Finalizers that keep claims, volumes and attributes classes as long as they are in use.

Upstream: pkg/controller/volume/pvcprotection, pvprotection, vacprotection.
"""

from collections.abc import Iterable
from typing import Any, ClassVar

from orlop.api import volumes as rules
from orlop.api.types import core_v1, storage_v1
from orlop.client import Informer, copy
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers.persistentvolume.binder import BY_CLAIM, claims_index
from orlop.controllers.views import PodView


class Protection(Controller):
    """Puts the finalizer on what lacks it, and takes it off what is being deleted and not used any more."""

    finalizer: ClassVar[str]
    objects: Informer[Any]

    async def used(self, obj: Any) -> bool:
        """Whether something still needs the object."""
        raise NotImplementedError

    async def reconcile(self, key: Key) -> Result | None:
        obj = self.objects.get(*key)
        if obj is None:
            return None
        protected, ending = self.finalizer in obj.metadata.finalizers, obj.metadata.deletion_timestamp is not None
        if protected != ending or (ending and await self.used(obj)):
            return None
        wanted = copy(obj)
        if ending:
            wanted.metadata.finalizers.remove(self.finalizer)
        else:
            wanted.metadata.finalizers.append(self.finalizer)
        await self.context.client.update(wanted)
        return None


class ClaimProtection(Protection):
    """A claim is used by every pod that names it and has a node, even one that has ended."""

    name = "persistentvolumeclaim-protection-controller"
    account = "pvc-protection-controller"
    finalizer = rules.PVC_PROTECTION

    def setup(self, builder: Builder) -> None:
        self.objects = builder.for_(core_v1.PersistentVolumeClaim)
        self.pods = builder.watches(
            PodView,
            _claims_of,
            changed=lambda old, new: old.spec.node_name != new.spec.node_name or old.status.phase != new.status.phase,
            indexers={BY_CLAIM: claims_index},
        )

    async def used(self, claim: core_v1.PersistentVolumeClaim) -> bool:
        meta = claim.metadata
        if any(_uses(pod, claim) for pod in self.pods.by_index(BY_CLAIM, f"{meta.namespace}/{meta.name}")):
            return True
        # The cache may be behind, and the data would be gone: the server is asked before the finalizer goes.
        live = await self.context.client.list(PodView, meta.namespace)
        return any(_uses(pod, claim) for pod in live.items)


def _claims_of(pod: PodView) -> Iterable[Key]:
    for volume in pod.spec.volumes:
        if name := rules.claim_name(pod.metadata.name, volume):
            yield Key(pod.metadata.namespace, name)


def _uses(pod: PodView, claim: core_v1.PersistentVolumeClaim) -> bool:
    if not pod.spec.node_name:
        return False  # the kubelet will not start it with a claim that is being deleted
    for volume in pod.spec.volumes:
        if rules.claim_name(pod.metadata.name, volume) != claim.metadata.name:
            continue
        if volume.ephemeral is None:
            return True
        if pod.status.phase not in ("Succeeded", "Failed") and rules.is_made_for(claim, pod.metadata.uid):
            return True
    return False


class VolumeProtection(Protection):
    """A volume is used while it is bound."""

    name = "persistentvolume-protection-controller"
    account = "pv-protection-controller"
    finalizer = rules.PV_PROTECTION

    def setup(self, builder: Builder) -> None:
        self.objects = builder.for_(core_v1.PersistentVolume)

    async def used(self, volume: core_v1.PersistentVolume) -> bool:
        return volume.status.phase == "Bound"


class AttributesClassProtection(Protection):
    """An attributes class is used by the claims and volumes that name it, or are on the way to it."""

    name = "volumeattributesclass-protection-controller"
    finalizer = rules.VAC_PROTECTION

    def setup(self, builder: Builder) -> None:
        self.objects = builder.for_(storage_v1.VolumeAttributesClass)
        self.claims = builder.watches(core_v1.PersistentVolumeClaim, lambda c: [Key("", n) for n in _classes(c)])
        self.volumes = builder.watches(core_v1.PersistentVolume, lambda v: [Key("", n) for n in _class(v)])

    async def used(self, found: storage_v1.VolumeAttributesClass) -> bool:
        name = found.metadata.name
        return any(name in _classes(c) for c in self.claims.items()) or any(
            name in _class(v) for v in self.volumes.items()
        )


def _classes(claim: core_v1.PersistentVolumeClaim) -> set[str]:
    target = claim.status.modify_volume_status
    names = {
        claim.spec.volume_attributes_class_name,
        claim.status.current_volume_attributes_class_name,
        target.target_volume_attributes_class_name if target is not None else None,
    }
    return {name for name in names if name}


def _class(volume: core_v1.PersistentVolume) -> set[str]:
    name = volume.spec.volume_attributes_class_name
    return {name} if name else set()
