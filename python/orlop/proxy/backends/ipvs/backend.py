"""The IPVS backend: virtual servers by netlink, the rest by one nftables transaction where it changes."""

import asyncio
import contextlib
import ipaddress
import socket
from collections.abc import Callable, Sequence
from typing import TypeVar

from orlop import logging
from orlop.clock import Clock
from orlop.native import ForwardChanges, Ipvs as Kernel, ServicePort
from orlop.nftables import listing
from orlop.nftables.ruleset import Ruleset, commands, needs_rebuild
from orlop.proxy.backends.base import ProgramError, Unsupported
from orlop.proxy.backends.command import Conntrack, Nft
from orlop.proxy.backends.flows import Flow, forget, stale
from orlop.proxy.backends.ipvs import rules
from orlop.proxy.backends.ipvs.system import System
from orlop.proxy.backends.nftables.rules import FAMILIES
from orlop.proxy.backends.programmed import Id, Programmed, Step
from orlop.proxy.config import DEFAULT_SCOPE, ProxyConfig
from orlop.tasks import in_thread, run_all

TABLE, DEVICE = "orlop-ipvs", "orlop-ipvs0"
DEVICE_NAME_MAX = 15
"""Characters that the kernel allows (IFNAMSIZ without its end)."""
DRAIN_INTERVAL = 5.0
"""Seconds between two looks at destinations whose connections are to end (upstream: 60): only theirs are read."""

T = TypeVar("T")

_log = logging.get("proxy")


class Ipvs:
    """Programs IPVS, a dummy device and tables of nftables. See the package's docstring."""

    name = "ipvs"

    def __init__(self, config: ProxyConfig, *, prefix: Sequence[str] = ()) -> None:
        """`prefix` runs programs elsewhere and must be `("ip", "netns", "exec", NAME)` if there is one: netlink sockets
        are opened in the same namespace."""
        self._config = config
        self._namespace = f"/run/netns/{prefix[3]}" if prefix else None
        self._nft = Nft(prefix)
        self._conntrack = Conntrack(prefix)
        self._system = System(prefix)
        self._kernel: Kernel | None = None
        self._families = list(FAMILIES)
        self._clears_flows: bool | None = None
        self._programmed: Programmed[rules.Element] = Programmed(lambda port: rules.shared(port, self._addresses))
        self._addresses: list[str] = []
        """The node's own."""
        self._lock = asyncio.Lock()
        self._drains = asyncio.Event()

    # --- what every backend can

    async def check(self) -> None:
        """Raises Unsupported with what is missing: IPVS, dummy links, nftables, privileges."""
        scheduler = self._config.ipvs_scheduler.partition(",")[0]
        await self._system.load("ip_vs", f"ip_vs_{scheduler}", "dummy", "br_netfilter")
        kernel = self._open()
        try:
            await in_thread(None, kernel.ensure_device)
        except PermissionError:
            raise Unsupported(
                "the IPVS proxy needs root (CAP_NET_ADMIN): start it with sudo, or run without a service proxy"
            ) from None
        except OSError as error:
            raise Unsupported(
                f"the IPVS proxy needs a dummy link and the kernel makes none ({error.strerror}): "
                "load its module (modprobe dummy), or use --proxy-mode=nftables"
            ) from None
        for family in FAMILIES:
            try:
                await self._nft.check(self._sample(family))
            except ProgramError as error:
                if family == 6:
                    _log.warning("no service proxy for IPv6: the kernel does not take the rules: %s", error)
                    self._families.remove(6)
                    continue
                raise Unsupported(f"the kernel does not take the nftables rules of the IPVS proxy: {error}") from None
        await self._system.settle(self._config.ipvs_strict_arp)
        if not await self._can_clear():
            _log.warning("conntrack is not installed: UDP flows to an endpoint that goes will last until they time out")

    async def sync(self, wanted: Sequence[ServicePort]) -> bool:
        """See Backend.sync."""
        async with self._lock:
            return await self._sync(wanted)

    async def apply(self, changes: ForwardChanges) -> None:
        """See Backend.apply."""
        async with self._lock:
            step = self._programmed.step(changes, self._families)
            script = self._script(step)
            kernel = self._open()
            await self._tell(lambda: _want(kernel, step.new, step.removed, then=kernel.retire if script else None))
            if script:
                await self._nft.execute("\n".join(script) + "\n")
            await self._tell(kernel.program)
            self._programmed.take(step)
            await self._forget([flow for before, after in step.pairs for flow in stale(before, after)])
            if kernel.draining():
                self._drains.set()

    async def tend(self, clock: Clock) -> None:
        """See Backend.tend: destinations whose connections have ended go; node ports follow the node's addresses."""
        await run_all(self._drain_all(clock), self._follow_addresses())

    async def cleanup(self) -> None:
        """Removes the virtual servers, the device and both tables. Sysctls stay: others may rely on them by now."""
        async with self._lock:
            known = []
            for family in FAMILIES:
                known += rules.known(listing.parse(await self._nft.list_table(self._table(family)) or ""))
            try:
                kernel = self._open()
            except Unsupported:
                pass  # no IPVS, so nothing of ours in it
            else:
                await self._tell(lambda: kernel.cleanup(known))
            for family in FAMILIES:
                table = self._table(family)
                if await self._nft.list_table(table) is not None:
                    await self._nft.execute(f"delete table {table}\n")
            self._programmed.replace([])

    async def drain(self) -> int:
        """Removes destinations that are on their way out and have no connection left. How many still have some."""
        async with self._lock:
            return await self._tell(self._open().drain)

    # --- parts

    async def _sync(self, wanted: Sequence[ServicePort]) -> bool:
        wanted = [port for port in wanted if port.id[4] in self._families]
        kernel = self._open()
        before = {f: listing.parse(await self._nft.list_table(self._table(f)) or "") for f in self._families}
        known = [frontend for found in before.values() for frontend in rules.known(found)]

        def adopt() -> int:
            kernel.forget()
            self._addresses = kernel.node_addresses()
            kernel.set_node_addresses(self._node_port_addresses(), self._addresses)
            kernel.want(wanted, [])
            kernel.adopt(known)
            return kernel.retire()

        count = await self._tell(adopt)
        script = await in_thread(None, self._full_script, wanted, before)
        if script:
            await self._nft.execute("\n".join(script) + "\n")
        count += await self._tell(kernel.program)
        known_ports = self._programmed.ports
        flows = [flow for port in wanted for flow in stale(known_ports.get(port.id), port)] if count else []
        self._programmed.replace(wanted)
        await self._forget(flows)
        if kernel.draining():
            self._drains.set()
        return bool(count or script)

    async def _drain_all(self, clock: Clock) -> None:
        while True:
            await self._drains.wait()
            await clock.sleep(DRAIN_INTERVAL)
            try:
                if not await self.drain():
                    self._drains.clear()
            except ProgramError as error:
                _log.warning("cannot remove destinations", extra={"error": str(error)})

    async def _follow_addresses(self) -> None:
        with socket.socket(fileno=await in_thread(None, Kernel.watch, self._namespace)) as told:
            told.setblocking(False)
            loop = asyncio.get_running_loop()
            while True:
                with contextlib.suppress(OSError):  # more came than it holds: look in any case
                    await loop.sock_recv(told, 65536)
                async with self._lock:
                    if self._programmed.ports and sorted(await self._tell(self._open().node_addresses)) != sorted(
                        self._addresses
                    ):
                        _log.info("the node's addresses have changed")
                        try:
                            await self._sync(list(self._programmed.ports.values()))
                        except ProgramError as error:
                            _log.error("cannot follow the node's addresses", extra={"error": str(error)})

    def _open(self) -> Kernel:
        if self._kernel is None:
            scope = self._config.scope
            device = DEVICE if scope == DEFAULT_SCOPE else f"{scope[: DEVICE_NAME_MAX - 6]}-ipvs0"
            try:
                self._kernel = Kernel(device, self._config.ipvs_scheduler, self._namespace)
            except LookupError:
                raise Unsupported(
                    "the IPVS proxy needs IPVS in the kernel and there is none: load its modules (modprobe ip_vs), "
                    "or use --proxy-mode=nftables"
                ) from None
        return self._kernel

    def _node_port_addresses(self) -> list[str]:
        """Those of the node's addresses that serve node ports."""
        chosen = [ipaddress.ip_network(cidr) for cidr in self._config.nodeport_addresses]
        found = []
        for text in self._addresses:
            address = ipaddress.ip_address(text)
            cidrs = [cidr for cidr in chosen if cidr.version == address.version]
            wanted = any(address in cidr for cidr in cidrs) if cidrs else not address.is_loopback
            if wanted and not address.is_link_local:
                found.append(text)
        return found

    async def _tell(self, work: Callable[[], T]) -> T:
        try:
            return await in_thread(None, work)
        except (OSError, RuntimeError) as error:
            raise ProgramError(str(error)) from None

    def _script(self, step: Step[rules.Element]) -> list[str]:
        script: list[str] = []
        for family in self._families:
            before, after = self._elements(family, step.old), self._elements(family, step.new)
            self._programmed.place(step, family, before.elements, after.elements)
            script += commands(self._table(family), before, after)
        return script

    def _full_script(self, wanted: list[ServicePort], found: dict[int, Ruleset]) -> list[str]:
        script: list[str] = []
        for family, before in found.items():
            after = rules.frame(family, self._config)
            after.add(self._elements(family, wanted))
            if needs_rebuild(before, after):
                _log.info("the table's layout is another one: building it anew", extra={"family": FAMILIES[family]})
                script.append(f"delete table {self._table(family)}")
                before = Ruleset()
            script += commands(self._table(family), before, after)
        return script

    def _elements(self, family: int, ports: Sequence[ServicePort]) -> Ruleset:
        found = Ruleset()
        for port in ports:
            if port.id[4] == family:
                found.add(rules.service_port(port, self._addresses))
        return found

    async def _can_clear(self) -> bool:
        if self._clears_flows is None:
            self._clears_flows = await self._conntrack.installed()
        return self._clears_flows

    async def _forget(self, flows: list[Flow]) -> None:
        if not flows or not await self._can_clear():
            return
        await forget(self._conntrack, flows)

    def _table(self, family: int) -> str:
        scope = self._config.scope
        return f"{FAMILIES[family]} {TABLE if scope == DEFAULT_SCOPE else f'{TABLE}-{scope}'}"

    def _sample(self, family: int) -> str:
        """The frame and a service port that uses everything, in a table that is not ours to compare with."""
        ip, backend = ("192.0.2.1", "192.0.2.2") if family == 4 else ("2001:db8::1", "2001:db8::2")
        frontends = [("ClusterIP", ip, 80, False), ("NodePort", "0.0.0.0" if family == 4 else "::", 30000, True)]
        port = ServicePort(("n", "s", "p", "TCP", family), frontends, [(backend, 80, 1)], [], 0, True, [backend])
        found = rules.frame(family, self._config)
        found.add(rules.service_port(port, ()))
        return "\n".join(commands(f"{self._table(family)}-check", Ruleset(), found)) + "\n"


def _want(kernel: Kernel, new: list[ServicePort], removed: list[Id], then: Callable[[], int] | None) -> None:
    kernel.want(new, removed)
    if then:
        then()
