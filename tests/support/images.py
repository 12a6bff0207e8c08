"""Images for tests, made from this machine's own files: no registry is needed."""

import asyncio
import atexit
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import threading
from functools import cache
from pathlib import Path

import docker
from tests.support import docker_engine

from orlop.clock import SystemClock
from orlop.kubelet.runtime.native.images import ImageStore

BUSYBOX = "orlop-test/busybox:1"


def busybox(tag: str = BUSYBOX) -> str:
    """An image of the static busybox with all its applets, made once per engine. Returns `tag`.

    It has a root and a `web` user (uid 1000, group 1000, also in group 2000), a world-writable /tmp, and no command.
    """
    with docker_engine.locked():
        client = docker.APIClient(base_url=docker_engine.SOCKET)
        try:
            if not client.images(name=tag, quiet=True):
                repository, _, version = tag.rpartition(":")
                client.import_image_from_data(_archive(), repository=repository, tag=version)
        finally:
            client.close()
    return tag


@cache
def native_store(tag: str = BUSYBOX) -> ImageStore:
    """A store of orlop's own that has the same image, made once per process and gone with it."""
    folder = Path(tempfile.mkdtemp(prefix="orlop-test-images-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    store = ImageStore(folder, SystemClock())

    def make() -> None:
        asyncio.run(store.import_filesystem(io.BytesIO(_archive()), tag))

    thread = threading.Thread(target=make)  # the caller may be within a loop of its own
    thread.start()
    thread.join()
    return store


def busybox_path() -> Path:
    """The machine's static busybox, installed where it is missing and may be."""
    found = shutil.which("busybox", path=os.environ.get("PATH", "") + ":/bin:/usr/bin")
    if found is None or not _is_static(Path(found)):
        docker_engine.apt_install("busybox-static")
        found = "/bin/busybox"
    return Path(found)


def _is_static(path: Path) -> bool:
    """An ELF file that asks for no interpreter."""
    return b"/ld-linux" not in path.read_bytes()


def _archive() -> bytes:
    program = busybox_path()
    applets = subprocess.run([str(program), "--list"], capture_output=True, check=True, text=True).stdout.split()
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name in ("bin", "etc", "home", "proc", "root", "sys", "dev", "tmp", "usr", "usr/bin", "var", "www"):
            info = tarfile.TarInfo(name)
            info.type, info.mode = tarfile.DIRTYPE, 0o1777 if name == "tmp" else 0o755
            tar.addfile(info)
        _file(tar, "bin/busybox", program.read_bytes(), 0o755)
        for applet in applets:
            if applet != "busybox":
                link = tarfile.TarInfo(f"bin/{applet}")
                link.type, link.linkname = tarfile.SYMTYPE, "busybox"
                tar.addfile(link)
        _file(tar, "etc/passwd", b"root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1000:web:/home:/bin/sh\n")
        _file(tar, "etc/group", b"root:x:0:\nweb:x:1000:\nextra:x:2000:web\n")
        _file(tar, "www/index.html", b"hello\n")
    return buffer.getvalue()


def _file(tar: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    tar.addfile(info, io.BytesIO(content))
