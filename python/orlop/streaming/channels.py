"""The channel protocol of exec and attach over WebSocket: the first byte of a message names its channel.

v4.channel.k8s.io and v5.channel.k8s.io (v5 adds closing of a channel), as apimachinery's pkg/util/remotecommand
states them.
"""

import msgspec

from orlop.api.types import meta_v1

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255

V5, V4 = "v5.channel.k8s.io", "v4.channel.k8s.io"
PROTOCOLS = (V5, V4)
"""What is spoken, best first."""


class TerminalSize(msgspec.Struct, rename="pascal"):
    """What a client sends on RESIZE."""

    width: int = 0
    height: int = 0


def resize_of(data: bytes) -> TerminalSize | None:
    """The size in a RESIZE message; None when it is not one."""
    try:
        return msgspec.json.decode(data, type=TerminalSize)
    except msgspec.MsgspecError:
        return None


def exit_status(code: int) -> bytes:
    """What ends a stream on ERROR: success, or the exit code as a cause."""
    if code == 0:
        status = meta_v1.Status(status="Success")
    else:
        status = meta_v1.Status(
            status="Failure",
            message=f"command terminated with non-zero exit code: exit status {code}",
            reason="NonZeroExitCode",
            details=meta_v1.StatusDetails(causes=[meta_v1.StatusCause(reason="ExitCode", message=str(code))]),
        )
    return msgspec.json.encode(status)


def failure(message: str) -> bytes:
    """What ends a stream on ERROR when the command could not be run at all."""
    status = meta_v1.Status(status="Failure", message=message, reason="InternalError", code=500)
    return msgspec.json.encode(status)
