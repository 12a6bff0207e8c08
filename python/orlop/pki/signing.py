"""Signatures of tokens (RFC 7515): by the core for the key that a cluster makes, by a library for any other.

The library and what it stands on take a server 16 MiB, so it is loaded where somebody has brought a key of their own.
"""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, Protocol

import msgspec

from orlop.native import Es256Key

SPKI_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d030107034200")
"""What stands before a P-256 point in a SubjectPublicKeyInfo (RFC 5480)."""
COORDINATE = 32
"""Bytes of a P-256 point's x and of its y."""


class Signer(Protocol):
    """One private key."""

    algorithm: str
    """Its name in tokens (RFC 7518)."""
    key_id: str
    """The key's name in tokens and in the key set: the SHA-256 of its DER, as upstream makes it."""

    def sign(self, claims: dict[str, Any]) -> str:
        """A token that says so."""
        ...

    def verify(self, token: str) -> bytes | None:
        """What a token says (JSON); None where this key did not sign it."""
        ...

    def public(self) -> dict[str, str]:
        """The public key's own members in a key set (RFC 7517)."""
        ...


def load(pem: bytes) -> Signer:
    """The signer of a private key in PEM: ECDSA P-256, P-384, P-521 or RSA. Raises ValueError."""
    try:
        return _Core(Es256Key(pem))
    except ValueError:
        return _Library(pem)


class _Core:
    algorithm = "ES256"

    def __init__(self, key: Es256Key) -> None:
        self._key = key
        self.key_id = _key_id(SPKI_P256 + key.public)
        self._head = _text(msgspec.json.encode({"alg": self.algorithm, "kid": self.key_id, "typ": "JWT"}))

    def sign(self, claims: dict[str, Any]) -> str:
        said = f"{self._head}.{_text(msgspec.json.encode(claims))}"
        return f"{said}.{_text(self._key.sign(said.encode()))}"

    def verify(self, token: str) -> bytes | None:
        said, _, signature = token.rpartition(".")
        head, _, claims = said.partition(".")
        try:
            told = msgspec.json.decode(_bytes(head), type=_Head)
            if told.alg != self.algorithm or told.crit or told.kid not in ("", self.key_id):
                return None
            return _bytes(claims) if self._key.verify(said.encode(), _bytes(signature)) else None
        except ValueError:  # not base64, not JSON, not ASCII
            return None

    def public(self) -> dict[str, str]:
        x, y = self._key.public[1 : 1 + COORDINATE], self._key.public[1 + COORDINATE :]
        return {"kty": "EC", "crv": "P-256", "x": _text(x), "y": _text(y)}


class _Head(msgspec.Struct):
    alg: str = ""
    kid: str = ""
    crit: list[str] = []
    """Extensions that who reads it must know (RFC 7515, 4.1.11): we know none."""


class _Library:
    def __init__(self, pem: bytes) -> None:
        from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

        self._key: Any = load_pem_private_key(pem, None)
        self.algorithm = "RS256"
        if isinstance(self._key, EllipticCurvePrivateKey):
            self.algorithm = {256: "ES256", 384: "ES384", 521: "ES512"}[self._key.curve.key_size]
        der = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.key_id = _key_id(der)

    def sign(self, claims: dict[str, Any]) -> str:
        import jwt

        return jwt.encode(claims, self._key, self.algorithm, headers={"kid": self.key_id})

    def verify(self, token: str) -> bytes | None:
        import jwt

        try:
            told = jwt.PyJWS().decode_complete(token, self._key.public_key(), algorithms=[self.algorithm])
        except jwt.PyJWTError:
            return None
        return told["payload"] if told["header"].get("kid", self.key_id) == self.key_id else None

    def public(self) -> dict[str, str]:
        import jwt

        found = jwt.get_algorithm_by_name(self.algorithm).to_jwk(self._key.public_key(), as_dict=True)
        return {name: value for name, value in found.items() if name != "key_ops"}


def _key_id(der: bytes) -> str:
    return _text(hashlib.sha256(der).digest())


def _text(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))
