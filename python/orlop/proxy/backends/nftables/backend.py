"""The nftables backend: what is programmed, one transaction per change."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from orlop import logging
from orlop.clock import Clock
from orlop.native import ForwardChanges, ServicePort
from orlop.nftables import listing
from orlop.nftables.ruleset import Ruleset, commands, needs_rebuild
from orlop.proxy.backends.base import ProgramError, Unsupported
from orlop.proxy.backends.command import Conntrack, Nft
from orlop.proxy.backends.flows import Flow, forget
from orlop.proxy.backends.nftables import flows
from orlop.proxy.backends.nftables.rules import FAMILIES, Element, frame, service_port, shared
from orlop.proxy.backends.programmed import Programmed, Step
from orlop.proxy.config import DEFAULT_SCOPE, ProxyConfig
from orlop.tasks import in_thread

TABLE = "orlop-proxy"

_log = logging.get("proxy")


class Nftables:
    """Programs tables `ip orlop-proxy` and `ip6 orlop-proxy`. See the package's docstring for the layout."""

    name = "nftables"
    table = TABLE

    def __init__(self, config: ProxyConfig, *, prefix: Sequence[str] = ()) -> None:
        """`prefix` runs nft and conntrack elsewhere, as `("ip", "netns", "exec", NAME)` does."""
        self._config = config
        self._nft = Nft(prefix)
        self._conntrack = Conntrack(prefix)
        self._families = list(FAMILIES)
        self._clears_flows = True
        self._programmed: Programmed[Element] = Programmed(shared)

    async def check(self) -> None:
        """Asks the kernel whether it would take every kind of rule. IPv6 may be missing, IPv4 not."""
        for family in FAMILIES:
            try:
                await self._nft.check(self._sample(family))
            except ProgramError as error:
                if family == 6:
                    _log.warning("no service proxy for IPv6: the kernel does not take the rules: %s", _first(error))
                    self._families.remove(6)
                    continue
                raise Unsupported(_explain(self.name, error)) from None
        if not await self._conntrack.installed():
            _log.warning("conntrack is not installed: UDP flows to an endpoint that goes will last until they time out")
            self._clears_flows = False

    async def sync(self, wanted: Sequence[ServicePort]) -> bool:
        """See Backend.sync."""
        wanted = [port for port in wanted if port.id[4] in self._families]
        texts = {family: await self._nft.list_table(self._table(family)) for family in self._families}
        plan = await in_thread(None, self._full_plan, wanted, texts)
        await self._execute(plan)
        self._programmed.replace(wanted)
        return bool(plan.script)

    async def apply(self, changes: ForwardChanges) -> None:
        """See Backend.apply."""
        step = self._programmed.step(changes, self._families)
        await self._execute(await in_thread(None, self._plan, step))
        self._programmed.take(step)

    async def tend(self, clock: Clock) -> None:
        """See Backend.tend: there is nothing to do."""

    async def cleanup(self) -> None:
        """Deletes both tables."""
        for table in map(self._table, FAMILIES):
            # Added first, so that deleting does not fail where there is none (as on a second cleanup).
            try:
                await self._nft.execute(f"add table {table}\ndelete table {table}\n")
            except ProgramError:
                if await self._nft.list_table(table) is not None:
                    raise
        self._programmed.replace([])

    def _full_plan(self, wanted: list[ServicePort], texts: dict[int, str | None]) -> "_Plan":
        plan = _Plan()
        for family, text in texts.items():
            after = self._frame(family)
            after.add(self._rules(family, wanted))
            before = listing.parse(text or "")
            plan.stale += flows.stale(family, before, after)
            if needs_rebuild(before, after):
                _log.info("the table's layout is another one: building it anew", extra={"family": FAMILIES[family]})
                plan.script.append(f"delete table {self._table(family)}")
                before = Ruleset()
            plan.script += commands(self._table(family), before, after)
        return plan

    def _plan(self, step: Step[Element]) -> "_Plan":
        plan = _Plan()
        for family in self._families:
            before, after = self._rules(family, step.old), self._rules(family, step.new)
            self._programmed.place(step, family, before.elements, after.elements)
            plan.script += commands(self._table(family), before, after)
            plan.stale += flows.stale(family, before, after)
        return plan

    def _table(self, family: int) -> str:
        """Two clusters on one machine have two tables; the usual one needs no second name."""
        scope = self._config.scope
        return f"{FAMILIES[family]} {self.table if scope == DEFAULT_SCOPE else f'{self.table}-{scope}'}"

    def _rules(self, family: int, ports: Iterable[ServicePort]) -> Ruleset:
        rules = Ruleset()
        for port in ports:
            if port.id[4] == family:
                rules.add(self._render(port))
        return rules

    def _frame(self, family: int) -> Ruleset:
        return frame(family, self._config)

    def _render(self, port: ServicePort) -> Ruleset:
        return service_port(port, self._config)

    async def _execute(self, plan: "_Plan") -> None:
        if plan.script:
            await self._nft.execute("\n".join(plan.script) + "\n")
        if self._clears_flows:
            await forget(self._conntrack, plan.stale)

    def _sample(self, family: int) -> str:
        """The frame and a service port that uses everything, in a table that is not ours to compare with."""
        rules = self._frame(family)
        rules.add(self._render(self._sample_port(family)))
        return "\n".join(commands(f"{self._table(family)}-check", Ruleset(), rules)) + "\n"

    def _sample_port(self, family: int) -> ServicePort:
        ip, backend = ("192.0.2.1", "192.0.2.2") if family == 4 else ("2001:db8::1", "2001:db8::2")
        frontends = [("ClusterIP", ip, 80, False), ("NodePort", "0.0.0.0" if family == 4 else "::", 30000, True)]
        return ServicePort(("n", "s", "p", "TCP", family), frontends, [(backend, 80, 1)], [(backend, 80, 1)], 60, True)


@dataclass
class _Plan:
    """What one step does: commands for one transaction, then flows to forget."""

    script: list[str] = field(default_factory=list)
    stale: list[Flow] = field(default_factory=list)


def _first(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else repr(error)


def _explain(mode: str, error: ProgramError) -> str:
    text = str(error)
    if "Operation not permitted" in text:
        return f"the {mode} proxy needs root (CAP_NET_ADMIN): start it with sudo, or run without a service proxy"
    return (
        f"the kernel does not take the rules of the {mode} proxy: {text}\n"
        "It needs Linux 5.13 or newer with nf_tables and its ct, nat, masq, reject, fib and numgen expressions."
    )
