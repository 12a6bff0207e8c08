"""Reading logs in CRI's format, cut as PodLogOptions asks.

An entry is `TIME STREAM F|P TEXT`; P entries are the parts of a longer line, whose time is shown once.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from orlop import inotify
from orlop.kubelet.runtime.values import LogOptions

CHUNK = 256 * 1024
"""Bytes read at once: about a millisecond's work."""

_WHOLE = re.compile(rb"^[^ \n]+ std(?:out|err) F ", re.MULTILINE)


async def read(path: str, options: LogOptions, ended: Callable[[], Awaitable[object]]) -> AsyncGenerator[bytes, None]:
    """The log in chunks; a log that is not there is empty. With `follow` until `ended` has returned and all is read.

    A file that was renamed away is read to its end, then the new one of its name.
    """
    left = options.limit_bytes
    if left is not None and left <= 0:
        return
    watch = inotify.Inotify() if options.follow else None
    end = asyncio.ensure_future(ended()) if options.follow else None
    reader = _Reader(path, options)
    try:
        if watch is not None:
            watch.watch(os.path.dirname(path), inotify.IN_CREATE | inotify.IN_MOVED_TO)
            watch.watch(path, inotify.IN_MODIFY)
        await asyncio.to_thread(reader.open, True)
        while True:
            over = end is None or end.done()  # before reading: what was written before the end is then read
            chunk = await asyncio.to_thread(reader.next)
            if chunk is None:
                if await asyncio.to_thread(reader.renew):
                    if watch is not None:
                        watch.watch(path, inotify.IN_MODIFY)
                    continue
                if over:
                    break
                if watch is not None and end is not None:
                    change = asyncio.ensure_future(watch.changed())
                    try:
                        await asyncio.wait((change, end), return_when=asyncio.FIRST_COMPLETED)
                    finally:
                        change.cancel()
                        with suppress(asyncio.CancelledError):
                            await change
                continue
            if left is not None:
                chunk = chunk[:left]
                left -= len(chunk)
            if chunk:
                yield chunk
            if left == 0:
                break
    finally:
        if end is not None:
            end.cancel()
        if watch is not None:
            watch.close()
        reader.close()


class _Reader:
    """One log file from some point on. Blocks."""

    def __init__(self, path: str, options: LogOptions) -> None:
        self._path = path
        self._options = options
        self._fd = -1
        self._pending = b""
        self._since = _time(options.since) if options.since else b""
        self._within = {b"stdout": False, b"stderr": False}
        self._plain = not (options.timestamps or options.since or options.stream)

    def open(self, first: bool) -> None:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return
        if first and self._options.tail_lines is not None:
            os.lseek(self._fd, _tail(self._fd, self._options.tail_lines), os.SEEK_SET)

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def renew(self) -> bool:
        """Goes on in a new file of the same name; False when there is none."""
        try:
            found = os.stat(self._path)
        except FileNotFoundError:
            return False
        if self._fd >= 0:
            have = os.fstat(self._fd)
            if (have.st_dev, have.st_ino) == (found.st_dev, found.st_ino):
                return False
            if os.lseek(self._fd, 0, os.SEEK_CUR) < have.st_size:
                return True  # more was written to the old one meanwhile
        self.close()
        self.open(False)
        return self._fd >= 0

    def next(self) -> bytes | None:
        """The next entries' text; None at the end of the file."""
        if self._fd < 0:
            return None
        data = os.read(self._fd, CHUNK)
        if not data:
            return None
        whole, newline, self._pending = (self._pending + data).rpartition(b"\n")
        entries = whole + newline
        if self._plain and b" P " not in entries:
            return _WHOLE.sub(b"", entries)
        return b"".join(self._entry(line + b"\n") for line in entries.split(b"\n")[:-1])

    def _entry(self, line: bytes) -> bytes:
        time, _, rest = line.partition(b" ")
        stream, _, rest = rest.partition(b" ")
        tag, _, text = rest.partition(b" ")
        if stream not in self._within:
            return b""
        later, self._within[stream] = self._within[stream], tag == b"P"
        if time < self._since or (self._options.stream and stream != self._options.stream.encode()):
            return b""
        if tag == b"P":
            text = text.removesuffix(b"\n")
        return time + b" " + text if self._options.timestamps and not later else text


def _tail(fd: int, lines: int) -> int:
    """Where the last `lines` lines begin. Reads backwards, so that a long log costs nothing."""
    end = os.lseek(fd, 0, os.SEEK_END)
    if lines <= 0:
        return end
    at, counted, rest, last = end, 0, b"", True
    while at > 0:
        start = max(0, at - CHUNK)
        block = os.pread(fd, at - start, start) + rest
        entries = block.split(b"\n")
        rest = entries.pop(0) if start > 0 else b""
        position = start + len(block)
        for entry in reversed(entries):
            begin = position - len(entry)
            if entry:
                # A line ends with its F entry; without one the file's last entry is the end of a line.
                if last or _is_whole(entry):
                    counted += 1
                last = False
                if counted > lines:
                    return position + 1
            position = begin - 1
        at = start
    return 0


def _is_whole(entry: bytes) -> bool:
    return entry.split(b" ", 3)[2:3] != [b"P"]


def _time(nanoseconds: int) -> bytes:
    """As the log has it: comparing texts is then comparing times."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z".encode()
