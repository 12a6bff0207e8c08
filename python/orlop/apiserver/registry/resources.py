"""Names and amounts of resources: cpu, memory, hugepages-2Mi, example.com/gpu."""

from collections.abc import Mapping, Sequence

from orlop.api import selectors
from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import core_v1

STANDARD = frozenset(
    {
        "cpu",
        "memory",
        "ephemeral-storage",
        "storage",
        "pods",
        "services",
        "replicationcontrollers",
        "resourcequotas",
        "secrets",
        "configmaps",
        "persistentvolumeclaims",
        "services.nodeports",
        "services.loadbalancers",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
    }
)
CONTAINER = frozenset({"cpu", "memory", "ephemeral-storage"})
WHOLE = frozenset({"pods", "services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps"})
"""Counted in whole numbers, as extended resources are."""
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
    if "/" not in name and name not in STANDARD and not name.startswith(HUGE_PAGES):
        return [invalid_value(path, name, "must be a standard resource type or fully qualified")]
    return []


def _container_name(name: str, path: str) -> list[FieldError]:
    errors = validate_name(name, path)
    if "/" not in name:
        if name not in CONTAINER and not name.startswith(HUGE_PAGES):
            errors.append(invalid_value(path, name, "must be a standard resource for containers"))
    elif not _native(name) and not _extended(name):
        errors.append(invalid_value(path, name, "doesn't follow extended resource name standard"))
    return errors


def _native(name: str) -> bool:
    return "/" not in name or "kubernetes.io/" in name


def _extended(name: str) -> bool:
    return "/" in name and "kubernetes.io/" not in name and not name.startswith("requests.")


def validate_amount(name: str, value: str, path: str) -> list[FieldError]:
    """A resource's amount: not negative, whole where it is counted."""
    amount = parse(value)
    if amount < 0:
        return [invalid_value(path, value, "must be greater than or equal to 0")]
    if (name in WHOLE or _extended(name)) and amount != amount.to_integral_value():
        return [invalid_value(path, value, "must be an integer")]
    return []


def overcommits(name: str) -> bool:
    """Whether requests may be lower than limits: extended resources and huge pages do not overcommit."""
    return _native(name) and not name.startswith(HUGE_PAGES)


def validate_requirements(resources: core_v1.ResourceRequirements, path: str) -> list[FieldError]:
    """What is wrong with a container's requests and limits."""
    errors: list[FieldError] = []
    limits, requests = resources.limits, resources.requests
    errors += _amounts(limits, f"{path}.limits")
    for name in sorted(limits):
        if name.startswith(HUGE_PAGES) and name not in requests:
            errors.append(required(f"{path}.requests", f"Limit must be set for non overcommitable resource: {name}"))
    for name, value in sorted(requests.items()):
        where = f"{path}.requests[{name}]"
        errors += _container_name(name, where) + validate_amount(name, value, where)
        if name in limits:
            if parse(value) > parse(limits[name]):
                errors.append(
                    invalid_value(
                        f"{path}.requests", value, f"must be less than or equal to {name} limit of {limits[name]}"
                    )
                )
            elif not overcommits(name) and parse(value) != parse(limits[name]):
                errors.append(
                    invalid_value(f"{path}.requests", value, f"must be equal to {name} limit of {limits[name]}")
                )
        elif not overcommits(name):
            errors.append(required(f"{path}.limits", f"Limit must be set for non overcommitable resources: {name}"))
    if (
        any(n.startswith(HUGE_PAGES) for n in limits)
        and "cpu" not in {*limits, *requests}
        and "memory"
        not in {
            *limits,
            *requests,
        }
    ):
        errors.append(FieldError("FieldValueForbidden", path, None, "HugePages require cpu or memory"))
    return errors


def _amounts(amounts: Mapping[str, str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, value in sorted(amounts.items()):
        where = f"{path}[{name}]"
        errors += _container_name(name, where) + validate_amount(name, value, where)
    return errors
