"""Commands in running containers."""

import os
import signal
from contextlib import suppress

from orlop.clock import Clock, timeout
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import EXEC_SYNC_MAX_OUTPUT, ExecTimeout, RuntimeFailure
from orlop.kubelet.runtime.docker.containers import Containers
from orlop.kubelet.runtime.docker.engine import Engine
from orlop.kubelet.runtime.docker.events import EventPump
from orlop.kubelet.runtime.docker.session import DockerSession


class Execs:
    """Starts commands and attaches to main processes."""

    def __init__(self, engine: Engine, containers: Containers, pump: EventPump, clock: Clock) -> None:
        self._engine = engine
        self._containers = containers
        self._pump = pump
        self._clock = clock

    async def run(self, container_id: str, command: list[str], timeout_seconds: float | None) -> v.ExecResult:
        """A command to its end. Raises ExecTimeout."""
        output = {"stdout": bytearray(), "stderr": bytearray()}
        exec_id = await self._create(container_id, command, stdin=False, tty=False)
        try:
            async with timeout(self._clock, timeout_seconds), await self._attach_exec(exec_id, tty=False) as session:
                while (chunk := await session.read()) is not None:
                    kept = output[chunk[0]]
                    kept += chunk[1][: EXEC_SYNC_MAX_OUTPUT - len(kept)]
                exit_code = await session.wait()
        except TimeoutError:
            await self._signal(exec_id, signal.SIGKILL)
            raise ExecTimeout(f"command {command!r} timed out after {timeout_seconds:g}s") from None
        return v.ExecResult(stdout=bytes(output["stdout"]), stderr=bytes(output["stderr"]), exit_code=exit_code)

    async def start(self, container_id: str, command: list[str], *, stdin: bool, tty: bool) -> DockerSession:
        """A command with its streams."""
        return await self._attach_exec(await self._create(container_id, command, stdin=stdin, tty=tty), tty)

    async def attach(self, container_id: str, *, stdin: bool) -> DockerSession:
        """The main process' streams."""
        found = await self._containers.inspect(container_id)
        if not found["State"]["Running"]:
            raise RuntimeFailure(f"container {container_id} is not running")
        connection = await self._engine.streams.open(
            "POST",
            f"/containers/{container_id}/attach",
            {"stream": "1", "stdin": str(int(stdin)), "stdout": "1", "stderr": "1"},
            upgrade=True,
        )

        async def exit_code() -> int:
            answer = await self._engine.streams.json("POST", f"/containers/{container_id}/wait")
            return int(answer["StatusCode"])

        async def resize(width: int, height: int) -> None:
            await self._engine.call(lambda api: api.resize(container_id, height, width))

        return DockerSession(connection, found["Config"]["Tty"], exit_code, resize)

    async def _create(self, container_id: str, command: list[str], *, stdin: bool, tty: bool) -> str:
        await self._containers.inspect(container_id)
        made = await self._engine.call(
            lambda api: api.exec_create(container_id, command, stdout=True, stderr=True, stdin=stdin, tty=tty)
        )
        return str(made["Id"])

    async def _attach_exec(self, exec_id: str, tty: bool) -> DockerSession:
        self._pump.watch_exec(exec_id)
        try:
            connection = await self._engine.streams.open(
                "POST", f"/exec/{exec_id}/start", body={"Detach": False, "Tty": tty}, upgrade=True
            )
        except BaseException:
            self._pump.forget_exec(exec_id)
            raise

        async def exit_code() -> int:
            while True:
                ended = self._pump.watch_exec(exec_id)
                state = await self._engine.call(lambda api: api.exec_inspect(exec_id))
                if not state["Running"] and state["ExitCode"] is not None:
                    return int(state["ExitCode"])
                await ended

        async def resize(width: int, height: int) -> None:
            await self._engine.call(lambda api: api.exec_resize(exec_id, height, width))

        async def closed() -> None:
            self._pump.forget_exec(exec_id)
            if not tty:
                return
            with suppress(RuntimeFailure):  # the container is gone, and everything in it
                await self._signal(exec_id, signal.SIGHUP)  # as a terminal that is hung up; the engine keeps it open

        return DockerSession(connection, tty, exit_code, resize, closed)

    async def _signal(self, exec_id: str, number: signal.Signals) -> None:
        """To a command that still runs. The engine has no verb for it; the process is one of this machine."""
        state = await self._engine.call(lambda api: api.exec_inspect(exec_id))
        if state["Running"] and state["Pid"] > 0:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(state["Pid"], number)
