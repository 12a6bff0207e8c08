"""Blocking work in threads that stops when its caller does."""

import asyncio
import threading
from collections.abc import Callable
from typing import Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Stopped(Exception):
    """The caller was cancelled."""


class Stop:
    """Asked by long work between its steps."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def set(self) -> None:
        self._event.set()

    def check(self) -> None:
        """Raises Stopped once the caller has gone."""
        if self._event.is_set():
            raise Stopped


async def stoppable(work: Callable[Concatenate[Stop, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs `work(stop, …)` in a thread. When cancelled, it waits for the work to stop and clean up."""
    stop = Stop()
    thread = asyncio.ensure_future(asyncio.to_thread(work, stop, *args, **kwargs))
    try:
        return await asyncio.shield(thread)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([thread])
        if not thread.cancelled():
            thread.exception()
        raise
