"""What the tests of stores share."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from orlop.clock import Clock
from orlop.store.base import Attribution, Key, Parts, Store, Write
from orlop.store.lmdb import LmdbStore
from orlop.store.memory import MemoryStore

Make = Callable[[Clock, str], Store]

STORES: dict[str, Make] = {
    "memory": lambda clock, path: MemoryStore(clock),
    "lmdb": lambda clock, path: LmdbStore(path, clock),
}


@asynccontextmanager
async def opened(store: Store) -> AsyncIterator[Store]:
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def until(condition: Callable[[], bool]) -> None:
    """Returns when it holds; TimeoutError if it does not come to that."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - other threads and processes bring it about
            await asyncio.sleep(0.002)


def pod(name: str, namespace: str = "default") -> Key:
    return Key("pods", namespace, name)


def parts(text: str = "") -> Parts:
    return Parts(b'{"resourceVersion":"', b'","text":"%b"}' % text.encode())


def write(key: Key, text: str = "", expected: int | None = None, by: Attribution | None = None) -> Write:
    return Write(key, parts(text), expected, by=by or Attribution())


def delete(key: Key, text: str = "", expected: int | None = None) -> Write:
    return Write(key, parts(text), expected, delete=True)
