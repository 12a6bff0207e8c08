"""Our own pod network: a Linux bridge on the node, a cable into each sandbox, addresses from the node's pod CIDRs.

Everything it makes carries the bridge's name: the link, the nftables table, the comment of its accept rules. What it
has given out stands in one file of the node's state directory, and can be read back from the namespaces themselves.
Kernel switches: forwarding is turned on where it is off and stays on; all others belong to the bridge and go with it.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from orlop.kubelet.network import firewall, links
from orlop.kubelet.network.base import Attachment, NetworkError, NetworkStatus, PortMapping
from orlop.kubelet.network.ipam import Pool
from orlop.kubelet.network.obstacles import obstacles
from orlop.tasks import in_thread

T = TypeVar("T")

MAX_LINK_NAME = 15
"""The kernel's IFNAMSIZ without its end."""

NO_CIDR = "the node has no pod CIDR yet"

THREADS = 4
"""Sandboxes plumbed at once; each takes a few milliseconds of the kernel's own lock."""

logger = logging.getLogger("orlop.kubelet.network.bridge")


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """What one sandbox has."""

    attachment: Attachment
    port_mappings: tuple[PortMapping, ...] = ()


class State(msgspec.Struct, kw_only=True):
    """The file `network.json`."""

    pod_cidrs: list[str] = []
    held: dict[str, Held] = {}


class BridgeNetwork:
    """Implements `network.base.Network`. `name` is the bridge's, unique on the machine ("orlop0").

    `cluster_cidrs`: where pods are reached under their own address (all nodes' ranges); beyond it they are masqueraded.
    `mtu` 0: as the link that leads out of the machine.
    """

    def __init__(self, name: str, state_dir: Path, *, cluster_cidrs: Sequence[str] = (), mtu: int = 0) -> None:
        if not 0 < len(name) <= MAX_LINK_NAME:
            raise NetworkError(f"invalid bridge name {name!r}: must have 1 to {MAX_LINK_NAME} characters")
        self._name = name
        self._path = state_dir / "network.json"
        self._cluster_cidrs = list(cluster_cidrs)
        self._mtu = mtu
        self._pools: list[Pool] = []
        self._state = self._load()
        self._ready = False
        self._problem = NO_CIDR
        """Why it is not ready."""
        self._changing = asyncio.Lock()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="network")

    def status(self) -> NetworkStatus:
        if self._ready:
            return NetworkStatus(ready=True)
        return NetworkStatus(ready=False, reason="NetworkPluginNotReady", message=self._problem)

    async def configure(self, pod_cidrs: Sequence[str]) -> None:
        try:
            await self._configure(pod_cidrs)
        except NetworkError as error:
            self._problem = str(error)
            raise

    async def _configure(self, pod_cidrs: Sequence[str]) -> None:
        if os.geteuid() != 0:
            raise NetworkError("the bridge network needs root (CAP_NET_ADMIN); without it: --runtime hollow")
        async with self._changing:
            if self._ready and self._state.pod_cidrs == list(pod_cidrs):
                return
            self._pools = [Pool(cidr) for cidr in pod_cidrs]
            for held in self._state.held.values():
                self._claim(held.attachment.ips)
            if taken := await self._do(links.conflict, self._pools, self._name):
                raise NetworkError(f"the pod CIDR {taken}; choose another range with --cluster-cidr")
            self._mtu = self._mtu or await self._do(links.default_mtu)
            versions: set[int] = {pool.network.version for pool in self._pools}
            try:
                await self._do(links.enable_forwarding, versions)
                await self._do(links.ensure_bridge, self._name, self._pools, self._mtu)
                await self._do(links.replug, list(self._state.held), self._name)
            except OSError as error:
                raise NetworkError(f"cannot set up the bridge {self._name}: {error}") from error
            self._state.pod_cidrs = list(pod_cidrs)
            await self._write_rules()
            await firewall.accept(self._name, versions)
            await self._close_shortcut()
            for problem in await obstacles(self._name):
                logger.warning(problem)
            await self._save()
            self._ready = True

    async def attach(
        self, sandbox_id: str, netns: str, *, pod: str, port_mappings: Sequence[PortMapping] = ()
    ) -> Attachment:
        async with self._changing:
            if held := self._state.held.get(sandbox_id):
                return held.attachment
            if not self._ready:
                raise NetworkError(self._problem)
            self._check_ports(port_mappings)
            addresses = self._take()
            held = Held(attachment=self._attachment(addresses, ""), port_mappings=tuple(port_mappings))
            self._state.held[sandbox_id] = held  # known before it is made: a crash in between leaves no secret cable
            await self._save()
        try:
            mac = await self._do(links.plumb, sandbox_id, netns, self._name, addresses, self._mtu)
            async with self._changing:
                held = Held(attachment=self._attachment(addresses, mac), port_mappings=held.port_mappings)
                self._state.held[sandbox_id] = held
                if port_mappings:
                    await self._write_rules()
                await self._save()
        except BaseException:
            await asyncio.shield(self.detach(sandbox_id))
            raise
        logger.debug("attached", extra={"pod": pod, "ips": held.attachment.ips})
        return held.attachment

    def attachment(self, sandbox_id: str) -> Attachment | None:
        held = self._state.held.get(sandbox_id)
        return held.attachment if held else None

    async def detach(self, sandbox_id: str) -> None:
        async with self._changing:
            await self._detach(sandbox_id)

    async def recover(self, live: Mapping[str, str]) -> None:
        async with self._changing:
            for sandbox_id in [held for held in self._state.held if held not in live]:
                await self._detach(sandbox_id)
            for sandbox_id, netns in live.items():
                await self._recover(sandbox_id, netns)
            known = {links.veth_name(sandbox_id) for sandbox_id in self._state.held}
            for cable in await self._do(links.cables, self._name):
                if cable not in known:
                    await self._do(links.remove, cable)
            await self._save()

    async def cleanup(self) -> None:
        async with self._changing:
            for sandbox_id in list(self._state.held):
                await self._do(links.unplug, sandbox_id)
            for cable in await self._do(links.cables, self._name):
                await self._do(links.remove, cable)
            await self._do(links.remove, self._name)
            await firewall.unaccept(self._name)
            await firewall.remove(self._name)
            await firewall.remove(self._name, "bridge")
            self._state = State()
            self._pools.clear()
            self._ready = False
            await asyncio.to_thread(self._path.unlink, missing_ok=True)

    # Within

    async def _close_shortcut(self) -> None:
        gateway = links.hardware_address(self._pools[0])
        try:
            await firewall.apply(firewall.render_way_out(self._name, links.group(self._name), gateway))
        except NetworkError as error:
            logger.warning(
                "this kernel has no packet filter for bridges (nf_tables, NF_TABLES_BRIDGE): a pod that may write "
                "Ethernet frames (CAP_NET_RAW, which pods have unless they drop it) can reach the pods of its node "
                "around NetworkPolicies: %s",
                error,
            )

    async def _recover(self, sandbox_id: str, netns: str) -> None:
        """What the namespace has counts: an attach may have been cut off, a state file lost."""
        try:
            ips = await self._do(links.pod_addresses, netns)
        except NetworkError:
            ips = ()
        held = self._state.held.get(sandbox_id)
        if held is not None and set(held.attachment.ips) != set(ips):
            await self._detach(sandbox_id)
        if ips and sandbox_id not in self._state.held:
            self._state.held[sandbox_id] = Held(attachment=Attachment(ips=ips))
            self._claim(ips)

    async def _detach(self, sandbox_id: str) -> None:
        held = self._state.held.get(sandbox_id)
        if held is None:
            return
        await self._do(links.unplug, sandbox_id)
        del self._state.held[sandbox_id]
        for ip in held.attachment.ips:
            for pool in self._pools:
                pool.free(ip)
        if held.port_mappings and self._ready:
            await self._write_rules()
        await self._save()

    async def _write_rules(self) -> None:
        published = [(held.attachment, port) for held in self._state.held.values() for port in held.port_mappings]
        await firewall.apply(firewall.render(self._name, self._name, self._pools, self._cluster_cidrs, published))

    def _take(self) -> list[tuple[str, Pool]]:
        taken: list[tuple[str, Pool]] = []
        try:
            for pool in self._pools:
                taken.append((pool.take(), pool))
        except NetworkError:
            for ip, pool in taken:
                pool.free(ip)
            raise
        return taken

    def _attachment(self, addresses: Sequence[tuple[str, Pool]], mac: str) -> Attachment:
        ips = tuple(ip for ip, _ in addresses)
        return Attachment(ips=ips, interface=links.POD_INTERFACE, mac=mac, gateway=str(addresses[0][1].gateway))

    def _check_ports(self, wanted: Sequence[PortMapping]) -> None:
        taken = {_port_key(port): sandbox for sandbox, held in self._state.held.items() for port in held.port_mappings}
        for port in wanted:
            if (holder := taken.get(_port_key(port))) is not None:
                raise NetworkError(f"host port {port.host_port}/{port.protocol} is already used by sandbox {holder}")

    def _claim(self, ips: Sequence[str]) -> None:
        for ip in ips:
            for pool in self._pools:
                pool.claim(ip)

    async def _do(self, work: Callable[..., T], *args: object) -> T:
        return await in_thread(self._threads, work, *args)

    def _load(self) -> State:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=State)
        except FileNotFoundError:
            return State()
        except msgspec.MsgspecError as error:
            logger.warning("%s cannot be read, addresses come from the running pods: %s", self._path, error)
            return State()

    async def _save(self) -> None:
        await asyncio.to_thread(self._write, msgspec.json.encode(self._state))

    def _write(self, content: bytes) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".new")
        temporary.write_bytes(content)
        temporary.replace(self._path)


def _port_key(port: PortMapping) -> tuple[str, int, str]:
    return port.protocol, port.host_port, port.host_ip or "0.0.0.0"
