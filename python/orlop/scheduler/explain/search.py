"""The smallest change that places a pod: candidates are made from the reasons of each node, the smallest are tried
against the core, and only those are told with which the pod had a place."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice, product
from typing import NamedTuple

from orlop.scheduler.explain import atoms
from orlop.scheduler.explain.atoms import Atom, Key, Object
from orlop.scheduler.explain.remedies import CONDITION, HOSTNAME, Remedies, Remedy
from orlop.scheduler.explain.results import Change, NodeReport
from orlop.scheduler.explain.world import Outcome, World

LIMIT = 5
"""Changes that are told."""
MAX_TRIES = 160
"""Candidates tried, each a decision over all nodes (0.1 ms at 5,000 nodes without affinity)."""
SEVERAL = {"tolerate", "selector", "affinity", "pod affinity", "volume", "delete"}
"""Sorts of changes of which two are told, since they are different things to do. Of all others the smallest will do."""
TRIES_PER_SORT = 12
"""Candidates of one sort that are tried."""
PER_NODE = 12
"""Combinations made for one node."""
NODES_FOR_DELETION = 12
"""Nodes on which it is looked which pods could go: those that refuse for the least."""
TEMPLATES = 6
"""Sorts of nodes of which one more is tried."""
EVICTION = 1.0
"""What each evicted pod adds to the size of a change, beside 2 for evicting at all."""


class _Candidate(NamedTuple):
    atoms: Remedy
    new: dict[str, Object]
    """Nodes that are added."""

    @property
    def sort(self) -> tuple[str, ...]:
        return tuple(sorted({atom.kind for atom in self.atoms}))

    @property
    def texts(self) -> frozenset[str]:
        return frozenset(atom.text for atom in self.atoms)


def changes(
    world: World, pod: Object, reports: list[NodeReport], limit: int = LIMIT, *, only: str = ""
) -> list[Change]:
    """Changes after which `pod`, refused as `reports` say, would be placed; the smallest first. With `only` those after
    which that node would take it.

    The world is as before afterwards.
    """
    if only:
        reports = [report for report in reports if report.node == only]
    found: list[Change] = []
    proven: list[frozenset[str]] = []
    shown: Counter[tuple[str, ...]] = Counter()
    tried: Counter[tuple[str, ...]] = Counter()
    seen: set[frozenset[str]] = set()
    for candidate in sorted(_candidates(world, pod, reports, bool(only)), key=lambda of: size(of.atoms)):
        texts, sort = candidate.texts, candidate.sort
        if texts in seen or shown[sort] >= (2 if SEVERAL.issuperset(sort) else 1) or tried[sort] >= TRIES_PER_SORT:
            continue
        seen.add(texts)
        if any(known <= texts for known in proven):
            continue  # more than is needed
        if len(found) >= 2 * limit or tried.total() >= MAX_TRIES:
            break
        tried[sort] += 1
        outcome = tried_out(world, pod, candidate.atoms, candidate.new, only)
        if outcome is None or not (outcome.node or outcome.nominated):
            continue
        shown[sort] += 1
        proven.append(texts)
        found.append(told(candidate.atoms, outcome))
    return sorted(found, key=lambda change: change.size)[:limit]


def tried_out(world: World, pod: Object, parts: Remedy, new: dict[str, Object], only: str = "") -> Outcome | None:
    """What is decided for the pod once the changes are made (with `only`: if there were no other node); None where they
    do not go together."""
    pod = deep(pod)
    nodes = {name: deep(node) for name, node in new.items()}
    gone: list[Key] = []
    try:
        for atom in parts:
            if atom.pod is not None:
                atom.pod(pod)
            if atom.node is not None:
                name, edit = atom.node
                edit(nodes.setdefault(name, world.node(name)))
            gone += atom.gone
    except (LookupError, TypeError, ValueError):
        return None
    with world.changed(nodes, gone):
        try:
            if not only:
                return world.place(pod)
            takes = any(report.node == only and report.feasible for report in world.explain(pod))
            return Outcome(only, 1, "", None, []) if takes else None
        except ValueError:
            return None


def deep(obj: Object) -> Object:
    """A copy of an object's JSON."""
    copied: Object = json.loads(json.dumps(obj))
    return copied


def told(parts: Remedy, outcome: Outcome) -> Change:
    """A change that was tried, with what came of it."""
    evicts = [f"{namespace}/{name}" for namespace, name in outcome.victims]
    texts = [atom.text for atom in parts]
    return Change(
        text=" and ".join(texts),
        parts=texts,
        node=outcome.node or outcome.nominated or "",
        feasible=max(1, outcome.feasible),
        size=size(parts) + (2.0 + EVICTION * len(evicts) if evicts else 0.0),
        evicts=evicts,
        commands=[atom.command for atom in parts if atom.command],
    )


def size(parts: Remedy) -> float:
    """How much a change asks for."""
    return sum(atom.size for atom in parts) + 0.5 * (len(parts) - 1)


def _candidates(world: World, pod: Object, reports: list[NodeReport], only: bool) -> Iterator[_Candidate]:
    remedies = Remedies(world, pod)
    near = sorted(
        reports, key=lambda r: (len(r.refusals), sum((k.wanted - k.free) / max(1, k.wanted) for k in r.lacks))
    )
    close = {report.node for report in near[:NODES_FOR_DELETION]}
    for report in near:
        node = world.node(report.node)
        options: list[list[Remedy]] = []
        for refusal in report.refusals:
            option = remedies.of(refusal.plugin, report, node, deletions=report.node in close)
            options.append(sorted(option, key=lambda parts: sum(atom.size for atom in parts)))
        for combination in islice(product(*options), PER_NODE):
            parts = {atom.text: atom for atom in chain.from_iterable(combination)}
            yield _Candidate(tuple(parts.values()), {})
    if not only:
        yield from _priorities(world, pod)
        yield from _more_nodes(world)


def _priorities(world: World, pod: Object) -> Iterator[_Candidate]:
    spec = pod["spec"]
    now = spec.get("priority", 0)
    if spec.get("preemptionPolicy") == "Never":
        yield _Candidate((atoms.priority(spec.get("priorityClassName", ""), now, False),), {})
    for found in sorted(world.priority_classes, key=lambda of: int(of["value"])):
        name = found["metadata"]["name"]
        if found["value"] > now and found.get("preemptionPolicy") != "Never" and not name.startswith("system-"):
            yield _Candidate((atoms.priority(name, found["value"], True),), {})


def _more_nodes(world: World) -> Iterator[_Candidate]:
    """One node more of each sort that there is, empty and in order."""
    sorts: dict[str, str] = {}
    for name in world.nodes:
        node = world.node(name)
        labels = {k: v for k, v in (node["metadata"].get("labels") or {}).items() if k != HOSTNAME}
        sort = [labels, node["status"].get("allocatable"), _taints(node)]
        sorts.setdefault(json.dumps(sort, sort_keys=True), name)
        if len(sorts) == TEMPLATES:
            break
    for name in sorts.values():
        node, new = world.node(name), f"{name}-more"
        node["metadata"] |= {"name": new, "labels": {**(node["metadata"].get("labels") or {}), HOSTNAME: new}}
        node["spec"] = {**node["spec"], "taints": _taints(node), "unschedulable": False}
        has = node["status"].get("allocatable") or {}
        room = ", ".join(
            atoms.spell(of, atoms.amount_of(of, amount))
            for of, amount in has.items()
            if of in ("cpu", "memory") or "/" in of
        )
        yield _Candidate((Atom("node", f"add one node more like {name} ({room})", 8.0),), {new: node})


def _taints(node: Object) -> list[Object]:
    return [taint for taint in node["spec"].get("taints") or () if not taint["key"].startswith(CONDITION)]
