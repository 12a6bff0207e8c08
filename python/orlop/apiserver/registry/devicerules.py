"""What claims, classes, slices and statuses of devices share: pkg/apis/resource/validation.

What the types declare of themselves (sizes, formats, duplicates) is checked by `declared`, not here.
"""

import re
from collections.abc import Iterable
from typing import Any

import msgspec

from orlop.api.errors import FieldError, duplicate, invalid_value, required, too_long
from orlop.api.types import core_v1, resource_v1
from orlop.apiserver.registry import declaredrules, expressions, meta, names, scheduling
from orlop.apiserver.registry.common import duplicates
from orlop.apiserver.registry.drivers import driver_name

MAX_POOL = 253
MAX_EXPRESSION = 10 * 1024
MAX_PARAMETERS = 10 * 1024


SEMVER_WORDS = "must be a string compatible with semver.org spec 2.0.0"
_NUMBER, _BEFORE, _BUILD = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)", "[0-9a-zA-Z-]+"
SEMVER = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_BEFORE}(\.{_BEFORE})*)?(\+{_BUILD}(\.{_BUILD})*)?", re.ASCII)


def label(name: str, path: str) -> list[FieldError]:
    """The name of a request, a device or a set of counters: an RFC 1123 label."""
    return [invalid_value(path, name, m) for m in names.label(name)]


def pool(name: str, path: str) -> list[FieldError]:
    """The name of a pool: subdomains between slashes."""
    if not name:
        return [required(path)]
    errors = [too_long(path, MAX_POOL)] if len(name.encode()) > MAX_POOL else []
    return errors + [invalid_value(path, part, m) for part in name.split("/") for m in names.subdomain(part)]


def qualified(name: str, path: str) -> list[FieldError]:
    """The name of an attribute or a capacity: a C identifier, behind a driver's domain where it is another's."""
    parts = name.split("/")
    if len(parts) == 1:
        return declaredrules.identifier(name, path)
    if len(parts) > 2:  # upstream lets them be
        return []
    domain, own = parts
    errors = driver_name(domain, path) if domain else [invalid_value(path, "", "the domain must not be empty")]
    return errors + (
        declaredrules.identifier(own, path) if own else [invalid_value(path, "", "the name must not be empty")]
    )


def selectors(given: Iterable[resource_v1.DeviceSelector], path: str) -> list[FieldError]:
    """Expressions that choose devices."""
    errors: list[FieldError] = []
    for i, selector in enumerate(given):
        if selector.cel is None:
            errors.append(required(f"{path}[{i}].cel"))
        elif len(selector.cel.expression.encode()) > MAX_EXPRESSION:
            errors.append(too_long(f"{path}[{i}].cel.expression", MAX_EXPRESSION))
        else:
            errors += expressions.check_device(selector.cel.expression, f"{path}[{i}].cel.expression")
    return errors


def opaque(given: resource_v1.OpaqueDeviceConfiguration | None, path: str, *, stored: bool = False) -> list[FieldError]:
    """What is said to a driver. Where it was `stored` before, its size no longer counts."""
    if given is None:
        return [required(f"{path}.opaque")]
    return document(given.parameters, f"{path}.opaque.parameters", MAX_PARAMETERS, stored=stored)


def document(given: Any, path: str, limit: int, *, stored: bool = False) -> list[FieldError]:
    """A JSON object of at most `limit` bytes that nobody here understands."""
    raw = given if isinstance(given, msgspec.Raw) else msgspec.Raw(msgspec.json.encode(given))
    text = bytes(raw).strip()
    if not stored and len(text) > limit:
        return [too_long(path, limit)]
    if not text or text == b"null":
        return [required(path)]
    return [] if text.startswith(b"{") else [invalid_value(path, "<value omitted>", "must be a valid JSON object")]


def taint(given: resource_v1.DeviceTaint, path: str) -> list[FieldError]:
    """A taint; its effect is declared."""
    errors = [invalid_value(f"{path}.key", given.key, m) for m in meta.key_errors(given.key)]
    return errors + label_value(given.value, f"{path}.value")


def label_value(value: str, path: str) -> list[FieldError]:
    """What may stand in a label's value."""
    return [invalid_value(path, value, m) for m in meta.value_errors(value)]


def tolerations(given: Iterable[resource_v1.DeviceToleration], path: str) -> list[FieldError]:
    """What taints a request tolerates; keys, operators and effects are declared."""
    errors: list[FieldError] = []
    for i, toleration in enumerate(given):
        at = f"{path}[{i}]"
        if toleration.operator == "Exists" and toleration.value:
            errors.append(invalid_value(f"{at}.value", toleration.value, "must be empty for operator `Exists`"))
        elif toleration.operator == "Equal":
            errors += label_value(toleration.value, f"{at}.value")
        elif not toleration.operator:
            errors.append(required(f"{at}.operator"))
    return errors


def node_selector(given: core_v1.NodeSelector, path: str) -> list[FieldError]:
    """Nodes, chosen by terms."""
    where = f"{path}.nodeSelectorTerms"
    if not given.node_selector_terms:
        return [required(where, "must have at least one node selector term")]
    return [e for i, one in enumerate(given.node_selector_terms) for e in scheduling.node_term(one, f"{where}[{i}]")]


def binding(conditions: list[str], failures: list[str], path: str) -> list[FieldError]:
    """Conditions under which a device is bound, or not."""
    first, second = f"{path}.bindingConditions", f"{path}.bindingFailureConditions"
    errors: list[FieldError] = []
    for where, given in ((first, conditions), (second, failures)):
        errors += [invalid_value(f"{where}[{i}]", c, m) for i, c in enumerate(given) for m in meta.key_errors(c)]
    errors += [duplicate(f"{first}[{i}]", conditions[i]) for i in duplicates(conditions)]
    again = set(duplicates(failures))
    for i, condition in enumerate(failures):
        if i in again:
            errors.append(duplicate(f"{second}[{i}]", condition))
        if condition in conditions:
            words = "bindingFailureConditions must not overlap with bindingConditions"
            errors.append(invalid_value(f"{second}[{i}]", condition, words))
    if failures and not conditions:
        errors.append(invalid_value(first, None, "bindingConditions are required to use bindingFailureConditions"))
    if conditions and not failures:
        errors.append(invalid_value(second, None, "bindingFailureConditions are required to use bindingConditions"))
    return errors
