"""Work that several ask for at once is done once."""

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class Flights(Generic[T]):
    """One task a key; it ends early only when all who wait for it have gone."""

    def __init__(self) -> None:
        self._tasks: dict[Hashable, tuple[asyncio.Task[T], list[None]]] = {}

    async def join(self, key: Hashable, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """The result of `work`, which is started unless it runs for this key already."""
        found = self._tasks.get(key)
        if found is None:
            task = asyncio.get_running_loop().create_task(work(), name=f"images: {key}")
            found = self._tasks[key] = (task, [])
            task.add_done_callback(lambda _: self._tasks.pop(key, None))
        task, waiting = found
        waiting.append(None)
        try:
            return await asyncio.shield(task)
        finally:
            waiting.pop()
            if not waiting and not task.done():
                self._tasks.pop(key, None)
                task.cancel()
                await asyncio.wait([task])
