"""The parent of a cluster's three processes: it forks them, restarts what ends, and ends them all.

It imports what they share before it forks, so that the pages are shared; it runs no event loop and no thread.
"""

import ctypes
import fcntl
import os
import selectors
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import IO

import msgspec

from orlop import logging
from orlop.clock import SystemClock
from orlop.cluster import components, identities
from orlop.cluster.runtimes import choose_runtime
from orlop.cluster.settings import Settings

log = logging.get("supervisor")

COMPONENTS: dict[str, Callable[[Settings, components.Ready], Awaitable[None]]] = {
    "apiserver": components.run_apiserver,
    "manager": components.run_manager,
    "node": components.run_node,
}
"""In the order of their start."""

RESTART_FIRST, RESTART_MAX = 0.5, 30.0
"""Seconds before a child that ended is started again, doubling."""
STABLE_SECONDS = 60.0
"""A child that ran this long starts again at once."""
STOP_SECONDS = 15.0
"""How long children may take to end before they are killed."""

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""

UNUSABLE = 3
"""Exit code of a child that a restart cannot help (a store of a newer version, a taken port)."""


class Child(msgspec.Struct):
    """One process."""

    name: str
    pid: int = 0
    pidfd: int = -1
    started: float = 0.0
    pause: float = RESTART_FIRST
    restart_at: float = 0.0
    restarts: int = 0
    ready: str = ""


class State(msgspec.Struct, kw_only=True):
    """What `orlop status` reads."""

    pid: int
    name: str
    server: str
    started: float
    children: dict[str, Child]


class Supervisor:
    """Runs one cluster until SIGTERM or SIGINT."""

    def __init__(self, settings: Settings, report: IO[str] | None) -> None:
        self._settings = settings
        self._report = report
        self._clock = SystemClock()
        self._selector = selectors.DefaultSelector()
        self._children = {name: Child(name) for name in COMPONENTS}
        self._reports, self._child_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._gate, self._gate_opener = os.pipe2(os.O_CLOEXEC)
        self._gate_open = False
        self._stopping = False
        self._buffer = b""
        self._failed = False
        self._lock: IO[str] | None = None

    def run(self) -> int:
        """The exit code."""
        settings = self._settings
        self._lock = take_lock(settings)
        if self._lock is None:
            self._tell("error", f"cluster {settings.name!r} is already running")
            return 1
        began = self._clock.now()
        nodes = [*components.hollow_names(settings, choose_runtime(settings))]
        identities.write_all(settings, [settings.node_name, *nodes])
        self._tell("step", "certificates and kubeconfigs are in place")
        preload()
        wakeup, wakeup_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_end)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: None)
        self._selector.register(wakeup, selectors.EVENT_READ, "signal")
        self._selector.register(self._reports, selectors.EVENT_READ, "report")
        for child in self._children.values():
            self._start(child)
        self._write_state(began)
        while not self._stopping:
            for key, _ in self._selector.select(self._next_restart()):
                if key.data == "signal":
                    os.read(wakeup, 64)
                    self._stopping = True
                elif key.data == "report":
                    self._read_reports()
                else:
                    self._ended(self._children[key.data])
            self._restart_due()
            self._write_state(began)
        self._stop_all()
        settings.state_file.unlink(missing_ok=True)
        return 1 if self._failed else 0

    def _start(self, child: Child) -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._leave_to_child()
            run_child(self._settings, child.name, self._child_end, self._gate)
        child.pid = pid
        child.pidfd = os.pidfd_open(pid)
        child.started = self._clock.monotonic()
        child.restart_at = 0.0
        child.ready = ""
        self._selector.register(child.pidfd, selectors.EVENT_READ, child.name)

    def _leave_to_child(self) -> None:
        """In the child: lets go of what is the parent's alone (the lock, the gate's other end, the pidfds)."""
        self._selector.close()
        for child in self._children.values():
            if child.pidfd >= 0:
                os.close(child.pidfd)
        if not self._gate_open:
            os.close(self._gate_opener)
        if self._lock is not None:
            os.close(self._lock.fileno())
        if self._report is not None:
            os.close(self._report.fileno())

    def _ended(self, child: Child) -> None:
        self._selector.unregister(child.pidfd)
        os.close(child.pidfd)
        child.pidfd = -1
        _, status = os.waitpid(child.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        child.pid = 0
        if code == UNUSABLE:
            self._failed = True
            self._stopping = True
            return
        ran = self._clock.monotonic() - child.started
        child.pause = RESTART_FIRST if ran >= STABLE_SECONDS else min(child.pause * 2, RESTART_MAX)
        child.restart_at = self._clock.monotonic() + (0.0 if ran >= STABLE_SECONDS else child.pause)
        child.restarts += 1
        log.warning("%s ended with code %s, starting it again in %.1f s", child.name, code, child.pause)

    def _next_restart(self) -> float | None:
        due = [c.restart_at for c in self._children.values() if c.restart_at]
        return max(0.0, min(due) - self._clock.monotonic()) if due else None

    def _restart_due(self) -> None:
        now = self._clock.monotonic()
        for child in self._children.values():
            if child.restart_at and child.restart_at <= now and not self._stopping:
                self._start(child)

    def _read_reports(self) -> None:
        try:
            self._buffer += os.read(self._reports, 65536)
        except BlockingIOError:
            return
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            kind, name, text = msgspec.json.decode(line, type=tuple[str, str, str])
            if kind == "ready":
                self._children[name].ready = text
                self._tell("step", text)
                if name == "apiserver" and not self._gate_open:
                    self._gate_open = True
                    os.close(self._gate_opener)
                if all(c.ready for c in self._children.values()):
                    self._tell("ready", self._settings.server)
                    self._report = None
            else:
                self._tell("error", f"{name}: {text}")

    def _tell(self, kind: str, text: str) -> None:
        log.info(text)
        if self._report is not None:
            try:
                print(msgspec.json.encode((kind, text)).decode(), file=self._report, flush=True)
            except BrokenPipeError:
                self._report = None

    def _stop_all(self) -> None:
        """Node and manager first, so that the last things they tell still arrive."""
        deadline = self._clock.monotonic() + STOP_SECONDS
        for name in reversed(COMPONENTS):
            child = self._children[name]
            if not child.pid:
                continue
            os.kill(child.pid, signal.SIGTERM)
            waiter = selectors.DefaultSelector()
            waiter.register(child.pidfd, selectors.EVENT_READ)
            if not waiter.select(max(0.1, deadline - self._clock.monotonic())):
                log.warning("%s did not end in time and is killed", name)
                os.kill(child.pid, signal.SIGKILL)
            os.waitpid(child.pid, 0)
            waiter.close()

    def _write_state(self, began: float) -> None:
        state = State(
            pid=os.getpid(),
            name=self._settings.name,
            server=self._settings.server,
            started=began,
            children=self._children,
        )
        fresh = self._settings.state_file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.rename(self._settings.state_file)


def take_lock(settings: Settings) -> IO[str] | None:
    """The lock that says that this cluster runs; None if another process holds it. It ends with its holder."""
    settings.lock_file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = settings.lock_file.open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    os.set_inheritable(lock.fileno(), False)
    return lock


def preload() -> None:
    """Imports what all children use, so that they share its memory."""
    import asyncio
    import gc

    import aiohttp
    import uvloop

    from orlop.api import scheme, selectors
    from orlop.api.types import apps_v1, coordination_v1, core_v1, discovery_v1, meta_v1
    from orlop.client import client, informer, tls

    _ = (asyncio, uvloop, scheme, selectors, apps_v1, coordination_v1, core_v1, discovery_v1, meta_v1)
    _ = (aiohttp, client, informer, tls)
    gc.collect()
    gc.freeze()


def run_child(settings: Settings, name: str, report: int, gate: int) -> None:
    """In the forked child: runs one component, then ends the process. Never returns."""
    code = 1
    try:
        die_with_parent()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        redirect(settings, name)
        if name != "apiserver":
            # Closed by the parent once the API server answers; until then there is nothing to do.
            os.read(gate, 1)

        def ready(text: str) -> None:
            os.write(report, msgspec.json.encode(("ready", name, text)) + b"\n")

        code = run_component(COMPONENTS[name](settings, ready))
    except BaseException as error:
        traceback.print_exc()
        known = describe(error)
        if known is not None:
            os.write(report, msgspec.json.encode(("error", name, known)) + b"\n")
            code = UNUSABLE
    finally:
        sys.stderr.flush()
        os._exit(code)


def describe(error: BaseException) -> str | None:
    """The message for a person, if the error is one that starting again cannot mend."""
    from orlop.cluster.failures import fatal

    return fatal(error)


def run_component(work: Awaitable[None]) -> int:
    """Runs to its end; SIGTERM and SIGINT cancel it and count as a clean end."""
    import asyncio

    import uvloop

    async def main() -> int:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not stopped:
                raise
        return 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def die_with_parent() -> None:
    """The kernel ends this process when the supervisor ends, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def redirect(settings: Settings, name: str) -> None:
    """stdout and stderr go to the component's log file."""
    settings.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(settings.logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.setup(format=settings.log_format, stream=sys.stderr)


def main(argv: list[str]) -> int:
    """`python -m orlop.cluster.supervisor DATA_DIR REPORT_FD`: what `orlop up` starts in the background."""
    from pathlib import Path

    from orlop.cluster.settings import load

    settings = load(Path(argv[0]))
    if settings is None:
        print(f"no cluster in {argv[0]}", file=sys.stderr)
        return 2
    report = os.fdopen(int(argv[1]), "w") if len(argv) > 1 else None
    if report is not None:
        os.set_inheritable(report.fileno(), False)
    redirect(settings, "supervisor")
    return Supervisor(settings, report).run()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
