"""What Go's encoding/json says of JSON that is not what was expected: clients' tests read these words."""

from typing import Any

_TYPES: dict[type, str] = {dict: "object", list: "array", str: "string", bool: "bool", int: "number", float: "number"}


def type_of(value: Any) -> str:
    """Go's name for the kind of a decoded JSON value."""
    return _TYPES.get(type(value), "null")


def character(data: bytes) -> str:
    """The first character of `data` that is no blank, quoted as Go quotes it in a syntax error."""
    first = data.lstrip(b" \t\r\n")[:1]
    code = first[0] if first else 0
    if first == b"'":
        return "'\\''"
    if 0x20 <= code < 0x7F:
        return f"'{chr(code)}'"
    return f"'\\x{code:02x}'" if code < 0x80 else f"'{chr(code)}'"


def malformed(data: bytes) -> str:
    """What is said of a text that is no JSON: of one that begins like some, that it ends too soon."""
    if data.lstrip(b" \t\r\n")[:1] in (b"", b"{", b"[", b'"'):
        return "unexpected end of JSON input"
    return f"invalid character {character(data)} looking for beginning of value"


def not_a_map(value: Any) -> str:
    """What is said of a body that should have been an object."""
    return f"json: cannot unmarshal {type_of(value)} into Go value of type map[string]interface {{}}"


def text(value: Any) -> str:
    """JSON as Go's `%+v` prints it: `map[a:1 b:[x y]]`, keys in order."""
    if isinstance(value, dict):
        return f"map[{' '.join(f'{key}:{text(value[key])}' for key in sorted(value))}]"
    if isinstance(value, list):
        return f"[{' '.join(map(text, value))}]"
    if value is None:
        return "<nil>"
    return str(value).lower() if isinstance(value, bool) else str(value)
