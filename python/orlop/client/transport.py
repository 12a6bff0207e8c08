"""What the client asks of a connection. Two kinds exist: `tls.TLSTransport` and `asgi.ASGITransport`.

A transport moves bytes and knows nothing of Kubernetes, but for one thing: what keeps a request from being answered
at all is raised as `Unreachable`, so that callers handle one tree of errors.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import NamedTuple, Protocol

from orlop.api import errors


class Unreachable(errors.ServiceUnavailable):
    """No answer came: refused, reset, broken off, or a name that does not resolve.

    `sent` tells whether the server may have seen (and done) the request, `final` that trying again will not help (a
    certificate that is not trusted).
    """

    def __init__(self, message: str, *, sent: bool, final: bool = False) -> None:
        super().__init__(message)
        self.sent = sent
        self.final = final


class Response(NamedTuple):
    """A whole answer of any status. Header names are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Stream(Protocol):
    """An answer whose body is read as it comes."""

    @property
    def status(self) -> int: ...

    @property
    def headers(self) -> Mapping[str, str]: ...

    def chunks(self) -> AsyncIterator[bytes]:
        """The body's pieces as they arrive; raises Unreachable if it breaks off before its end."""
        ...

    async def read(self) -> bytes:
        """The rest of the body."""
        ...

    def abort(self, why: str) -> None:
        """Breaks the stream off from this side: who waits for a chunk gets Unreachable."""
        ...


class WebSocket(Protocol):
    """An open WebSocket of binary messages."""

    @property
    def protocol(self) -> str:
        """The subprotocol that the server chose, "" if none."""
        ...

    async def send(self, message: bytes) -> None:
        """Sends one binary message; raises Unreachable when the connection is gone."""
        ...

    async def receive(self) -> bytes | None:
        """The next message (text comes as UTF-8); None when the other side has closed."""
        ...

    async def close(self, code: int = 1000) -> None:
        """Closes from this side; harmless when already closed."""
        ...


class Transport(Protocol):
    """One identity's way to one API server. `target` is the path with its query, already encoded."""

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Sends and reads the whole answer. Raises Unreachable."""
        ...

    def stream(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Stream]:
        """Sends and gives the answer once its head is there; leaving the block ends the request at both ends."""
        ...

    def websocket(
        self, target: str, headers: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AbstractAsyncContextManager[WebSocket]:
        """Opens a WebSocket; a refusal is raised as the error that the server's answer stands for."""
        ...

    async def close(self) -> None:
        """Ends every connection and stream."""
        ...
