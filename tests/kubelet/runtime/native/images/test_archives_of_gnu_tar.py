"""What GNU tar writes, in each of its formats, comes out as it went in."""

import asyncio
import os
import stat
import subprocess
from pathlib import Path

import pytest
from tests.kubelet.runtime.native.images import overlays, trees

from orlop.clock import SystemClock
from orlop.kubelet.runtime.native.images import ImageStore

pytestmark = [pytest.mark.root, overlays.needs_root]

HOLE = 8 * 1024**2


def tree(root: Path, pax: bool) -> Path:
    """Files of all kinds; with `pax` what only that format can carry as well."""
    for name in ("bin", "dev", "var/empty", "closed", "n" * 90 + "/" + "m" * 90):
        (root / name).mkdir(parents=True)
    (root / "bin/sh").write_bytes(b"#!" * 5000)
    os.link(root / "bin/sh", root / "bin/ash")
    os.symlink("sh", root / "bin/link")
    os.symlink("/../../etc/passwd", root / "bin/away")
    os.link(root / "bin/link", root / "bin/link-too", follow_symlinks=False)
    os.mknod(root / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(root / "dev/loop", stat.S_IFBLK | 0o660, os.makedev(7, 300 if pax else 30))
    os.mkfifo(root / "dev/pipe", 0o620)
    (root / "bin/su").write_bytes(b"su")
    os.chown(root / "bin/su", 1000, 2000)
    (root / "bin/su").chmod(0o6755)
    os.lchown(root / "bin/link", 3, 4)
    (root / "var/empty").chmod(0o1777)
    (root / "empty").touch()
    (root / ("n" * 90) / ("m" * 90) / "leaf").write_text("deep")
    (root / "closed").chmod(0o000)
    with (root / "sparse").open("wb") as file:
        file.write(b"begin")
        file.seek(HOLE)
        file.write(b"middle")
        file.truncate(2 * HOLE)
    with (root / "nothing-but-a-hole").open("wb") as file:
        file.truncate(HOLE)
    if pax:
        (root / ("long" * 60)).write_text("long")
        (root / "ünïcødé \U0001f6a2").touch()
        os.close(os.open(os.fsencode(root) + b"/not-\xff-utf8", os.O_CREAT | os.O_WRONLY))
        os.chown(root / "empty", 3_000_000_000, 4_000_000_000)
        os.setxattr(root / "bin/sh", "user.note", b"\0binary\xff=\n")
        os.setxattr(root / "bin/su", "security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0")
        os.setxattr(root / "bin/link", "trusted.of-a-link", b"1", follow_symlinks=False)
        os.setxattr(root / "var", "user.folder", b"1")
        os.utime(root / "bin/sh", ns=(5, 1_234_567_890_123_456_789))
        os.utime(root / "bin", ns=(5, -1_500_000_000))
    return root


SPARSE = ("--sparse",)


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        *((kind, ()) for kind in ("posix", "gnu", "oldgnu", "ustar")),
        *((kind, SPARSE) for kind in ("posix", "gnu", "oldgnu")),
        *(("posix", (*SPARSE, f"--sparse-version={version}")) for version in ("0.0", "0.1", "1.0")),
    ],
)
async def test_as_it_went_in(tmp_path: Path, kind: str, more: tuple[str, ...]) -> None:
    source = tree(tmp_path / "source", pax=kind == "posix")
    archive = tmp_path / "layer.tar"
    xattrs = ("--xattrs", "--xattrs-include=*") if kind == "posix" else ()
    command = ["tar", f"--format={kind}", *more, *xattrs, "-C", source, "-cf", archive, "."]
    await asyncio.to_thread(subprocess.run, command, check=True)
    image = await ImageStore(tmp_path / "store", SystemClock()).import_filesystem(archive)
    [layer] = await ImageStore(tmp_path / "store", SystemClock()).lowerdirs(image)
    assert trees.of_folder(layer) == trees.of_folder(source)
    if more:
        assert (layer / "sparse").stat().st_blocks == (source / "sparse").stat().st_blocks
        assert image.size < HOLE
    if kind == "posix":
        for name in ("bin/sh", "bin", "empty"):
            assert (layer / name).stat().st_mtime_ns == (source / name).stat().st_mtime_ns
