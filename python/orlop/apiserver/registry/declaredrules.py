"""The rules that types' declarations consist of: apimachinery's pkg/api/validate."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from orlop.api import selectors
from orlop.api.errors import (
    IMMUTABLE,
    FieldError,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_long,
    too_many,
)
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import duplicates

MAX_POOL, MAX_PREFIX, MAX_ID = 253, 63, 32
UUID_WORDS = "must be a lowercase UUID in 8-4-4-4-12 format"
C_WORDS = (
    "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric characters "
    "or '_' (e.g. 'my_name',  or 'MY_NAME',  or 'MyName', regex used for validation is '[A-Za-z_][A-Za-z0-9_]*')"
)
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_C = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Look = Callable[[Any, Any, str, bool], list[FieldError]]


class Rule(NamedTuple):
    """One rule: (value, value before, path, whether this is an update) → what is wrong."""

    look: Look
    of_changes: bool = False
    """Whether it says something of values that are not there, too."""

    def __call__(self, value: Any, before: Any, path: str, update: bool) -> list[FieldError]:
        return self.look(value, before, path, update)


class Mode(NamedTuple):
    """A field that belongs to some words of another."""

    attribute: str
    json: str
    discriminator: str
    needed: Mapping[str, bool]
    """The words, and whether the field must be there with them."""

    def __call__(self, new: Any, old: Any, start: str) -> list[FieldError]:
        value, word = getattr(new, self.attribute), getattr(new, self.discriminator)
        if old is not None and (value, word) == (getattr(old, self.attribute), getattr(old, self.discriminator)):
            return []
        if word not in self.needed:
            return [] if value is None else [forbidden_field(f"{start}{self.json}", "")]
        return [required(f"{start}{self.json}")] if self.needed[word] and value is None else []


def modes(said: Mapping[str, tuple[str, ...]], attributes: Mapping[str, str]) -> tuple[Mode, ...]:
    """The fields of a type that belong to words of its discriminator."""
    discriminator = next((json for json, texts in said.items() if "modeDiscriminator" in texts), None)
    if discriminator is None:
        return ()
    out = []
    for json, texts in said.items():
        needed = {
            text[len("ifMode(") : text.index(")")]: text.endswith("required")
            for text in texts
            if text.startswith("ifMode(")
        }
        if needed:
            out.append(Mode(attributes[json], json, attributes[discriminator], needed))
    return tuple(out)


def split(texts: Iterable[str]) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """The rules of a field: those after whose findings nothing more is said of it, and the others."""
    first, then = [], []
    mapped = any(text.startswith("listMapKey=") for text in texts)
    for text in texts:
        name, _, argument = text.partition("=")
        if name in ("immutable", "update"):
            first.append(Rule(_immutable if name == "immutable" else _no_modify, of_changes=True))
        elif name == "required":
            first.append(Rule(_required))
        elif name == "maxItems":
            first.append(Rule(_max_items(int(argument))))
        elif name in ("unique", "listType") and "customUnique" not in texts and argument in ("set", "map"):
            keys = [t.removeprefix("listMapKey=") for t in texts if t.startswith("listMapKey=")] if mapped else []
            then.append(Rule(_unique(keys)))
        elif (look := _look(name, argument)) is not None:
            then.append(Rule(look))
    return tuple(first), tuple(then)


def _look(name: str, argument: str) -> Look | None:
    if name == "minimum":
        return _minimum(int(argument))
    if name in ("maxLength", "maxBytes"):
        return _max_length(int(argument), name == "maxBytes")
    if name == "enum":
        return _enum(argument.split(","))
    if name == "format":
        wrong = FORMATS[argument]
        return lambda value, before, path, update: wrong(value, path)
    if name == "eachKey":
        wrong = FORMATS[argument.removeprefix("+k8s:format=")]
        return lambda value, before, path, update: [
            e for key in sorted(value) if key not in (before or ()) for e in wrong(key, path)
        ]
    if name == "subfield(name)" and argument.startswith("+k8s:format="):
        wrong = FORMATS[argument.removeprefix("+k8s:format=")]
        return lambda value, before, path, update: (
            wrong(value.name, f"{path}.name") if value.name and (before is None or value.name != before.name) else []
        )
    return None


def _immutable(value: Any, before: Any, path: str, update: bool) -> list[FieldError]:
    return [invalid_value(path, None, IMMUTABLE)] if update and value != before else []


def _no_modify(value: Any, before: Any, path: str, update: bool) -> list[FieldError]:
    if not update or value is None or before is None or value == before:
        return []
    return [invalid_value(path, None, "field cannot be modified once set")]


def _required(value: Any, before: Any, path: str, update: bool) -> list[FieldError]:
    return [required(path)] if value in (None, "", 0, [], {}) else []


def _max_items(most: int) -> Look:
    return lambda value, before, path, update: (
        [too_many(path, len(value), most)] if value is not None and len(value) > most else []
    )


def _minimum(least: int) -> Look:
    words = f"must be greater than or equal to {least}"
    return lambda value, before, path, update: [invalid_value(path, value, words)] if value < least else []


def _max_length(most: int, in_bytes: bool) -> Look:
    def look(value: str, before: Any, path: str, update: bool) -> list[FieldError]:
        if in_bytes:
            return [too_long(path, most)] if len(value.encode()) > most else []
        words = f"may not be more than {most} characters"
        return [FieldError("FieldValueTooLong", path, None, words)] if len(value) > most else []

    return look


def _enum(words: list[str]) -> Look:
    return lambda value, before, path, update: [] if value in words else [not_supported(path, value, words)]


def _unique(keys: list[str]) -> Look:
    def identity(item: Any) -> Any:
        return tuple(getattr(item, name) for name in _attributes(type(item), keys)) if keys else item

    return lambda value, before, path, update: [
        duplicate(f"{path}[{i}]", value[i]) for i in duplicates(identity(item) for item in value)
    ]


def _attributes(struct: type, keys: list[str]) -> list[str]:
    names_of = {f.encode_name: f.name for f in msgspec.structs.fields(struct)}
    return [names_of[key] for key in keys]


# --- formats ------------------------------------------------------------------------------------------


def _short_name(value: str, path: str) -> list[FieldError]:
    return [invalid_value(path, value, m) for m in names.label(value)]


def _long_name(value: str, path: str) -> list[FieldError]:
    return [invalid_value(path, value, m) for m in names.subdomain(value)]


def _caseless(value: str, path: str) -> list[FieldError]:
    return [invalid_value(path, value, m) for m in names.subdomain_caseless(value)]


def _label_key(value: str, path: str) -> list[FieldError]:
    return [invalid_value(path, value, m) for m in selectors.key_errors(value)]


def _uuid(value: str, path: str) -> list[FieldError]:
    return [] if _UUID.fullmatch(value) else [invalid_value(path, value, UUID_WORDS)]


def _pool(value: str, path: str) -> list[FieldError]:
    errors = [too_long(path, MAX_POOL)] if len(value.encode()) > MAX_POOL else []
    for i, part in enumerate(value.split("/")):
        if not part:
            errors.append(invalid_value(path, value, f"segment {i}: must not be empty"))
            continue
        errors += [invalid_value(path, part, f"segment {i}: {m}") for m in names.subdomain(part)]
    return errors


def identifier(value: str, path: str) -> list[FieldError]:
    """A C identifier of at most 32 bytes."""
    errors = [too_long(path, MAX_ID)] if len(value.encode()) > MAX_ID else []
    return errors if _C.fullmatch(value) else [*errors, invalid_value(path, value, C_WORDS)]


def _qualified(value: str, path: str) -> list[FieldError]:
    parts = value.split("/")
    if len(parts) == 1:
        errors = identifier(value, path)
        words = "a fully qualified name must be a domain and a name separated by a slash"
        return [*errors, invalid_value(path, value, words)]
    if len(parts) > 2:
        return []
    prefix, name = parts
    errors = []
    if not prefix:
        errors.append(invalid_value(path, "", "prefix must not be empty"))
    else:
        errors += [too_long(path, MAX_PREFIX)] if len(prefix.encode()) > MAX_PREFIX else []
        errors += [invalid_value(path, prefix, f"prefix: {m}") for m in names.subdomain(prefix)]
    return errors + (identifier(name, path) if name else [invalid_value(path, "", "name must not be empty")])


def _extended_resource(value: str, path: str) -> list[FieldError]:
    wrong = []
    if "/" not in value:
        wrong.append("a name must be a domain-prefixed path, such as 'example.com/my-prop'")
    elif "kubernetes.io/" in value:
        wrong.append('must not have "kubernetes.io/" domain')
    if value.startswith("requests."):
        wrong.append('must not have "requests." prefix')
    wrong += selectors.key_errors(f"requests.{value}")
    return [invalid_value(path, value, m) for m in wrong]


FORMATS: dict[str, Callable[[str, str], list[FieldError]]] = {
    "k8s-short-name": _short_name,
    "k8s-long-name": _long_name,
    "k8s-long-name-caseless": _caseless,
    "k8s-label-key": _label_key,
    "k8s-uuid": _uuid,
    "k8s-resource-pool-name": _pool,
    "k8s-resource-fully-qualified-name": _qualified,
    "k8s-extended-resource-name": _extended_resource,
}
