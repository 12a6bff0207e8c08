"""Volumes that are directories of nodes, for claims of a class with provisioner `orlop/local-path`.

Named after, and used like, Rancher's local-path-provisioner, whose helper pods orlop does not need: the node's kubelet
makes the directory when a pod first mounts the volume, and removes it when the volume is deleted. From then to then the
volume carries a finalizer, so that no directory is forgotten while its node is away. A node whose kubelet does not say
where it keeps such directories (a hollow one, another kubelet) gets a hostPath volume below `FOREIGN_ROOT`, whose
directory stays when the volume goes.

The class `local-path` is made when there is none; it becomes the default one if there is no other.
"""

from collections.abc import Iterable
from contextlib import suppress
from pathlib import PurePosixPath

from orlop.api import errors, volumes as rules
from orlop.api.quantity import parse
from orlop.api.types import core_v1, meta_v1, storage_v1
from orlop.client import copy
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.controllers.persistentvolume.expand import wants_more

CLASS = "local-path"
FOREIGN_ROOT = "/var/lib/orlop/local-path"
MODES = frozenset({"ReadWriteOnce", "ReadWriteOncePod"})
"""A directory is on one node."""
HOSTNAME = "kubernetes.io/hostname"

Claim = core_v1.PersistentVolumeClaim
Volume = core_v1.PersistentVolume


class LocalPathProvisioner(Controller):
    """Keys are claims to make volumes for or to expand, and, without namespace, volumes to delete."""

    name = "local-path-provisioner"
    component = rules.LOCAL_PATH

    def setup(self, builder: Builder) -> None:
        self.claims = builder.watches(Claim, _ours)
        self.volumes = builder.watches(Volume, lambda v: [key_of(v)] if _made_here(v) else [])
        self.classes = builder.watches(storage_v1.StorageClass, self._claims_of)
        self.nodes = builder.watches(
            core_v1.Node, self._volumes_of, changed=lambda old, new: old.metadata.uid != new.metadata.uid
        )

    def _claims_of(self, storage_class: storage_v1.StorageClass) -> Iterable[Key]:
        for claim in self.claims.items():
            if rules.claim_class(claim) == storage_class.metadata.name:
                yield from _ours(claim)

    def _volumes_of(self, node: core_v1.Node) -> Iterable[Key]:
        """Volumes of a node that is gone or new: their directories are gone as well."""
        for volume in self.volumes.items():
            if volume.metadata.annotations.get(rules.LOCAL_PATH_NODE) == node.metadata.name:
                yield key_of(volume)

    async def prepare(self) -> None:
        if self.classes.get("", CLASS) is not None:
            return
        default = rules.default_class(self.classes.items()) is None
        with suppress(errors.AlreadyExists):
            await self.context.client.create(
                storage_v1.StorageClass(
                    metadata=meta_v1.ObjectMeta(
                        name=CLASS, annotations={rules.DEFAULT_CLASS: "true"} if default else {}
                    ),
                    provisioner=rules.LOCAL_PATH,
                    reclaim_policy="Delete",
                    volume_binding_mode="WaitForFirstConsumer",
                    allow_volume_expansion=True,
                )
            )

    async def reconcile(self, key: Key) -> Result | None:
        if not key.namespace:
            volume = self.volumes.get("", key.name)
            if volume is not None and _made_here(volume):
                await self._release(volume)
            return None
        claim = self.claims.get(*key)
        if claim is None:
            return None
        if not claim.spec.volume_name:
            if claim.metadata.deletion_timestamp is None:
                await self._provision(claim)
        elif wants_more(claim):
            await self._expand(claim)
        return None

    # --- making

    async def _provision(self, claim: Claim) -> None:
        name = f"pvc-{claim.metadata.uid}"
        storage_class = self.classes.get("", rules.claim_class(claim))
        if storage_class is None or self.volumes.get("", name) is not None:
            return
        node = self._node_of(claim)
        if node is None and rules.SELECTED_NODE in claim.metadata.annotations:
            # The scheduler is to choose again.
            wanted = copy(claim)
            del wanted.metadata.annotations[rules.SELECTED_NODE]
            await self.context.client.update(wanted)
            return
        recorder = self.context.recorder
        why = _refusal(claim)
        if node is None or why:
            words = why or "configuration error, no node was specified"
            recorder.event(
                claim,
                "Warning",
                "ProvisioningFailed",
                f'failed to provision volume with StorageClass "{storage_class.metadata.name}": {words}',
            )
            return
        words = f'External provisioner is provisioning volume for claim "{key_of(claim)}"'
        recorder.event(claim, "Normal", "Provisioning", words)
        with suppress(errors.AlreadyExists):
            await self.context.client.create(_volume(name, claim, storage_class, node))
        recorder.event(claim, "Normal", "ProvisioningSucceeded", f"Successfully provisioned volume {name}")

    def _node_of(self, claim: Claim) -> core_v1.Node | None:
        name = claim.metadata.annotations.get(rules.SELECTED_NODE, "")
        return self.nodes.get("", name) if name else None

    # --- expanding

    async def _expand(self, claim: Claim) -> None:
        """Directories have no size of their own: what is asked for is given."""
        volume = self.volumes.get("", claim.spec.volume_name)
        storage_class = self.classes.get("", rules.claim_class(claim))
        if volume is None or storage_class is None or not storage_class.allow_volume_expansion:
            return
        asked, recorder = rules.storage_of(claim), self.context.recorder
        name = volume.metadata.name
        recorder.event(claim, "Normal", "Resizing", f"External resizer is resizing volume {name}")
        if parse(volume.spec.capacity["storage"]) < parse(asked):
            bigger = copy(volume)
            bigger.spec.capacity["storage"] = asked
            await self.context.client.update(bigger)
        wanted = copy(claim)
        wanted.status.capacity["storage"] = asked
        wanted.status.allocated_resources["storage"] = asked
        wanted.status.allocated_resource_statuses.pop("storage", None)
        resizing = ("Resizing", "FileSystemResizePending")
        wanted.status.conditions = [c for c in wanted.status.conditions if c.type not in resizing]
        await self.context.client.update_status(wanted)
        recorder.event(claim, "Normal", "VolumeResizeSuccessful", "Resize volume succeeded")

    # --- deleting

    async def _release(self, volume: Volume) -> None:
        """Deletes a released volume; lets go of one whose node, and so its directory, is gone."""
        meta, spec = volume.metadata, volume.spec
        if meta.deletion_timestamp is None:
            if volume.status.phase == "Released" and spec.persistent_volume_reclaim_policy == "Delete":
                with suppress(errors.NotFound):
                    await self.context.client.delete(Volume, meta.name, None, uid=meta.uid)
        elif rules.LOCAL_PATH_FINALIZER in meta.finalizers:
            name = meta.annotations.get(rules.LOCAL_PATH_NODE, "")
            if self.nodes.get("", name) is not None:
                return
            with suppress(errors.NotFound):
                await self.context.client.get(core_v1.Node, name)
                return  # the cache is behind
            wanted = copy(volume)
            wanted.metadata.finalizers.remove(rules.LOCAL_PATH_FINALIZER)
            with suppress(errors.NotFound):
                await self.context.client.update(wanted)


def _ours(claim: Claim) -> list[Key]:
    return [key_of(claim)] if claim.metadata.annotations.get(rules.PROVISIONER) == rules.LOCAL_PATH else []


def _made_here(volume: Volume) -> bool:
    return volume.metadata.annotations.get(rules.PROVISIONED_BY) == rules.LOCAL_PATH


def _refusal(claim: Claim) -> str:
    """Why no directory can be what the claim asks for; "" if one can."""
    spec = claim.spec
    if spec.volume_mode == "Block":
        return f"{rules.LOCAL_PATH} does not support block volume provisioning"
    if refused := sorted(set(spec.access_modes) - MODES):
        return f"a directory is on one node: access mode {', '.join(refused)} is not supported, use ReadWriteOnce"
    if spec.selector is not None:
        return "claim.Spec.Selector is not supported"
    if spec.data_source is not None or spec.data_source_ref is not None:
        return "claim.Spec.DataSource is not supported"
    return ""


def _volume(name: str, claim: Claim, storage_class: storage_v1.StorageClass, node: core_v1.Node) -> Volume:
    root = node.metadata.annotations.get(rules.LOCAL_PATH_ROOT)
    path = str(PurePosixPath(root or FOREIGN_ROOT) / name)
    hostname = node.metadata.labels.get(HOSTNAME, node.metadata.name)
    requirement = core_v1.NodeSelectorRequirement(key=HOSTNAME, operator="In", values=[hostname])
    return Volume(
        metadata=meta_v1.ObjectMeta(
            name=name,
            annotations={rules.PROVISIONED_BY: rules.LOCAL_PATH, rules.LOCAL_PATH_NODE: node.metadata.name},
        ),
        spec=core_v1.PersistentVolumeSpec(
            capacity={"storage": rules.storage_of(claim)},
            access_modes=list(claim.spec.access_modes),
            volume_mode="Filesystem",
            storage_class_name=storage_class.metadata.name,
            persistent_volume_reclaim_policy=storage_class.reclaim_policy or "Delete",
            mount_options=list(storage_class.mount_options),
            local=core_v1.LocalVolumeSource(path=path) if root else None,
            host_path=None if root else core_v1.HostPathVolumeSource(path=path, type="DirectoryOrCreate"),
            claim_ref=rules.reference_to(claim),
            node_affinity=core_v1.VolumeNodeAffinity(
                required=core_v1.NodeSelector(
                    node_selector_terms=[core_v1.NodeSelectorTerm(match_expressions=[requirement])]
                )
            ),
        ),
    )
