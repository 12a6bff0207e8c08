"""The relay's process, and what is said to it over its socket."""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from orlop.native import RELAY_VERSION
from orlop.proxy.backends.base import ProgramError
from orlop.tasks import in_thread

FOLDER = Path("/run/orlop")
TIMEOUT = 30.0
"""Seconds for one answer: a thousand listeners take less than one."""
END_SECONDS = 2.0
"""What a relay that was told to end needs at most: it waits for nothing."""
LINE_MAX = 64 << 20
"""Bytes of one answer: 100,000 backends are shown in some 15 MiB."""
PROGRAM = "import sys; from orlop.native import relay_serve; relay_serve(sys.argv[1])"


class Shown(msgspec.Struct):
    """A relay's state."""

    version: int
    process: int
    connections: int
    listeners: "list[ShownListener]"


class ShownListener(msgspec.Struct):
    """One port of the relay."""

    id: str
    port: int
    backends: "list[ShownBackend]"


class ShownBackend(msgspec.Struct):
    """One destination: connections or flows now and ever, tries that it refused, bytes to and from it."""

    address: str
    port: int
    weight: int
    active: int
    total: int
    failed: int
    sent: int
    received: int


class Listener(msgspec.Struct):
    """A port that is wanted."""

    id: str
    protocol: str
    family: int
    scheduler: str
    affinity_seconds: int
    backends: list[tuple[str, int, int]]


class Place(NamedTuple):
    """Where a listener is."""

    port: int
    address: str = ""
    """Empty for any address of the node."""


class _Ports(msgspec.Struct):
    ports: dict[str, int]
    errors: dict[str, str]
    addresses: dict[str, str] = {}


class _Answer(msgspec.Struct):
    ports: _Ports | None = None
    shown: Shown | None = None
    done: bool = False
    error: str = ""


class Relay:
    """The relay of one cluster in one network namespace. Calls raise ProgramError where it does not answer."""

    def __init__(self, scope: str, prefix: Sequence[str] = ()) -> None:
        """`prefix` starts it elsewhere and must be `("ip", "netns", "exec", NAME)` if there is one."""
        self._prefix = tuple(prefix)
        namespace = os.stat(f"/run/netns/{prefix[3]}" if prefix else "/proc/self/ns/net").st_ino
        # The namespace's own number, as nodes of one cluster may be namespaces of one machine.
        self.path = FOLDER / f"relay-{scope}-{namespace}.sock"
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def ensure(self) -> None:
        """Finds the relay, or starts one."""
        if await self.running():
            try:
                shown = await self.show()
            except ProgramError:
                pass  # it has ended meanwhile
            else:
                if shown.version == RELAY_VERSION:
                    return
                await self._call("retire")
                self._close()
        await in_thread(None, self._start)
        if not await self.running():
            raise ProgramError(f"the relay does not answer on {self.path}")

    async def running(self) -> bool:
        """Whether there is one."""
        if self._stream is None:
            with contextlib.suppress(OSError):
                self._stream = await asyncio.open_unix_connection(str(self.path), limit=LINE_MAX)
        return self._stream is not None

    async def set(self, listeners: Sequence[Listener]) -> tuple[dict[str, Place], dict[str, str]]:
        """Has these listeners be so. Where they are, and why others are nowhere."""
        answer = await self._call({"set": listeners})
        if answer.ports is None:
            raise ProgramError(f"the relay answers {answer}")
        found = answer.ports
        places = {id: Place(port, found.addresses.get(id, "")) for id, port in found.ports.items()}
        return places, found.errors

    async def keep(self, ids: Iterable[str]) -> None:
        """Closes all listeners but these; their connections go on."""
        await self._call({"keep": list(ids)})

    async def drop(self, ids: Iterable[str]) -> None:
        """Closes these listeners; their connections go on."""
        await self._call({"drop": list(ids)})

    async def show(self) -> Shown:
        """What it does."""
        answer = await self._call("show")
        if answer.shown is None:
            raise ProgramError(f"the relay answers {answer}")
        return answer.shown

    async def stop(self) -> None:
        """Ends it, with all its connections, and takes its log away; nothing where there is none."""
        for _ in range(2):  # the conversation may be one with a relay that has ended
            if await self.running():
                with contextlib.suppress(ProgramError):
                    await self._call("stop")
                self._close()
        await in_thread(None, self._reap)
        await in_thread(None, self._clear)

    async def ended(self) -> None:
        """Waits until it has."""
        reader, writer = await asyncio.open_unix_connection(str(self.path))
        try:
            while await reader.read(1):
                pass
        finally:
            writer.close()
        await in_thread(None, self._reap)

    async def _call(self, request: object) -> _Answer:
        if self._stream is None and not await self.running():
            raise ProgramError(f"there is no relay at {self.path}")
        assert self._stream is not None
        reader, writer = self._stream
        try:
            async with asyncio.timeout(TIMEOUT):
                writer.write(msgspec.json.encode(request) + b"\n")
                await writer.drain()
                line = await reader.readline()
        except (OSError, TimeoutError) as error:
            self._close()
            raise ProgramError(f"the relay does not answer: {error or 'timeout'}") from None
        except asyncio.CancelledError:
            self._close()  # or the next call would get this one's answer
            raise
        if not line.endswith(b"\n"):
            self._close()
            raise ProgramError("the relay has ended")
        answer = msgspec.json.decode(line, type=_Answer)
        if answer.error:
            raise ProgramError(f"the relay: {answer.error}")
        return answer

    async def close(self) -> None:
        """Lets go of the conversation; the relay stays."""
        self._close()

    def _close(self) -> None:
        if self._stream is not None:
            self._stream[1].close()
            self._stream = None

    def _reap(self) -> None:
        """A relay that was started here and has ended is forgotten; one that retires may take long."""
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_SECONDS)

    def _clear(self) -> None:
        """Takes away what it leaves in the folder."""
        self.path.unlink(missing_ok=True)  # a relay that was killed leaves its socket
        self.path.with_suffix(".log").unlink(missing_ok=True)

    def _start(self) -> None:
        """In a session of its own, so that no signal to the proxier's reaches it."""
        FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)  # nobody answers there
        with self.path.with_suffix(".log").open("ab") as log:
            process: subprocess.Popen[Any] = subprocess.Popen(
                [*self._prefix, sys.executable, "-c", PROGRAM, str(self.path)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        assert process.stdout is not None
        with process.stdout as said:
            line = said.readline()
        if line != b"ready\n":
            code = process.wait()
            raise ProgramError(f"the relay ended with {code}; see {self.path.with_suffix('.log')}")
        self._process = process
