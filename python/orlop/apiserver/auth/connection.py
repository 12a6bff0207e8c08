"""How a client's certificate reaches the app: once for each connection, in the ASGI scope's state."""

import asyncio
import ssl
from collections.abc import Callable

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orlop.apiserver.auth.x509 import PEER, peer_of
from orlop.clock import Clock
from orlop.pki import KeyPair

RENEWAL_INTERVAL = 24 * 3600.0
"""Seconds between looks at the serving certificate. It is renewed months before its end, so a day is soon enough."""


class IdentifyingProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, with the peer in the state of every scope (of WebSockets too)."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        who = peer_of(transport)
        if who is not None:
            self.app_state = {**self.app_state, PEER: who}


def server_context(certificate_file: str, key_file: str, client_ca_file: str) -> ssl.SSLContext:
    """A server's TLS: a client may show a certificate; one that the authority has not signed ends the handshake."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=client_ca_file)
    context.load_cert_chain(certificate_file, key_file)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


async def keep_fresh(context: ssl.SSLContext, serving: Callable[[], KeyPair], clock: Clock) -> None:
    """Gives new connections the renewed certificate, until cancelled. `serving` is `Folder.apiserver` for its names."""
    while True:
        await clock.sleep(RENEWAL_INTERVAL)
        pair = await asyncio.to_thread(serving)
        context.load_cert_chain(pair.certificate_file, pair.key_file)
