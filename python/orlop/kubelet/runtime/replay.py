"""A session whose command has already ended."""

from collections import deque

from orlop.kubelet.runtime.values import ExecResult, LogStream


class ReplaySession:
    """Gives the outputs of a finished command as a `base.Session`; what is written to it goes nowhere."""

    def __init__(self, result: ExecResult) -> None:
        self._exit_code = result.exit_code
        outputs: list[tuple[LogStream, bytes]] = [("stdout", result.stdout), ("stderr", result.stderr)]
        self._chunks = deque(chunk for chunk in outputs if chunk[1])

    async def read(self) -> tuple[LogStream, bytes] | None:
        return self._chunks.popleft() if self._chunks else None

    async def write(self, data: bytes) -> None:
        return

    async def close_stdin(self) -> None:
        return

    async def resize(self, width: int, height: int) -> None:
        return

    async def wait(self) -> int:
        return self._exit_code

    async def close(self) -> None:
        self._chunks.clear()

    async def __aenter__(self) -> "ReplaySession":
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
