"""The border's contract: everything that `orlop._core` (Rust) gives to Python.

Written by hand, compared with the built module by tests/test_border.py. One section a room.
"""

__version__: str

# --- wire ---------------------------------------------------------------------------------------

class WireError(ValueError):
    """A body cannot be read as the type it should be. The message is worded as Kubernetes' own decoders word it."""

def wire_decode(type_key: str, media_name: str, body: bytes, /) -> tuple[bytes, list[str], list[str]]:
    """Read a body and settle it: canonical JSON, unknown fields, duplicate fields.

    Canonical JSON is what Go would marshal after unmarshalling into the type, with apiVersion and kind first, except that
    a nil list or map that Go writes as null is written empty. `media_name` is "json", "yaml" or "protobuf". Messages are
    Kubernetes': `unknown field "spec.replicsa"`. A type key that is not known ("" for instance) keeps every field.
    Raises WireError.
    """

def wire_peek(media_name: str, body: bytes, /) -> tuple[str, str]:
    """apiVersion and kind of a body, "" where not given. Raises WireError where the body is not of that media type."""

# --- hub ----------------------------------------------------------------------------------------

# --- sched --------------------------------------------------------------------------------------

# --- forward ------------------------------------------------------------------------------------
