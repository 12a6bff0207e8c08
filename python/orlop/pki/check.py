"""What TLS itself says of a certificate and its key, so that a process that only uses them need not know more.

`cryptography` costs a process 16 MiB; it makes certificates. To look at what is there, a client and a server in memory
shake hands with it: OpenSSL tells whether it accepts the pair, and whom it has seen.
"""

import ssl
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NamedTuple

from orlop.pki.identities import Identity, Names

RENEW_BEFORE = timedelta(days=90)
"""A certificate with less time left is renewed: a machine may be off for a season and still start."""
ROUNDS = 4
"""Turns of both ends that a handshake may take."""
_NO_CHECK_TIME = 0x200000
"""openssl/x509_vfy.h: the times are compared with our own clock."""


class Seen(NamedTuple):
    """What a certificate says."""

    subject: list[tuple[str, str]]
    names: Names
    begins: float
    ends: float
    """Seconds since 1970."""

    def lasts(self, now: float) -> bool:
        """Whether it is valid at `now` and not due for renewal."""
        return self.begins <= now < self.ends - RENEW_BEFORE.total_seconds()

    def identifies(self, identity: Identity) -> bool:
        """Whether it is for the user and the groups of `identity`."""
        groups = [("organizationName", group) for group in identity.groups]
        return self.subject == [*groups, ("commonName", identity.user)]

    def covers(self, names: Names) -> bool:
        """Whether it may serve under all of `names`."""
        return set(names.dns) <= set(self.names.dns) and set(names.addresses) <= set(self.names.addresses)


def authority(certificate: Path, key: Path) -> Seen | None:
    """An authority's certificate, if it can be used and `key` is its own."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_cert_chain(certificate, key, _no_password)
        context.load_verify_locations(certificate)
        [found, *_] = context.get_ca_certs()
    except (OSError, ValueError):
        return None
    return _seen(found)


def pair(certificate: Path, key: Path, authority: Path, *, serving: bool) -> Seen | None:
    """A certificate, if `key` is its own and `authority` has signed it for a server or for a client."""
    try:
        server = _context(ssl.PROTOCOL_TLS_SERVER, certificate, key, authority)
        client = _context(ssl.PROTOCOL_TLS_CLIENT, certificate, key, authority)
        (client if serving else server).verify_mode = ssl.CERT_REQUIRED
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
        checking, waiting = ends[0 if serving else 1], list(ends)
        for _ in range(ROUNDS):
            for end in list(waiting):
                try:
                    end.do_handshake()
                    waiting.remove(end)
                except ssl.SSLWantReadError:
                    pass
        found = checking.getpeercert() if not waiting else None
    except (OSError, ValueError):  # SSLError is an OSError
        return None
    return _seen(found) if found else None


def _context(side: int, certificate: Path, key: Path, authority: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(side)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | _NO_CHECK_TIME
    context.load_verify_locations(authority)
    context.load_cert_chain(certificate, key, _no_password)
    return context


def _no_password() -> str:
    """OpenSSL would ask at the terminal."""
    raise ValueError("the key has a password")


def _seen(found: Any) -> Seen:
    alternatives = found.get("subjectAltName", ())
    names = Names(
        tuple(name for kind, name in alternatives if kind == "DNS"),
        tuple(ip_address(text.strip()) for kind, text in alternatives if kind == "IP Address"),
    )
    return Seen(
        [pair for part in found["subject"] for pair in part],
        names,
        float(ssl.cert_time_to_seconds(found["notBefore"])),
        float(ssl.cert_time_to_seconds(found["notAfter"])),
    )
