"""Things to do later: one task and one heap for any number of them."""

import asyncio
import heapq
from collections.abc import Callable

from orlop.clock import Clock
from orlop.tasks import first


class Timer:
    """A planned call; `cancel` takes it back."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        self._call = None

    def fire(self) -> None:
        if self._call is not None:
            call, self._call = self._call, None
            call()


class DelayQueue:
    """Calls functions at their time, in order. `run` is the one task it needs."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, Timer]] = []
        self._count = 0
        self._changed = asyncio.Event()

    def after(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Plans `call` (which must not block or raise)."""
        timer = Timer(call)
        due = self._clock.monotonic() + max(0.0, seconds)
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, timer))
        if self._heap[0][2] is timer:
            self._changed.set()
        return timer

    async def wait(self, seconds: float) -> None:
        """Returns after `seconds`; at once for zero."""
        if seconds > 0:
            future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.after(seconds, lambda: None if future.done() else future.set_result(None))
            await future

    async def run(self) -> None:
        """Works until cancelled."""
        while True:
            now = self._clock.monotonic()
            while self._heap and self._heap[0][0] <= now:
                heapq.heappop(self._heap)[2].fire()
            self._changed.clear()
            if self._heap:
                await first(self._clock.sleep(self._heap[0][0] - now), self._wait_changed())
            else:
                await self._changed.wait()

    async def _wait_changed(self) -> None:
        await self._changed.wait()
