"""Carries out what the core decided on preemption: pods are evicted, and others lose their nomination."""

import asyncio

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.client import Client
from orlop.clock import Clock, rfc3339
from orlop.scheduler import metrics
from orlop.scheduler.queue import Item
from orlop.scheduler.report import PodHead, Reporter

MAX_EVICTIONS = 16
"""Pods evicted at a time, over all preemptions (upstream's parallelism)."""

Name = tuple[str, str, str]
"""Namespace, name and uid."""


class Preemptor:
    """Evicts pods. Runs beside the queue, which goes on with other pods meanwhile."""

    def __init__(self, client: Client, clock: Clock, reporter: Reporter) -> None:
        self._client = client
        self._clock = clock
        self._reporter = reporter
        self._room = asyncio.Semaphore(MAX_EVICTIONS)

    async def preempt(self, item: Item, node: str, victims: list[Name], displaced: list[Name]) -> None:
        """Makes room for `item` on a node: `victims` go, `displaced` lose their nomination for it.

        Raises ApiError where that failed for some pod (the first error); the others were tried all the same."""
        metrics.preempted(len(victims))
        # Those nominated before would wait in vain for the room that this one takes.
        work = [self._clear(name) for name in displaced]
        work += [self._evict(item, name, node) for name in victims]
        for outcome in await asyncio.gather(*work, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def _clear(self, name: Name) -> None:
        await self._status(name, {"nominatedNodeName": None})

    async def _evict(self, item: Item, name: Name, node: str) -> None:
        condition = {
            "type": "DisruptionTarget",
            "status": "True",
            "reason": "PreemptionByScheduler",
            "message": f"{item.scheduler_name}: preempting to accommodate a higher priority pod",
            "lastTransitionTime": rfc3339(self._clock.now()),
        }
        async with self._room:
            if not await self._status(name, {"conditions": [condition]}):
                return
            try:
                await self._client.delete(core_v1.Pod, name[1], name[0], uid=name[2])
            except (errors.NotFound, errors.Conflict):
                return  # it is gone, or another one by now
        self._reporter.preempted(item, name, node)

    async def _status(self, name: Name, status: dict[str, object]) -> bool:
        """Patches a pod's status; False where the pod is gone."""
        patch = {"metadata": {"uid": name[2]}, "status": status}
        try:
            await self._client.patch(PodHead, name[1], name[0], patch, type="strategic", subresource="status")
        except (errors.NotFound, errors.Conflict):
            return False
        return True
