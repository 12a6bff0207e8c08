"""Equal parts of many objects kept once: the labels and tolerations of a thousand pods of one template are the same.

For projections that informers cache: what a cache hands out is only read, so its objects may have parts in common. Call
`share` for such a part in `__post_init__`, which runs when an object has been decoded.
"""

import sys
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")

MAX_KNOWN = 8192
"""Parts that are remembered. When there are more all are forgotten: what is in use stays, and is found again."""

_encode = msgspec.json.Encoder().encode
_known: dict[tuple[type, bytes], Any] = {}
_empty: dict[type, Any] = {}


def share(part: T) -> T:
    """A part that equals this one; of all that are given the first."""
    if not part:  # most parts of most objects
        nothing: T = _empty.setdefault(type(part), part)
        return nothing
    key = (type(part), _encode(part))
    found: T | None = _known.get(key)
    if found is None:
        if len(_known) >= MAX_KNOWN:
            _known.clear()
        found = _known[key] = _inner(part)
    return found


def _inner(part: Any) -> Any:
    """The part, with its own parts shared."""
    match part:
        case str():
            return sys.intern(part)
        case list():
            return [share(each) for each in part]
        case dict():
            return {sys.intern(key): share(value) for key, value in part.items()}
        case msgspec.Struct():
            for name in part.__struct_fields__:
                value = getattr(part, name)
                if isinstance(value, str | list | dict | msgspec.Struct):
                    setattr(part, name, share(value))
    return part
