"""Starts and stops a cluster's supervisor in the background."""

import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from orlop.clock import SystemClock
from orlop.cluster.settings import Settings, SettingsError
from orlop.cluster.supervisor import State, take_lock

START_SECONDS = 60.0
"""How long `up` waits for all components unless told otherwise."""
STOP_SECONDS = 30.0
"""How long `down` waits for the supervisor before it kills what is left."""


def running(settings: Settings) -> State | None:
    """What runs now; None if the cluster is down."""
    if not settings.state_file.parent.is_dir():
        return None
    lock = take_lock(settings)
    if lock is not None:
        lock.close()
        return None
    try:
        return msgspec.json.decode(settings.state_file.read_bytes(), type=State)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def start(settings: Settings, seconds: float = START_SECONDS) -> Iterator[tuple[str, str]]:
    """Starts the supervisor and yields its (kind, text) lines: step, ready, error. Ends after ready or error, which
    comes after `seconds` at the latest."""
    reader, writer = os.pipe()
    command = [sys.executable, "-m", "orlop.cluster.supervisor", str(settings.data_dir), str(writer)]
    settings.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (settings.logs / "supervisor.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=(writer,),
            start_new_session=True,
            cwd="/",
        )
    os.close(writer)
    yield from _lines(reader, process, settings, seconds)


def _lines(
    reader: int, process: "subprocess.Popen[bytes]", settings: Settings, seconds: float
) -> Iterator[tuple[str, str]]:
    clock = SystemClock()
    deadline = clock.monotonic() + seconds
    buffer = b""
    try:
        while True:
            left = deadline - clock.monotonic()
            if left <= 0 or not select.select([reader], [], [], left)[0]:
                yield "error", f"not ready after {seconds:g} s (--timeout); see {settings.logs}"
                return
            data = os.read(reader, 65536)
            if not data:
                code = process.wait()
                yield "error", f"the supervisor ended with code {code}; see {settings.logs / 'supervisor.log'}"
                return
            *lines, buffer = (buffer + data).split(b"\n")
            for line in lines:
                kind, text = msgspec.json.decode(line, type=tuple[str, str])
                yield kind, text
                if kind in ("ready", "error"):
                    return
    finally:
        os.close(reader)


def reload(settings: Settings) -> None:
    """Tells the supervisor to look at the settings and the nodes' states again. Raises SettingsError."""
    state = running(settings)
    if state is None:
        raise SettingsError(f"cluster {settings.name!r} does not run: orlop up starts it")
    _signal(state.pid, signal.SIGHUP)


def stop(settings: Settings) -> bool:
    """Ends the supervisor and its children; whatever does not end in time is killed. Whether anything ran."""
    state = running(settings)
    if state is None:
        return False
    pids = [state.pid, *(c.pid for c in state.children.values() if c.pid)]
    handles = []
    for pid in pids:
        try:
            handles.append((pid, os.pidfd_open(pid)))
        except ProcessLookupError:
            continue
    try:
        _signal(state.pid, signal.SIGTERM)
        clock = SystemClock()
        deadline = clock.monotonic() + STOP_SECONDS
        for pid, handle in handles:
            if not select.select([handle], [], [], max(0.0, deadline - clock.monotonic()))[0]:
                _signal(pid, signal.SIGKILL)
                select.select([handle], [], [], 5.0)
    finally:
        for _, handle in handles:
            os.close(handle)
    return True


def _signal(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
    except PermissionError as error:
        raise SettingsError(f"process {pid} belongs to another user: run this as that user, or as root") from error


def log_files(settings: Settings) -> dict[str, Path]:
    """The log file of each component."""
    return {path.stem: path for path in sorted(settings.logs.glob("*.log"))}
