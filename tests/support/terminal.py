"""A program on a pseudo-terminal, driven as a person drives it: type, read, resize, hang up."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence

PATIENCE = 20.0
"""Seconds until what is expected must have been shown."""


class Terminal:
    """`with` starts the program and ends it."""

    def __init__(self, command: Sequence[str], env: Mapping[str, str], rows: int = 30, columns: int = 100) -> None:
        self._command = [str(word) for word in command]
        self._env = dict(env)
        self._size = (rows, columns)
        self._pid = 0
        self._fd = -1
        self.shown = ""
        """Everything the program has written and nobody has expected yet."""

    def __enter__(self) -> "Terminal":
        self._pid, self._fd = pty.fork()
        if self._pid == 0:
            # The size stands before the program asks for it.
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", *self._size, 0, 0))
            os.execvpe(self._command[0], self._command, self._env)
        return self

    def __exit__(self, *exc: object) -> None:
        self.hang_up()

    def expect(self, pattern: str, timeout: float = PATIENCE) -> "re.Match[str]":
        """Reads until `pattern` has been shown, and takes everything up to it."""
        deadline = time.monotonic() + timeout
        while (match := re.search(pattern, self.shown)) is None:
            assert self._read(deadline), f"{pattern!r} was not shown; there is: {self.shown!r}"
        self.shown = self.shown[match.end() :]
        return match

    def type(self, text: str) -> None:
        """Types the text; "\\n" is the return key."""
        os.write(self._fd, text.encode())

    def resize(self, rows: int, columns: int) -> None:
        """The window has another size; the kernel tells the program."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def exit_code(self, timeout: float = PATIENCE) -> int:
        """The program's exit code, once it has ended."""
        deadline = time.monotonic() + timeout
        while self._read(deadline):
            pass
        _, status = os.waitpid(self._pid, 0)
        self._pid = 0
        return os.waitstatus_to_exitcode(status)

    def hang_up(self) -> None:
        """Closes the terminal, and ends what does not end by that."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
            self._pid = 0

    def _read(self, deadline: float) -> bool:
        """Reads what comes next; False at the end, or when it is too late."""
        ready, _, _ = select.select([self._fd], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            data = os.read(self._fd, 65536)
        except OSError:  # how Linux tells that the other side of a terminal has been closed
            return False
        self.shown += data.decode(errors="replace")
        return bool(data)
