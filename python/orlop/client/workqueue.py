"""The queue between events and work. The semantics are client-go's util/workqueue.

Three sets carry it: `queue`, what is to be done, in order; `dirty`, what is to be done, each once; `processing`, what
is being done now. A key added while it is processed goes to `dirty` only, and into `queue` when it is done: so a key is
never worked on twice at a time, and no add is lost.

What has changed comes before what was merely found there when the cache was filled: at the start of a controller in a
large cluster the one object that somebody has just touched does not wait behind all others (as in controller-runtime's
priority queue).
"""

import asyncio
import heapq
from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import Generic, TypeVar

from orlop.client.queue_metrics import QueueMetrics
from orlop.clock import Clock

K = TypeVar("K", bound=Hashable)

BASE_DELAY = 0.005
MAX_DELAY = 1000.0
"""Seconds before the first retry of a key, doubled with each failure, and the most it grows to."""
URGENT_IN_A_ROW = 8
"""Changed keys that go before one that can wait: a stream of changes must not keep it waiting for ever."""
QPS = 10.0
BURST = 100
"""Retries of all keys together: a bucket of so many tokens, refilled at this rate a second."""


class QueueClosed(Exception):
    """The queue is closed and empty."""


class RateLimiter(Generic[K]):
    """How long a key has to wait: the longer of its own exponential back-off and the bucket that all share."""

    def __init__(
        self, clock: Clock, *, base: float = BASE_DELAY, most: float = MAX_DELAY, qps: float = QPS, burst: int = BURST
    ) -> None:
        self._clock = clock
        self._base = base
        self._most = most
        self._qps = qps
        self._burst = burst
        self._failures: dict[K, int] = {}
        self._tokens = float(burst)
        self._at = clock.monotonic()

    def when(self, key: K) -> float:
        """Seconds to wait; counts a failure and takes a token."""
        failures = self._failures.get(key, 0)
        self._failures[key] = failures + 1
        own = self._base * 2.0 ** min(failures, 64)
        now = self._clock.monotonic()
        self._tokens = min(float(self._burst), self._tokens + (now - self._at) * self._qps) - 1.0
        self._at = now
        return max(min(own, self._most), -self._tokens / self._qps)

    def forget(self, key: K) -> None:
        """The key has succeeded: its back-off starts anew."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often it was told to wait since it last succeeded."""
        return self._failures.get(key, 0)


class WorkQueue(Generic[K]):
    """Keys to work on. Delayed adds wait by the clock in one task that exists only while there are some."""

    def __init__(self, clock: Clock, *, name: str = "", limiter: RateLimiter[K] | None = None) -> None:
        """`name` labels the queue's metrics; without one there are none."""
        self._clock = clock
        self._limiter = limiter or RateLimiter(clock)
        self._queue: deque[K] = deque()
        self._patient: OrderedDict[K, None] = OrderedDict()
        """Keys that can wait, in order; each is in this or in the queue. (A dict finds its first key by passing over
        those that were taken: of 100,000 that is most of the work.)"""
        self._row = 0
        self._dirty: set[K] = set()
        self._processing: set[K] = set()
        self._getters: deque[asyncio.Future[None]] = deque()
        self._closed = False
        self._later: list[tuple[float, int, K]] = []
        self._due: dict[K, float] = {}
        self._serial = 0
        self._timer: asyncio.Task[None] | None = None
        self._timer_due = 0.0
        self._metrics: QueueMetrics[K] | None = QueueMetrics(name, clock) if name else None

    def __len__(self) -> int:
        """Keys that wait to be worked on now."""
        return len(self._queue) + len(self._patient)

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being worked on (delayed keys apart)."""
        return not self._dirty and not self._processing

    @property
    def next_due(self) -> float | None:
        """The clock's monotonic time of the earliest delayed key."""
        return min(self._due.values(), default=None)

    def add(self, key: K, *, patient: bool = False) -> None:
        """Asks for work on the key, a patient one after all others. Does nothing if it waits already (but a patient one
        that is asked for again need no longer be patient), or if the queue is closed."""
        if self._closed:
            return
        if key in self._dirty:
            if not patient and key in self._patient:
                del self._patient[key]
                self._queue.append(key)
            return
        self._dirty.add(key)
        if self._metrics is not None:
            self._metrics.added(key)
        if key not in self._processing:
            self._push(key, patient)

    def add_after(self, key: K, seconds: float) -> None:
        """As `add`, after so many seconds; of several delays for one key the earliest counts."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        due = self._clock.monotonic() + seconds
        if self._due.get(key, due + 1) <= due:
            return
        self._due[key] = due
        self._serial += 1
        heapq.heappush(self._later, (due, self._serial, key))
        if self._timer is None or due < self._timer_due:
            self._set_timer()

    def add_rate_limited(self, key: K) -> None:
        """As `add_after`, when the rate limiter says: for a key whose work has failed."""
        if self._metrics is not None:
            self._metrics.retried()
        self.add_after(key, self._limiter.when(key))

    def forget(self, key: K) -> None:
        """The key's work has succeeded: its back-off starts anew."""
        self._limiter.forget(key)

    def failures(self, key: K) -> int:
        """How often the key has failed since it last succeeded."""
        return self._limiter.failures(key)

    async def get(self) -> K:
        """The next key, to be given back with `done`. Raises QueueClosed once closed and empty."""
        while not self._queue and not self._patient:
            if self._closed:
                raise QueueClosed
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._getters.append(future)
            try:
                await future
            except asyncio.CancelledError:
                if future.done() and not future.cancelled():
                    self._wake()  # the wake-up was ours: hand it on
                raise
        key = self._next()
        self._processing.add(key)
        self._dirty.discard(key)
        if self._metrics is not None:
            self._metrics.got(key, len(self))
        return key

    def _next(self) -> K:
        if self._queue and (not self._patient or self._row < URGENT_IN_A_ROW):
            self._row += 1
            return self._queue.popleft()
        self._row = 0
        return self._patient.popitem(last=False)[0]

    def done(self, key: K) -> None:
        """The work on the key has ended, well or not; if it was added meanwhile it waits again."""
        self._processing.discard(key)
        if self._metrics is not None:
            self._metrics.done(key)
        if key in self._dirty:
            self._push(key)

    async def close(self) -> None:
        """Takes no more; who waits in `get` gets what is left, then QueueClosed."""
        self._closed = True
        self._due.clear()
        self._later.clear()
        while self._getters:
            self._wake()
        if self._timer is not None:
            timer, self._timer = self._timer, None
            timer.cancel()
            await asyncio.wait({timer})

    def _push(self, key: K, patient: bool = False) -> None:
        if patient:
            self._patient[key] = None
        else:
            self._queue.append(key)
        if self._metrics is not None:
            self._metrics.depth(len(self))
        self._wake()

    def _wake(self) -> None:
        while self._getters:
            future = self._getters.popleft()
            if not future.done():
                future.set_result(None)
                return

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_due = self._later[0][0]
        self._timer = asyncio.get_running_loop().create_task(self._wait(self._timer_due), name="workqueue timer")

    async def _wait(self, due: float) -> None:
        while True:
            await self._clock.sleep(due - self._clock.monotonic())
            now = self._clock.monotonic()
            while self._later and self._later[0][0] <= now:
                when, _, key = heapq.heappop(self._later)
                if self._due.get(key) == when:
                    del self._due[key]
                    self.add(key)
            while self._later and self._due.get(self._later[0][2]) != self._later[0][0]:
                heapq.heappop(self._later)  # overtaken by an earlier delay
            if not self._later:
                self._timer = None
                return
            due = self._timer_due = self._later[0][0]
