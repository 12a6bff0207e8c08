"""What the kernel's table is to be, kept as objects come, change and go; and what differs since it was last told.

A pod that changes touches elements of sets, and where its policies are a combination that no other pod has, that
combination's chain. A policy touches its own chains and sets, and the pods of its namespace.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from ipaddress import ip_address
from typing import TypeVar

from orlop.api.selectors import NOTHING
from orlop.api.types import networking_v1
from orlop.networkpolicy import rules
from orlop.networkpolicy.peers import PROTOCOL_NUMBERS, Group
from orlop.networkpolicy.rules import FAMILIES, Compiled
from orlop.networkpolicy.views import PodView
from orlop.nftables.ruleset import Ruleset

T = TypeVar("T")
Key = tuple[str, str]
"""(namespace, name)."""
Element = tuple[str, str]
"""(set or map, key)."""


_NOTHING = Compiled("", NOTHING, {})
"""What a policy is that is not there."""


class Wanted:
    """One node's. Not for two tasks at a time."""

    def __init__(self, node_name: str) -> None:
        self._node = node_name
        self.rules = rules.frame()
        """All of it, as it is to be."""
        self._before = Ruleset()
        """What was there of all that has been touched since `drain`; what was not is in `_new`."""
        self._touched: dict[tuple[str, object], None] = {}
        self.policies: dict[Key, Compiled] = {}
        self._pods: dict[Key, PodView] = {}
        self._placed: dict[Key, tuple[str, ...]] = {}
        self._namespaces: dict[str, Mapping[str, str]] = {}
        self._groups: Counter[Group] = Counter()
        self._named: Counter[tuple[str, str]] = Counter()
        self._sets: Counter[str] = Counter()
        """By name, how many policies have a set of ranges or ports."""
        self._combinations: Counter[str] = Counter()
        self._holders: dict[Element, dict[Key, str]] = {}
        """Who wants an element, with what verdict: of two pods with one address the later counts."""
        self._elements: dict[Key, dict[Element, str]] = {}
        self._ranges: frozenset[str] = frozenset()

    # --- what comes

    def set_policy(self, policy: networking_v1.NetworkPolicy) -> list[str]:
        """A policy as it now is. Returns what of it cannot be read."""
        compiled, wrong = rules.compile_policy(policy)
        self._replace(policy.metadata.namespace, policy.metadata.name, compiled)
        return wrong

    def delete_policy(self, namespace: str, name: str) -> None:
        """It is gone."""
        self._replace(namespace, name, None)

    def set_pod(self, pod: PodView) -> None:
        """A pod as it now is."""
        key = (pod.metadata.namespace, pod.metadata.name)
        before = self._pods.get(key)
        if before is not None and before.metadata.uid != pod.metadata.uid:
            self._placed.pop(key, None)
        self._pods[key] = pod
        self._refresh([key])

    def delete_pod(self, namespace: str, name: str) -> None:
        """It is gone."""
        self._pods.pop((namespace, name), None)
        self._placed.pop((namespace, name), None)
        self._refresh([(namespace, name)])

    def place(self, namespace: str, name: str, ips: Sequence[str]) -> None:
        """A pod of this node has these addresses, though its status may not say so yet."""
        self._placed[namespace, name] = tuple(str(ip_address(ip)) for ip in ips)
        self._refresh([(namespace, name)])

    def knows(self, namespace: str, name: str) -> bool:
        """Whether the pod has been told of."""
        return (namespace, name) in self._pods

    def set_namespace(self, name: str, labels: Mapping[str, str]) -> None:
        """A namespace's labels as they now are."""
        if self._namespaces.get(name) != labels:
            self._namespaces[name] = dict(labels)
            self._refresh(self._pods_in(name))

    def delete_namespace(self, name: str) -> None:
        """It is gone."""
        if self._namespaces.pop(name, None) is not None:
            self._refresh(self._pods_in(name))

    def set_ranges(self, cidrs: Iterable[str]) -> None:
        """The node's pod CIDRs: who has an address of these and is not known is held back."""
        wanted = frozenset(cidrs)
        for cidr in self._ranges ^ wanted:
            name = rules.ranges(6 if ":" in cidr else 4)
            self._put((name, cidr), "" if cidr in wanted else None)
        self._ranges = wanted

    # --- what follows

    @property
    def empty(self) -> bool:
        """Whether there is no policy at all."""
        return not self.policies

    def drain(self) -> tuple[Ruleset, Ruleset]:
        """What has been touched since the last time, as it was and as it is."""
        before, after = self._before, Ruleset()
        for kind, name in self._touched:
            have, put = getattr(self.rules, kind), getattr(after, kind)
            if name in have:
                put[name] = have[name]
        self._before, self._touched = Ruleset(), {}
        return before, after

    # --- within

    def _touch(self, kind: str, name: object) -> None:
        if (kind, name) not in self._touched:
            self._touched[kind, name] = None
            have = getattr(self.rules, kind)
            if name in have:
                getattr(self._before, kind)[name] = have[name]

    def _put(self, element: Element, verdict: str | None) -> None:
        if self.rules.elements.get(element) == verdict:
            return
        self._touch("elements", element)
        if verdict is None:
            self.rules.elements.pop(element, None)
        else:
            self.rules.elements[element] = verdict

    def _put_set(self, name: str, declaration: str | None) -> None:
        if self.rules.sets.get(name) == declaration:
            return
        self._touch("sets", name)
        if declaration is None:
            del self.rules.sets[name]
        else:
            self.rules.sets[name] = declaration

    def _put_chain(self, name: str, lines: list[str] | None) -> None:
        if self.rules.chains.get(name) == lines:
            return
        self._touch("chains", name)
        if lines is None:
            del self.rules.chains[name]
        else:
            self.rules.chains[name] = lines

    def _replace(self, namespace: str, name: str, new: Compiled | None) -> None:
        key = (namespace, name)
        old = self.policies.get(key)
        if new is None:
            self.policies.pop(key, None)
        else:
            self.policies[key] = new
            for chain, lines in new.rules.chains.items():
                self._put_chain(chain, lines)
            for one, declaration in new.rules.sets.items():
                self._put_set(one, declaration)
            for element in new.rules.elements:
                self._put(element, "")
        had, have = old or _NOTHING, new or _NOTHING
        others = _count(self._groups, had.groups, have.groups)
        others |= _count(self._named, had.named, have.named)
        _count(self._sets, had.rules.sets.keys(), have.rules.sets.keys())
        self._declare()
        # Whoever may be in a set that comes or goes is looked at again; else only those whom the policy may hold.
        self._refresh(list(self._pods) if others else self._pods_in(namespace))
        self._forget(had, have)

    def _forget(self, old: Compiled, new: Compiled) -> None:
        """What nobody has any more, after the pods have left it."""
        for chain in old.rules.chains.keys() - new.rules.chains.keys():
            self._put_chain(chain, None)
        for element in [e for e in old.rules.elements if e[0] not in self._sets]:
            self._put(element, None)
        gone = [name for name in old.rules.sets if name not in self._sets]
        for family in FAMILIES:
            gone += [rules.group(one, family) for one in old.groups if one not in self._groups]
            gone += [rules.named_port(*one, family) for one in old.named if one not in self._named]
        for name in gone:
            self._put_set(name, None)

    def _declare(self) -> None:
        for family in FAMILIES:
            for group in self._groups:
                self._put_set(rules.group(group, family), rules.group_set(family))
            for port in self._named:
                self._put_set(rules.named_port(*port, family), rules.named_port_set(family))

    def _pods_in(self, namespace: str) -> list[Key]:
        return [key for key in self._pods if key[0] == namespace]

    def _refresh(self, keys: Iterable[Key]) -> None:
        for key in keys:
            pod = self._pods.get(key)
            self._hold(key, self._wanted_of(key, pod) if pod is not None else {})

    def _hold(self, key: Key, new: dict[Element, str]) -> None:
        old = self._elements.pop(key, {})
        if new:
            self._elements[key] = new
        for element, verdict in new.items():
            if old.get(element) != verdict:
                holders = self._holders.setdefault(element, {})
                holders.pop(key, None)
                holders[key] = verdict
                self._take_chain(verdict, 1)
                self._settle(element)
        for element, verdict in old.items():
            if new.get(element) != verdict:
                if element not in new:
                    holders = self._holders[element]
                    holders.pop(key, None)
                    if not holders:
                        del self._holders[element]
                    self._settle(element)
                self._take_chain(verdict, -1)

    def _settle(self, element: Element) -> None:
        holders = self._holders.get(element)
        self._put(element, next(reversed(holders.values())) if holders else None)

    def _take_chain(self, verdict: str, count: int) -> None:
        """A combination's chain goes with the last who is held by it; `_wanted_of` has made it."""
        if verdict:
            name = verdict.removeprefix("jump ")
            self._combinations[name] += count
            if not self._combinations[name]:
                del self._combinations[name]
                self._put_chain(name, None)

    def _wanted_of(self, key: Key, pod: PodView) -> dict[Element, str]:
        found: dict[Element, str] = {}
        ips = self._placed.get(key) or pod.ips
        if pod.spec.host_network or pod.ended or not ips:
            return found
        labels = self._namespaces.get(key[0], {})
        local = pod.spec.node_name == self._node
        groups = [one for one in self._groups if one.matches(pod, labels)]
        ports = {port: numbers for port, numbers in pod.named_ports.items() if port in self._named}
        holding = self._holding(pod) if local else {}
        for ip in ips:
            family = 6 if ":" in ip else 4
            for group in groups:
                found[rules.group(group, family), ip] = ""
            for (protocol, name), numbers in ports.items():
                for number in numbers:
                    named = rules.named_port(protocol, name, family)
                    found[named, f"{ip} . {PROTOCOL_NUMBERS[protocol]} . {number}"] = ""
            if local:
                found[rules.known(family), ip] = ""
            if holding:
                found[rules.itself(family), f"{ip} . {ip}"] = ""
            for direction, chain in holding.items():
                found[rules.held(direction, family), ip] = f"jump {chain}"
        return found

    def _holding(self, pod: PodView) -> dict[str, str]:
        """By direction in which the pod is held, the chain that holds it, which is there afterwards."""
        selecting = [
            policy
            for (namespace, _), policy in self.policies.items()
            if namespace == pod.metadata.namespace and policy.selector.matches(pod.metadata.labels)
        ]
        found: dict[str, str] = {}
        for direction in rules.DIRECTIONS:
            chains = sorted(policy.chains[direction] for policy in selecting if direction in policy.chains)
            if chains:
                name, lines = rules.combination(direction, chains)
                self._put_chain(name, lines)
                found[direction] = name
        return found


def _count(counter: Counter[T], had: Set[T], have: Set[T]) -> bool:
    """Counts who has what; returns whether something is new, or nobody's any more."""
    known = len(counter)
    counter.update(have - had)
    moved = len(counter) != known
    known = len(counter)
    for one in had - have:
        counter[one] -= 1
        if not counter[one]:
            del counter[one]
    return moved or len(counter) != known
