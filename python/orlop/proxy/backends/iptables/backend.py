"""The iptables backend: what is programmed, one restore per change and IP family."""

from collections.abc import Iterable, Sequence

from orlop import logging
from orlop.clock import Clock
from orlop.native import ForwardChanges, ServicePort
from orlop.proxy.backends.base import ProgramError, Unsupported
from orlop.proxy.backends.command import Conntrack, IptablesCommands
from orlop.proxy.backends.flows import Flow, forget
from orlop.proxy.backends.iptables.flows import stale
from orlop.proxy.backends.iptables.layout import Layout
from orlop.proxy.backends.iptables.rules import frame, service_port, shared
from orlop.proxy.backends.iptables.ruleset import Line, Rules, parse, step, whole
from orlop.proxy.backends.programmed import Programmed
from orlop.proxy.config import ProxyConfig
from orlop.tasks import in_thread

FAMILIES = (4, 6)
CHECK = "KUBECHK"
"""The prefix of chains that are made to see whether the kernel takes them, and deleted."""
HOOKS = {"nat": ("PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"), "filter": ("INPUT", "FORWARD", "OUTPUT")}

_log = logging.get("proxy")


class Iptables:
    """Programs chains in the tables nat and filter. See the package's docstring for the layout."""

    name = "iptables"

    def __init__(self, config: ProxyConfig, *, prefix: Sequence[str] = ()) -> None:
        """`prefix` runs iptables and conntrack elsewhere, as `("ip", "netns", "exec", NAME)` does."""
        self._config = config
        self._layout = Layout.of(config.scope)
        self._iptables = {family: IptablesCommands(family, prefix) for family in FAMILIES}
        self._conntrack = Conntrack(prefix)
        self._families = list(FAMILIES)
        self._clears_flows = True
        self._programmed: Programmed[Line] = Programmed(lambda port: shared(port, self._layout))

    async def check(self) -> None:
        """Has the kernel take every kind of rule in chains that nothing leads to. IPv6 may be missing, IPv4 not."""
        for family in FAMILIES:
            layout = Layout(CHECK)
            try:
                await self._check(family, layout)
            except ProgramError as error:
                if family == 6:
                    _log.warning("no service proxy for IPv6: the kernel does not take the rules: %s", error)
                    self._families.remove(6)
                    continue
                raise Unsupported(_explain(error)) from None
        if not await self._conntrack.installed():
            _log.warning("conntrack is not installed: UDP flows to an endpoint that goes will last until they time out")
            self._clears_flows = False

    async def sync(self, wanted: Sequence[ServicePort]) -> bool:
        """See Backend.sync."""
        wanted = [port for port in wanted if port.id[4] in self._families]
        flows: list[Flow] = []
        changed = False
        for family in self._families:
            saved = await self._iptables[family].save()
            text, gone = await in_thread(None, self._whole, family, saved, wanted)
            if text:
                await self._iptables[family].restore(text)
                changed = True
            flows += gone
        self._programmed.replace(wanted)
        await self._forget(flows)
        return changed

    async def apply(self, changes: ForwardChanges) -> None:
        """See Backend.apply."""
        change = self._programmed.step(changes, self._families)
        flows: list[Flow] = []
        for family in self._families:
            before, after = self._rules(family, change.old), self._rules(family, change.new)
            self._programmed.place(change, family, before.lines, after.lines)
            if text := step(before, after):
                await self._iptables[family].restore(text)
                flows += stale(family, before, after)
        self._programmed.take(change)
        await self._forget(flows)

    async def tend(self, clock: Clock) -> None:
        """See Backend.tend: there is nothing to do."""

    async def cleanup(self) -> None:
        """Deletes our chains and what leads to them, and the kernel's own chains where they are empty then. Chains of
        another kube-proxy, which bear the same names, stay: there is one that only we have."""
        for family in FAMILIES:
            commands = self._iptables[family]
            try:
                saved = await commands.save()
            except ProgramError:
                if family == 4:
                    raise
                continue  # no IPv6, so nothing of ours in it
            found = parse(saved, self._layout)
            if ("filter", self._layout.cluster_ips) in found.chains:
                await commands.restore(whole(found, Rules()))
                await commands.drop_empty(HOOKS)
        self._programmed.replace([])

    def _whole(self, family: int, saved: str, wanted: list[ServicePort]) -> tuple[str, list[Flow]]:
        rules = frame(family, self._config, self._layout)
        rules.add(self._rules(family, wanted))
        found = parse(saved, self._layout)
        return whole(found, rules), stale(family, found, rules)

    def _rules(self, family: int, ports: Iterable[ServicePort]) -> Rules:
        rules = Rules()
        for port in ports:
            if port.id[4] == family:
                rules.add(service_port(port, self._config, self._layout))
        return rules

    async def _forget(self, flows: list[Flow]) -> None:
        if self._clears_flows:
            await forget(self._conntrack, flows)

    async def _check(self, family: int, layout: Layout) -> None:
        ip, backend = ("192.0.2.1", "192.0.2.2") if family == 4 else ("2001:db8::1", "2001:db8::2")
        rules = frame(family, self._config, layout)
        rules.hooks = {}
        for protocol in ("TCP", "UDP", "SCTP"):
            frontends = [("ClusterIP", ip, 80, False), ("NodePort", "0.0.0.0" if family == 4 else "::", 30000, True)]
            backends = [(backend, 80, 1), (backend, 81, 1)]
            port = ServicePort(("n", "s", "p", protocol, family), frontends, backends, backends, 60, True)
            rules.add(service_port(port, self._config, layout))
        commands = self._iptables[family]
        saved = await commands.save()
        try:
            await commands.restore(whole(parse(saved, layout), rules))
        finally:
            if text := whole(parse(await commands.save(), layout), Rules()):
                await commands.restore(text)
            if not saved.strip():
                await commands.drop_empty(HOOKS)


def _explain(error: ProgramError) -> str:
    text = str(error)
    if "Permission denied" in text or "Operation not permitted" in text:
        return "the iptables proxy needs root (CAP_NET_ADMIN): start it with sudo, or run without a service proxy"
    return (
        f"the kernel does not take the rules of the iptables proxy: {text}\n"
        "It needs the tables nat and filter, and the matches comment, conntrack, mark, addrtype, statistic and recent: "
        "load their modules (modprobe xt_recent …), or use --proxy-mode=nftables"
    )
