"""Continue tokens: where a list in pages goes on, in upstream's form (k8s.io/apiserver's pkg/storage/continue.go)."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import NamedTuple

import msgspec

from orlop.api import errors

INCONSISTENT = -1
"""A token's revision that means: go on from the key, at whatever is there now."""


class Token(NamedTuple):
    """Where a list goes on: the revision of its first page and the last key given out."""

    revision: int
    namespace: str
    name: str


class _TokenJSON(msgspec.Struct):
    v: str = ""
    rv: int = 0
    start: str = ""


TOKEN_VERSION = "meta.k8s.io/v1"
BAD_TOKEN = "invalid continue token: continue key is not valid: "


def encode_token(token: Token, namespace: str | None) -> str:
    """A continue token as upstream makes it; `namespace` is what the list is limited to."""
    start = token.name if namespace or not token.namespace else f"{token.namespace}/{token.name}"
    text = msgspec.json.encode(_TokenJSON(TOKEN_VERSION, token.revision, start + "\0"))
    return urlsafe_b64encode(text).rstrip(b"=").decode()


def decode_token(text: str, namespace: str | None) -> Token:
    """What a continue token says. Raises BadRequest in upstream's words."""
    try:
        data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise errors.BadRequest(f"{BAD_TOKEN}illegal base64 data at input byte {_illegal_byte(text)}") from None
    try:
        token = msgspec.json.decode(data, type=_TokenJSON)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise errors.BadRequest(f"{BAD_TOKEN}{error}") from None
    if token.v != TOKEN_VERSION:
        raise errors.BadRequest(f'{BAD_TOKEN}server does not recognize this encoded version "{token.v}"')
    if token.rv == 0:
        raise errors.BadRequest(f"{BAD_TOKEN}incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not token.start:
        raise errors.BadRequest(f"{BAD_TOKEN}encoded start key empty (version meta.k8s.io/v1)")
    start = token.start.rstrip("\0")
    if ".." in start.split("/"):
        raise errors.BadRequest(f"{BAD_TOKEN}{token.start}")
    if namespace:
        return Token(token.rv, namespace, start)
    first, slash, rest = start.partition("/")
    return Token(token.rv, first, rest) if slash else Token(token.rv, "", first)


def _illegal_byte(text: str) -> int:
    legal = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return next((i for i, c in enumerate(text) if c not in legal), len(text) // 4 * 4)
