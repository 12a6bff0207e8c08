"""Requests that ask to become something else: SPDY/3.1, WebSocket, whatever a proxied server speaks.

uvicorn's protocol knows WebSockets only, and would end them itself. Here such a request goes through the app like any
other; a handler that agrees takes the connection, bytes already read included, and HTTP has no more part in it.
"""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orlop.apiserver.request import Request

UPGRADE = "orlop.upgrade"
"""The key in scope["state"] under which a request's `Upgrade` stands."""
MAX_EARLY = 1 << 20
"""Bytes that a client may send before it has been answered. It should send none; reading stops, but what one read
brings, comes."""


class Upgrade:
    """A connection that asks to be upgraded."""

    def __init__(self, protocol: "UpgradingProtocol", name: str) -> None:
        self.name = name
        """What the client asks for, in lower case: `spdy/3.1`, `websocket`."""
        self._protocol = protocol

    def take(self) -> tuple[asyncio.Transport, bytes]:
        """The connection and what was read from it already; reading is paused. Raises ConnectionError when it is gone.

        The taker sets a protocol of its own, and writes the answer's head itself.
        """
        return self._protocol.hand_over()


def wanted(request: Request) -> Upgrade | None:
    """The request's wish to be upgraded, if it has one."""
    found: Upgrade | None = request.scope["state"].get(UPGRADE) if "state" in request.scope else None
    return found


class UpgradingProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, which parses no further than a request that asks for an upgrade."""

    _early: bytes | None = None
    """What came behind such a request; None before it."""

    def _should_upgrade(self) -> bool:
        return False  # uvicorn's own handling of WebSockets is not wanted

    def on_headers_complete(self) -> None:
        wanted = self._get_upgrade() if self.parser.should_upgrade() else None
        if wanted:
            self._early = b""
            self.scope["state"][UPGRADE] = Upgrade(self, wanted.decode("latin-1"))
        super().on_headers_complete()
        if wanted:
            self.cycle.keep_alive = False  # refused, the connection ends: the parser is past HTTP

    def data_received(self, data: bytes) -> None:
        if self._early is not None:
            self._more(data)
            return
        self._unset_keepalive_if_required()
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._early is None:  # CONNECT, or an Upgrade header that Connection does not name
                self.send_400_response("Unsupported upgrade request.")
            else:
                self._more(data[upgrade.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("Invalid HTTP request received.")

    def _more(self, data: bytes) -> None:
        assert self._early is not None
        self._early += data
        self.flow.pause_reading()
        if len(self._early) > MAX_EARLY:
            self.transport.abort()

    def hand_over(self) -> tuple[asyncio.Transport, bytes]:
        """See `Upgrade.take`."""
        cycle: Any = self.cycle
        if cycle.disconnected or self.transport.is_closing():
            raise ConnectionResetError("the client is gone")
        self.flow.pause_reading()
        self.connections.discard(self)
        cycle.disconnected = True  # for uvicorn: nothing more is sent or received here
        early, self._early = self._early or b"", None
        return self.transport, early
