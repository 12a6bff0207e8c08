"""How `orlop plan` shows what it found."""

from collections import Counter
from collections.abc import Sequence

from orlop.cli.whytext import Style, changes, names, nodes_of
from orlop.scheduler.explain.results import Placement, Plan


def lines(plan: Plan, style: Style) -> list[str]:
    """Placements by node, what is evicted, and what would stay Pending."""
    placed = [placement for placement in plan.placements if placement.node]
    found = [style.bold(_summary(plan, placed))]
    by_node: dict[str, list[Placement]] = {}
    for placement in placed:
        by_node.setdefault(placement.node, []).append(placement)
    if by_node:
        width = max(len("NODE"), *map(len, by_node))
        found += ["", style.dim(f"  {'NODE':<{width}}  PODS")]
        for node, of in sorted(by_node.items()):
            found.append(f"  {node:<{width}}  {style.good(_pods(of))}")
    evicted = [(victim, placement) for placement in placed for victim in placement.evicts]
    if evicted:
        found += ["", style.bold("Evicted, since these are less important:")]
        found += [f"  {style.bad(victim)} from {of.node}, for {of.pod}" for victim, of in evicted]
    if plan.replaced:
        found += ["", f"Replaced: {names(plan.replaced)}"]
    for placement, alike in _alike(plan.pending):
        found += ["", *_pending(placement, alike, style)]
    if plan.notes:
        found += ["", *(style.dim(f"Note: {note}.") for note in plan.notes)]
    return found


def _summary(plan: Plan, placed: Sequence[Placement]) -> str:
    if not plan.placements:
        return "there is no new pod in it"
    nodes = len({placement.node for placement in placed})
    text = f"{len(placed)} of {len(plan.placements)} pods would be placed, on {nodes_of(nodes)}"
    evicted = sum(len(placement.evicts) for placement in placed)
    if evicted:
        text += f", evicting {evicted}"
    return text + (f"; {len(plan.pending)} would stay Pending" if plan.pending else "")


def _pods(placements: Sequence[Placement]) -> str:
    """Pods of one workload together."""
    counted = Counter(placement.owner or placement.pod for placement in placements)
    return ", ".join(f"{name} ×{count}" if count > 1 else name for name, count in counted.items())


def _alike(pending: Sequence[Placement]) -> list[tuple[Placement, list[str]]]:
    """Pods that stay for the same reason, with the one of which it is told."""
    groups: dict[tuple[str, str], list[Placement]] = {}
    for placement in pending:
        groups.setdefault((placement.owner or placement.pod, placement.message), []).append(placement)
    return [(of[0], [placement.pod for placement in of]) for of in groups.values()]


def _pending(placement: Placement, alike: list[str], style: Style) -> list[str]:
    of = f" of {placement.owner}" if placement.owner else ""
    found = [
        style.bold(f"{names(alike, 3)}{of} would stay Pending:")
        + ("" if placement.reasons else f" {placement.message}")
    ]
    for reason in placement.reasons:
        detail = f": {reason.detail}" if reason.detail else ""
        found.append(f"  {nodes_of(len(reason.nodes)):>10}  {style.bad(reason.words)}{detail}")
    if placement.changes:
        found += changes(placement.changes, style)
    return found
