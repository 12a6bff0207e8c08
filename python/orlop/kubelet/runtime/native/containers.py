"""One container: its folder, its shim, its end."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
from collections.abc import Callable
from pathlib import Path

import msgspec

from orlop.clock import Clock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure, StartFailure
from orlop.kubelet.runtime.native import groups, records
from orlop.kubelet.runtime.native.records import ContainerRecord, Exit, Running
from orlop.kubelet.runtime.native.shim import Conversation, Gone, Program, connect, lives

OUT_OF_MEMORY = "OOMKilled"

KILL_SECONDS = 10.0
"""Longest wait for the end of what was killed: a process in an uninterruptible sleep does not end."""

LISTEN_SECONDS = 0.01
"""Between looks at whether a shim listens that is on its way: it does so within a few milliseconds."""

Ended = Callable[["Container"], None]


class Container:
    """Made from its record; `ended` is called once, when it has ended, however that came about."""

    def __init__(self, folder: Path, record: ContainerRecord, clock: Clock, ended: Ended, log_full: Ended) -> None:
        self.folder = folder
        self.record = record
        self.running: Running | None = None
        self.exit: Exit | None = None
        self._clock = clock
        self._ended = ended
        self._log_full = log_full
        self._done = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        self._conversation: Conversation | None = None
        self._starting = asyncio.Lock()
        self._launch: asyncio.Future[socket.socket] | None = None
        """A shim's start that nobody waits for any more: it cannot be called back."""

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def state(self) -> v.ContainerState:
        if self.exit is not None:
            return "exited"
        return "created" if self.running is None else "running"

    # From start to end

    async def start(self, program: Program) -> None:
        """Raises StartFailure; then it has ended, with the reason StartError."""
        async with self._starting:
            if self.state != "created":
                raise RuntimeFailure(f"container {self.id} is {self.state}, it cannot be started")
            try:
                self._launch = asyncio.ensure_future(asyncio.to_thread(program.run, self.folder))
                conversation = Conversation(await asyncio.shield(self._launch))
                self._launch = None
                try:
                    await conversation.started()
                except BaseException:
                    conversation.close()
                    raise
            except RuntimeFailure as error:
                await self._kill_left()  # a shim that was killed meanwhile leaves what it had made
                await self._finish(
                    Exit(
                        records.START_FAILED_EXIT,
                        finished_at=self._now(),
                        message=str(error),
                        reason="StartError",
                    )
                )
                raise StartFailure(str(error)) from error
            self.running = await asyncio.to_thread(records.read, self.folder / records.RUNNING, Running)
            self._follow(conversation)

    async def recover(self) -> None:
        """After a restart of the kubelet: finds out what became of it meanwhile."""
        self.exit = records.read(self.folder / records.EXIT, Exit)
        self.running = records.read(self.folder / records.RUNNING, Running)
        if self.exit is not None:
            self._done.set()
            return
        conversation = await self._reach()
        if conversation is None:
            if (found := records.read(self.folder / records.EXIT, Exit)) is not None:
                self.exit = found
                self._done.set()
            elif self.running is not None or (self.folder / "oci").exists():
                await self._lost()
            return
        try:
            await conversation.ask({"do": "state"})  # answered once the program has started
            self.running = records.read(self.folder / records.RUNNING, Running)
            conversation.send({"do": "wait"})
        except Gone:
            conversation.close()
            await self._lost()
            return
        self._follow(conversation)

    async def _reach(self) -> Conversation | None:
        """A connection to the shim; None when there is none. One that a killed kubelet was just starting is waited
        for."""
        while await asyncio.to_thread(lives, self.folder):
            with contextlib.suppress(Gone):
                return connect(self.folder)
            await self._clock.sleep(LISTEN_SECONDS)
        return None

    def _follow(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._watch = asyncio.get_running_loop().create_task(self._read(conversation), name=f"container {self.id[:12]}")

    async def _read(self, conversation: Conversation) -> None:
        told: Exit | None = None
        try:
            while told is None:
                message = await conversation.receive()
                if "exit" in message:
                    told = msgspec.convert(message["exit"], Exit)
                if "logFull" in message:
                    self._log_full(self)
        except Gone:
            pass
        finally:
            conversation.close()
        found = await asyncio.to_thread(records.read, self.folder / records.EXIT, Exit)
        if found is not None:
            self._end(found)
        elif told is not None:  # the shim could not write: a full disk
            await self._finish(told)
        else:
            await self._lost()

    async def _lost(self) -> None:
        """The shim is gone without a word: what it has left is killed, for nobody would see its output or its end."""
        await self._kill_left()
        message = "the container's shim was lost"
        await self._finish(
            Exit(records.LOST_EXIT, signal=9, finished_at=self._now(), message=message, reason="ContainerStatusUnknown")
        )

    async def _kill_left(self) -> None:
        """Kills all that a shim has left, also what was only on its way: until it has become the program it holds the
        shim's lock."""
        running = await asyncio.to_thread(records.read, self.folder / records.RUNNING, Running)
        limit = self._clock.monotonic() + KILL_SECONDS
        while True:
            on_its_way = await asyncio.to_thread(lives, self.folder)
            await asyncio.to_thread(groups.kill, self.record.cgroup, running)
            if not on_its_way or self._clock.monotonic() >= limit:
                return
            await self._clock.sleep(LISTEN_SECONDS)

    async def _finish(self, found: Exit) -> None:
        def finish() -> None:
            with contextlib.suppress(OSError):  # a full disk: it is known in memory, and found out again
                records.write(self.folder / records.EXIT, found)
            groups.remove(self.record.cgroup)

        await asyncio.to_thread(finish)
        self._end(found)

    def _end(self, found: Exit) -> None:
        self.exit = found
        self._done.set()
        self._ended(self)

    async def wait(self) -> Exit:
        """Its end, whenever that is."""
        await self._done.wait()
        assert self.exit is not None
        return self.exit

    async def settled(self) -> None:
        """Returns when nothing more will be written to its log: it has ended, or never ran and cannot now."""
        await self.wait()

    # What may be done to it

    def need_running(self) -> None:
        if self.state != "running":
            raise RuntimeFailure(f"container {self.id} is not running")

    def kill(self, number: int, *, everything: bool = False) -> None:
        """Sends a signal to the main process, or to all. Nothing when it has ended."""
        with contextlib.suppress(Gone):
            conversation = connect(self.folder)
            try:
                conversation.send({"do": "kill", "signal": number, "all": everything})
            finally:
                conversation.close()

    async def stop(self, seconds: float) -> None:
        if self.state != "running":
            return
        if seconds > 0:
            self.kill(_signal(self.record.stop_signal))
            if await self._ends_within(seconds):
                return
        self.kill(signal.SIGKILL, everything=True)
        if not await self._ends_within(KILL_SECONDS):
            raise RuntimeFailure(f"container {self.id} does not end, though it was killed")

    async def _ends_within(self, seconds: float) -> bool:
        """By a clock that may be simulated."""
        done = asyncio.ensure_future(self._done.wait())
        limit = asyncio.ensure_future(self._clock.sleep(seconds))
        try:
            await asyncio.wait((done, limit), return_when=asyncio.FIRST_COMPLETED)
        finally:
            done.cancel()
            limit.cancel()
        return self._done.is_set()

    async def reopen_log(self) -> None:
        """Raises RuntimeFailure."""
        conversation = connect(self.folder)
        try:
            await conversation.ask({"do": "reopenLog"})
        finally:
            conversation.close()

    async def close(self) -> None:
        """Lets go of the shim, which goes on."""
        if self._launch is not None:
            started = await asyncio.gather(self._launch, return_exceptions=True)
            if isinstance(started[0], socket.socket):
                started[0].close()
            self._launch = None
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
            self._watch = None

    async def delete(self) -> None:
        """Everything on disk, once it has ended."""
        await self.close()
        await asyncio.to_thread(self._delete)

    def _delete(self) -> None:
        groups.remove(self.record.cgroup)
        log = Path(self.record.log_path) if self.record.log_path else None
        if log is not None:
            for path in [log, *log.parent.glob(log.name + ".*")]:
                with contextlib.suppress(OSError):
                    path.unlink()
        doomed = self.folder.with_name(f".{self.folder.name}.gone")  # a name that no restart takes for a container
        with contextlib.suppress(FileNotFoundError):
            os.rename(self.folder, doomed)
        shutil.rmtree(doomed, ignore_errors=True)

    def status(self) -> v.ContainerStatus:
        """As the contract has it."""
        record, running, found = self.record, self.running, self.exit
        reason = ""
        if found is not None:
            reason = found.reason or (OUT_OF_MEMORY if found.oom else "Error" if found.code else "Completed")
        return v.ContainerStatus(
            id=record.id,
            pod_sandbox_id=record.sandbox_id,
            metadata=record.config.metadata,
            pod=record.pod,
            image=record.config.image,
            image_ref=record.image_ref,
            state=self.state,
            created_at=record.created_at,
            labels=record.config.labels,
            annotations=record.config.annotations,
            started_at=running.started_at if running is not None else 0,
            finished_at=found.finished_at if found is not None else 0,
            exit_code=found.code if found is not None else 0,
            reason=reason,
            message=found.message if found is not None else "",
            log_path=record.log_path,
            pid=running.pid if running is not None and found is None else 0,
            mounts=record.config.mounts,
            resources=record.resources,
            stop_signal=record.stop_signal,
        )

    def row(self) -> v.Container:
        record = self.record
        return v.Container(
            id=record.id,
            pod_sandbox_id=record.sandbox_id,
            metadata=record.config.metadata,
            pod=record.pod,
            image=record.config.image,
            image_ref=record.image_ref,
            state=self.state,
            created_at=record.created_at,
            labels=record.config.labels,
            annotations=record.config.annotations,
        )

    def _now(self) -> int:
        return int(self._clock.now() * 1e9)


def _signal(name: str) -> int:
    """A signal by name or number; SIGTERM for what is neither."""
    if name.isdigit():
        return int(name)
    full = name if name.startswith("SIG") else f"SIG{name}"
    try:
        return signal.Signals[full].value
    except KeyError:
        if full.startswith("SIGRTMIN"):
            return int(signal.SIGRTMIN) + int(full.removeprefix("SIGRTMIN") or 0)
        return signal.SIGTERM.value
