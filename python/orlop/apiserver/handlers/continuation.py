"""Continue tokens: where a list in pages goes on, in upstream's form (k8s.io/apiserver's pkg/storage/continue.go)."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from posixpath import normpath
from typing import NamedTuple

import msgspec

from orlop.api import errors
from orlop.apiserver import gojson

INCONSISTENT = -1
"""A token's revision that means: go on from the key, at whatever is there now."""


class Token(NamedTuple):
    """Where a list goes on: the revision of its first page and the last key given out.

    It is the same text as upstream's, `namespace/name` of all namespaces and `name` of one, and lists have the order of
    that text wherever they come from: pages from the store, whole lists and initial events of watches from the hub. So
    a token of one is good for the other.
    """

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
        if (illegal := _illegal_byte(text)) is not None:
            raise ValueError(f"illegal base64 data at input byte {illegal}")
        token = _parsed(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError as error:
        raise errors.BadRequest(f"{BAD_TOKEN}{error}") from None
    if token.v != TOKEN_VERSION:
        raise errors.BadRequest(f"{BAD_TOKEN}server does not recognize this encoded version {token.v}")
    if token.rv == 0:
        raise errors.BadRequest(f"{BAD_TOKEN}incorrect encoded start resourceVersion (version meta.k8s.io/v1)")
    if not token.start:
        raise errors.BadRequest(f"{BAD_TOKEN}encoded start key empty (version meta.k8s.io/v1)")
    path = "/" + token.start.removeprefix("/")
    if path.startswith("//") or normpath(path) != path:
        raise errors.BadRequest(f"{BAD_TOKEN}{token.start}")
    start = path[1:].rstrip("\0")
    if namespace:
        return Token(token.rv, namespace, start)
    first, slash, rest = start.partition("/")
    return Token(token.rv, first, rest) if slash else Token(token.rv, "", first)


def _parsed(data: bytes) -> _TokenJSON:
    """The JSON of a token; fields of wrong types are named as Go names them. Raises ValueError."""
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        if not data.strip():
            raise ValueError("unexpected end of JSON input") from None
        raise ValueError(f"invalid character {gojson.character(data)} looking for beginning of value") from None
    if tree is None:
        return _TokenJSON()
    if not isinstance(tree, dict):
        raise ValueError(f"json: cannot unmarshal {gojson.type_of(tree)} into Go value of type storage.continueToken")
    for name, type_ in (("v", str), ("rv", int), ("start", str)):
        value = tree.get(name)
        if value is not None and type(value) is not type_:
            go = "int64" if type_ is int else "string"
            what = f"number {value}" if type_ is int and isinstance(value, float) else gojson.type_of(value)
            raise ValueError(f"json: cannot unmarshal {what} into Go struct field continueToken.{name} of type {go}")
    return _TokenJSON(tree.get("v") or "", tree.get("rv") or 0, tree.get("start") or "")


_LEGAL = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def _illegal_byte(text: str) -> int | None:
    """Where base64 without padding breaks off, counted in bytes; None where it does not."""
    for i, character in enumerate(text):
        if character not in _LEGAL:
            return len(text[:i].encode())
    return len(text) - 1 if len(text) % 4 == 1 else None
