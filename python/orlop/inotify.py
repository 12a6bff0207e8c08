"""inotify(7): being told that a file changed instead of looking again and again."""

import asyncio
import ctypes
import os
from contextlib import suppress

IN_MODIFY = 0x2
IN_CLOSE_WRITE = 0x8
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE_SELF = 0x400
IN_MOVE_SELF = 0x800
_IN_NONBLOCK_CLOEXEC = 0o2004000

_READ = 4096
_LIBC = ctypes.CDLL(None, use_errno=True)


class Inotify:
    """Watches on a few paths, read as one question: did anything happen?"""

    def __init__(self) -> None:
        self._fd: int = _LIBC.inotify_init1(_IN_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            code = ctypes.get_errno()
            raise OSError(code, f"inotify: {os.strerror(code)} (fs.inotify.max_user_instances)")

    def watch(self, path: str, mask: int) -> None:
        """A path that is not there is not watched."""
        _LIBC.inotify_add_watch(self._fd, os.fsencode(path), mask)

    async def changed(self) -> None:
        """Returns when something happened since the last call."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._fd, news.set)
        try:
            await news.wait()
        finally:
            loop.remove_reader(self._fd)
        with suppress(BlockingIOError):
            while os.read(self._fd, _READ):
                pass

    def close(self) -> None:
        os.close(self._fd)
