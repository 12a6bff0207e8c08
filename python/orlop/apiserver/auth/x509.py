"""Identity from client certificates: the user is the common name, the groups are the organizations."""

import asyncio
import hashlib
import ssl
from typing import Any, NamedTuple

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
