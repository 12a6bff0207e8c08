"""Attaches CSI volumes to the nodes of the pods that use them, by VolumeAttachments that their drivers act on.

Upstream: pkg/controller/volume/attachdetach and the CSI plug-in's attacher. Keys without namespace are volumes; those
of the namespace `node` are nodes, whose status tells kubelets what is attached. Volumes of other kinds, and of drivers
that say `attachRequired: false`, are never attached.
"""

from collections.abc import Iterable
from contextlib import suppress
from hashlib import sha256
from typing import Literal, NamedTuple

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1, storage_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers.persistentvolume.binder import BY_CLAIM, claims_index
from orlop.controllers.views import PodView

MAX_WAIT_FOR_UNMOUNT = 360.0
"""Seconds after which a volume is detached though an unhealthy node calls it in use (maxWaitForUnmountDuration)."""
OUT_OF_SERVICE = "node.kubernetes.io/out-of-service"
_NODE = "node"
_BY_VOLUME = "volume"
_BY_NODE = "node"

Volume = core_v1.PersistentVolume
Attachment = storage_v1.VolumeAttachment


class Source(NamedTuple):
    """A volume of a CSI driver that attaches."""

    volume: str
    driver: str
    handle: str

    @property
    def unique_name(self) -> str:
        """The name by which node statuses know it."""
        return f"kubernetes.io/csi/{self.driver}^{self.handle}"

    def attachment(self, node: str) -> str:
        """The name of its attachment to a node."""
        return f"csi-{sha256(f'{self.handle}{self.driver}{node}'.encode()).hexdigest()}"


class AttachDetachController(Controller):
    """A volume is attached where pods that use it are, and detached when no pod there does and it is unmounted."""

    name = "persistentvolume-attach-detach-controller"
    account = "attachdetach-controller"
    component = "attachdetach-controller"

    def __init__(self) -> None:
        self.unused_since: dict[str, float] = {}
        """Attachments by name: since when no pod needs them."""
        self.told: dict[str, set[tuple[str, str]]] = {}
        """What pods (uid, message) were told of an attachment, by its name."""

    def setup(self, builder: Builder) -> None:
        self.volumes = builder.for_(Volume)
        self.claims = builder.watches(core_v1.PersistentVolumeClaim, lambda c: _key(c.spec.volume_name))
        self.pods = builder.watches(
            PodView,
            self._volumes_of,
            changed=lambda old, new: old.spec.node_name != new.spec.node_name or old.status.phase != new.status.phase,
            indexers={BY_CLAIM: claims_index},
        )
        self.attachments = builder.watches(
            Attachment,
            self._around,
            indexers={
                _BY_VOLUME: lambda a: [a.spec.source.persistent_volume_name or ""],
                _BY_NODE: lambda a: [a.spec.node_name],
            },
        )
        self.drivers = builder.watches(storage_v1.CSIDriver, lambda d: self._of_driver(d.metadata.name))
        self.nodes = builder.watches(core_v1.Node, self._at_node, changed=_node_changed)
        builder.workers(1)  # detaching a volume writes its node's status as well

    def _volumes_of(self, pod: PodView) -> Iterable[Key]:
        for name in claims_index(pod):
            claim = self.claims.get(*name.split("/", 1))
            if claim is not None:
                yield from _key(claim.spec.volume_name)

    def _around(self, attachment: Attachment) -> Iterable[Key]:
        yield from _key(attachment.spec.source.persistent_volume_name or "")
        yield Key(_NODE, attachment.spec.node_name)

    def _of_driver(self, driver: str) -> list[Key]:
        return [
            Key("", v.metadata.name)
            for v in self.volumes.items()
            if v.spec.csi is not None and v.spec.csi.driver == driver
        ]

    def _at_node(self, node: core_v1.Node) -> Iterable[Key]:
        yield Key(_NODE, node.metadata.name)
        for attachment in self.attachments.by_index(_BY_NODE, node.metadata.name):
            yield from _key(attachment.spec.source.persistent_volume_name or "")

    async def reconcile(self, key: Key) -> Result | None:
        if key.namespace == _NODE:
            await self._report(key.name)
            return None
        volume = self.volumes.get("", key.name)
        if volume is None:
            return None
        source = _source(volume)
        if source is None:
            return None
        users = self._users(volume, source)
        attached = {}
        waits = []
        for attachment in self.attachments.by_index(_BY_VOLUME, key.name):
            node = attachment.spec.node_name
            if attachment.metadata.name != source.attachment(node):
                continue  # somebody else's
            if node in users:
                self.unused_since.pop(attachment.metadata.name, None)
                attached[node] = attachment
                self._tell(source, attachment, users[node])
            elif attachment.metadata.deletion_timestamp is not None:
                attached[node] = attachment
            elif (wait := self._in_use(attachment, source.unique_name)) is not None:
                attached[node] = attachment
                waits.append(wait)
            else:
                attached[node] = attachment  # until it is gone: its driver may hold it by a finalizer
                await self._detach(attachment)
        await self._attach(source, volume, users, attached)
        return Result(requeue_after=min(waits)) if waits else None

    def _users(self, volume: Volume, source: Source) -> dict[str, list[PodView]]:
        """The pods that need the volume attached, by node."""
        driver = self.drivers.get("", source.driver)
        if driver is not None and driver.spec.attach_required is False:
            return {}
        ref = volume.spec.claim_ref
        claim = self.claims.get(ref.namespace, ref.name) if ref is not None else None
        if claim is None or claim.spec.volume_name != volume.metadata.name:
            return {}
        users: dict[str, list[PodView]] = {}
        for pod in self.pods.by_index(BY_CLAIM, f"{claim.metadata.namespace}/{claim.metadata.name}"):
            if pod.spec.node_name and pod.status.phase not in ("Succeeded", "Failed"):
                users.setdefault(pod.spec.node_name, []).append(pod)
        return users

    # --- attaching

    async def _attach(
        self, source: Source, volume: Volume, users: dict[str, list[PodView]], attached: dict[str, Attachment]
    ) -> None:
        alone = set(volume.spec.access_modes) <= {"ReadWriteOnce", "ReadWriteOncePod"}
        for node, pods in users.items():
            if node in attached or self.nodes.get("", node) is None:
                continue
            if alone and attached:
                self._tell_taken(source, pods, users, attached)
                continue
            with suppress(errors.AlreadyExists):
                attached[node] = await self.context.client.create(
                    Attachment(
                        metadata=meta_v1.ObjectMeta(name=source.attachment(node)),
                        spec=storage_v1.VolumeAttachmentSpec(
                            attacher=source.driver,
                            node_name=node,
                            source=storage_v1.VolumeAttachmentSource(persistent_volume_name=source.volume),
                        ),
                    )
                )

    def _tell_taken(
        self, source: Source, pods: list[PodView], users: dict[str, list[PodView]], attached: dict[str, Attachment]
    ) -> None:
        for pod in pods:
            others = sorted(p.metadata.name for node in attached for p in users.get(node, ()))
            why = (
                f"Volume is already used by pod(s) {', '.join(others)}"
                if others
                else "Volume is already exclusively attached to one node and can't be attached to another"
            )
            words = f'Multi-Attach error for volume "{source.volume}" {why}'
            self.context.recorder.event(pod, "Warning", "FailedAttachVolume", words)

    def _tell(self, source: Source, attachment: Attachment, pods: list[PodView]) -> None:
        failed = attachment.status.attach_error
        told = self.told.setdefault(attachment.metadata.name, set())
        for pod in pods:
            if attachment.status.attached:
                words = f'AttachVolume.Attach succeeded for volume "{source.volume}" '
                event: tuple[Literal["Normal", "Warning"], str, str] = ("Normal", "SuccessfulAttachVolume", words)
            elif failed is not None:
                words = f'AttachVolume.Attach failed for volume "{source.volume}" : {failed.message}'
                event = ("Warning", "FailedAttachVolume", words)
            else:
                continue
            if pod.status.phase in ("", "Pending") and (pod.metadata.uid, words) not in told:
                told.add((pod.metadata.uid, words))
                self.context.recorder.event(pod, *event)

    # --- detaching

    def _in_use(self, attachment: Attachment, unique_name: str) -> float | None:
        """Seconds to look again while the node has the volume mounted; None when it may be detached."""
        name, now = attachment.metadata.name, self.context.clock.monotonic()
        node = self.nodes.get("", attachment.spec.node_name)
        if node is None or unique_name not in node.status.volumes_in_use:
            self.unused_since.pop(name, None)
            return None
        left = self.unused_since.setdefault(name, now) + MAX_WAIT_FOR_UNMOUNT - now
        out_of_service = any(t.key == OUT_OF_SERVICE for t in node.spec.taints)
        if _ready(node):
            return MAX_WAIT_FOR_UNMOUNT
        if out_of_service or left <= 0:
            self.unused_since.pop(name, None)
            return None
        return left

    async def _detach(self, attachment: Attachment) -> None:
        """The node is told first: its kubelet must not mount what is being detached."""
        await self._report(attachment.spec.node_name, without=attachment.metadata.name)
        self.told.pop(attachment.metadata.name, None)
        with suppress(errors.NotFound):
            await self.context.client.delete(Attachment, attachment.metadata.name, None, uid=attachment.metadata.uid)

    # --- telling the node

    async def _report(self, name: str, without: str = "") -> None:
        node = self.nodes.get("", name)
        if node is None:
            return
        wanted = []
        for attachment in self.attachments.by_index(_BY_NODE, name):
            volume = self.volumes.get("", attachment.spec.source.persistent_volume_name or "")
            source = _source(volume) if volume is not None else None
            meta = attachment.metadata
            ending = meta.deletion_timestamp is not None or meta.name == without
            if volume is None or source is None or ending or not attachment.status.attached:
                continue
            if name in self._users(volume, source):
                wanted.append(core_v1.AttachedVolume(name=source.unique_name))
        wanted.sort(key=lambda v: v.name)
        if wanted == node.status.volumes_attached:
            return
        patch = {"metadata": {"uid": node.metadata.uid}, "status": {"volumesAttached": wanted or None}}
        with suppress(errors.NotFound):
            await self.context.client.patch(core_v1.Node, name, None, patch, type="merge", subresource="status")


def _source(volume: Volume) -> Source | None:
    csi = volume.spec.csi
    return Source(volume.metadata.name, csi.driver, csi.volume_handle) if csi is not None else None


def _key(volume: str) -> list[Key]:
    return [Key("", volume)] if volume else []


def _ready(node: core_v1.Node) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in node.status.conditions)


def _node_changed(old: core_v1.Node, new: core_v1.Node) -> bool:
    return (
        old.status.volumes_in_use != new.status.volumes_in_use
        or old.status.volumes_attached != new.status.volumes_attached
        or _ready(old) != _ready(new)
        or old.spec.taints != new.spec.taints
    )
