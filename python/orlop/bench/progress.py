"""Waits that end when nothing comes on any more, however long a busy machine takes for what does."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

STALL = 120.0
"""Seconds in which nothing at all comes on: a work that stands still as long will not end."""
LOOK = 1.0
"""Seconds between looks."""


@asynccontextmanager
async def progressing(done: Callable[[], int], stall: float = STALL) -> AsyncIterator[None]:
    """Raises TimeoutError in the block once `done()` has stayed the same for `stall` seconds."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(stall) as limit:

        async def look() -> None:
            before = done()
            while True:
                await asyncio.sleep(min(LOOK, stall / 4))
                if (now := done()) != before:
                    before = now
                    limit.reschedule(loop.time() + stall)

        looking = asyncio.create_task(look())
        try:
            yield
        finally:
            looking.cancel()
