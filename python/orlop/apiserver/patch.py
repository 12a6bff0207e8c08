"""The patches: JSON Patch (RFC 6902), JSON merge patch (RFC 7386), strategic merge patch."""

from typing import Any

import jsonpatch
import jsonpointer
import msgspec

from orlop import native
from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
SUPPORTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)

MAX_OPERATIONS = 10_000
"""Operations of one JSON patch, as upstream."""


def patch_type(content_type: str) -> str:
    """The kind of patch of a Content-Type. Raises UnsupportedMediaType naming what is supported."""
    name = content_type.partition(";")[0].strip().lower()
    if name not in SUPPORTED:
        raise errors.UnsupportedMediaType(
            f"the body of the request was in an unknown format - accepted media types include: {', '.join(SUPPORTED)}"
        )
    return name


def apply(kind: Kind, type_: str, current: bytes, patch: bytes) -> bytes:
    """What `patch` makes of the JSON `current`. Raises BadRequest for a malformed patch, Invalid for one that fails."""
    if type_ == JSON_PATCH:
        return _json_patch(current, patch)
    try:
        if type_ == MERGE_PATCH:
            return native.wire_json_merge(current, patch)
        return native.wire_strategic_merge(kind.type_key, current, patch)
    except native.WireError as error:
        raise errors.BadRequest(str(error)) from None


def shown(type_: str, patch: bytes, patched: bytes) -> str:
    """What a refusal of an object that was patched shows: a strategic patch as Go prints it, else the result's JSON."""
    return go_text(msgspec.json.decode(patch)) if type_ == STRATEGIC_PATCH else patched.decode()


def go_text(value: Any) -> str:
    """JSON as Go's `%+v` prints it: `map[a:1 b:[x y]]`, keys in order."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{go_text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(go_text, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _json_patch(current: bytes, patch: bytes) -> bytes:
    try:
        operations = msgspec.json.decode(patch)
    except msgspec.DecodeError as error:
        raise errors.BadRequest(f"error decoding patch: {error}") from None
    if not isinstance(operations, list) or any(not isinstance(o, dict) for o in operations):
        raise errors.BadRequest(
            f"error decoding patch: json: cannot unmarshal {_go_type(operations)} into Go value of type jsonpatch.Patch"
        )
    if len(operations) > MAX_OPERATIONS:
        raise errors.RequestEntityTooLarge(
            f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        )
    try:
        result = jsonpatch.apply_patch(msgspec.json.decode(current), operations)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, KeyError, IndexError, TypeError) as error:
        raise _refused() from error
    return msgspec.json.encode(result)


def _refused() -> errors.ApiError:
    """What upstream says of a JSON patch that does not apply; which operation failed it does not tell."""
    return errors.ApiError(
        "the server rejected our request due to an error in our request",
        code=422,
        reason="Invalid",
        details=meta_v1.StatusDetails(),
    )


def _go_type(value: Any) -> str:
    return {dict: "object", str: "string", bool: "bool", int: "number", float: "number", list: "array"}.get(
        type(value), "null"
    )
