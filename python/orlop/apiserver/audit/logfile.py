"""The audit log: a file of lines that is put aside when it has grown, as lumberjack does for kube-apiserver."""

import gzip
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from orlop.apiserver.audit.settings import AuditError, LogSettings
from orlop.clock import Clock
from orlop.tasks import in_thread

MEGABYTE = 1024 * 1024
DEFAULT_MEGABYTES = 100
MODE = 0o600
"""What is asked for and answered may be secret."""
DAY = 86400
STAMP = "%Y-%m-%dT%H-%M-%S.%f"


class LogFile:
    """Appends lines. Files put aside are called `NAME-TIME.EXT`."""

    name = "log"

    def __init__(self, settings: LogSettings, clock: Clock) -> None:
        """Raises AuditError where the file cannot be written."""
        self._settings = settings
        self._clock = clock
        self._path = Path(settings.path)
        self._limit = (settings.max_size or DEFAULT_MEGABYTES) * MEGABYTE
        self._size = 0
        self._stdout = settings.path == "-"
        self._file: BinaryIO = sys.stdout.buffer if self._stdout else self._opened()

    def _opened(self) -> BinaryIO:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = os.fdopen(os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, MODE), "ab", buffering=0)
        except OSError as error:
            raise AuditError(f"--audit-log-path: {self._path} cannot be written: {error.strerror}") from error
        self._size = os.fstat(file.fileno()).st_size
        return file

    async def write(self, events: Sequence[bytes]) -> None:
        """Raises OSError."""
        await in_thread(None, self._write, events)

    def _write(self, events: Sequence[bytes]) -> None:
        lines: list[bytes] = []
        for event in events:
            if not self._stdout and self._size + len(event) + 1 > self._limit and self._size:
                self._put(lines)
                lines = []
                self._rotate()
            lines.append(event + b"\n")
            self._size += len(event) + 1
        self._put(lines)

    def _put(self, lines: list[bytes]) -> None:
        data = b"".join(lines)
        while data:
            data = data[self._file.write(data) :]
        if self._stdout:
            self._file.flush()

    def _rotate(self) -> None:
        self._file.close()
        stamp = datetime.fromtimestamp(self._clock.now(), UTC).strftime(STAMP)[:-3]
        aside = self._path.with_name(f"{self._path.stem}-{stamp}{self._path.suffix}")
        os.replace(self._path, aside)
        if self._settings.compress:
            with aside.open("rb") as full, gzip.open(f"{aside}.gz", "wb") as packed:
                shutil.copyfileobj(full, packed)
            os.chmod(f"{aside}.gz", MODE)
            aside.unlink()
        self._file = self._opened()
        self._forget_old()

    def _forget_old(self) -> None:
        """Ends files that are too many or too old."""
        settings = self._settings
        kept = [(made, file) for file in self._path.parent.iterdir() if (made := self._put_aside(file)) is not None]
        kept.sort(reverse=True)
        oldest = self._clock.now() - settings.max_age * DAY
        for i, (made, file) in enumerate(kept):
            if (settings.max_backups and i >= settings.max_backups) or (settings.max_age and made < oldest):
                file.unlink(missing_ok=True)

    def _put_aside(self, file: Path) -> float | None:
        """When a file was put aside; None for any other file."""
        name = file.name.removesuffix(".gz")
        before, after = f"{self._path.stem}-", self._path.suffix
        if not name.startswith(before) or not name.endswith(after):
            return None
        try:
            stamp = datetime.strptime(name[len(before) : len(name) - len(after)], STAMP)
        except ValueError:
            return None
        return stamp.replace(tzinfo=UTC).timestamp()

    async def close(self) -> None:
        if not self._stdout:
            self._file.close()
