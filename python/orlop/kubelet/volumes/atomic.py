"""Files that change all at once: a directory whose entries are links into `..data`, itself a link that is swapped.

The layout is upstream's (pkg/volume/util/atomic_writer.go), so that programs that watch `..data` work here too.
"""

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple


class File(NamedTuple):
    """One file of a projected volume."""

    data: bytes
    mode: int
    owner: int | None = None


def write(directory: Path, files: Mapping[str, File], group: int | None = None) -> bool:
    """Makes `directory` show exactly `files` (by relative path). Returns whether anything changed.

    `group` (fsGroup) owns the files and may read them. Blocking: call it in a thread.
    """
    directory.mkdir(parents=True, exist_ok=True)
    current = directory / "..data"
    if current.is_symlink() and _same(current, files):
        return False
    fresh = Path(tempfile.mkdtemp(prefix="..", dir=directory))
    os.chmod(fresh, 0o755)
    for name, file in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.data)
        mode = file.mode
        if group is not None:
            mode |= (mode & 0o400) >> 3
        os.chmod(path, mode)
        if os.geteuid() == 0 and (file.owner is not None or group is not None):
            os.chown(path, -1 if file.owner is None else file.owner, -1 if group is None else group)
    old = os.readlink(current) if current.is_symlink() else None
    link = directory / "..data_tmp"
    link.unlink(missing_ok=True)
    link.symlink_to(fresh.name)
    link.rename(current)
    top = {name.split("/", 1)[0] for name in files}
    for name in top:
        entry = directory / name
        if not entry.is_symlink():
            entry.symlink_to(f"..data/{name}")
    for entry in directory.iterdir():
        if not entry.name.startswith("..") and entry.name not in top:
            entry.unlink()
    if old is not None:
        shutil.rmtree(directory / old, ignore_errors=True)
    return True


def _same(current: Path, files: Mapping[str, File]) -> bool:
    present = {str(p.relative_to(current)) for p in current.rglob("*") if p.is_file()}
    if present != set(files):
        return False
    return all((current / name).read_bytes() == file.data for name, file in files.items())
