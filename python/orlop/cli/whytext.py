"""How `orlop why`, `why-here` and `plan` show what they found: for a terminal with emphasis, else plain."""

import os
import sys
from collections.abc import Iterable, Sequence
from typing import TextIO

from orlop.scheduler.explain.details import lacking
from orlop.scheduler.explain.results import Change, Moment, NodeReport, Reason, Why, WhyHere, WhyNode

SHOWN_NODES = 6
"""Names of nodes in one line."""
SHOWN_SCORES = 5
"""Nodes in the table of `why-here`, beside the one that the pod is on."""


class Style:
    """Emphasis where the output is a terminal and NO_COLOR is not set (no-color.org)."""

    def __init__(self, out: TextIO | None = None) -> None:
        stream = out or sys.stdout
        self._on = stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"

    def bold(self, text: str) -> str:
        return f"\033[1m{text}\033[0m" if self._on else text

    def dim(self, text: str) -> str:
        return f"\033[2m{text}\033[0m" if self._on else text

    def good(self, text: str) -> str:
        return f"\033[32m{text}\033[0m" if self._on else text

    def bad(self, text: str) -> str:
        return f"\033[31m{text}\033[0m" if self._on else text


def names(nodes: Sequence[str], limit: int = SHOWN_NODES) -> str:
    """Names, the first of many."""
    more = len(nodes) - limit
    return ", ".join(nodes[:limit]) + (f" and {more} more" if more > 0 else "")


def nodes_of(count: int) -> str:
    """`1 node`, `3 nodes`."""
    return f"{count} node" if count == 1 else f"{count} nodes"


def why(found: Why, style: Style) -> list[str]:
    """Why a pod waits, or what holds it back elsewhere."""
    lines = [style.bold(f"pod {found.namespace}/{found.name}: ") + found.summary]
    if found.reasons:
        lines.append("")
        lines += [line for reason in found.reasons for line in _reason(reason, style)]
    if found.changes:
        lines += ["", *changes(found.changes, style)]
        if found.owner and any(len(change.commands) < len(change.parts) for change in found.changes):
            lines.append(style.dim(f"A change to the pod belongs into the template of {found.owner}."))
    elif found.state == "unschedulable" and found.nodes:
        lines += ["", "No single change that was tried would place it. All reasons of one node: --node NAME."]
    lines += [*_moment(found.moment, style), *(style.dim(f"see also: {hint}") for hint in found.hints)]
    return lines


def _reason(reason: Reason, style: Style) -> Iterable[str]:
    count = nodes_of(len(reason.nodes))
    detail = f": {reason.detail}" if reason.detail else ""
    yield f"  {count:>10}  {style.bad(reason.words)}{detail}"
    yield f"  {'':>10}  {style.dim(names(reason.nodes))}"


def changes(found: Sequence[Change], style: Style) -> list[str]:
    """Changes that were tried."""
    lines = [style.bold("What would place it, the smallest change first (each was tried and works):")]
    width = min(72, max(len(change.text) for change in found))
    for number, change in enumerate(found, 1):
        where = f"→ {change.node}" + (f" or {change.feasible - 1} other nodes" if change.feasible > 2 else "")
        if change.feasible == 2:
            where = f"→ {change.node} or another node"
        if change.evicts:
            where += f", evicting {names(change.evicts, 3)}"
        lines.append(f"  {number}. {change.text:<{width}}  {style.good(where)}")
        lines += [style.dim(f"     {command}") for command in change.commands]
    return lines


def _moment(moment: Moment | None, style: Style) -> list[str]:
    if moment is None:
        return []
    newest = max((int(revision) for revision in moment.revisions.values()), default=0)
    of = "as the scheduler saw it at its last decision" if moment.exact else "as it is now"
    lines = ["", style.dim(f"The cluster {of} (revision {newest}).")]
    return [*lines, style.dim(f"Note: {moment.note}.")] if moment.note else lines


def node(found: WhyNode, style: Style) -> list[str]:
    """What speaks for and against one node."""
    lines = [style.bold(f"pod {found.namespace}/{found.name}: ") + found.summary]
    report = found.report
    if report.refusals:
        lines.append("")
        for refusal in report.refusals:
            lines.append(f"  {style.bad('; '.join(refusal.reasons))} {style.dim(f'({refusal.plugin})')}")
            if refusal.plugin == "NodeResourcesFit":
                lines += [f"    {lacking(lack)}" for lack in report.lacks]
        if found.changes:
            lines += ["", *changes(found.changes, style)]
        else:
            lines += ["", f"No change that was tried would let {found.node} take it."]
    elif report.scores:
        compared = [report] if found.best is None else [found.best, report]
        lines += ["", *scores(compared, found.node, style)]
    return lines + _moment(found.moment, style)


def here(found: WhyHere, style: Style) -> list[str]:
    """Why a pod is on its node: its scores beside those of the next best ones."""
    lines = [style.bold(f"pod {found.namespace}/{found.name}: ") + found.summary]
    feasible = [report for report in found.reports if report.feasible]
    shown = feasible[:SHOWN_SCORES]
    shown += [report for report in feasible[SHOWN_SCORES:] if report.node == found.node]
    if shown:
        lines += ["", *scores(shown, found.node, style)]
        if len(feasible) > len(shown):
            lines.append(style.dim(f"  and {nodes_of(len(feasible) - len(shown))} more that could have taken it"))
    refused: dict[str, list[str]] = {}
    for report in found.reports:
        for words in report.refusals[0].reasons if report.refusals else ():
            refused.setdefault(words, []).append(report.node)
    if refused:
        lines.append("")
        lines += [f"  {nodes_of(len(of)):>10}  {style.bad(words)}" for words, of in refused.items()]
    return lines + _moment(found.moment, style)


def scores(reports: Sequence[NodeReport], chosen: str, style: Style) -> list[str]:
    """A table: what each plug-in adds to each node's total, as score × weight."""
    plugins = [(score.plugin, score.weight) for score in reports[0].scores]
    heads = ["NODE", "TOTAL", *(f"{plugin} ×{weight}" for plugin, weight in plugins)]
    rows = [[r.node, str(r.total), *(str(score.score) for score in r.scores)] for r in reports]
    widths = [max(len(row[column]) for row in [heads, *rows]) for column in range(len(heads))]

    def row(cells: Sequence[str]) -> str:
        first, *rest = zip(cells, widths, strict=True)
        return "  ".join([f"{first[0]:<{first[1]}}", *(f"{cell:>{width}}" for cell, width in rest)])

    lines = ["  " + style.dim(row(heads))]
    for report, cells in zip(reports, rows, strict=True):
        line = row(cells)
        lines.append("* " + style.good(line) if report.node == chosen else "  " + line)
    return lines
