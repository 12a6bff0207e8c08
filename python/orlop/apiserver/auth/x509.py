"""Identity from client certificates: the user is the common name, the groups are the organizations."""

from collections.abc import Sequence
from typing import NamedTuple

from orlop.apiserver.auth.user import CREDENTIAL_ID, User, authenticated, extra

PEER = "orlop.peer"
"""The key in scope["state"] under which a connection's `Peer` stands."""


class Peer(NamedTuple):
    """Who a verified client certificate names."""

    user: User
    not_after: float
    """Seconds since 1970. A connection may outlive the certificate that it began with."""


def peer_of(common_name: str, organizations: Sequence[str], not_after: float, fingerprint: bytes) -> Peer:
    """The peer that a certificate names: its subject, its end (seconds since 1970) and its SHA-256."""
    credential = f"X509SHA256={bytes(fingerprint).hex()}"
    user = User(common_name, tuple(organizations), extra=extra({CREDENTIAL_ID: (credential,)}))
    return Peer(authenticated(user), not_after)
