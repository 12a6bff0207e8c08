"""An event loop on which time passes only when nobody has anything to do, and then at once.

Whatever runs on it, `asyncio.sleep` and `asyncio.timeout` included, takes no real time to wait, and one run with a
seed is like every other with it: threads' work is done in place, and nothing comes from outside.
"""

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from orlop.clock import FakeClock

if TYPE_CHECKING:
    from random import Random  # noqa: TID251  # the type alone


class Stalled(RuntimeError):
    """Everybody waits for somebody, and nobody for a time: nothing would ever happen."""


class _Jump(selectors.DefaultSelector):
    """Where a loop would wait for its next timer, the timer's moment is now."""

    def __init__(self, pass_time: Callable[[float], None]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Stalled("nothing will ever happen: every task waits, and none for a time")
        if timeout > 0:
            self._pass_time(timeout)
        return super().select(0)


class _InPlace(ThreadPoolExecutor):
    """No threads: the work is done when it is handed over."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> "Future[Any]":
        done: Future[Any] = Future()
        try:
            done.set_result(fn(*args, **kwargs))
        except Exception as error:
            done.set_exception(error)
        return done


class VirtualLoop(asyncio.SelectorEventLoop):
    """The loop. `time()` is the virtual time, in seconds since its making."""

    def __init__(self) -> None:
        self._elapsed = 0.0
        super().__init__(_Jump(self._pass_time))
        self.set_default_executor(_InPlace(1))

    def time(self) -> float:
        return self._elapsed

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There are no threads to wait for, which another thread would tell of."""

    def _pass_time(self, seconds: float) -> None:
        self._elapsed += seconds


class VirtualClock(FakeClock):
    """An `orlop.clock.Clock` by the loop's time, with one seed for all chance. Nobody advances it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seed: int) -> None:
        super().__init__(seed=seed)
        self._loop = loop

    def now(self) -> float:
        return self._start + self._loop.time()

    def monotonic(self) -> float:
        return self._loop.time()

    def fork(self) -> "Random":
        """Chance of its own for somebody whose turn among others is not the seed's."""
        return type(self.random)(self.random.getrandbits(64))

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))  # noqa: TID251  # the loop's own time, which is the clock's
