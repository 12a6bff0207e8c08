"""Helpers for tasks: none is started without an owner that waits for it."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def first(*work: Coroutine[Any, Any, T]) -> T:
    """Runs all, returns the first result, cancels and awaits the others."""
    tasks = [asyncio.ensure_future(w) for w in work]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(iter(done)).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def in_thread(pool: ThreadPoolExecutor | None, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Runs blocking `work` in a thread of `pool` (None: the loop's own), so that the event loop never waits."""
    return await asyncio.get_running_loop().run_in_executor(pool, lambda: work(*args, **kwargs))


class Group:
    """Tasks that come and go under one owner; leaving the block cancels and awaits what still runs.

    Unlike `asyncio.TaskGroup` a failing task does not end its siblings: its error goes to `on_error`.
    """

    def __init__(self, on_error: Callable[[str, BaseException], None]) -> None:
        self._on_error = on_error
        self._tasks: dict[asyncio.Task[Any], None] = {}  # in order, so that they are cancelled in one too

    def start(self, name: str, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Starts `work`; the group holds it until it ends."""
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks[task] = None
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._on_error(task.get_name(), error)

    def __len__(self) -> int:
        return len(self._tasks)

    async def __aenter__(self) -> "Group":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.cancel()

    async def cancel(self) -> None:
        """Cancels every task and waits until all have ended."""
        while self._tasks:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for task in tasks:
                self._tasks.pop(task, None)


async def run_all(*work: Awaitable[Any]) -> None:
    """Runs all until the first error, which it raises alone rather than wrapped in a group."""
    try:
        async with asyncio.TaskGroup() as group:
            for w in work:
                group.create_task(_await(w))
    except BaseExceptionGroup as errors:
        error: BaseException = errors
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from errors


async def _await(work: Awaitable[Any]) -> None:
    await work
