"""One stream of container events, handed to every reader."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator

from orlop.kubelet.runtime.values import ContainerEvent

MAX_PENDING = 10_000
"""Events a slow reader may fall behind by: about a whole node's worth. Beyond it gets one `relist` instead."""

RELIST = ContainerEvent(type="relist")


class EventStream:
    """Publishes to any number of readers; none can slow the others or grow without bound."""

    def __init__(self) -> None:
        self._readers: set[_Reader] = set()

    def publish(self, event: ContainerEvent) -> None:
        """Hands `event` to every reader of now."""
        for reader in self._readers:
            reader.put(event)

    def relist(self) -> None:
        """Tells every reader that events may be missing."""
        for reader in self._readers:
            reader.restart()

    async def read(self) -> AsyncGenerator[ContainerEvent, None]:
        """`relist` first, then everything published from the first step of this iteration on."""
        reader = _Reader()
        self._readers.add(reader)
        try:
            while True:
                yield await reader.get()
        finally:
            self._readers.discard(reader)


class _Reader:
    def __init__(self) -> None:
        self._pending: deque[ContainerEvent] = deque([RELIST])
        self._some = asyncio.Event()
        self._some.set()

    def put(self, event: ContainerEvent) -> None:
        if len(self._pending) >= MAX_PENDING:
            self.restart()
        else:
            self._pending.append(event)
            self._some.set()

    def restart(self) -> None:
        self._pending.clear()
        self._pending.append(RELIST)
        self._some.set()

    async def get(self) -> ContainerEvent:
        while not self._pending:
            self._some.clear()
            await self._some.wait()
        return self._pending.popleft()
