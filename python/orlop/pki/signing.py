"""The key that signs service account tokens: what kind of signature it makes, and its name."""

import hashlib
from base64 import urlsafe_b64encode
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes


class TokenKey(NamedTuple):
    """A private key, its algorithm (RFC 7518) and its id."""

    private: Any
    algorithm: str
    id: str


def load(pem: bytes) -> TokenKey:
    """The key in PEM (ECDSA P-256, P-384, P-521 or RSA). The libraries take 50 ms to import."""
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key: Any = load_pem_private_key(pem, None)
    algorithm = "RS256"
    if isinstance(key, EllipticCurvePrivateKey):
        algorithm = {256: "ES256", 384: "ES384", 521: "ES512"}[key.curve.key_size]
    return TokenKey(key, algorithm, key_id(key.public_key()))


def key_id(key: "PublicKeyTypes") -> str:
    """A key's name in tokens and in the key set: the SHA-256 of its DER, as upstream makes it."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return urlsafe_b64encode(hashlib.sha256(der).digest()).rstrip(b"=").decode()


def sign(key: TokenKey, claims: dict[str, Any]) -> str:
    """The JSON Web Token of the claims."""
    import jwt

    return jwt.encode(claims, key.private, key.algorithm, headers={"kid": key.id})
