"""JSON Patch (RFC 6902) as Kubernetes applies it.

The API server uses evanphx/json-patch v4, which departs from the RFC where clients have come to rely on it: an index
may count from the end, `replace` of a missing member adds it, `copy` of one makes null, a missing `value` is null, and
the text before a path's first slash is not looked at. No library does that, so it is written out here.
"""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.apiserver import gojson

MAX_OPERATIONS = 10_000
"""Operations of one JSON patch, as upstream."""

MALFORMED = "invalid JSON patch"
_GO_PATCH = "[]handlers.jsonPatchOp"
_GO_OPERATION = "handlers.jsonPatchOp"

Node = Any
"""A JSON value; where a path leads it is a dict or a list."""


MISSING = "missing value"


class DoesNotApply(Exception):
    """An operation cannot be done on this document: why, in the library's words."""


class TestFailed(DoesNotApply):
    """The document is not as a `test` would have it."""

    __test__ = False


def apply(current: bytes, patch: bytes) -> bytes:
    """What the patch makes of a document. Raises BadRequest, RequestEntityTooLarge, and Invalid where it does not
    apply."""
    asked = operations(patch)
    if not asked:
        return current
    try:
        return done(current, asked)
    except (DoesNotApply, RecursionError) as error:
        # Which operation failed upstream does not tell either.
        raise errors.ApiError(
            "the server rejected our request due to an error in our request",
            code=422,
            reason="Invalid",
            details=meta_v1.StatusDetails(),
        ) from error


def done(current: bytes, asked: list[dict[str, Any]]) -> bytes:
    """The document after these operations. Raises DoesNotApply, RecursionError."""
    document = msgspec.json.decode(current)
    for operation in asked:
        document = _done(document, operation)
    return msgspec.json.encode(document)


def operations(patch: bytes) -> list[dict[str, Any]]:
    """A patch's operations. Raises BadRequest, RequestEntityTooLarge."""
    try:
        found = msgspec.json.decode(patch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise errors.BadRequest(MALFORMED) from None
    if found is None:
        return []
    wrong = _GO_PATCH if not isinstance(found, list) else ""
    if not wrong and any(not isinstance(o, dict) and o is not None for o in found):
        found = next(o for o in found if not isinstance(o, dict) and o is not None)
        wrong = _GO_OPERATION
    if wrong:
        what = gojson.type_of(found)
        raise errors.BadRequest(f"error decoding patch: json: cannot unmarshal {what} into Go value of type {wrong}")
    for operation in found:
        for field in ("op", "path", "from"):
            value = (operation or {}).get(field)
            if value is not None and not isinstance(value, str):
                raise errors.BadRequest(
                    f"error decoding patch: json: cannot unmarshal {gojson.type_of(value)} into Go struct field "
                    f"jsonPatchOp.{field} of type string"
                )
    if len(found) > MAX_OPERATIONS:
        raise errors.RequestEntityTooLarge(
            f"Request entity too large: The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got "
            f"{len(found)}"
        )
    return [o or {} for o in found]


def _done(document: Node, operation: dict[str, Any]) -> Node:
    """The document after one operation."""
    op = operation.get("op")
    if op not in _OPERATIONS:
        raise DoesNotApply(f"Unexpected kind: {op or ''}")
    path = _path(operation, "path")
    value = operation.get("value")
    if op == "replace" and path == "":
        if not isinstance(value, dict | list):
            raise DoesNotApply
        return value
    if op in ("move", "copy"):
        from_path = _path(operation, "from")
        with _told(f"{op} operation does not apply: doc is missing from path: {from_path}: {MISSING}"):
            source, from_ = _place(document, from_path)
        with _told(f"error in {op} for path: '{from_path}'", more=True):
            value = _get(source, from_)
            if op == "move":
                _remove(source, from_)
            else:
                value = copy.deepcopy(value)
    with _told(_NO_PLACE[op].format(path)):
        place, key = _place(document, path)
    if op == "test":
        with _told(f"error in test for path: '{path}'", more=True):
            found = _get(place, key)
        if not _equal(found, value):
            raise TestFailed(f"testing value {path} failed: test failed")
    elif op == "replace":
        with _told(f"replace operation does not apply: doc is missing key: {path}: {MISSING}"):
            _get(place, key)
            _set(place, key, value)
    else:
        with _told(f"error in {op} for path: '{path}'", more=True):
            if op == "remove":
                _remove(place, key)
            else:
                _add(place, key, value)
    return document


_OPERATIONS = ("add", "remove", "replace", "move", "copy", "test")
_NO_PLACE = {
    "add": f'add operation does not apply: doc is missing path: "{{}}": {MISSING}',
    "remove": f'remove operation does not apply: doc is missing path: "{{}}": {MISSING}',
    "replace": f"replace operation does not apply: doc is missing path: {{}}: {MISSING}",
    "move": f"move operation does not apply: doc is missing destination path: {{}}: {MISSING}",
    "copy": f"copy operation does not apply: doc is missing destination path: {{}}: {MISSING}",
    "test": f"error in test for path: '{{}}': {MISSING}",
}


@contextmanager
def _told(words: str, *, more: bool = False) -> Iterator[None]:
    """Says of what does not apply within `words`; with `more`, and why behind them."""
    try:
        yield
    except DoesNotApply as error:
        raise DoesNotApply(f"{words}: {error}" if more else words) from None


def _path(operation: dict[str, Any], name: str) -> str:
    path = operation.get(name)
    if not isinstance(path, str):
        raise DoesNotApply
    return path


def _place(document: Node, path: str) -> tuple[Node, str]:
    """The dict or list that a path's last part is a key of."""
    _, *parts = (part.replace("~1", "/").replace("~0", "~") for part in path.split("/"))
    if not parts or not isinstance(document, dict | list):
        raise DoesNotApply
    for part in parts[:-1]:
        document = _get(document, part)
        if not isinstance(document, dict | list):
            raise DoesNotApply
    return document, parts[-1]


def _index(key: str, length: int) -> int:
    """An index of a list of this length, which may count from the end."""
    try:
        index = int(key) if key.isascii() and key.lstrip("+-").isdigit() else None
    except ValueError:
        index = None
    if index is None or not -length <= index < length:
        raise DoesNotApply(f"Unable to access invalid index: {key}: invalid index referenced")
    return index + length if index < 0 else index


def _get(place: Node, key: str) -> Node:
    return place.get(key) if isinstance(place, dict) else place[_index(key, len(place))]


def _set(place: Node, key: str, value: Node) -> None:
    if isinstance(place, dict):
        place[key] = value
    else:
        place[_index(key, len(place))] = value


def _add(place: Node, key: str, value: Node) -> None:
    if isinstance(place, dict):
        place[key] = value
    elif key == "-":
        place.append(value)
    else:
        place.insert(_index(key, len(place) + 1), value)


def _remove(place: Node, key: str) -> None:
    if isinstance(place, dict):
        if key not in place:
            raise DoesNotApply(f"Unable to remove nonexistent key: {key}: {MISSING}")
        del place[key]
    else:
        del place[_index(key, len(place))]


def _equal(one: Node, other: Node) -> bool:
    """Equality of JSON: `true` is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(v, other[k]) for k, v in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
