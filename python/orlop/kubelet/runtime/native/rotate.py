"""Rotation of logs: the full file is renamed, the shim goes on in a new one, old ones are compressed and deleted.

Upstream: KubeletConfiguration's containerLogMaxSize and containerLogMaxFiles.
"""

import gzip
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from orlop.kubelet.runtime.values import LogLimits


def rename(path: Path, now: float) -> Path | None:
    """Makes room for a new file; None when there is nothing to rename. Blocks."""
    stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%d-%H%M%S.%f")
    rotated = path.with_name(f"{path.name}.{stamp}")
    with suppress(FileNotFoundError):
        os.rename(path, rotated)
        return rotated
    return None


def tidy(path: Path, limits: LogLimits) -> None:
    """Compresses all but the newest rotated file and deletes the oldest beyond the limit. Blocks."""
    for unfinished in path.parent.glob(f"{path.name}.*.tmp"):
        unfinished.unlink(missing_ok=True)
    rotated = sorted(path.parent.glob(f"{path.name}.*"))
    surplus = max(0, len(rotated) - max(0, limits.max_files - 1))
    for old in rotated[:surplus]:
        old.unlink(missing_ok=True)
    for old in rotated[surplus:-1]:
        if old.suffix != ".gz":
            _compress(old)


def _compress(path: Path) -> None:
    temporary = path.with_name(path.name + ".tmp")
    try:
        with path.open("rb") as plain, gzip.open(temporary, "wb") as packed:
            shutil.copyfileobj(plain, packed)
        temporary.rename(path.with_name(path.name + ".gz"))
        path.unlink()
    except OSError:  # a full disk: it stays as it is
        temporary.unlink(missing_ok=True)
