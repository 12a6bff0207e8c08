"""Starts shims, and speaks with them: JSON lines on a socket, descriptors beside them."""

import asyncio
import contextlib
import fcntl
import os
import socket
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native.records import fd_path

PROGRAM = "orlop-shim"
SOCKET = "shim.sock"
LOCK = "shim.lock"
"""Held by the shim from before its start to its end, so that one which does not listen yet is known too."""
PROTOCOL = 1

_READ = 64 * 1024
_MOST_DESCRIPTORS = 4
_SEALS = 0x0F
"""F_SEAL_SEAL, SHRINK, GROW and WRITE (include/uapi/linux/fcntl.h)."""
_F_ADD_SEALS = 1033
_MFD_ALLOW_SEALING = 2


class Gone(RuntimeFailure):
    """The shim is not there, or went away without an answer."""


class Program:
    """The shim's program, copied into memory that nobody can write to.

    So that a process in a container that gets hold of it cannot change it (CVE-2019-5736), and so that an upgrade of
    the package does not touch what runs.
    """

    def __init__(self, source: Path | None = None) -> None:
        self._source = source or Path(__file__).parent / "bin" / PROGRAM
        self._fd = -1

    @property
    def source(self) -> Path:
        return self._source

    def path(self) -> str:
        """Where it can be executed by children of this process. Raises RuntimeFailure when it is not installed."""
        if self._fd < 0:
            try:
                data = self._source.read_bytes()
            except OSError as error:
                raise RuntimeFailure(f"the shim is not installed at {self._source}: {error.strerror}") from error
            fd = os.memfd_create(PROGRAM, os.MFD_CLOEXEC | _MFD_ALLOW_SEALING)
            view = memoryview(data)
            while view:
                view = view[os.write(fd, view) :]
            fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
            self._fd = fd
        return f"/proc/{os.getpid()}/fd/{self._fd}"

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def call(self, verb: str, *folder: Path) -> None:
        """Runs a verb that ends by itself (`sandbox`, `pause`, `devices`). Blocks; raises RuntimeFailure with what it
        said."""
        done = subprocess.run(
            [PROGRAM, verb, *map(str, folder)],
            executable=self.path(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeFailure(done.stderr.strip() or f"the shim ended with code {done.returncode}")

    def run(self, folder: Path) -> socket.socket:
        """Starts the shim of the container in `folder`; our end of its first connection. Blocks for its start only."""
        ours, theirs = socket.socketpair()
        lock = _lock(folder)
        if lock is None:
            raise RuntimeFailure(f"another shim of {folder.name} is on its way")
        with theirs:
            try:
                done = subprocess.run(
                    [PROGRAM, "run", str(folder)],
                    executable=self.path(),
                    stdin=subprocess.DEVNULL,
                    stdout=theirs.fileno(),
                    stderr=theirs.fileno(),
                    pass_fds=(lock,),
                    check=False,
                )
            finally:
                os.close(lock)  # the shim has it now, for as long as it lives
        if done.returncode != 0:
            said = ""
            with ours, contextlib.suppress(BlockingIOError):  # who was killed has said nothing
                ours.setblocking(False)
                said = ours.recv(_READ).decode(errors="replace").strip()
            raise RuntimeFailure(said or f"the shim ended with code {done.returncode}")
        ours.setblocking(False)
        return ours


class Conversation:
    """One connection to a shim."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._received = b""
        self._descriptors: list[int] = []

    async def ask(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> dict[str, Any]:
        """Sends a request and returns the next answer. Raises Gone; RuntimeFailure with an answer's `error`."""
        self.send(request, descriptors)
        answer = await self.receive()
        if "error" in answer:
            raise RuntimeFailure(str(answer["error"]))
        return answer

    def send(self, request: dict[str, Any], descriptors: Sequence[int] = ()) -> None:
        data = msgspec.json.encode({"v": PROTOCOL, **request}) + b"\n"
        try:
            sent = socket.send_fds(self._socket, [data], list(descriptors))
            if sent < len(data):  # an exec with very many arguments
                self._socket.setblocking(True)
                self._socket.sendall(data[sent:])
                self._socket.setblocking(False)
        except OSError as error:
            raise Gone(f"the container's shim is gone: {error.strerror}") from error

    async def started(self) -> None:
        """The first message of a shim that was just started. Raises RuntimeFailure with why the container was not."""
        answer = await self.receive()
        if "error" in answer:
            raise RuntimeFailure(str(answer["error"]))

    async def receive(self) -> dict[str, Any]:
        """The next message. Raises Gone at the end."""
        while b"\n" not in self._received:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, _READ, _MOST_DESCRIPTORS)
            except BlockingIOError:
                await readable(self._socket.fileno())
                continue
            except OSError as error:
                raise Gone(f"the container's shim is gone: {error.strerror}") from error
            self._descriptors += descriptors
            if not data:
                raise Gone("the container's shim went away")
            self._received += data
        line, _, self._received = self._received.partition(b"\n")
        try:
            answer = msgspec.json.decode(line)
        except msgspec.DecodeError:
            raise RuntimeFailure(line.decode(errors="replace")) from None
        return answer if isinstance(answer, dict) else {}

    def take_descriptor(self) -> int | None:
        """A descriptor that came with the last answers; the caller's to close."""
        if not self._descriptors:
            return None
        fd = self._descriptors.pop(0)
        os.set_inheritable(fd, False)
        os.set_blocking(fd, False)
        return fd

    def close(self) -> None:
        for fd in self._descriptors:
            os.close(fd)
        self._descriptors.clear()
        self._socket.close()


def connect(folder: Path) -> Conversation:
    """A connection to the shim of the container in `folder`. Raises Gone."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            connection.connect(fd_path(fd, SOCKET))
        finally:
            os.close(fd)
    except OSError as error:
        connection.close()
        raise Gone(f"the container's shim is gone: {error.strerror}") from error
    connection.setblocking(False)
    return Conversation(connection)


def lives(folder: Path) -> bool:
    """Whether the container in `folder` has a shim, be it on its way."""
    lock = _lock(folder)
    if lock is None:
        return True
    os.close(lock)
    return False


def _lock(folder: Path) -> int | None:
    """The lock's descriptor; None when it is held."""
    lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return None
    return lock


async def readable(*fds: int) -> None:
    """Returns when one of the descriptors can be read, or has ended."""
    await _ready(fds, asyncio.get_running_loop().add_reader, asyncio.get_running_loop().remove_reader)


async def writable(fd: int) -> None:
    """Returns when the descriptor takes more, or is broken."""
    await _ready((fd,), asyncio.get_running_loop().add_writer, asyncio.get_running_loop().remove_writer)


async def _ready(fds: Sequence[int], add: Callable[..., Any], remove: Callable[[int], Any]) -> None:
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def wake() -> None:
        if not done.done():
            done.set_result(None)

    for fd in fds:
        add(fd, wake)
    try:
        await done
    finally:
        for fd in fds:
            remove(fd)
