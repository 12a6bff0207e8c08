"""How a client's certificate reaches the app: once for each connection, in the ASGI scope's state."""

import asyncio
import hashlib
import ssl
from typing import Any, NamedTuple

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from orlop.apiserver.auth.user import CREDENTIAL_ID, User, authenticated, extra

PEER = "orlop.peer"
"""The key in scope["state"] under which a connection's `Peer` stands."""


class Peer(NamedTuple):
    """Who a verified client certificate names."""

    user: User
    not_after: float
    """Seconds since 1970. A connection may outlive the certificate that it began with."""


def peer(certificate: dict[str, Any], encoded: bytes) -> Peer | None:
    """The peer of a certificate as `SSLObject.getpeercert` gives it and its DER; None where it has no common name."""
    name = ""
    groups: list[str] = []
    for part in certificate.get("subject", ()):
        for field, value in part:
            if field == "commonName":
                name = value
            elif field == "organizationName":
                groups.append(value)
    if not name:
        return None
    fingerprint = hashlib.sha256(encoded).hexdigest()
    user = User(name, tuple(groups), extra=extra({CREDENTIAL_ID: (f"X509SHA256={fingerprint}",)}))
    return Peer(authenticated(user), ssl.cert_time_to_seconds(certificate["notAfter"]))


def peer_of(transport: asyncio.BaseTransport) -> Peer | None:
    """Who is at the other end; None without TLS or without a client certificate."""
    tls = transport.get_extra_info("ssl_object")
    certificate = tls.getpeercert() if tls is not None else None
    return peer(certificate, tls.getpeercert(binary_form=True)) if certificate else None


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
