"""Termination messages: what a container says of its end."""

import asyncio
from pathlib import Path

from orlop.api.types import core_v1
from orlop.kubelet.runtime import values as v
from orlop.kubelet.services import Services

MAX_TERMINATION_MESSAGE = 4096
"""Bytes of a container's termination message (upstream: MaxContainerTerminationMessageLength)."""
MAX_LOG_LINES = 80
"""Lines of the log that stand in for a missing message with FallbackToLogsOnError."""
MAX_LOG_BYTES = 2048
"""Bytes of those lines."""


def termination_file(directory: Path, name: str, attempt: int) -> Path:
    """Where a container's termination message lies on the node."""
    return directory / "containers" / name / str(attempt)


async def termination_message(
    services: Services, pod: core_v1.Pod, container: core_v1.Container, status: v.ContainerStatus
) -> str:
    """What the container said when it ended: its message file, or the end of its log where that is asked for."""
    directory = services.volumes.pod_directory(pod.metadata.uid)
    file = termination_file(directory, container.name, status.metadata.attempt)

    def read() -> bytes:
        try:
            with file.open("rb") as stream:
                return stream.read(MAX_TERMINATION_MESSAGE)
        except OSError:
            return b""

    message = await asyncio.to_thread(read)
    fallback = container.termination_message_policy == "FallbackToLogsOnError" and status.exit_code != 0
    if not message and fallback:
        chunks = []
        async for chunk in services.runtime.logs(status.id, v.LogOptions(tail_lines=MAX_LOG_LINES)):
            chunks.append(chunk)
        message = b"".join(chunks)[-MAX_LOG_BYTES:]
    return message.decode(errors="replace")
