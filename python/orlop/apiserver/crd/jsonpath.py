"""JSONPath as printer columns use it: k8s.io/client-go's util/jsonpath without ranges and several expressions."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

_NAME = re.compile(r"(?:\\.|[^.\[\]\s(){}'\"\\])+")
_FILTER = re.compile(r"\?\(\s*@((?:\.[^=!<>\s]+|\[[^\]]*\])*)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?))?\s*\)\s*\Z")
_SLICE = re.compile(r"(-?\d*)(?::(-?\d*))?(?::(-?\d*))?\Z")


class Field(NamedTuple):
    name: str


class Every(NamedTuple):
    """`[*]`, `.*`"""


class Descend(NamedTuple):
    """`..`"""


class Slice(NamedTuple):
    start: int | None
    end: int | None
    step: int | None
    one: bool


class Filter(NamedTuple):
    path: "tuple[Step, ...]"
    operator: str
    value: Any


Step = Field | Every | Descend | Slice | Filter


def parse(text: str) -> tuple[Step, ...]:
    """A path's steps. Raises ValueError for what is no path."""
    text = text.strip()
    if text.startswith("{") and text.endswith("}"):
        text = text[1:-1].strip()
    text = text.removeprefix("$").removeprefix("@")
    steps: list[Step] = []
    at = 0
    while at < len(text):
        if text.startswith("..", at):
            steps.append(Descend())
            at += 1
            if text[at + 1 : at + 2] == "[":
                at += 1
        elif text[at] == ".":
            at += 1
            if text[at : at + 1] == "*":
                steps.append(Every())
                at += 1
                continue
            match = _NAME.match(text, at)
            if match is None:
                if at >= len(text):
                    break  # a lone dot is the object itself
                raise ValueError(f"unexpected {text[at]!r} in a path")
            steps.append(Field(re.sub(r"\\(.)", r"\1", match[0])))
            at = match.end()
        elif text[at] == "[":
            end = _closing(text, at)
            steps.append(_bracket(text[at + 1 : end].strip()))
            at = end + 1
        else:
            raise ValueError(f"a path goes on with '.' or '[', not {text[at]!r}")
    return tuple(steps)


def _closing(text: str, start: int) -> int:
    quote, depth = "", 0
    for i in range(start, len(text)):
        c = text[i]
        if quote:
            quote = "" if c == quote and text[i - 1] != "\\" else quote
        elif c in "'\"":
            quote = c
        elif c == "[":
            depth += 1
        elif c == "]":
            depth -= 1
            if not depth:
                return i
    raise ValueError("unterminated array")


def _bracket(inner: str) -> Step:
    if inner == "*":
        return Every()
    if inner[:1] in ("'", '"'):
        if len(inner) < 2 or inner[-1] != inner[0]:
            raise ValueError("unterminated quoted string")
        return Field(inner[1:-1].replace("\\'", "'").replace("\\.", "."))
    if inner.startswith("?"):
        match = _FILTER.match(inner)
        if match is None:
            raise ValueError(f"unrecognized filter {inner!r}")
        return Filter(parse(match[1]), match[2] or "exists", _literal(match[3]) if match[3] else None)
    match = _SLICE.match(inner)
    if match is None or not inner:
        raise ValueError(f"invalid array index {inner}")
    start, end, step = (int(part) if part else None for part in match.groups())
    return Slice(start, end, step, ":" not in inner)


def _literal(text: str) -> Any:
    if text[:1] in ("'", '"') and text[-1:] == text[:1]:
        return text[1:-1]
    if text in ("true", "false"):
        return text == "true"
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        raise ValueError(f"unrecognized value {text!r} in a filter") from None


def find(steps: tuple[Step, ...], tree: Any) -> list[Any]:
    """What stands there; nothing where a field is missing."""
    values = [tree]
    for step in steps:
        values = [found for value in values for found in _take(step, value)]
    return values


def _take(step: Step, value: Any) -> Iterator[Any]:
    match step:
        case Field(name):
            if isinstance(value, dict) and name in value:
                yield value[name]
        case Every():
            yield from value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        case Descend():
            yield from _below(value)
        case Slice(start, end, gap, one):
            if isinstance(value, list):
                if not one:
                    yield from value[start:end:gap]
                elif start is not None and -len(value) <= start < len(value):
                    yield value[start]
        case Filter(path, operator, wanted):
            if isinstance(value, list):
                yield from (item for item in value if _holds(find(path, item), operator, wanted))


def _below(value: Any) -> Iterator[Any]:
    yield value
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _below(child)


def _holds(found: list[Any], operator: str, wanted: Any) -> bool:
    if operator == "exists":
        return bool(found)
    if not found:
        return False
    value = found[0]
    if operator == "==":
        return bool(value == wanted)
    if operator == "!=":
        return bool(value != wanted)
    if isinstance(value, str) != isinstance(wanted, str):
        return False
    try:
        order = int(value > wanted) - int(value < wanted)
    except TypeError:
        return False
    return {"<": order < 0, ">": order > 0, "<=": order <= 0, ">=": order >= 0}[operator]
