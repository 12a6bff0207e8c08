"""The patches: JSON Patch (RFC 6902), JSON merge patch (RFC 7386), strategic merge patch."""

import msgspec

from orlop import native
from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import gojson, jsonpatches
from orlop.apiserver.handlers import strictness

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
STRATEGIC_PATCH = "application/strategic-merge-patch+json"
APPLY_PATCH = "application/apply-patch+yaml"
SUPPORTED = (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH, APPLY_PATCH)

UNSUPPORTED = "415: Unsupported Media Type"
"""All that upstream's router says of a patch type that it does not know."""


def patch_type(content_type: str) -> str:
    """The kind of patch of a Content-Type. Raises UnsupportedMediaType."""
    name = content_type.partition(";")[0].strip().lower()
    if name not in SUPPORTED:
        raise errors.UnsupportedMediaType(UNSUPPORTED, details=meta_v1.StatusDetails())
    return name


def apply(kind: Kind, type_: str, current: bytes, patch: bytes) -> bytes:
    """What `patch` makes of the JSON `current`. Raises BadRequest for a malformed patch, Invalid for one that fails."""
    if type_ == JSON_PATCH:
        return jsonpatches.apply(current, patch)
    if not patch.lstrip(b" \t\r\n").startswith(b"{"):
        return _no_map(type_, current, patch)
    try:
        if type_ == MERGE_PATCH:
            return native.wire_json_merge(current, patch)
        return native.wire_strategic_merge(kind.type_key, current, patch)
    except native.WireError as error:
        message = str(error)
        if type_ == STRATEGIC_PATCH and any(words in message for words in _UNFORESEEN):
            raise errors.ApiError(message, code=500, reason="") from None
        raise errors.BadRequest(jsonpatches.MALFORMED if message in _MALFORMED else message) from None


def plain(kind: Kind, type_: str, current: bytes, patch: bytes, leave_spec: bool) -> tuple[bytes, bool] | None:
    """The object after a patch of which there is nothing to say, as `apply` and decoding give it, by reading no more
    than the patch names. None: take the long way.

    With `leave_spec` a spec that the patch does not name is left out, and the second value is true then.
    """
    if type_ == JSON_PATCH:
        return None
    return native.wire_patched(kind.type_key, type_ == STRATEGIC_PATCH, current, patch, leave_spec)


def shown(type_: str, patch: bytes, patched: bytes) -> str:
    """What a refusal of an object that was patched shows: a strategic patch as Go prints it, else the result's JSON."""
    return gojson.text(msgspec.json.decode(patch)) if type_ == STRATEGIC_PATCH else patched.decode(errors="replace")


_UNFORESEEN = (
    "does not contain declared merge key",
    "unknown patch type: ",
    "list element types are not identical",
    "but received a ",
)
"""What upstream's strategic merge finds and its server has no reason for: 500."""
_MALFORMED = ("Invalid JSON Patch", "invalid JSON document")


def _no_map(type_: str, current: bytes, patch: bytes) -> bytes:
    """What becomes of a patch that is no object: a strategic `null` changes nothing, anything else is refused."""
    try:
        value = msgspec.json.decode(patch)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise errors.BadRequest(jsonpatches.MALFORMED) from None
    if value is None:
        if type_ == STRATEGIC_PATCH:
            return current
        raise errors.BadRequest("Invalid JSON Patch")
    words = gojson.not_a_map(value)
    raise errors.BadRequest(words if type_ == STRATEGIC_PATCH else f"error decoding patch: {words}")


def duplicates(kind: Kind, type_: str, patch: bytes) -> list[str]:
    """The fields that a patch names twice, and those that are none of a JSON patch's operations: the patched object
    does not show them any more."""
    if type_ == JSON_PATCH:
        return strictness.of_operations(patch)
    try:
        return native.wire_decode(kind.type_key, "json", patch)[2]
    except native.WireError:
        return []  # directives are of other types than the fields they stand in
