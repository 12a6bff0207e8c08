"""The pods that wait for a node: which is next, which backs off, and which waits for something to change.

A pod is in one of five places, as upstream's scheduling queue has them:

* active: to be tried now, by priority and then by the time it came;
* backoff: to be tried at a set time, because it was refused or failed shortly before; one that was refused is tried
  before its time when nothing else is to be done;
* unschedulable: refused, until an event that may help (`events.HELPS`) or five minutes have passed;
* gated: spec.schedulingGates hold it back;
* in flight: taken out by `pop`, being decided or bound.

Nothing here waits or polls: `pop` is woken by what puts pods into active, and one timer sleeps until the next pod is
due. With an empty queue nothing runs.
"""

import asyncio
import heapq
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from itertools import count

from orlop.clock import Clock
from orlop.scheduler import metrics
from orlop.scheduler.events import ClusterEvent, helped_by as helped
from orlop.tasks import first

INITIAL_BACKOFF = 1.0
"""Seconds after the first refusal (upstream's podInitialBackoffSeconds); doubled with each further one."""
MAX_BACKOFF = 10.0
"""Seconds at most (upstream's podMaxBackoffSeconds)."""
MAX_UNSCHEDULABLE = 300.0
"""Seconds after which a refused pod is tried again whatever happened (podMaxInUnschedulablePodsDuration)."""

Key = tuple[str, str]
"""Namespace and name."""

ATTEMPT_FAILURE = "ScheduleAttemptFailure"
BACKOFF_COMPLETE = "BackoffComplete"
POD_ADD = "PodAdd"
POD_UPDATE = "PodUpdate"
TIMEOUT = "UnschedulableTimeout"
OTHER = "Other"
"""Why pods come into a part of the queue, as metrics say it."""


class Place(Enum):
    """Where a pod of the queue is."""

    ACTIVE = "active"
    BACKOFF = "backoff"
    UNSCHEDULABLE = "unschedulable"
    GATED = "gated"
    IN_FLIGHT = "in flight"


_QUEUES: dict[Place, metrics.Queue] = {
    Place.ACTIVE: "active",
    Place.BACKOFF: "backoff",
    Place.UNSCHEDULABLE: "unschedulable",
}


@dataclass(eq=False, slots=True)
class Item:
    """A waiting pod."""

    namespace: str
    name: str
    uid: str
    scheduler_name: str
    priority: int
    gated: bool
    condition: tuple[str, str, str] | None
    """Status, reason and message of its condition PodScheduled, as far as known."""
    generation: int
    created: float
    """When it came into the queue first (monotonic), for the time until it is scheduled."""
    nominated: str = ""
    """status.nominatedNodeName, as far as known."""
    decided: str = ""
    """What it was decided on last (`explain.stamp`)."""
    place: Place = Place.GATED
    since: float = 0.0
    """When it came to its place."""
    due: float = 0.0
    """When its back-off ends."""
    attempts: int = 0
    tried: float = 0.0
    """When it was taken out last."""
    refusals: int = 0
    errors: int = 0
    """Failures (not refusals) in a row."""
    helped_by: ClusterEvent = field(default_factory=lambda: ClusterEvent(0))
    """What may lift the last refusal."""
    plugins: list[str] = field(default_factory=list)
    """What refused it last."""
    kept_off: set[str] = field(default_factory=set)
    """What kept it since then from a node that something happened to."""
    popped: int = 0
    """The number of the queue's last event when it was taken out."""
    ticket: int = 0
    """Its entry in a heap; others of the same pod are out of date."""

    @property
    def key(self) -> Key:
        return (self.namespace, self.name)


def backoff(times: int, initial: float = INITIAL_BACKOFF, longest: float = MAX_BACKOFF) -> float:
    """Seconds to wait after the `times`-th refusal or failure."""
    if times == 0:
        return 0.0
    # Beyond this many doublings no time that is waited for here is left.
    return min(initial * float(1 << min(times - 1, 40)), longest)


Hint = Callable[[list[Item], ClusterEvent, str], list[Item]]
"""Which of the pods an event on the named node may help."""


class SchedulingQueue:
    """Pods that wait. All methods but `pop` and `run` return at once; call them from one event loop."""

    def __init__(
        self,
        clock: Clock,
        initial_backoff: float = INITIAL_BACKOFF,
        max_backoff: float = MAX_BACKOFF,
        hint: Hint | None = None,
    ) -> None:
        """`hint` is asked which pods an event on one node may help; without one it may help all that wait for it."""
        self._hint = hint
        self._clock = clock
        self._backoff = (initial_backoff, max_backoff)
        self._items: dict[Key, Item] = {}
        self._active: list[tuple[int, float, int, Item]] = []
        self._timed: list[tuple[float, int, Item]] = []
        self._backing_off: list[tuple[float, int, Item]] = []
        """Pods that were refused, among those in back-off."""
        self._unschedulable: dict[Key, Item] = {}
        self._tickets = count(1)
        self._news = asyncio.Event()
        self._earlier = asyncio.Event()
        self._event_count = 0
        self._events: dict[ClusterEvent, int] = {}
        """What has happened since the oldest pod in flight was taken out, with the number of the last time."""
        self._in_flight = 0

    def __len__(self) -> int:
        return len(self._items)

    def get(self, key: Key) -> Item | None:
        """The pod, wherever it is."""
        return self._items.get(key)

    def counts(self) -> dict[Place, int]:
        """How many pods are in each place."""
        found = dict.fromkeys(Place, 0)
        for item in self._items.values():
            found[item.place] += 1
        return found

    # --- coming and going

    def add(self, item: Item) -> None:
        """Takes in a pod that was not there, or another one of the same name."""
        self.delete(item.key)
        self._items[item.key] = item
        self._put(item, Place.GATED if item.gated else Place.ACTIVE, POD_ADD)

    def update(self, item: Item, *, priority: int, gated: bool, changed: bool) -> None:
        """Takes over what the API says of a pod that is there. `changed`: it asks for something else than before."""
        reordered = item.priority != priority
        item.priority, item.gated = priority, gated
        if item.place is Place.IN_FLIGHT:
            if changed:
                self._note(~ClusterEvent(0))
            return
        if gated:
            self._put(item, Place.GATED, POD_UPDATE)
        elif item.place is Place.GATED:
            self._put(item, Place.ACTIVE, POD_UPDATE)
        elif item.place is Place.UNSCHEDULABLE and changed:
            self._requeue(item, POD_UPDATE)
        elif item.place is Place.ACTIVE and reordered:
            self._put(item, Place.ACTIVE, POD_UPDATE)

    def delete(self, key: Key) -> Item | None:
        """Drops a pod: it is gone, has ended, or has a node."""
        item = self._items.pop(key, None)
        if item is not None:
            self._leave(item)
        return item

    # --- being tried

    async def pop(self, limit: int) -> list[Item]:
        """The next pods, at most `limit`, as soon as there is one.

        Each must be given back by `done`, `refuse` or `fail`.
        """
        while True:
            taken: list[Item] = []
            while self._active and len(taken) < limit:
                _, _, ticket, item = heapq.heappop(self._active)
                if item.ticket == ticket and item.place is Place.ACTIVE:
                    self._fly(item)
                    taken.append(item)
            if taken:
                return taken
            if (early := self._earliest()) is not None:
                self._put(early, Place.ACTIVE, BACKOFF_COMPLETE)
                continue
            self._news.clear()
            await self._news.wait()

    def take(self, keys: Iterable[Key]) -> list[Item]:
        """Takes pods out beside one that was popped, wherever they wait, but for gates; give them back as that one."""
        found = (item for key in sorted(keys) if (item := self._items.get(key)) is not None)
        taken = [item for item in found if item.place in (Place.ACTIVE, Place.BACKOFF, Place.UNSCHEDULABLE)]
        for item in taken:
            self._leave(item)
            self._fly(item)
        return taken

    def _fly(self, item: Item) -> None:
        item.place = Place.IN_FLIGHT
        item.popped = self._event_count
        item.attempts += 1
        item.tried = self._clock.monotonic()
        self._in_flight += 1

    def done(self, item: Item) -> None:
        """The pod needs nothing more: it is bound, or is gone."""
        if self._items.get(item.key) is item:
            self.delete(item.key)

    def refuse(self, item: Item, plugins: list[str]) -> None:
        """No node was feasible, because of these filters: wait until something happens that may help (`events.HELPS`).
        If it happened meanwhile, only back off."""
        helped_by = helped(plugins)
        if self._items.get(item.key) is not item or item.place is not Place.IN_FLIGHT:
            return
        item.errors = 0
        item.refusals += 1
        item.helped_by = helped_by
        item.plugins = plugins
        item.kept_off.clear()
        item.due = self._clock.monotonic() + backoff(item.refusals, *self._backoff)
        missed = any(number > item.popped and event & helped_by for event, number in self._events.items())
        place = Place.GATED if item.gated else Place.BACKOFF if missed else Place.UNSCHEDULABLE
        self._put(item, place, ATTEMPT_FAILURE)

    def fail(self, item: Item) -> None:
        """The attempt failed for another reason than the nodes: try again after a while."""
        if self._items.get(item.key) is not item or item.place is not Place.IN_FLIGHT:
            return
        item.errors += 1
        item.due = self._clock.monotonic() + backoff(item.errors, *self._backoff)
        self._put(item, Place.GATED if item.gated else Place.BACKOFF, ATTEMPT_FAILURE)

    def happened(self, event: ClusterEvent, only: Iterable[Key] | None = None, *, node: str = "") -> None:
        """Moves every pod that `event` may help to active, or to backoff while its time is not over.

        `only` names the pods that it concerns; `node` is the one node that it is about."""
        if not event:
            return
        self._note(event)
        waiting = self._unschedulable
        items = list(waiting.values()) if only is None else [waiting[key] for key in only if key in waiting]
        items = [item for item in items if item.helped_by & event]
        if node and items and self._hint is not None:
            items = self._hint(items, event, node)
        for item in items:
            self._requeue(item, event)

    async def run(self) -> None:
        """Moves pods whose time has come, until cancelled."""
        while True:
            self._earlier.clear()
            wait = self._flush()
            if wait is None:
                await self._earlier.wait()
            else:
                await first(self._clock.sleep(wait), self._wait_earlier())

    # --- inside

    def _earliest(self) -> Item | None:
        """The pod whose back-off after a refusal ends first: with nothing else to do it is tried early (upstream:
        SchedulerPopFromBackoffQ). One that failed waits: what failed may need the time."""
        while self._backing_off:
            _, ticket, item = heapq.heappop(self._backing_off)
            if item.ticket == ticket and item.place is Place.BACKOFF:
                return item
        return None

    async def _wait_earlier(self) -> None:
        await self._earlier.wait()

    def _note(self, event: ClusterEvent) -> None:
        """Remembers an event for the pods that are being tried just now."""
        self._event_count += 1
        if self._in_flight:
            self._events[event] = self._event_count

    def _leave(self, item: Item) -> None:
        if item.place is Place.UNSCHEDULABLE:
            if self._unschedulable.pop(item.key, None) is not None:
                metrics.refused(item.plugins, item.scheduler_name, -1)
        elif item.place is Place.IN_FLIGHT:
            self._in_flight -= 1
            if self._in_flight == 0:
                self._events.clear()
        item.ticket = 0

    def _requeue(self, item: Item, why: ClusterEvent | str) -> None:
        over = item.due <= self._clock.monotonic()
        told = why if isinstance(why, str) else why.name or OTHER
        self._put(item, Place.ACTIVE if over else Place.BACKOFF, told)

    def _put(self, item: Item, place: Place, why: str) -> None:
        self._leave(item)
        if place is not Place.GATED:
            metrics.queued(_QUEUES[place], why)
        if place is Place.UNSCHEDULABLE:
            metrics.refused(item.plugins, item.scheduler_name, 1)
        item.place = place
        item.since = self._clock.monotonic()
        if place is Place.ACTIVE:
            item.ticket = next(self._tickets)
            heapq.heappush(self._active, (-item.priority, item.since, item.ticket, item))
            self._news.set()
        elif place is Place.BACKOFF:
            self._schedule(item, item.due)
            if not item.errors:
                heapq.heappush(self._backing_off, (item.due, item.ticket, item))
                self._news.set()
        elif place is Place.UNSCHEDULABLE:
            self._unschedulable[item.key] = item
            self._schedule(item, item.since + MAX_UNSCHEDULABLE)

    def _schedule(self, item: Item, at: float) -> None:
        item.ticket = next(self._tickets)
        if not self._timed or at < self._timed[0][0]:
            self._earlier.set()
        heapq.heappush(self._timed, (at, item.ticket, item))

    def _flush(self) -> float | None:
        """Activates what is due. Seconds until the next is, or None."""
        now = self._clock.monotonic()
        while self._timed:
            at, ticket, item = self._timed[0]
            if item.ticket != ticket:
                heapq.heappop(self._timed)
            elif at <= now:
                heapq.heappop(self._timed)
                self._put(item, Place.ACTIVE, BACKOFF_COMPLETE if item.place is Place.BACKOFF else TIMEOUT)
            else:
                return at - now
        return None
