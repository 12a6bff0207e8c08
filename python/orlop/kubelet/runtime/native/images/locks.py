"""Locks between the processes that share a store: flock(2) on files, which the kernel lets go when a process dies.

`work_lock` is held shared by whoever brings something in, and exclusive by the collection of garbage, which so never
takes what is about to be used. `index_lock` is held for the moment of a change to index and holds. A lock below
`locks/` stands for one blob or one layer, so that it is fetched or unpacked once. A process takes a lock below `locks/`
after `work_lock` and before `index_lock`.
"""

import asyncio
import fcntl
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path


@asynccontextmanager
async def locked(path: Path, *, shared: bool = False) -> AsyncIterator[None]:
    """Holds the lock within the block, waiting for it as long as it takes."""
    fd = try_lock(path, shared=shared)
    if fd is None:
        fd = await _wait(path, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        os.close(fd)


def try_lock(path: Path, *, shared: bool = False) -> int | None:
    """A descriptor whose closing lets go of the lock; None while another holds it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    except BaseException:
        os.close(fd)
        raise
    return fd


async def _wait(path: Path, operation: int) -> int:
    """Waits in a thread of its own: a pool whose threads all wait for locks could not let go of any."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[int] = loop.create_future()

    def deliver(fd: int) -> None:
        if done.cancelled():
            os.close(fd)
        else:
            done.set_result(fd)

    def fail(error: OSError) -> None:
        if not done.cancelled():
            done.set_exception(error)

    def wait() -> None:
        try:
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(fd, operation)
        except OSError as error:
            loop.call_soon_threadsafe(fail, error)
            return
        try:
            loop.call_soon_threadsafe(deliver, fd)
        except RuntimeError:  # the loop has ended meanwhile
            os.close(fd)

    threading.Thread(target=wait, name=f"lock {path.name}", daemon=True).start()
    return await done
