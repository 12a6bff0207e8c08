"""What others than the core say of the nodes for a pod, put into what the core says."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from orlop.scheduler.config import Profile
from orlop.scheduler.explain.results import Lack, NodeReport, Refusal, Score
from orlop.scheduler.podvolumes import Unfit
from orlop.scheduler.votes import MAX_SCORE, Vote


class Said(NamedTuple):
    """The votes and scores of claims and of Python plug-ins."""

    profile: Profile
    unfit: Unfit | None = None
    """What is wrong with the pod itself: then no node is looked at."""
    votes: tuple[Vote, ...] = ()
    scores: Mapping[str, Mapping[str, int]] = {}
    """By plug-in and node."""
    relative: frozenset[str] = frozenset()
    """Plug-ins of which the best score becomes 100 and the others in proportion."""

    def allows(self, node: str) -> bool:
        """Whether nobody refuses a node."""
        return self.unfit is None and not any(vote.reasons(node) for vote in self.votes)

    def report(self, told: Any) -> NodeReport:
        """A node as the core tells of it, and they."""
        node, refusals, lacks, scores, total = told
        found = [Refusal(plugin=of, reasons=reasons) for of, reasons, _ in refusals]
        order = {plugin: at for at, plugin in enumerate(self.profile.points["filter"])}
        for vote in self.votes:
            if why := vote.reasons(node):
                mine = order.get(vote.plugin, len(order))
                # The core's own keep their order: what a pod asks of nodes by name comes before all filters.
                at = sum(order.get(refusal.plugin, len(order)) <= mine for refusal in found)
                found.insert(at, Refusal(plugin=vote.plugin, reasons=list(why)))
        if self.unfit is not None:
            found.insert(0, Refusal(plugin=self.unfit.plugin, reasons=[str(self.unfit)]))
        if found:
            scores, total = [], 0
        return NodeReport(
            node=node,
            refusals=found,
            lacks=[Lack(resource=of, wanted=w, free=f, allocatable=a) for of, w, f, a in lacks],
            scores=[Score(plugin=of, raw=raw, score=score, weight=w) for of, raw, score, w in scores],
            total=total,
        )

    def scored(self, report: NodeReport, among: Iterable[str]) -> NodeReport:
        """The report of a feasible node with their scores, beside the other feasible ones."""
        among = list(among)
        for plugin, scores in self.scores.items():
            best = max((scores.get(name, 0) for name in among), default=0)
            if not best:
                continue
            raw, weight = scores.get(report.node, 0), self.profile.weights[plugin]
            score = MAX_SCORE * raw // best if plugin in self.relative else raw
            report.scores.append(Score(plugin=plugin, raw=raw, score=score, weight=weight))
            report.total += score * weight
        return report
