"""Which policy refuses a connection, for `orlop net why`: what the API's policies say, and whether the node does it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from orlop.api.selectors import from_struct
from orlop.api.types import core_v1, networking_v1
from orlop.client import Client
from orlop.client.decode import decode, encode
from orlop.networkpolicy import rules
from orlop.networkpolicy.config import TABLE
from orlop.networkpolicy.semantics import End, Verdict, verdict
from orlop.networkpolicy.views import PodView
from orlop.nftables.command import Command, Nft
from orlop.nftables.listing import parse
from orlop.nftables.ruleset import Ruleset


@dataclass(frozen=True)
class Finding:
    """What policies make of a connection."""

    text: str
    fix: str = ""
    """What to do where it is refused; empty where it is not."""


class Judge:
    """Asks the API server once, then tells of any number of connections."""

    def __init__(self, client: Client, prefix: Sequence[str] = ()) -> None:
        """`prefix` leads to the node's network namespace."""
        self._client = client
        self._prefix = prefix

    async def between(self, source: str, destination: str, protocol: str, port: int) -> Finding:
        """A connection between two addresses. Raises ApiError, ProgramError, Unsupported."""
        policies = (await self._client.list(networking_v1.NetworkPolicy)).items
        if not policies:
            return Finding("there is no NetworkPolicy")
        labels = {n.metadata.name: n.metadata.labels for n in (await self._client.list(core_v1.Namespace)).items}
        pods = [_view(pod) for pod in (await self._client.list(core_v1.Pod)).items]
        ends = [End(ip, next((p for p in pods if ip in p.ips and not p.ended), None)) for ip in (source, destination)]
        found = verdict(policies, labels, ends[0], ends[1], protocol, port)
        if not found.allowed:
            return _refused(found, ends, protocol, port)
        kernel = await self._kernel()
        for direction, end in (("Egress", ends[0]), ("Ingress", ends[1])):
            if end.held is not None and self._missing(kernel, policies, direction, end):
                return Finding(
                    f"NetworkPolicies hold {_name(end)}, and this node's kernel knows nothing of them",
                    "the node's enforcement is behind or does not run: see its log",
                )
        held = [_name(end) for end in ends if end.held is not None and _selecting(policies, end.held)]
        text = f"the NetworkPolicies of {' and '.join(held)} allow it" if held else "no NetworkPolicy holds the pods"
        return Finding(text)

    async def _kernel(self) -> dict[str, Ruleset]:
        _, out, _ = await Command("nft", "nftables", self._prefix).run("list", "tables")
        names = [line.removeprefix("table ") for line in out.splitlines() if line.startswith(f"table inet {TABLE}")]
        nft = Nft(self._prefix)
        return {name: parse(await nft.list_table(name) or "") for name in names}

    def _missing(
        self, kernel: dict[str, Ruleset], policies: Sequence[networking_v1.NetworkPolicy], direction: str, end: End
    ) -> bool:
        """Whether a pod of this node, which is one that the table knows, is not held though it is to be."""
        family = 6 if ":" in end.address else 4
        here = [one for one in kernel.values() if (rules.known(family), end.address) in one.elements]
        held = [one for one in here if (rules.held(direction, family), end.address) in one.elements]
        selecting = _selecting(policies, end.held) if end.held is not None else []
        wanted = any(direction in (p.spec.policy_types or ["Ingress"]) for p in selecting)
        return bool(here) and wanted and not held


def _selecting(policies: Sequence[networking_v1.NetworkPolicy], pod: PodView) -> list[networking_v1.NetworkPolicy]:
    return [
        p
        for p in policies
        if p.metadata.namespace == pod.metadata.namespace
        and from_struct(p.spec.pod_selector).matches(pod.metadata.labels)
    ]


def _refused(found: Verdict, ends: Sequence[End], protocol: str, port: int) -> Finding:
    held, other = (ends[0], ends[1]) if found.direction == "Egress" else (ends[1], ends[0])
    names = ", ".join(found.policies)
    side, word = ("egress", "to") if found.direction == "Egress" else ("ingress", "from")
    which = "NetworkPolicy" if len(found.policies) == 1 else "NetworkPolicies"
    verb = "holds" if len(found.policies) == 1 else "hold"
    return Finding(
        f"{which} {names} {verb} {_name(held)} in {side}, and no rule allows "
        f"{protocol} port {port} {word} {_name(other)}",
        f"add an {side} rule that does, to one of them or in another policy: kubectl edit networkpolicy -n "
        f"{found.policies[0].partition('/')[0]} {found.policies[0].partition('/')[2]}",
    )


def _name(end: End) -> str:
    if end.pod is None:
        return end.address
    return f"{end.pod.metadata.namespace}/{end.pod.metadata.name} ({end.address})"


def _view(pod: Any) -> PodView:
    return decode(PodView, encode(pod))
