"""The words of exec and attach: channels, protocol names, and the status that ends them.

As apimachinery's pkg/util/remotecommand and kubelet's remotecommand state them. Over SPDY the channels are streams of
their own; over WebSocket the first byte of a message names its channel.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from orlop.api.types import meta_v1

STDIN, STDOUT, STDERR, ERROR, RESIZE, CLOSE = 0, 1, 2, 3, 4, 255
"""Channels of a WebSocket; CLOSE, from v5 on, says that the channel named by the next byte has ended."""

V5, V4, V3, V2, V1 = (*(f"v{n}.channel.k8s.io" for n in (5, 4, 3, 2)), "channel.k8s.io")
V4_BASE64, V1_BASE64 = "v4.base64.channel.k8s.io", "base64.channel.k8s.io"
SPDY = (V5, V4, V3, V2, V1)
WEBSOCKET = (V5, V4, V1, V4_BASE64, V1_BASE64)
BASE64 = frozenset({V4_BASE64, V1_BASE64})
RESIZES = frozenset({V5, V4, V3})
"""SPDY protocols in which a terminal has a stream for its size."""
STATUSES = frozenset({V5, V4, V4_BASE64})
"""Protocols in which the end is a Status; before, a message where something failed and nothing otherwise."""


class Options(NamedTuple):
    """What a client wants of a command or container, as the kubelet's query says it."""

    stdin: bool
    stdout: bool
    stderr: bool
    tty: bool


class TerminalSize(msgspec.Struct, rename="pascal"):
    """A terminal's size in characters, as a client sends it."""

    width: int = 0
    height: int = 0


def resize_of(data: bytes) -> TerminalSize | None:
    """The size in a message; None when it is not one."""
    try:
        return msgspec.json.decode(data, type=TerminalSize)
    except msgspec.MsgspecError:
        return None


def negotiate(offered: Sequence[str], spoken: Sequence[str]) -> str | None:
    """The first of the client's protocols that is spoken here, which is the one it likes best."""
    return next((p for p in offered if p in spoken), None)


def success() -> meta_v1.Status:
    """What ends a stream on ERROR when all went well."""
    return meta_v1.Status(status="Success")


def exit_status(code: int) -> meta_v1.Status:
    """What ends a stream on ERROR after a command: success, or the exit code as a cause."""
    if code == 0:
        return success()
    return meta_v1.Status(
        status="Failure",
        message=f"command terminated with non-zero exit code: exit status {code}",
        reason="NonZeroExitCode",
        details=meta_v1.StatusDetails(causes=[meta_v1.StatusCause(reason="ExitCode", message=str(code))]),
    )


def failure(message: str) -> meta_v1.Status:
    """What ends a stream on ERROR when the command could not be run at all."""
    message = f"Internal error occurred: {message}"
    details = meta_v1.StatusDetails(causes=[meta_v1.StatusCause(message=message)])
    return meta_v1.Status(status="Failure", message=message, reason="InternalError", details=details, code=500)


def last_words(protocol: str, status: meta_v1.Status) -> bytes:
    """What is sent on ERROR for a status; empty where the protocol says nothing."""
    if protocol in STATUSES:
        return msgspec.json.encode(status)
    return b"" if status.status == "Success" else status.message.encode()
