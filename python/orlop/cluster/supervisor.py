"""The parent of a cluster's processes: it forks them, restarts what ends, and ends them all.

It imports what they share before it forks, so that the pages are shared; it runs no event loop and no thread. When all
work and nothing is due it becomes `sleeper`, a program without all that, and comes back with the next signal.
SIGHUP: the settings or what was done to a node have changed.
"""

import fcntl
import os
import selectors
import signal
import sys
from functools import partial
from pathlib import Path
from typing import IO

import msgspec

from orlop import logging
from orlop.clock import SystemClock
from orlop.cluster import sleeper
from orlop.cluster.apart import apart
from orlop.cluster.child import UNUSABLE, preload, redirect, run_child
from orlop.cluster.nodes import read_states
from orlop.cluster.parts import Part, parts, write_identities
from orlop.cluster.runtimes import choose_runtime
from orlop.cluster.settings import Settings, decode, encode, load

log = logging.get("supervisor")

RESTART_FIRST, RESTART_MAX = 0.5, 30.0
"""Seconds before a child that ended is started again, doubling."""
STABLE_SECONDS = 60.0
"""A child that ran this long starts again at once."""
STOP_SECONDS = 15.0
"""How long children may take to end before they are killed."""
STOP_LAST = {"manager": 1, "apiserver": 2}
"""Those that are ended after the nodes, in this order."""


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
    problem: str = ""
    """Why it cannot work, where starting it again would not help."""
    wanted: bool = True
    """Not while a person has stopped or killed its node, nor when the settings no longer have it."""
    kill_at: float = 0.0
    """When it is killed, if it has not ended by then."""


SIGNALS = (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
WAKING = (*SIGNALS, signal.SIGCHLD)
"""What ends a sleep. Blocked from before it begins until a supervisor can take them."""


class Asleep(msgspec.Struct, kw_only=True):
    """What a supervisor knows, while it sleeps: kept in memory of no process (memfd)."""

    settings: Settings
    kind: str
    """The runtime that was chosen: it may be out of order when the supervisor wakes."""
    began: float
    children: dict[str, Child]
    lock: int
    reports: int
    child_end: int
    gate: int
    """Descriptors."""


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
        self.settings = settings
        self._report = report
        self._clock = SystemClock()
        self._selector = selectors.DefaultSelector()
        self._parts: dict[str, Part] = {}
        self._children: dict[str, Child] = {}
        self._reports, self._child_end = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self._gate, self._gate_opener = os.pipe2(os.O_CLOEXEC)
        self._gate_open = False
        self._stopping = False
        self._buffer = b""
        self._failed = False
        self._lock: IO[str] | None = None
        self._kind = ""
        self._began = self._clock.now()
        self._loaded = False

    @classmethod
    def awake(cls, descriptor: int) -> "Supervisor":
        """The one that fell asleep leaving this."""
        with os.fdopen(descriptor, "rb") as memory:
            memory.seek(0)
            kept = decode(memory.read(), Asleep)
        self = cls(kept.settings, None)
        for ours in (self._reports, self._child_end, self._gate, self._gate_opener):
            os.close(ours)
        self._reports, self._child_end, self._gate, self._gate_open = kept.reports, kept.child_end, kept.gate, True
        for number in (kept.lock, kept.reports, kept.child_end, kept.gate):
            os.set_inheritable(number, False)
        self._lock = os.fdopen(kept.lock, "a", encoding="utf-8")
        self._kind, self._began, self._children = kept.kind, kept.began, kept.children
        self._parts = parts(kept.settings, kept.kind)
        for child in self._children.values():
            if child.pid:  # ours until we have asked for its end: the number is no other's
                child.pidfd = os.pidfd_open(child.pid)
                self._selector.register(child.pidfd, selectors.EVENT_READ, child.name)
        return self

    def run(self) -> int:
        """The exit code."""
        settings = self.settings
        self._lock = take_lock(settings)
        if self._lock is None:
            self._tell("error", f"cluster {settings.name!r} is already running")
            return 1
        settings.state_file.unlink(missing_ok=True)  # one that was killed names processes that are gone
        wakeup = self._listen()
        self._settle(settings)
        self._tell("step", "certificates and kubeconfigs are in place")
        return self.work(wakeup)

    def _listen(self) -> int:
        """Where the numbers of signals can be read from now on."""
        wakeup, wakeup_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wakeup_end)
        for number in SIGNALS:
            signal.signal(number, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, WAKING)
        return wakeup

    def work(self, wakeup: int | None = None) -> int:
        """Keeps the children as they should be, until it is told to end them. The exit code."""
        wakeup = self._listen() if wakeup is None else wakeup
        self._selector.register(wakeup, selectors.EVENT_READ, "signal")
        self._selector.register(self._reports, selectors.EVENT_READ, "report")
        while not self._stopping:
            self._start_due()
            self._write_state()
            if self._quiet():
                self._sleep()
            for key, _ in self._selector.select(self._next_due()):
                if key.data == "signal":
                    self._signalled(os.read(wakeup, 64))
                elif key.data == "report":
                    self._read_reports()
                else:
                    self._ended(self._children[key.data])
        self._stop_all()
        self.settings.state_file.unlink(missing_ok=True)
        return 1 if self._failed else 0

    def _quiet(self) -> bool:
        """Whether everyone has been told, every child works and nothing is due."""
        works = all(child.ready or not child.pid for child in self._children.values())
        return self._report is None and works and self._next_due() is None and not self._buffer

    def _sleep(self) -> None:
        """Becomes `sleeper`, unless something has happened meanwhile."""
        signal.pthread_sigmask(signal.SIG_BLOCK, WAKING)
        if self._selector.select(0) or self._lock is None:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, WAKING)
            return
        kept = Asleep(
            settings=self.settings,
            kind=self._kind,
            began=self._began,
            children=self._children,
            lock=self._lock.fileno(),
            reports=self._reports,
            child_end=self._child_end,
            gate=self._gate,
        )
        memory = os.memfd_create("orlop-supervisor")
        os.write(memory, encode(kept))
        for number in (memory, kept.lock, kept.reports, kept.child_end, kept.gate):
            os.set_inheritable(number, True)
        sys.stderr.flush()
        back = [sys.executable, "-m", "orlop.cluster.supervisor", str(self.settings.data_dir), f"--awake={memory}"]
        os.execv(sys.executable, [sys.executable, "-I", "-S", str(sleeper.__file__), *back])

    def _signalled(self, numbers: bytes) -> None:
        if any(number != signal.SIGHUP for number in numbers):
            self._stopping = True
            return
        settings = load(self.settings.data_dir)
        if settings is not None:
            self._settle(settings)

    def _settle(self, settings: Settings) -> None:
        """Makes the children those of the settings, without the nodes that a person took out."""
        self.settings = settings
        self._kind = choose_runtime(settings)
        apart(partial(write_identities, settings, self._kind))
        before, self._parts = self._parts, parts(settings, self._kind)
        states = read_states(settings)
        for name, part in self._parts.items():
            child = self._children.setdefault(name, Child(name, restart_at=self._clock.monotonic()))
            state = states.get(part.node.name) if part.node is not None else None
            if state in ("stopped", "killed"):
                self._end(child, signal.SIGKILL if state == "killed" else signal.SIGTERM)
            elif not child.wanted or child.problem:
                child.wanted, child.problem, child.pause = True, "", RESTART_FIRST
                if not child.pid:
                    child.restart_at = self._clock.monotonic()
            elif name in before and before[name].made_of != part.made_of and child.pid:
                os.kill(child.pid, signal.SIGTERM)  # and it starts again with what holds now
        for name in before.keys() - self._parts.keys():
            self._end(self._children[name], signal.SIGTERM)
        self._forget_removed()

    def _end(self, child: Child, number: signal.Signals) -> None:
        """Ends a child that is not wanted any more; `_ended` hears of it."""
        child.wanted, child.restart_at, child.ready = False, 0.0, ""
        if child.pid:
            os.kill(child.pid, number)
            child.kill_at = self._clock.monotonic() + STOP_SECONDS

    def _forget_removed(self) -> None:
        for name in [n for n, c in self._children.items() if n not in self._parts and not c.pid]:
            del self._children[name]

    def _start(self, child: Child) -> None:
        if not self._loaded:
            self._loaded = True
            preload()
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            self._leave_to_child()
            run_child(self.settings, self._parts[child.name], self._child_end, self._gate)
        child.pid = pid
        child.pidfd = os.pidfd_open(pid)
        child.started = self._clock.monotonic()
        child.restart_at = child.kill_at = 0.0
        child.ready = child.problem = ""
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
        child.pid, child.ready, child.kill_at = 0, "", 0.0
        if not child.wanted:
            log.info("%s has ended, as it should", child.name)
            self._forget_removed()
            return
        if code == UNUSABLE:
            self._read_reports()
            node = self._parts[child.name].node
            if node is not None and node.netns and self._report is None:
                return  # the others work on without it
            self._failed = True
            self._stopping = True
            return
        ran = self._clock.monotonic() - child.started
        child.pause = RESTART_FIRST if ran >= STABLE_SECONDS else min(child.pause * 2, RESTART_MAX)
        child.restart_at = self._clock.monotonic() + (0.0 if ran >= STABLE_SECONDS or not code else child.pause)
        child.restarts += 1
        log.warning("%s ended with code %s, starting it again in %.1f s", child.name, code, child.pause)

    def _next_due(self) -> float | None:
        due = [at for c in self._children.values() for at in (c.restart_at, c.kill_at) if at]
        return max(0.0, min(due) - self._clock.monotonic()) if due else None

    def _start_due(self) -> None:
        now = self._clock.monotonic()
        for child in self._children.values():
            if child.restart_at and child.restart_at <= now and not self._stopping:
                self._start(child)
            if child.pid and child.kill_at and child.kill_at <= now:
                log.warning("%s did not end in time and is killed", child.name)
                child.kill_at = 0.0
                os.kill(child.pid, signal.SIGKILL)

    def _read_reports(self) -> None:
        try:
            self._buffer += os.read(self._reports, 65536)
        except BlockingIOError:
            return
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            kind, name, text = msgspec.json.decode(line, type=tuple[str, str, str])
            child = self._children.get(name)
            if child is None:
                continue  # its node was taken out of the settings
            if kind == "ready":
                child.ready = text
                self._tell("step", text)
                if name == "apiserver" and not self._gate_open:
                    self._gate_open = True
                    os.close(self._gate_opener)
                if all(c.ready for c in self._children.values() if c.wanted):
                    self._tell("ready", self.settings.server)
                    self._report = None
            else:
                child.problem = text
                self._tell("error", f"{name}: {text}")

    def _tell(self, kind: str, text: str) -> None:
        log.info(text)
        if self._report is not None:
            try:
                print(msgspec.json.encode((kind, text)).decode(), file=self._report, flush=True)
            except BrokenPipeError:
                self._report = None

    def _stop_all(self) -> None:
        """Nodes and manager first, so that the last things they tell still arrive."""
        deadline = self._clock.monotonic() + STOP_SECONDS
        for rank in range(max(STOP_LAST.values()) + 1):
            ending = [c for c in self._children.values() if c.pid and STOP_LAST.get(c.name, 0) == rank]
            for child in ending:
                os.kill(child.pid, signal.SIGTERM)
            for child in ending:
                waiter = selectors.DefaultSelector()
                waiter.register(child.pidfd, selectors.EVENT_READ)
                if not waiter.select(max(0.1, deadline - self._clock.monotonic())):
                    log.warning("%s did not end in time and is killed", child.name)
                    os.kill(child.pid, signal.SIGKILL)
                os.waitpid(child.pid, 0)
                waiter.close()

    def _write_state(self) -> None:
        state = State(
            pid=os.getpid(),
            name=self.settings.name,
            server=self.settings.server,
            started=self._began,
            children=self._children,
        )
        fresh = self.settings.state_file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(state))
        fresh.rename(self.settings.state_file)


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


def main(argv: list[str]) -> int:
    """`python -m orlop.cluster.supervisor DATA_DIR REPORT_FD`: what `orlop up` starts in the background.

    With `--awake=FD` in place of REPORT_FD: what it was before it slept.
    """
    if argv[1:] and argv[1].startswith("--awake="):
        supervisor = Supervisor.awake(int(argv[1].partition("=")[2]))
        redirect(supervisor.settings, "supervisor")
        return supervisor.work()
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
