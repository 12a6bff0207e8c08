"""How `orlop image` shows images and the progress of a pull."""

import contextlib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import msgspec

from orlop.clock import SystemClock, parse_time
from orlop.kubelet.runtime.native.images import StoredImage, host, names

REDRAW_SECONDS = 0.1
"""Between two looks of a terminal's progress."""
_BAR = 30


def short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:12]


def size(count: float) -> str:
    """In units of 1000, as Docker shows sizes."""
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 1000 or unit == "TB":
            break
        count /= 1000
    return f"{count:.0f}{unit}" if unit == "B" else f"{count:.3g}{unit}"


def age(created: str, now: float) -> str:
    """`3 hours ago`; what is no time, or none that could be, as it is."""
    with contextlib.suppress(ValueError, OverflowError):
        seconds = now - parse_time(created[:19] + "+00:00")
        for unit, length in (("years", 31_536_000), ("months", 2_592_000), ("weeks", 604_800), ("days", 86_400)):
            if seconds >= 2 * length:
                return f"{seconds // length:.0f} {unit} ago"
        for unit, length in (("hours", 3600), ("minutes", 60)):
            if seconds >= 2 * length:
                return f"{seconds // length:.0f} {unit} ago"
        return f"{max(0.0, seconds):.0f} seconds ago"
    return created


def table(images: Sequence[StoredImage], now: float, whole: bool, digests: bool) -> list[str]:
    """One line a name, in Docker's columns."""
    rows = [["REPOSITORY", "TAG", *(["DIGEST"] if digests else []), "IMAGE ID", "CREATED", "SIZE"]]
    for image in images:
        by_repository = dict(text.split("@", 1) for text in image.digests)
        for name in image.names or ("",):
            repository, tag, _ = names.split(name) if name else (next(iter(by_repository), "<none>"), "", "")
            is_host = image.id == host.IMAGE.id
            rows.append(
                [
                    repository,
                    tag or "<none>",
                    *([by_repository.get(repository, "<none>")] if digests else []),
                    image.id if whole else short(image.id),
                    "built in" if is_host else age(image.created, now),
                    "this machine" if is_host else size(image.size),
                ]
            )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def description(
    image: StoredImage,
    document: bytes,
    lowers: Sequence[Path],
    masked: Sequence[str],
    holders: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """Docker's names, where it has one."""
    full = msgspec.json.decode(document, type=dict[str, Any])
    system, _, architecture = image.platform.partition("/")
    return {
        "Id": image.id,
        "RepoTags": image.names,
        "RepoDigests": image.digests,
        "Created": image.created,
        "Os": full.get("os", system),
        "Architecture": full.get("architecture", architecture),
        "Size": image.size,
        "Config": full.get("config")
        or {"Env": image.config.env, "Cmd": image.config.cmd, "WorkingDir": image.config.working_dir},
        "RootFS": {"Type": "layers", "Layers": image.layers},
        "History": full.get("history") or [],
        "LowerDirs": [str(path) for path in lowers],
        "MaskedPaths": list(masked),
        "UsedBy": list(holders.get(image.id, ())),
    }


class Progress:
    """A line a layer: drawn again and again on a terminal, once for each step elsewhere."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._live = out.isatty()
        self._layers: dict[str, tuple[str, int, int]] = {}
        self._drawn = 0
        self._clock = SystemClock()
        self._last = 0.0

    def __enter__(self) -> "Progress":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._draw()

    def __call__(self, digest: str, doing: str, done: int, total: int) -> None:
        before = self._layers.get(digest)
        if before is None and doing != "Waiting":
            return  # the configuration
        self._layers[digest] = (doing, done, total)
        changed = before is None or before[0] != doing
        if not self._live:
            if changed and doing != "Waiting":
                print(f"{short(digest)}: {doing}", file=self._out, flush=True)
        elif changed or self._clock.monotonic() - self._last >= REDRAW_SECONDS:
            self._draw()

    def _draw(self) -> None:
        lines = [self._line(digest, *state) for digest, state in self._layers.items()]
        up = f"\x1b[{self._drawn}A" if self._drawn else ""
        self._out.write(up + "".join(f"\x1b[2K{line}\n" for line in lines))
        self._out.flush()
        self._drawn = len(lines)
        self._last = self._clock.monotonic()

    @staticmethod
    def _line(digest: str, doing: str, done: int, total: int) -> str:
        if doing != "Downloading" or not total:
            return f"{short(digest)}: {doing}"
        filled = _BAR * done // total
        bar = "=" * max(0, filled - 1) + ">" * min(1, filled)
        return f"{short(digest)}: {doing} [{bar.ljust(_BAR)}] {size(done)}/{size(total)}"
