"""Container logs from the engine's json-file driver, cut as PodLogOptions asks.

The engine gives each entry as one frame, its time in front where asked for. An entry without an end of line is part of
a longer line (the driver splits at 16 KiB): the time is shown only before the first part, as the kubelet does it.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from orlop.kubelet.runtime.docker.streams import STDERR, STDOUT, Frame, Streams
from orlop.kubelet.runtime.values import LogOptions


async def read(streams: Streams, container_id: str, tty: bool, options: LogOptions) -> AsyncGenerator[bytes, None]:
    """The log in chunks. Raises NotFound, RuntimeFailure."""
    left = options.limit_bytes
    if left is not None and left <= 0:
        return
    parts = _Parts() if options.timestamps and not tty else None
    path = f"/containers/{container_id}/logs"
    async with streams.opened("GET", path, _query(options)) as connection, aclosing(connection.output(tty)) as batches:
        async for batch in batches:
            chunk = b"".join(entry for _, entry in batch) if parts is None else parts.join(batch)
            if left is not None:
                chunk = chunk[:left]
                left -= len(chunk)
            yield chunk
            if left == 0:
                return


def _query(options: LogOptions) -> dict[str, str]:
    query = {
        "stdout": str(int(options.stream != "stderr")),
        "stderr": str(int(options.stream != "stdout")),
        "follow": str(int(options.follow)),
        "timestamps": str(int(options.timestamps)),
        "tail": "all" if options.tail_lines is None else str(options.tail_lines),
    }
    if options.since:
        seconds, rest = divmod(options.since, 1_000_000_000)
        query["since"] = f"{seconds}.{rest:09}"
    return query


class _Parts:
    """Drops the time before the later parts of a long line."""

    def __init__(self) -> None:
        self._within = {STDOUT: False, STDERR: False}

    def join(self, batch: list[Frame]) -> bytes:
        entries = []
        for stream, entry in batch:
            entries.append(entry.partition(b" ")[2] if self._within[stream] else entry)
            self._within[stream] = not entry.endswith(b"\n")
        return b"".join(entries)
