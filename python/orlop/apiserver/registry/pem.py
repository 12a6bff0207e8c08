"""PEM texts of certificates and requests, and what is said of wrong ones in Go's words."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_BLOCK = re.compile(
    rb"-----BEGIN ([^\n-]+)-----[ \t]*\r?\n((?:[^\n:-]+:[^\n]*\n)*)\s*([A-Za-z0-9+/=\s]*)-----END \1-----"
)


class Block(NamedTuple):
    """One PEM block."""

    kind: str
    headers: bool
    text: bytes


def blocks(data: bytes) -> Iterator[Block]:
    """The blocks of a text; what stands around them is passed over."""
    for match in _BLOCK.finditer(data):
        yield Block(match.group(1).decode("utf-8", "replace"), bool(match.group(2)), match.group(0))


def request(data: bytes) -> str:
    """What is wrong with a certificate request; nothing when it is right."""
    first = next(blocks(data), None)
    if first is None or first.kind != "CERTIFICATE REQUEST":
        return "PEM block type must be CERTIFICATE REQUEST"
    from cryptography import x509  # here: it costs the server 16 MiB, and few clusters ask for certificates

    try:
        found = x509.load_pem_x509_csr(first.text)
        return "" if found.is_signature_valid else "x509: signature verification failed"
    except ValueError as error:
        return str(error)


def is_request(data: bytes) -> bool:
    """Whether it is a certificate request in DER, signed by anybody."""
    from cryptography import x509

    try:
        x509.load_der_x509_csr(data)
    except ValueError:
        return False
    return True


def certificates(data: bytes) -> str:
    """What is wrong with an issued certificate and its chain; nothing when it is right or not there."""
    if not data:
        return ""
    found = False
    for block in blocks(data):
        found = True
        if block.kind != "CERTIFICATE":
            return f'only CERTIFICATE PEM blocks are allowed, found "{block.kind}"'
        if block.headers:
            return "no PEM block headers are permitted"
        if not _parses(block.text):
            return "x509: malformed certificate"
    return "" if found else "must contain at least one CERTIFICATE PEM block"


def chain(text: str) -> str:
    """What is wrong with the chain of a pod's certificate."""
    listed = list(blocks(text.encode()))
    if not listed:
        return "issued certificate chain must contain at least one certificate"
    if listed[0].kind != "CERTIFICATE":
        return "issued certificate chain must consist entirely of CERTIFICATE PEM blocks"
    if not _parses(listed[0].text):
        return "leaf certificate does not parse as valid X.509"
    for block in listed[1:]:
        if block.kind != "CERTIFICATE":
            return "issued certificate chain must consist entirely of CERTFICATE PEM blocks"
        if not _parses(block.text):
            return "intermediate certificate does not parse as valid X.509"
    return ""


def trust_anchors(text: str) -> list[str]:
    """What is wrong with a bundle of roots."""
    from cryptography import x509

    wrong: list[str] = []
    places: dict[bytes, list[int]] = {}
    for i, block in enumerate(blocks(text.encode())):
        if block.kind != "CERTIFICATE":
            wrong.append(f"entry {i} has bad block type: {block.kind}")
            continue
        if block.headers:
            wrong.append(f"entry {i} has PEM block headers")
            continue
        try:
            found = x509.load_pem_x509_certificate(block.text)
        except ValueError:
            wrong.append(f"entry {i} does not parse as X.509")
            continue
        try:
            authority = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (x509.ExtensionNotFound, ValueError):
            authority = False
        if not authority:
            wrong.append(f"entry {i} does not have the CA bit set")
            continue
        places.setdefault(found.tbs_certificate_bytes + found.signature, []).append(i)
    if wrong:
        return wrong
    if not places:
        return ["at least one trust anchor must be provided"]
    return [
        f"duplicate trust anchor (indices [{' '.join(map(str, indices))}])"
        for indices in places.values()
        if len(indices) > 1
    ]


def _parses(text: bytes) -> bool:
    from cryptography import x509

    try:
        x509.load_pem_x509_certificate(text)
    except ValueError:
        return False
    return True
