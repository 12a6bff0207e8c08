"""Commands in running containers, and attaching to their main process."""

import os
import signal
from contextlib import suppress

from orlop.clock import Clock, timeout
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import EXEC_SYNC_MAX_OUTPUT, ExecTimeout, RuntimeFailure
from orlop.kubelet.runtime.native.containers import Container
from orlop.kubelet.runtime.native.session import NativeSession, Once, Streams, pipe_in, pipe_out
from orlop.kubelet.runtime.native.shim import Conversation, Gone, connect


async def run(clock: Clock, container: Container, command: list[str], timeout_seconds: float | None) -> v.ExecResult:
    """A command to its end. Raises ExecTimeout."""
    output = {"stdout": bytearray(), "stderr": bytearray()}
    conversation, session = await _start(container, command, stdin=False, tty=False)
    async with session:
        try:
            async with timeout(clock, timeout_seconds):
                while (chunk := await session.read()) is not None:
                    kept = output[chunk[0]]
                    kept += chunk[1][: EXEC_SYNC_MAX_OUTPUT - len(kept)]
                code = await session.wait()
        except TimeoutError:
            with suppress(RuntimeFailure):
                conversation.send({"do": "signal", "signal": signal.SIGKILL.value})
            raise ExecTimeout(f"command {command!r} timed out after {timeout_seconds:g}s") from None
    return v.ExecResult(stdout=bytes(output["stdout"]), stderr=bytes(output["stderr"]), exit_code=code)


async def start(container: Container, command: list[str], *, stdin: bool, tty: bool) -> NativeSession:
    """A command with its streams."""
    return (await _start(container, command, stdin=stdin, tty=tty))[1]


async def _start(
    container: Container, command: list[str], *, stdin: bool, tty: bool
) -> tuple[Conversation, NativeSession]:
    container.need_running()
    conversation = connect(container.folder)
    streams = Streams(None, {})
    theirs: list[int] = []
    try:
        if not tty:
            if stdin:
                theirs_in, streams.stdin = pipe_in()
                theirs.append(theirs_in)
            else:
                theirs.append(os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC))
            for name in ("stdout", "stderr"):
                ours, other = pipe_out()
                streams.outputs["stdout" if name == "stdout" else "stderr"] = ours
                theirs.append(other)
        conversation.send({"do": "exec", "args": command, "tty": tty}, theirs)
        answer = await conversation.receive()
        if "error" in answer and "code" not in answer:
            raise RuntimeFailure(str(answer["error"]))
        if tty and (master := conversation.take_descriptor()) is not None:
            streams.outputs["stdout"] = master
            streams.terminal = os.dup(master)
            streams.stdin = os.dup(master) if stdin else None
    except BaseException:
        streams.close()
        conversation.close()
        raise
    finally:
        for fd in theirs:
            os.close(fd)
    if "error" in answer:  # a program that is not there is its own answer: as in a shell
        refused, code = str(answer["error"]), int(answer["code"])

        async def refusal() -> int:
            return code

        return conversation, NativeSession(streams, conversation, refusal, refused=refused)

    async def ended() -> int:
        while True:
            try:
                message = await conversation.receive()
            except Gone as error:
                raise RuntimeFailure(f"the command's end was not seen: {error}") from error
            if "exit" in message:
                return int(message["exit"]["code"])

    return conversation, NativeSession(streams, conversation, Once(ended))


async def attach(container: Container, *, stdin: bool) -> NativeSession:
    """The main process' streams, from now on."""
    container.need_running()
    config = container.record.config
    conversation = connect(container.folder)
    streams = Streams(None, {})
    theirs: list[int] = []
    try:
        ours, other = pipe_out()
        streams.outputs["stdout"] = ours
        theirs.append(other)
        if not config.tty:
            ours, other = pipe_out()
            streams.outputs["stderr"] = ours
            theirs.append(other)
        await conversation.ask({"do": "attach", "stdin": stdin}, theirs)
        given = conversation.take_descriptor()
        if config.tty:
            streams.terminal = given
            streams.stdin = os.dup(given) if stdin and given is not None else None
        elif stdin:
            streams.stdin = given
    except BaseException:
        streams.close()
        conversation.close()
        raise
    finally:
        for fd in theirs:
            os.close(fd)

    async def ended() -> int:
        return (await container.wait()).code

    def stdin_closed() -> None:
        with suppress(RuntimeFailure):
            conversation.send({"do": "closeStdin"})

    return NativeSession(streams, conversation, ended, stdin_closed)
