"""Mounts an image's layers as a runtime does."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts overlays and makes files of others")


@contextmanager
def mounted(lowers: Sequence[Path], work: Path) -> Iterator[Path]:
    """A fresh overlay over `lowers`, topmost first; `work` is an empty folder. Needs root."""
    for name in ("upper", "work", "merged"):
        (work / name).mkdir(parents=True)
    # Names relative to the layers' folder: there may be more of them than absolute paths fit in a page.
    options = f"lowerdir={':'.join(p.name for p in lowers)},upperdir={work}/upper,workdir={work}/work"
    subprocess.run(
        ["mount", "-t", "overlay", "-o", options, "overlay", f"{work}/merged"], cwd=lowers[0].parent, check=True
    )
    try:
        yield work / "merged"
    finally:
        subprocess.run(["umount", f"{work}/merged"], check=True)
