"""Label and field selectors.

The grammar is apimachinery's pkg/labels and pkg/fields: `a=b,c!=d,e in (x,y),f notin (z),g,!h`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Literal, NamedTuple

from orlop.api.types import meta_v1

Operator = Literal["=", "!=", "in", "notin", "exists", "!"]

NAME = re.compile(r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$")
PREFIX = re.compile(r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$")
MAX_NAME = 63
"""Longest label value and name part of a key (RFC 1123 label)."""
MAX_PREFIX = 253
"""Longest prefix of a key (RFC 1123 subdomain)."""

_TOKEN = re.compile(r"\s*(?:(==|=|!=|!|,|\(|\))|([^\s,()=!]+))")


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
        return present if self.operator == "exists" else not present

    def __str__(self) -> str:
        listed = ",".join(sorted(self.values))
        return {
            "=": f"{self.key}={listed}",
            "!=": f"{self.key}!={listed}",
            "in": f"{self.key} in ({listed})",
            "notin": f"{self.key} notin ({listed})",
            "exists": self.key,
            "!": f"!{self.key}",
        }[self.operator]


class LabelSelector(NamedTuple):
    """All requirements must hold. An empty selector matches everything; `nothing` matches none."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        return not self.nothing and all(r.matches(labels) for r in self.requirements)

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
            "a qualified name must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
            "alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is "
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


def parse_labels(text: str) -> LabelSelector:
    """A selector from its text. Raises ValueError naming what could not be parsed."""
    tokens: list[tuple[str, bool]] = []
    position = 0
    stripped = text.rstrip()
    while position < len(stripped):
        match = _TOKEN.match(stripped, position)
        if match is None:
            raise ValueError(f"unable to parse requirement: found '{stripped[position:]}'")
        tokens.append((match.group(1) or match.group(2), match.group(2) is not None))
        position = match.end()
    if not tokens:
        return EVERYTHING
    requirements = []
    index = 0

    def peek() -> str:
        return tokens[index][0] if index < len(tokens) else ""

    def is_word() -> bool:
        return index < len(tokens) and tokens[index][1]

    while True:
        negated = peek() == "!"
        if negated:
            index += 1
        if not is_word():
            raise ValueError(
                f"unable to parse requirement: found '{peek()}', expected: !, identifier, or 'end of string'"
            )
        key = peek()
        index += 1
        operator: Operator
        values: set[str] = set()
        if negated:
            operator = "!"
        elif peek() in ("", ","):
            operator = "exists"
        elif peek() in ("=", "==", "!="):
            operator = "!=" if peek() == "!=" else "="
            index += 1
            if is_word():
                values.add(peek())
                index += 1
            else:
                values.add("")
        elif peek() in ("in", "notin"):
            operator = "in" if peek() == "in" else "notin"
            index += 1
            if peek() != "(":
                raise ValueError(f"unable to parse requirement: found '{peek()}' expected: '('")
            index += 1
            expect_value = True
            while peek() != ")":
                if is_word():
                    values.add(peek())
                    expect_value = False
                elif peek() == ",":
                    if expect_value:
                        values.add("")
                    expect_value = True
                else:
                    raise ValueError(f"unable to parse requirement: found '{peek()}', expected: ',', ')' or identifier")
                index += 1
            if expect_value:
                values.add("")
            index += 1
        else:
            raise ValueError(f"unable to parse requirement: found '{peek()}', expected: in, notin, =, ==, !=, gt, lt")
        for error in key_errors(key):
            raise ValueError(f'unable to parse requirement: <nil>: Invalid value: "{key}": {error}')
        for value in values:
            for error in value_errors(value):
                raise ValueError(f'unable to parse requirement: values[0][{key}]: Invalid value: "{value}": {error}')
        requirements.append(Requirement(key, operator, frozenset(values)))
        if index >= len(tokens):
            return LabelSelector(tuple(sorted(requirements)))
        if peek() != ",":
            raise ValueError(f"unable to parse requirement: found '{peek()}', expected: ',' or 'end of string'")
        index += 1
        if index >= len(tokens):
            raise ValueError("unable to parse requirement: found '', expected: identifier after ','")


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


_FIELD_TERM = re.compile(r"^((?:[^\\=!,]|\\.)+)(==|!=|=)((?:[^\\=,]|\\.)*)$")


def parse_fields(text: str) -> FieldSelector:
    """A selector from its text. Raises ValueError in upstream's words."""
    terms = []
    for part in re.split(r"(?<!\\),", text):
        if not part:
            continue
        match = _FIELD_TERM.match(part)
        if match is None:
            raise ValueError(f"invalid selector: '{text}'; can't understand '{part}'")
        terms.append((match.group(1).strip(), match.group(2) != "!=", re.sub(r"\\(.)", r"\1", match.group(3))))
    return FieldSelector(tuple(terms))
