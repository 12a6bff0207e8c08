"""Queueing hints: which refused pods an event may really help, as the core sees it.

`events.HELPS` says which kinds of event may lift a filter's refusal. Here it is looked at whether this one does:
upstream has a function for each plug-in; the core can tell whether the node in question would take the pod now, and
whether the pod in question is one that affinity or spread speak of.
"""

from orlop.clock import Clock
from orlop.native import SchedulerCore
from orlop.scheduler import metrics
from orlop.scheduler.events import POD_EVENTS, ClusterEvent, helps
from orlop.scheduler.queue import Item

LOCAL = frozenset(
    {
        "NodeAffinity",
        "NodeDeclaredFeatures",
        "NodeName",
        "NodePorts",
        "NodeResourcesFit",
        "NodeUnschedulable",
        "TaintToleration",
    }
)
"""Filters whose refusal of a node depends on that node alone."""
SOCIAL = frozenset({"InterPodAffinity", "PodTopologySpread"})
"""Filters that look at where which pods are."""


class Hints:
    """Asked by the queue about the pods that the kind of an event may help."""

    def __init__(self, core: SchedulerCore, clock: Clock) -> None:
        self._core = core
        self._clock = clock

    def __call__(self, items: list[Item], event: ClusterEvent, node: str) -> list[Item]:
        """Those that an event on the node may help, in the same order."""
        started = self._clock.monotonic()
        helped: set[Item] = set()
        local, social = [], []
        for item in items:
            plugins = {plugin for plugin in (*item.plugins, *item.kept_off) if helps(plugin) & event}
            if not plugins or plugins - LOCAL - (SOCIAL if event in POD_EVENTS else frozenset()):
                helped.add(item)
                continue
            if plugins & LOCAL:
                local.append(item)
            if plugins & SOCIAL:
                social.append(item)
        if local:
            answers = self._core.kept_off([item.key for item in local], node)
            for item, plugin in zip(local, answers, strict=True):
                if plugin is None:
                    helped.add(item)
                elif plugin not in item.plugins:
                    # It waits for what this filter waits for too: the node may be right later, without being new then.
                    item.kept_off.add(plugin)
                    item.helped_by |= helps(plugin)
        if social:
            concerned = self._core.may_concern([item.key for item in social])
            helped |= {item for item, concerns in zip(social, concerned, strict=True) if concerns}
        metrics.hinted(event.name or "Other", bool(helped), self._clock.monotonic() - started)
        return [item for item in items if item in helped]
