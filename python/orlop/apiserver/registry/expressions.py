"""Whether expressions in CEL can run: what is wrong with them, in upstream's words."""

from collections.abc import Sequence
from typing import Literal

from orlop import native
from orlop.api.errors import FieldError, invalid_value
from orlop.api.types import admissionregistration_v1 as types

_WRITE: list[tuple[str, bytes | None]] = [
    (name, None) for name in ("object", "oldObject", "request", "namespaceObject")
]
"""What every expression about a write may speak of."""

_TOKENS = (
    "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}"
)
"""What upstream's parser calls the beginning of an expression."""
NOTHING = "compilation failed: ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting an expression"
"""What is wrong with no text at all."""

NOTHING = "compilation failed: ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting an expression"
"""What is wrong with no text at all."""

Wanted = Literal["bool", "string", "message", "object", "patches", "any"]


def check(
    text: str,
    path: str,
    wanted: Wanted,
    *,
    params: bool,
    authorizer: bool = True,
    variables: Sequence[types.Variable] | None = None,
) -> list[FieldError]:
    """What is wrong with an expression; one that is empty is told of elsewhere."""
    if not text.strip():
        return []
    documents = [*_WRITE, ("params", None)] if params else _WRITE
    known = None if variables is None else [(v.name, v.expression) for v in variables]
    wrong = native.cel_wrong(text, wanted, documents, authorizer, known)
    return [] if wrong is None else [invalid_value(path, text, wrong)]


def check_device(text: str, path: str) -> list[FieldError]:
    """What is wrong with an expression that chooses devices."""
    wrong = native.cel_wrong(text, "bool", [("device", None)], False, None) if text else NOTHING
    if wrong is None:
        return []
    wrong = wrong.replace("expecting an expression", f"expecting {_TOKENS}")
    return [invalid_value(path, text, wrong.replace("bool but got", "bool or the unknown type, not"))]
