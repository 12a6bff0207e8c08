"""The kernel's table, made equal to what is wanted: whole after a start, then by what differs, one transaction each."""

from collections.abc import Sequence

from orlop import logging
from orlop.networkpolicy import rules
from orlop.networkpolicy.peers import Group
from orlop.nftables.command import Nft, ProgramError, Unsupported
from orlop.nftables.listing import parse
from orlop.nftables.ruleset import Ruleset, commands, needs_rebuild
from orlop.tasks import in_thread

_log = logging.get("networkpolicy")


class Table:
    """One table. Not for two tasks at a time. Methods raise ProgramError; then only `sync` may follow."""

    def __init__(self, name: str, prefix: Sequence[str] = ()) -> None:
        """`name` is "inet NAME"; `prefix` runs nft elsewhere, as `("ip", "netns", "exec", NAME)`."""
        self._name = name
        self._nft = Nft(prefix)

    async def check(self) -> None:
        """Asks the kernel whether it would take every kind of rule. Raises Unsupported, saying what is missing."""
        try:
            await self._nft.check("\n".join(commands(f"{self._name}-check", Ruleset(), _sample())) + "\n")
        except ProgramError as error:
            text = str(error)
            if "Operation not permitted" in text:
                raise Unsupported("NetworkPolicies need root (CAP_NET_ADMIN): they are not enforced here") from None
            raise Unsupported(
                f"NetworkPolicies are not enforced on this node, the kernel does not take their rules: {text}\n"
                "They need Linux 5.13 or newer with nf_tables, its ct and fib expressions, and sets of ranges."
            ) from None

    async def sync(self, wanted: Ruleset) -> bool:
        """Makes the table what is wanted, whatever is there; what is right is left alone. Returns whether anything
        had to change."""
        text = await self._nft.list_table(self._name)
        script = await in_thread(None, self._difference, text, wanted)
        if script:
            await self._nft.execute("\n".join(script) + "\n")
        return bool(script)

    def _difference(self, text: str | None, wanted: Ruleset) -> list[str]:
        before, script = parse(text or ""), list[str]()
        if needs_rebuild(before, wanted):
            _log.info("the table of policies has another layout: building it anew")
            script.append(f"delete table {self._name}")
            before = Ruleset()
        return script + commands(self._name, before, wanted)

    async def apply(self, before: Ruleset, after: Ruleset) -> bool:
        """Makes what differs between the two different. Returns whether anything did."""
        script = await in_thread(None, commands, self._name, before, after)
        if script:
            await self._nft.execute("\n".join(script) + "\n")
        return bool(script)

    async def remove(self) -> None:
        """Takes the table away; fine where there is none."""
        if await self._nft.list_table(self._name) is not None:
            await self._nft.execute(f"delete table {self._name}\n")


def _sample() -> Ruleset:
    """The frame and rules of every kind."""
    from orlop.api.selectors import EVERYTHING

    made = rules.frame()
    group = Group("n", EVERYTHING, EVERYTHING)
    lines = []
    for family, ip in rules.FAMILIES.items():
        pods, named, block = rules.group(group, family), rules.named_port("TCP", "p", family), f"block-{family}"
        made.sets |= {pods: rules.group_set(family), named: rules.named_port_set(family)}
        made.sets[block] = f"set type ipv{family}_addr; flags interval"
        made.elements[block, "192.0.2.0/24" if family == 4 else "2001:db8::/32"] = ""
        lines.append(f"{ip} saddr @{pods} {ip} daddr . meta l4proto . th dport @{named} accept")
        lines.append(f"{ip} saddr @{block} meta l4proto . th dport @ports accept")
    made.sets["ports"] = "set type inet_proto . inet_service; flags interval"
    made.elements["ports", "6 . 80-90"] = ""
    made.chains["ingress/n/p"] = lines
    made.chains["ingress-of"] = ["jump ingress/n/p", "counter drop"]
    made.elements[rules.held("Ingress", 4), "192.0.2.1"] = "jump ingress-of"
    return made
