"""Work inside another network namespace, one call in one thread of its own."""

import ctypes
import os
import socket
import threading
from collections.abc import Callable
from typing import TypeVar

from orlop.kubelet.network.base import NetworkError

T = TypeVar("T")

CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)


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
    results: list[T] = []
    errors: list[BaseException] = []

    def run() -> None:
        try:
            enter(path)
            results.append(work())
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run, name=f"netns {path}")
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
