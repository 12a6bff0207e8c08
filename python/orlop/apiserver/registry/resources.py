"""Names and amounts of resources: cpu, memory, hugepages-2Mi, example.com/gpu."""

from collections.abc import Callable, Sequence

from orlop.api import selectors
from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import core_v1
from orlop.apiserver.registry import names

WHOLE = frozenset(
    {
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
    }
)
"""Counted in whole numbers, as extended resources are."""
STANDARD = WHOLE | {
    "cpu",
    "memory",
    "ephemeral-storage",
    "storage",
    "requests.cpu",
    "requests.memory",
    "requests.storage",
    "requests.ephemeral-storage",
    "limits.cpu",
    "limits.memory",
    "limits.ephemeral-storage",
}
CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
HUGE_PAGES = "hugepages-"


def unsupported(path: str, value: object, supported: Sequence[str]) -> FieldError:
    """Like `errors.not_supported`, in the order given: some of upstream's lists are not sorted."""
    listed = ", ".join(f'"{s}"' for s in supported)
    return FieldError("FieldValueNotSupported", path, value, f"supported values: {listed}")


def validate_name(name: str, path: str) -> list[FieldError]:
    """A resource's name anywhere."""
    problems = [invalid_value(path, name, m) for m in selectors.key_errors(name)]
    if problems:
        return problems
    if "/" not in name and name not in STANDARD and not name.startswith((HUGE_PAGES, f"requests.{HUGE_PAGES}")):
        return [invalid_value(path, name, "must be a standard resource type or fully qualified")]
    return []


def validate_container_name(name: str, path: str) -> list[FieldError]:
    """A resource's name in a container."""
    errors = validate_name(name, path)
    if "/" not in name:
        if name not in CONTAINER and not name.startswith(HUGE_PAGES):
            errors.append(invalid_value(path, name, "must be a standard resource for containers"))
    elif not _native(name) and not is_extended(name):
        errors.append(invalid_value(path, name, "doesn't follow extended resource name standard"))
    return errors


def _native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def is_extended(name: str) -> bool:
    if "/" not in name or "kubernetes.io/" in name or name.startswith("requests."):
        return False
    return not selectors.key_errors(f"requests.{name}")


def validate_amount(name: str, value: str, path: str) -> list[FieldError]:
    """A resource's amount: not negative, whole where it is counted."""
    amount = parse(value)
    errors = [invalid_value(path, value, "must be greater than or equal to 0")] if amount < 0 else []
    if (name in WHOLE or is_extended(name)) and amount != amount.to_integral_value():
        errors.append(invalid_value(path, value, "must be an integer"))
    return errors


def overcommits(name: str) -> bool:
    """Whether requests may be lower than limits: extended resources and huge pages do not overcommit."""
    return _native(name) and not name.startswith(HUGE_PAGES)


def validate_requirements(
    amounts: core_v1.ResourceRequirements,
    path: str,
    claims: Sequence[core_v1.PodResourceClaim] = (),
    name_rule: Callable[[str, str], list[FieldError]] | None = None,
) -> list[FieldError]:
    """What is wrong with requests and limits. `claims` are the pod's, which a container's must be among; `name_rule`
    says what is wrong with a resource's name at a path, by default for a container's."""
    errors: list[FieldError] = []
    limits, requests = amounts.limits, amounts.requests
    name_rule = name_rule or validate_container_name
    huge = False
    for name in sorted(limits):
        value = limits[name]
        if name not in _PLAIN or value[:1] == "-":
            where = f"{path}.limits[{name}]"
            errors += name_rule(name, where) + validate_amount(name, value, where)
            if name.startswith(HUGE_PAGES):
                huge = True
                errors += _whole_pages(name, value, where)
    for name in sorted(requests):
        value = requests[name]
        if name not in _PLAIN or value[:1] == "-":
            where = f"{path}.requests[{name}]"
            errors += name_rule(name, where) + validate_amount(name, value, where)
        limit = limits.get(name)
        if limit is None:
            if name not in _PLAIN and not overcommits(name):
                errors.append(required(f"{path}.limits", "Limit must be set for non overcommitable resources"))
        elif limit != value:
            errors += _against_limit(name, value, limit, f"{path}.requests")
        if name.startswith(HUGE_PAGES):
            huge = True
            errors += _whole_pages(name, value, f"{path}.requests[{name}]")
    if huge and not {"cpu", "memory"} & {*limits, *requests}:
        errors.append(forbidden_field(path, "HugePages require cpu or memory"))
    if amounts.claims:
        errors += _claims(amounts.claims, [c.name for c in claims if c.name], f"{path}.claims")
    return errors


_PLAIN = frozenset({"cpu", "memory", "ephemeral-storage"})
"""Names that are right everywhere and need no look: amounts of them are wrong only when they are negative."""


def _against_limit(name: str, value: str, limit: str, path: str) -> list[FieldError]:
    asked, most = parse(value), parse(limit)
    if asked != most and not overcommits(name):
        return [invalid_value(path, value, f"must be equal to {name} limit of {limit}")]
    if asked > most:
        return [invalid_value(path, value, f"must be less than or equal to {name} limit of {limit}")]
    return []


def _whole_pages(name: str, value: str, path: str) -> list[FieldError]:
    try:
        size = parse(name.removeprefix(HUGE_PAGES))
    except ValueError:
        size = parse("0")
    if size > 0 and size == size.to_integral_value() and parse(value) % size == 0:
        return []
    return [invalid_value(path, value, f"{value} is not positive integer multiple of {name}")]


def _claims(claims: Sequence[core_v1.ResourceClaim], known: list[str], path: str) -> list[FieldError]:
    """Devices that a container uses: of the pod's claims, each or one request of it once."""
    errors: list[FieldError] = []
    used: set[str] = set()
    for i, claim in enumerate(claims):
        where, name = f"{path}[{i}]", claim.name
        if not name:
            errors.append(required(where))
            continue
        if name in used:
            errors.append(duplicate(where, name))
        else:
            key = name
            if claim.request:
                key = f"{name}/{claim.request}"
                errors += [invalid_value(f"{where}.request", claim.request, m) for m in names.label(claim.request)]
            if key in used:
                errors.append(duplicate(where, key))
            elif not claim.request:
                errors += [duplicate(where, name) for other in sorted(used) if other.partition("/")[0] == name]
            used.add(key)
        if name not in known:
            listed = f": {', '.join(sorted(set(known)))}" if known else " which is empty"
            words = f"must be one of the names in pod.spec.resourceClaims{listed}"
            errors.append(FieldError("FieldValueNotFound", where, name, words))
    return errors
