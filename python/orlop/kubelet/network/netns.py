"""Network namespaces with a name, and work inside one: one call in one thread of its own."""

import ctypes
import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from orlop.kubelet.network.base import NetworkError

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
MS_BIND, MS_REC, MS_SHARED, MNT_DETACH = 0x1000, 0x4000, 1 << 20, 2
"""linux/mount.h"""
_LIBC = ctypes.CDLL(None, use_errno=True)


def create(path: str) -> None:
    """A network namespace that stays, mounted at `path` as `ip netns add` does. Blocks; raises OSError."""
    folder = Path(path).parent
    folder.mkdir(parents=True, exist_ok=True)
    try:
        _mount("", str(folder), MS_SHARED | MS_REC)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        _mount(str(folder), str(folder), MS_BIND | MS_REC)  # shared has to be a mount: so that every namespace of
        _mount("", str(folder), MS_SHARED | MS_REC)  # mounts sees the end of what is mounted in it
    os.close(os.open(path, os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0))

    def mount() -> None:
        if _LIBC.unshare(CLONE_NEWNET) != 0:
            raise _error("unshare")
        _mount("/proc/thread-self/ns/net", path, MS_BIND)

    try:
        _in_thread(mount, f"new netns {path}")
    except BaseException:
        os.unlink(path)
        raise


def remove(path: str) -> None:
    """Takes the name away; the namespace ends with its last process. Raises OSError."""
    with suppress(FileNotFoundError):
        if _LIBC.umount2(path.encode(), MNT_DETACH) != 0 and ctypes.get_errno() != errno.EINVAL:
            raise _error(path)
        os.unlink(path)


def _mount(source: str, target: str, flags: int) -> None:
    if _LIBC.mount(source.encode(), target.encode(), b"none", ctypes.c_ulong(flags), None) != 0:
        raise _error(target)


def _error(what: str) -> OSError:
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code), what)


def enter(path: str) -> None:
    """Moves the calling thread into the network namespace at `path`; threads it starts later are there too.

    Raises NetworkError when the namespace is gone or may not be entered."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if _LIBC.setns(fd, CLONE_NEWNET) != 0:
                code = ctypes.get_errno()
                raise NetworkError(f"cannot enter the network namespace {path}: {os.strerror(code)}")
        finally:
            os.close(fd)
    except OSError as error:
        raise NetworkError(f"cannot enter the network namespace {path}: {error.strerror}") from error


def inside(path: str, work: Callable[[], T]) -> T:
    """The result of `work` run within the network namespace at `path`. Blocks; raises what `work` raises.

    A fresh thread enters the namespace and ends in it, so that no other work can find itself there. Sockets made
    inside stay in that namespace. Raises NetworkError when the namespace is gone or may not be entered.
    """

    def within() -> T:
        enter(path)
        return work()

    return _in_thread(within, f"netns {path}")


def _in_thread(work: Callable[[], T], name: str) -> T:
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=name)
    thread.start()
    thread.join()
    if errors:
        raise errors[0]
    return results[0]


def connect(path: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection to localhost within the namespace; IPv4 first, then IPv6. Raises OSError, NetworkError."""

    def dial() -> socket.socket:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout)
        except OSError:
            try:
                return socket.create_connection(("::1", port), timeout)
            except OSError:
                pass
            raise

    return inside(path, dial)
