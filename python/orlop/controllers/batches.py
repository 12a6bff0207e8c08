"""Doing the same to many objects at once."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
W = TypeVar("W")
E = TypeVar("E", bound=Exception)

MAX_BATCH = 500
"""Requests in flight for one key, so that one huge object does not keep out the others."""


async def slow_start(items: Sequence[T], do: Callable[[T], Awaitable[E | None]]) -> E | None:
    """In batches of 1, 2, 4, … while all goes well: where none can be made, few are tried. Gives the first error."""
    size, at = 1, 0
    while at < len(items):
        for error in await together([do(item) for item in items[at : at + size]]):
            if error is not None:
                return error
        at += size
        size = min(2 * size, MAX_BATCH)
    return None


async def together(work: Sequence[Awaitable[W]]) -> list[W]:
    """Runs all at once; all have ended when it returns."""
    return list(await asyncio.gather(*work))
