"""Tells callgrind what to count, from Python: the marks of benches/rust, by ctypes."""

import ctypes
import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def target() -> Path:
    """Where cargo builds to, as the Makefile has it."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    return Path(os.environ.get("CARGO_TARGET_DIR", cache / "orlop" / "target")) / "release"


class Marks:
    """Around what is counted."""

    def __init__(self) -> None:
        """Raises OSError where benches/rust has not been built."""
        self._library = ctypes.CDLL(str(target() / "liborlop_benches.so"))
        self._library.orlop_count_is_possible.restype = ctypes.c_bool
        self._library.orlop_count_stop.argtypes = [ctypes.c_char_p]

    @property
    def possible(self) -> bool:
        """Whether valgrind runs this process."""
        return bool(self._library.orlop_count_is_possible())

    def counted(self, name: str, work: Callable[[], T]) -> T:
        """Runs it; callgrind writes down under this name what it cost."""
        text = name.encode()
        self._library.orlop_count_start()
        made = work()
        self._library.orlop_count_stop(text)
        return made
