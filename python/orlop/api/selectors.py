"""Label and field selectors.

The grammar is apimachinery's pkg/labels and pkg/fields: `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
"""

import json
import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from orlop.api.types import meta_v1

Operator = Literal["=", "!=", "in", "notin", "exists", "!", ">", "<"]

NAME = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$")
PREFIX = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
MAX_NAME = 63
"""Longest label value and name part of a key (RFC 1123 label)."""
MAX_PREFIX = 253
"""Longest prefix of a key (RFC 1123 subdomain)."""

_TOKEN = re.compile(r"[ \t\r\n]*(?:(==|!=|=|!|,|\(|\)|<|>)|([^ \t\r\n,()=!<>\0]+))")
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")


class Requirement(NamedTuple):
    """One condition on one label."""

    key: str
    operator: Operator
    values: frozenset[str]

    def matches(self, labels: Mapping[str, str]) -> bool:
        present = self.key in labels
        if self.operator in ("=", "in"):
            return present and labels[self.key] in self.values
        if self.operator in ("!=", "notin"):
            return not present or labels[self.key] not in self.values
        if self.operator in (">", "<"):
            return present and self._compares(labels[self.key])
        return present if self.operator == "exists" else not present

    def _compares(self, value: str) -> bool:
        if not _INTEGER.match(value):
            return False
        bound = int(next(iter(self.values)))
        return int(value) > bound if self.operator == ">" else int(value) < bound

    def __str__(self) -> str:
        listed = ",".join(sorted(self.values))
        if not listed:
            # `in ()` would not be read again; one empty value is equality with it.
            return f"{self.key}{'!=' if self.operator in ('!=', 'notin') else '='}" if self.values else self._bare
        return {
            "=": f"{self.key}={listed}",
            "!=": f"{self.key}!={listed}",
            ">": f"{self.key}>{listed}",
            "<": f"{self.key}<{listed}",
            "in": f"{self.key} in ({listed})",
            "notin": f"{self.key} notin ({listed})",
        }[self.operator]

    @property
    def _bare(self) -> str:
        return f"!{self.key}" if self.operator == "!" else self.key


class LabelSelector(NamedTuple):
    """All requirements must hold. An empty selector matches everything; `nothing` matches none."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        if self.nothing:
            return False
        for requirement in self.requirements:  # noqa: SIM110 - asked for every pod of every write: a third of the time
            if not requirement.matches(labels):
                return False
        return True

    @property
    def empty(self) -> bool:
        return not self.requirements and not self.nothing

    def __str__(self) -> str:
        return ",".join(str(r) for r in self.requirements)


EVERYTHING = LabelSelector()
NOTHING = LabelSelector(nothing=True)


def key_errors(key: str) -> list[str]:
    """What is wrong with a label key, in upstream's words; empty when it is right."""
    prefix, _, name = key.rpartition("/")
    errors = []
    if key.count("/") > 1:
        return [
            "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with "
            "an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' "
            "(e.g. 'example.com/MyName')"
        ]
    if "/" in key:
        if not prefix:
            errors.append("prefix part must be non-empty")
        elif len(prefix) > MAX_PREFIX:
            errors.append(f"prefix part must be no more than {MAX_PREFIX} bytes")
        elif not PREFIX.match(prefix):
            errors.append(
                "prefix part a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' "
                "or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for "
                "validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            )
    if not name:
        errors.append("name part must be non-empty")
    elif len(name) > MAX_NAME:
        errors.append(f"name part must be no more than {MAX_NAME} bytes")
    if not NAME.match(name):
        errors.append(
            "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
            "'([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        )
    return errors


def value_errors(value: str) -> list[str]:
    """What is wrong with a label value, in upstream's words; empty when it is right."""
    errors = []
    if len(value) > MAX_NAME:
        errors.append(f"must be no more than {MAX_NAME} bytes")
    if value and not NAME.match(value):
        errors.append(
            "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must "
            "start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used "
            "for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
        )
    return errors


class _Tokens:
    """A label selector's text, token by token; "" is the end."""

    def __init__(self, text: str) -> None:
        self._tokens: list[tuple[str, bool]] = []
        position = 0
        while (match := _TOKEN.match(text, position)) is not None:
            self._tokens.append((match.group(1) or match.group(2), match.group(2) is not None))
            position = match.end()
        self._at = 0

    @property
    def next(self) -> str:
        return self._tokens[self._at][0] if self._at < len(self._tokens) else ""

    @property
    def is_word(self) -> bool:
        return self._at < len(self._tokens) and self._tokens[self._at][1]

    def take(self) -> str:
        text = self.next
        self._at += 1
        return text

    def take_value(self) -> str:
        """A word, or the empty value where there is none."""
        return self.take() if self.is_word else ""


def parse_labels(text: str) -> LabelSelector:
    """A selector from its text. Raises ValueError naming what could not be parsed, in upstream's words."""
    tokens = _Tokens(text)
    requirements: list[Requirement] = []
    while tokens.next:
        if not tokens.is_word and tokens.next != "!":
            raise ValueError(f"found '{tokens.next}', expected: !, identifier, or 'end of string'")
        try:
            requirements.append(_requirement(tokens))
        except ValueError as error:
            raise ValueError(f"unable to parse requirement: {error}") from None
        if not tokens.next:
            break
        if tokens.next != ",":
            raise ValueError(f"found '{tokens.next}', expected: ',' or 'end of string'")
        tokens.take()
        if not tokens.is_word and tokens.next != "!":
            raise ValueError(f"found '{tokens.next}', expected: identifier after ','")
    return LabelSelector(tuple(sorted(requirements, key=lambda r: (r.key, r.operator, sorted(r.values)))))


def _requirement(tokens: _Tokens) -> Requirement:
    absent = tokens.next == "!"
    if absent:
        tokens.take()
    if not tokens.is_word:
        raise ValueError(f"found '{tokens.next}', expected: identifier")
    key = tokens.take()
    if errors := key_errors(key):
        raise ValueError(f"<nil>: Invalid value: {_quoted(key)}: {'; '.join(errors)}")
    if absent:
        return Requirement(key, "!", frozenset())
    if tokens.next in ("", ","):
        return Requirement(key, "exists", frozenset())
    sign = tokens.take()
    if sign in ("in", "notin"):
        return _checked(key, "in" if sign == "in" else "notin", _values(tokens))
    if sign not in ("=", "==", "!=", "<", ">"):
        raise ValueError(f"found '{sign}', expected: in, notin, =, ==, !=, gt, lt")
    if not tokens.is_word and tokens.next not in ("", ","):
        raise ValueError(f"found '{tokens.next}', expected: identifier")
    value = tokens.take_value()
    if sign in ("<", ">"):
        if not _INTEGER.match(value):
            raise ValueError(
                f"values[0]: Invalid value: {_quoted(value)}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        return Requirement(key, ">" if sign == ">" else "<", frozenset([value]))
    return _checked(key, "!=" if sign == "!=" else "=", [value])


def _values(tokens: _Tokens) -> list[str]:
    if tokens.next != "(":
        raise ValueError(f"found '{tokens.next}' expected: '('")
    tokens.take()
    values = []
    while True:
        if not tokens.is_word and tokens.next not in (",", ")"):
            raise ValueError(f"found '{tokens.next}', expected: ',', ')' or identifier")
        values.append(tokens.take_value())
        separator = tokens.take()
        if separator == ")":
            return values
        if separator != ",":
            raise ValueError(f"found '{separator}', expected: ',' or ')'")


def _checked(key: str, operator: Operator, values: list[str]) -> Requirement:
    for i, value in enumerate(values):
        if errors := value_errors(value):
            raise ValueError(f"values[{i}][{key}]: Invalid value: {_quoted(value)}: {'; '.join(errors)}")
    return Requirement(key, operator, frozenset(values))


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


_STRUCT_OPERATORS: dict[str, Operator] = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


def from_struct(selector: meta_v1.LabelSelector | None) -> LabelSelector:
    """A LabelSelector of an object. None matches nothing, an empty one everything, as upstream."""
    if selector is None:
        return NOTHING
    requirements = [Requirement(k, "=", frozenset([v])) for k, v in selector.match_labels.items()]
    for expression in selector.match_expressions:
        operator = _STRUCT_OPERATORS.get(expression.operator)
        if operator is None:
            raise ValueError(f'"{expression.operator}" is not a valid label selector operator')
        requirements.append(Requirement(expression.key, operator, frozenset(expression.values)))
    return LabelSelector(tuple(sorted(requirements)))


def from_map(labels: Mapping[str, str]) -> LabelSelector:
    """All of `labels` must be there: Service selectors, ReplicationControllers."""
    return LabelSelector(tuple(sorted(Requirement(k, "=", frozenset([v])) for k, v in labels.items())))


def go_text(selector: meta_v1.LabelSelector | None) -> str:
    """A LabelSelector as Go's generated String() prints it: users know events and conditions by these words."""
    if selector is None:
        return "nil"
    labels = "".join(f"{name}: {value}," for name, value in sorted(selector.match_labels.items()))
    expressions = "".join(
        f"LabelSelectorRequirement{{Key:{e.key},Operator:{e.operator},Values:[{' '.join(e.values)}],}},"
        for e in selector.match_expressions
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{expressions}}},}}"
    )


class FieldSelector(NamedTuple):
    """Conditions `(field, equal, value)`, all of which must hold."""

    terms: tuple[tuple[str, bool, str], ...] = ()

    @property
    def fields(self) -> Iterable[str]:
        return (field for field, _, _ in self.terms)

    def matches(self, fields: Mapping[str, str]) -> bool:
        return all((fields.get(field, "") == value) == equal for field, equal, value in self.terms)

    def exact(self, field: str) -> str | None:
        """The value that `field` must equal, if one is asked for."""
        return next((value for f, equal, value in self.terms if f == field and equal), None)

    def __str__(self) -> str:
        return ",".join(f"{field}{'=' if equal else '!='}{escape(value)}" for field, equal, value in self.terms)


def escape(value: str) -> str:
    """A field value as it stands in a selector."""
    return value.replace("\\", "\\\\").replace(",", "\\,").replace("=", "\\=")


def parse_fields(text: str) -> FieldSelector:
    """A selector from its text. Raises ValueError in upstream's words."""
    terms = []
    for part in _split(text):
        if not part:
            continue
        at = min((i for i in (part.find("="), part.find("!=")) if i >= 0), default=-1)
        if at < 0:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        sign = next(s for s in ("!=", "==", "=") if part.startswith(s, at))
        field, value = part[:at], unescape(part[at + len(sign) :])
        if field or value:  # upstream reads `=` as no condition
            terms.append((field, sign != "!=", value))
    return FieldSelector(tuple(terms))


def _split(text: str) -> Iterable[str]:
    """The parts between commas that no backslash stands before."""
    start, escaped = 0, False
    for i, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == ",":
            yield text[start:i]
            start = i + 1
    yield text[start:]


def unescape(value: str) -> str:
    """A field value without its backslashes. Raises ValueError for one that stands before anything else."""
    if "\\" not in value and "=" not in value:
        return value
    out, rest = [], iter(value)
    for character in rest:
        if character == "=":
            raise ValueError("invalid field selector: unescaped character in value: =")
        if character == "\\":
            following = next(rest, "")
            if following not in ("\\", ",", "="):
                raise ValueError(f"invalid field selector: invalid escape sequence: \\{following}")
            character = following
        out.append(character)
    return "".join(out)
