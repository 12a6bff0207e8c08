"""What the machine boots: Debian's own kernel and a first file system for it, made once, kept in the user's cache."""

import contextlib
import lzma
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import NamedTuple

HERE = Path(__file__).parent
PACKAGE = "linux-image-amd64"
PROGRAMS = {
    "ipvsadm": "ipvsadm",
    "qemu-system-x86_64": "qemu-system-x86",
    "busybox": "busybox-static",
    "modprobe": "kmod",
    "cpio": "cpio",
}
EARLY = ("virtio_pci", "9pnet_virtio", "9p", "overlay")
"""Modules that the root file system needs; all others are loaded from there when something asks for them."""

XZ = b"\xfd7zXZ\x00"
"""Debian's kernels unpack themselves from this."""


class NoMachine(Exception):
    """It cannot be had here; the text says why and how to get it."""


class Files(NamedTuple):
    kernel: Path
    initramfs: Path


def files() -> Files:
    """From Debian's packages, which are installed where they are missing, and then from the cache. Raises NoMachine."""
    if platform.machine() != "x86_64":
        raise NoMachine(f"the machine is emulated on x86_64 only, and this is {platform.machine()}")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program, path=_path()) is None]
    if missing:
        _install(*missing)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "orlop" / "kernel"
    cache.mkdir(parents=True, exist_ok=True)
    unpacked = cache / "debian"
    if not unpacked.is_dir():
        _download(unpacked)
    [version] = [entry.name for entry in (unpacked / "lib" / "modules").iterdir()]
    kernel = cache / f"vmlinux-{version}"
    if not kernel.exists():
        _unpack(unpacked / "boot" / f"vmlinuz-{version}", kernel)
    initramfs = cache / f"initramfs-{version}"
    sources = [Path(__file__), HERE / "init.sh"]
    if not initramfs.exists() or any(s.stat().st_mtime > initramfs.stat().st_mtime for s in sources):
        _pack(unpacked, version, initramfs)
    return Files(kernel, initramfs)


def _install(*packages: str) -> None:
    from tests.support import docker_engine  # here, so that no test inside has to read Docker's client for it

    try:
        docker_engine.apt_install(*packages)
    except docker_engine.NoEngine as error:
        raise NoMachine(str(error)) from error


def _download(into: Path) -> None:
    """Unpacks the kernel's package, signed as all of Debian's, and lists its modules' dependencies."""
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        folder = Path(name)
        folder.chmod(0o755)  # apt fetches as a user of its own
        try:
            if os.geteuid() == 0:  # a new machine has no lists yet
                subprocess.run(["apt-get", "-qq", "update"], check=False, capture_output=True)
            depends = _output("apt-cache", "depends", PACKAGE)
            packages = [line.split()[1] for line in depends.splitlines() if "Depends: linux-image-" in line]
            if not packages:
                raise NoMachine(f"no package {PACKAGE}: the machine needs Debian's packages (apt-get update)")
            subprocess.run(["apt-get", "-qq", "download", packages[0]], cwd=folder, check=True, capture_output=True)
            [package] = folder.glob("*.deb")
            _output("dpkg", "-x", str(package), str(folder / "k"))
            [modules] = (folder / "k" / "lib" / "modules").iterdir()
            _output("depmod", "-b", str(folder / "k"), modules.name)
        except (OSError, subprocess.CalledProcessError) as error:
            raise NoMachine(f"Debian's kernel cannot be had: {getattr(error, 'stderr', '') or error}") from error
        with contextlib.suppress(OSError):  # another run was first
            (folder / "k").rename(into)


def _unpack(packed: Path, into: Path) -> None:
    """The kernel as QEMU starts it without firmware, which would have it unpack itself: seven seconds of emulation."""
    data = packed.read_bytes()
    start = data.find(XZ)
    kernel = lzma.LZMADecompressor().decompress(data[start:]) if start >= 0 else data
    with tempfile.NamedTemporaryFile(dir=into.parent, delete=False) as made:
        made.write(kernel)
    Path(made.name).rename(into)


def _pack(unpacked: Path, version: str, into: Path) -> None:
    with tempfile.TemporaryDirectory(dir=into.parent) as name:
        root = Path(name) / "root"
        for folder in ("bin", "dev", "proc", "sys", "modules"):
            (root / folder).mkdir(parents=True)
        shutil.copy(shutil.which("busybox", path=_path()) or "", root / "bin" / "busybox")
        shutil.copy(HERE / "init.sh", root / "init")
        (root / "init").chmod(0o755)
        (root / "unpacked").write_text(f"{unpacked.resolve()}\n")
        modules: list[str] = []
        for module in EARLY:
            listed = _output("modprobe", "-d", str(unpacked), "-S", version, "--show-depends", module)
            modules += [line.split()[1] for line in listed.splitlines() if line.startswith("insmod ")]
        for number, file in enumerate(dict.fromkeys(modules)):
            shutil.copy(file, root / "modules" / f"{number:02}-{Path(file).name}")
        made = Path(name) / "initramfs"
        with made.open("wb") as out:
            subprocess.run("find . | cpio --quiet -o -H newc", shell=True, cwd=root, stdout=out, check=True)
        made.rename(into)


def _output(*command: str) -> str:
    found = subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, "PATH": _path()})
    return found.stdout


def _path() -> str:
    return os.environ.get("PATH", "") + ":/usr/sbin:/sbin:/usr/bin:/bin"
