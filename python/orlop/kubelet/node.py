"""The node's own object: registration, status, and the Lease that says it is alive."""

import asyncio
import math
import os
import platform
import re
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from orlop import logging, tasks
from orlop.api import errors, quantity
from orlop.api.types import coordination_v1, core_v1, meta_v1
from orlop.api.volumes import LOCAL_PATH_ROOT
from orlop.client.client import Client
from orlop.clock import Clock, rfc3339, rfc3339_micro
from orlop.kubelet.config import KubeletConfig
from orlop.kubelet.eviction.allocatable import allocatable, reservation
from orlop.kubelet.runtime import base, values as v

log = logging.get("kubelet")

LEASE_NAMESPACE = "kube-node-lease"
KUBELET_VERSION = "v1.37.0+orlop"

RETRY_SECONDS = 1.0
"""Between tries to register or renew while the API cannot be reached."""


def machine_capacity(config: KubeletConfig) -> dict[str, str]:
    """CPU, memory, disk and pods of this machine, with the configuration's overrides."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    existing = config.root_dir
    while not existing.exists():
        existing = existing.parent
    disk = shutil.disk_usage(existing).total
    return {
        "cpu": str(os.cpu_count() or 1),
        "memory": quantity.format_binary(memory // 1024 * 1024),
        "ephemeral-storage": quantity.format_binary(disk // 1024 * 1024),
        "pods": str(config.max_pods),
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    } | config.capacity


def check_reservations(config: KubeletConfig) -> None:
    """Raises ValueError where more is reserved than the node has."""
    reservation(machine_capacity(config), config.eviction.reserved, config.thresholds())


def system_info(runtime: str) -> core_v1.NodeSystemInfo:
    """What `kubectl get nodes -o wide` shows of the machine."""

    def read(path: str) -> str:
        try:
            return Path(path).read_text(encoding="utf-8").strip()
        except OSError:
            return ""

    pretty = re.search(r'^PRETTY_NAME="?([^"\n]*)', read("/etc/os-release"), re.MULTILINE)
    architecture = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return core_v1.NodeSystemInfo(
        machine_id=read("/etc/machine-id"),
        system_uuid=read("/sys/class/dmi/id/product_uuid") or read("/etc/machine-id"),
        boot_id=read("/proc/sys/kernel/random/boot_id"),
        kernel_version=platform.release(),
        os_image=pretty.group(1) if pretty else platform.system(),
        container_runtime_version=runtime,
        kubelet_version=KUBELET_VERSION,
        operating_system="linux",
        architecture=architecture,
    )


class NodeAgent:
    """Keeps one Node and its Lease."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        config: KubeletConfig,
        runtime: base.Runtime,
        known: Callable[[], core_v1.Node | None],
    ) -> None:
        """`known` gives the node as the API has it, as far as this kubelet was told.

        Raises ValueError where more is reserved than the node has."""
        self._client = client
        self._known = known
        self._clock = clock
        self._config = config
        self._runtime = runtime
        self._sent_at = -math.inf
        self._news = asyncio.Event()
        self.port = config.port
        self.capacity = machine_capacity(config)
        held = reservation(self.capacity, config.eviction.reserved, config.thresholds())
        self.allocatable = allocatable(self.capacity, held)
        self.pressures: Callable[[], Collection[str]] = tuple
        """Gives the pressures that the node is under: MemoryPressure, DiskPressure, PIDPressure."""
        self.images_seen: Callable[[list[v.Image]], None] = lambda _: None
        """Told of the node's images whenever they are listed."""

    def wake(self) -> None:
        """The node's state may have changed (network up, runtime lost): look now."""
        self._news.set()

    async def register(self) -> core_v1.Node:
        """Makes the Node, or takes over the one that is there. Tries until the API answers."""
        while True:
            try:
                return await self._register()
            except Exception as error:
                log.warning(
                    "Unable to register node with API server", extra={"node": self._config.node_name, "err": error}
                )
                await self._clock.sleep(RETRY_SECONDS)

    @property
    def reference(self) -> core_v1.ObjectReference:
        """What the kubelet's events of its node are about: by name, as `kubectl describe node` looks for them."""
        return core_v1.ObjectReference(kind="Node", name=self._config.node_name, uid=self._config.node_name)

    @property
    def labels(self) -> dict[str, str]:
        """What the node is registered with."""
        architecture = system_info("").architecture
        return {
            "kubernetes.io/hostname": self._config.node_name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": architecture,
            "beta.kubernetes.io/os": "linux",
            "beta.kubernetes.io/arch": architecture,
        } | self._config.labels

    async def _register(self) -> core_v1.Node:
        config, labels = self._config, self.labels
        annotations = {"volumes.kubernetes.io/controller-managed-attach-detach": "true"}
        if not config.simulated:
            annotations[LOCAL_PATH_ROOT] = str(config.local_path_dir)
        taints = []
        for text in config.taints:
            rest, _, effect = text.rpartition(":")
            key, _, value = rest.partition("=")
            taints.append(core_v1.Taint(key=key, value=value, effect=effect))
        node = core_v1.Node(
            metadata=meta_v1.ObjectMeta(
                name=config.node_name,
                labels=labels,
                annotations=annotations,
            ),
            spec=core_v1.NodeSpec(taints=taints),
            status=await self._status(core_v1.NodeStatus()),
        )
        try:
            return await self._client.create(node)
        except errors.AlreadyExists:
            pass
        existing = await self._client.get(core_v1.Node, config.node_name)
        before = existing.metadata
        if {**before.labels, **labels} != before.labels or {**before.annotations, **annotations} != before.annotations:
            patch = {"metadata": {"labels": labels, "annotations": annotations}}
            existing = await self._client.patch(core_v1.Node, config.node_name, None, patch, type="merge")
        return existing

    async def run(self) -> None:
        """Sends the status when it changes, or when it was not sent for long."""
        while True:
            self._news.clear()
            try:
                await self._report()
            except Exception as error:
                log.warning("Error updating node status, will retry", extra={"err": error})
            await tasks.first(self._clock.sleep(self._config.node_status_update_frequency), self._woken())

    async def _woken(self) -> None:
        await self._news.wait()

    async def _report(self) -> None:
        # A node that was deleted is made again: its pods are still here.
        node = self._known() or await self._register()
        status = await self._status(node.status)
        patch = changes(node.status, status)
        if self._clock.monotonic() - self._sent_at >= self._config.node_status_report_frequency:
            patch["conditions"] = msgspec.to_builtins(status.conditions)
        if patch:
            await self._client.patch(
                core_v1.Node, self._config.node_name, None, {"status": patch}, type="strategic", subresource="status"
            )
            self._sent_at = self._clock.monotonic()

    async def _status(self, old: core_v1.NodeStatus) -> core_v1.NodeStatus:
        config = self._config
        version = await self._runtime.version()
        runtime = await self._runtime.status()
        images = [] if config.simulated else await self._runtime.list_images()
        self.images_seen(images)
        ready_message = "kubelet is posting ready status"
        problems = []
        if not runtime.runtime_ready:
            problems.append(f"container runtime is down: {runtime.runtime_message}")
        elif runtime.runtime_message:  # it works, and lacks something
            ready_message += f"; {runtime.runtime_message}"
        if not runtime.network_ready:
            problems.append(
                f"container runtime network not ready: NetworkReady=false reason:{runtime.network_reason} "
                f"message:{runtime.network_message}"
            )
        now = self._clock.now()
        pressures = self.pressures()
        conditions = [
            *(_condition(old, type_, *_pressure(type_, type_ in pressures), now) for type_ in PRESSURES),
            _condition(
                old,
                "Ready",
                not problems,
                "KubeletNotReady" if problems else "KubeletReady",
                ", ".join(problems) or ready_message,
                now,
            ),
        ]
        return core_v1.NodeStatus(
            capacity=self.capacity,
            allocatable=self.allocatable,
            conditions=conditions,
            addresses=[
                *(core_v1.NodeAddress(type="InternalIP", address=ip) for ip in config.node_ips),
                core_v1.NodeAddress(type="Hostname", address=config.node_name),
            ],
            daemon_endpoints=core_v1.NodeDaemonEndpoints(kubelet_endpoint=core_v1.DaemonEndpoint(port=self.port)),
            node_info=system_info(f"{version.runtime_name}://{version.runtime_version}"),
            images=[
                core_v1.ContainerImage(names=[*i.repo_digests, *i.repo_tags], size_bytes=i.size)
                for i in sorted(images, key=lambda i: -i.size)[:MAX_IMAGES]
            ],
        )

    async def renew_lease(self) -> None:
        """Renews the Lease at a quarter of its duration, until cancelled."""
        every = self._config.node_lease_duration_seconds / 4
        lease: coordination_v1.Lease | None = None
        while True:
            try:
                lease = await self._renew(lease)
                pause = every
            except errors.Conflict:
                lease, pause = None, 0.0
            except Exception as error:
                log.warning("Failed to update lease, will retry", extra={"err": error})
                lease, pause = None, RETRY_SECONDS
            await self._clock.sleep(pause)

    async def _renew(self, lease: coordination_v1.Lease | None) -> coordination_v1.Lease:
        config = self._config
        now = rfc3339_micro(self._clock.now())
        if lease is None:
            try:
                lease = await self._client.get(coordination_v1.Lease, config.node_name, LEASE_NAMESPACE)
            except errors.NotFound:
                node = await self._client.get(core_v1.Node, config.node_name)
                return await self._client.create(
                    coordination_v1.Lease(
                        metadata=meta_v1.ObjectMeta(
                            name=config.node_name,
                            namespace=LEASE_NAMESPACE,
                            owner_references=[
                                meta_v1.OwnerReference(
                                    api_version="v1", kind="Node", name=config.node_name, uid=node.metadata.uid
                                )
                            ],
                        ),
                        spec=coordination_v1.LeaseSpec(
                            holder_identity=config.node_name,
                            lease_duration_seconds=config.node_lease_duration_seconds,
                            renew_time=now,
                        ),
                    )
                )
        lease.spec.holder_identity = config.node_name
        lease.spec.lease_duration_seconds = config.node_lease_duration_seconds
        lease.spec.renew_time = now
        return await self._client.update(lease)


PRESSURES: Mapping[str, tuple[str, str, str, str]] = {
    "MemoryPressure": (
        "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ),
    "DiskPressure": (
        "KubeletHasDiskPressure",
        "kubelet has disk pressure",
        "KubeletHasNoDiskPressure",
        "kubelet has no disk pressure",
    ),
    "PIDPressure": (
        "KubeletHasInsufficientPID",
        "kubelet has insufficient PID available",
        "KubeletHasSufficientPID",
        "kubelet has sufficient PID available",
    ),
}
"""By condition: reason and message while it is true, and while it is not (upstream: nodestatus/setters.go)."""


def _pressure(type_: str, truth: bool) -> tuple[bool, str, str]:
    words = PRESSURES[type_]
    return (truth, *(words[:2] if truth else words[2:]))


MAX_IMAGES = 50
"""Images named in the status (upstream: nodeStatusMaxImages)."""


def _condition(
    old: core_v1.NodeStatus, type_: str, truth: bool, reason: str, message: str, now: float
) -> core_v1.NodeCondition:
    text = "True" if truth else "False"
    before = next((c for c in old.conditions if c.type == type_), None)
    stamp = rfc3339(now)
    return core_v1.NodeCondition(
        type=type_,
        status=text,
        reason=reason,
        message=message,
        last_heartbeat_time=stamp,
        last_transition_time=before.last_transition_time if before and before.status == text else stamp,
    )


def changes(old: core_v1.NodeStatus, new: core_v1.NodeStatus) -> dict[str, Any]:
    """A strategic merge patch with what of the node's status differs, heartbeats' times apart."""
    before: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(old))
    after: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(new))
    known = {c["type"]: _lasting(c) for c in before.get("conditions", [])}
    conditions = [c for c in after.pop("conditions", []) if known.get(c["type"]) != _lasting(c)]
    patch = {key: value for key, value in after.items() if before.get(key) != value}
    if conditions:
        patch["conditions"] = conditions
    if "addresses" in patch:
        patch["addresses"] = [*patch["addresses"], {"$patch": "replace"}]
    return patch


def _lasting(condition: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in condition.items() if key != "lastHeartbeatTime"}
