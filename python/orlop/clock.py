"""Time and chance, as arguments.

Every component takes a `Clock`, so that a whole cluster can run on a virtual clock with one random seed.
This is the only module that may read the machine's time or randomness (ruff refuses it elsewhere).
"""

import asyncio
import heapq
import os
import random
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import lru_cache
from typing import Protocol
from weakref import WeakSet


class Clock(Protocol):
    """What a component knows of time and chance."""

    random: random.Random

    def now(self) -> float:
        """Wall-clock time in seconds since 1970 (UTC)."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Returns after `seconds` of this clock's time; at once for zero or less (yielding to other tasks)."""
        ...

    def token(self, size: int) -> bytes:
        """`size` random bytes fit for secrets (on a real clock)."""
        ...

    def uuid(self) -> str:
        """A random UUID (version 4) in its text form."""
        ...


class SystemClock:
    """The machine's own time and randomness."""

    def __init__(self) -> None:
        self.random = random.Random()
        self._pool = b""
        _pools.add(self)

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))

    def token(self, size: int) -> bytes:
        return os.urandom(size)

    def uuid(self) -> str:
        # Version 4, variant 10 (RFC 9562, 5.4), at a fifth of what the uuid module takes. The kernel gives random bytes
        # for many: each call lets go of the GIL, and to get it back under load costs more than all the rest.
        pool = self._pool or os.urandom(UUID_POOL)
        self._pool = pool[16:]
        text = pool[:16].hex()
        variant = "89ab"[int(text[16], 16) & 3]
        return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"


UUID_POOL = 16 * 128
"""Random bytes fetched at a time for UUIDs."""

_pools: "WeakSet[SystemClock]" = WeakSet()


def _forget_pools() -> None:
    """In a child: its UUIDs must not be its parent's."""
    for clock in _pools:
        clock._pool = b""


os.register_at_fork(after_in_child=_forget_pools)


class FakeClock:
    """A clock that stands still until `advance` moves it. For tests, users' own included.

    Its randomness is seeded: the same seed gives the same history.
    """

    def __init__(self, start: float = 1_700_000_000.0, seed: int = 0) -> None:
        self.random = random.Random(seed)
        self._start = start
        self._elapsed = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> float:
        return self._start + self._elapsed

    def monotonic(self) -> float:
        return self._elapsed

    async def sleep(self, seconds: float) -> None:
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._elapsed + seconds, self._count, future))
        await future

    def token(self, size: int) -> bytes:
        return self.random.randbytes(size)

    def uuid(self) -> str:
        return str(uuid.UUID(bytes=self.random.randbytes(16), version=4))

    async def advance(self, seconds: float) -> None:
        """Moves time on by `seconds`, waking each sleeper in order and letting the tasks it wakes run."""
        target = self._elapsed + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= target:
            due, _, future = heapq.heappop(self._sleepers)
            self._elapsed = max(self._elapsed, due)
            if not future.done():
                future.set_result(None)
            await settle()
        self._elapsed = target
        await settle()


SETTLE_TURNS = 20
"""Loop turns that `settle` gives: a woken task that hands on through a few futures has then run."""


async def settle() -> None:
    """Lets the tasks that are ready run, a bounded number of turns."""
    for _ in range(SETTLE_TURNS):
        await asyncio.sleep(0)


@asynccontextmanager
async def timeout(clock: Clock, seconds: float | None) -> AsyncIterator[None]:
    """Raises TimeoutError in the block after `seconds` of the clock's time; None never does."""
    if seconds is None:
        yield
        return
    task = asyncio.current_task()
    assert task is not None
    expired = False

    async def expire() -> None:
        nonlocal expired
        await clock.sleep(seconds)
        expired = True
        task.cancel()

    timer = asyncio.ensure_future(expire())
    try:
        yield
    except asyncio.CancelledError:
        if expired and task.uncancel() <= 0:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


def rfc3339(seconds: float) -> str:
    """A metav1.Time: UTC, whole seconds, `2026-01-02T15:04:05Z`."""
    return _whole(int(seconds))


@lru_cache(16)
def _whole(seconds: int) -> str:
    """Remembered: all writes of a second carry the same."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(seconds: float) -> str:
    """A metav1.MicroTime: UTC with six digits, `2026-01-02T15:04:05.000000Z`."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_time(text: str) -> float:
    """Seconds since 1970 of an RFC 3339 text. Raises ValueError."""
    return datetime.fromisoformat(text).timestamp()
