"""What a handler may give to the connection to write: a watch, or a list."""

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from orlop import native

CONNECTION = "orlop.connection"
"""The key in scope["state"] under which the connection's `Delivery` stands; missing where the handler must write."""

Form = Literal["json", "protobuf", "partial", "partial-protobuf"]
"""Of a watch's frames: as stored; protobuf; the metadata alone, in either."""


class Delivery(Protocol):
    """Streams that the connection writes by itself, between the answer's start and its empty last body.

    The answer must have no Content-Length: what is written here is not counted by the protocol.
    """

    async def watch(self, watcher: native.Watcher, form: Form, of: str, seconds: float) -> None:
        """Writes a watch's frames until it ends, the time is over, the client leaves or the server stops.

        `of` is the type key for "protobuf", the version of meta.k8s.io for "partial".
        """

    async def list(self, found: native.ListResult, before: bytes, after: bytes) -> None:
        """Writes a join: `before`, the objects with commas between them, `after`."""


def delivery_of(scope: Mapping[str, Any]) -> Delivery | None:
    """The connection of a request, if it can write by itself."""
    state = scope.get("state")
    found: Delivery | None = state.get(CONNECTION) if state else None
    return found
