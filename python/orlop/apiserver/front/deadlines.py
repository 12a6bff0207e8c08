"""Many ends in time, one timer: thousands of watches each end at their own moment, and none needs a task for it."""

import asyncio
import contextlib
import heapq

from orlop import native
from orlop.clock import Clock

LAST_BOOKMARK = 2.0
"""Seconds before its end at which a watch gets a last bookmark, as upstream's: whoever goes on from there sees nothing
twice."""

Entry = tuple[float, int, "asyncio.Future[None]", native.Watcher | None]


class Deadlines:
    """Resolves futures when their time has come. `run` is its one task."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[Entry] = []
        self._count = 0
        self._dead = 0
        self._news = asyncio.Event()

    def add(self, seconds: float, future: "asyncio.Future[None]", watcher: native.Watcher) -> None:
        """Resolves `future` after so many seconds, unless it is done by then; shortly before, marks `watcher`."""
        future.add_done_callback(self._done)
        end = self._clock.monotonic() + seconds
        if seconds > LAST_BOOKMARK:
            self._push(end - LAST_BOOKMARK, future, watcher)
        else:
            self._push(end, future, None)

    def _push(self, at: float, future: "asyncio.Future[None]", watcher: native.Watcher | None) -> None:
        self._count += 1
        heapq.heappush(self._heap, (at, self._count, future, watcher))
        if self._heap[0][1] == self._count:
            self._news.set()

    def _done(self, future: "asyncio.Future[None]") -> None:
        # What ended early stays until half of all is such: taking one out of the middle would cost a search.
        self._dead += 1
        if self._dead > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if not entry[2].done()]
            heapq.heapify(self._heap)
            self._dead = 0

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            self._news.clear()
            now = self._clock.monotonic()
            while self._heap and (self._heap[0][0] <= now or self._heap[0][2].done()):
                at, _, future, watcher = heapq.heappop(self._heap)
                if future.done():
                    self._dead = max(0, self._dead - 1)
                elif watcher is not None:
                    watcher.bookmark()
                    self._push(at + LAST_BOOKMARK, future, None)
                else:
                    future.set_result(None)
            if not self._heap:
                await self._news.wait()
                continue
            waiting = asyncio.ensure_future(self._news.wait())
            sleeping = asyncio.ensure_future(self._clock.sleep(self._heap[0][0] - now))
            try:
                await asyncio.wait({waiting, sleeping}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (waiting, sleeping):
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await task
