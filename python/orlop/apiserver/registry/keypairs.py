"""Whether a certificate and a key belong together, in the words of Go's tls.X509KeyPair: advice on TLS secrets."""

import re

_BLOCK = re.compile(rb"-----BEGIN ([^-\n]+)-----\s.*?-----END \1-----", re.DOTALL)


def mismatch(certificate: bytes, key: bytes) -> str:
    """What is wrong with the pair; nothing when it is right."""
    kinds = [m.group(1).decode("utf-8", "replace") for m in _BLOCK.finditer(certificate)]
    if "CERTIFICATE" not in kinds:
        return _no_certificate(kinds)
    kinds = [m.group(1).decode("utf-8", "replace") for m in _BLOCK.finditer(key)]
    if not any(kind == "PRIVATE KEY" or kind.endswith(" PRIVATE KEY") for kind in kinds):
        return _no_key(kinds)
    from cryptography import x509  # here: it costs the server 16 MiB
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        public = x509.load_pem_x509_certificate(certificate).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return "x509: malformed certificate"
    try:
        private = load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return "tls: failed to parse private key"
    theirs = private.public_key()
    if type(theirs) is not type(public):
        return "tls: private key type does not match public key type"
    return "" if theirs == public else "tls: private key does not match public key"


def _no_certificate(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in certificate input"
    if len(kinds) == 1 and kinds[0].endswith("PRIVATE KEY"):
        return (
            "tls: failed to find certificate PEM data in certificate input, but did find a private key; "
            "PEM inputs may have been switched"
        )
    listed = " ".join(kinds)
    return (
        'tls: failed to find "CERTIFICATE" PEM block in certificate input after skipping PEM blocks of the following '
        f"types: [{listed}]"
    )


def _no_key(kinds: list[str]) -> str:
    if not kinds:
        return "tls: failed to find any PEM data in key input"
    if kinds == ["CERTIFICATE"]:
        return "tls: found a certificate rather than a key in the PEM for the private key"
    listed = " ".join(kinds)
    return (
        'tls: failed to find PEM block with type ending in "PRIVATE KEY" in key input after skipping PEM blocks of the '
        f"following types: [{listed}]"
    )
