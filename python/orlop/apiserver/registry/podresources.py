"""What a pod asks for as a whole (KEP-2837): its containers' amounts put together, defaults, and rules."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Literal

from orlop.api import quantity
from orlop.api.errors import FieldError, forbidden_field, invalid_value
from orlop.api.quantity import parse
from orlop.api.types import core_v1
from orlop.apiserver.registry import resources
from orlop.apiserver.registry.resources import HUGE_PAGES, unsupported

SUPPORTED = ("cpu", HUGE_PAGES, "memory")
"""What may be asked for by the pod as a whole."""
Side = Literal["requests", "limits"]


def supported(name: str) -> bool:
    """Whether a pod may ask for this resource as a whole."""
    return name in ("cpu", "memory") or name.startswith(HUGE_PAGES)


def _of(container: core_v1.Container, side: Side) -> Mapping[str, str]:
    return container.resources.requests if side == "requests" else container.resources.limits


def aggregate(spec: core_v1.PodSpec, side: Side) -> dict[str, str]:
    """What a pod's containers need together: those that stay at once, or one that comes before them with the
    sidecars so far, whichever is more."""
    total: dict[str, Decimal] = {}
    like: dict[str, str] = {}
    for container in spec.containers:
        _add(total, like, _of(container, side))
    sidecars: dict[str, Decimal] = {}
    most: dict[str, Decimal] = {}
    for container in spec.init_containers:
        now = dict(sidecars)
        _add(now, like, _of(container, side))
        if container.restart_policy == "Always":
            _add(total, like, _of(container, side))
            sidecars = now
        for name, amount in now.items():
            most[name] = max(most.get(name, amount), amount)
    for name, amount in most.items():
        total[name] = max(total.get(name, amount), amount)
    return {name: shown(amount, like[name]) for name, amount in total.items()}


def _add(total: dict[str, Decimal], like: dict[str, str], amounts: Mapping[str, str]) -> None:
    for name, value in amounts.items():
        like.setdefault(name, value)
        total[name] = total.get(name, Decimal(0)) + parse(value)


def shown(amount: Decimal, like: str) -> str:
    """An amount as Kubernetes writes it, in binary or decimal units as `like` has them."""
    if amount == amount.to_integral_value():
        whole = int(amount)
        return quantity.format_binary(whole) if like.endswith("i") else quantity.format_decimal(whole)
    return f"{quantity.milli(str(amount))}m"


def default(spec: core_v1.PodSpec) -> None:
    """Fills what only a part of the pod-level amounts was said of, after the containers' own defaults."""
    whole = spec.resources
    if whole is None or not (whole.limits or whole.requests):
        return
    requested = any(supported(name) for name in whole.requests)
    limited = any(supported(name) for name in whole.limits)
    together = aggregate(spec, "limits")
    for name, value in together.items():
        if name.startswith(HUGE_PAGES) and name not in whole.requests:
            whole.limits.setdefault(name, value)
            limited = True
    if whole.limits:
        for name, value in aggregate(spec, "requests").items():
            if name not in whole.requests and supported(name) and resources.overcommits(name):
                whole.requests[name] = value
        for name, value in whole.limits.items():
            if supported(name):
                whole.requests.setdefault(name, value)
    if not limited and requested:
        _default_limits(spec, whole, together)


def _default_limits(spec: core_v1.PodSpec, whole: core_v1.ResourceRequirements, together: Mapping[str, str]) -> None:
    """Limits of the whole, where every container has one."""
    everyone = (*spec.containers, *spec.init_containers)
    for name, value in together.items():
        if not supported(name) or not resources.overcommits(name):
            continue
        if all(name in container.resources.limits for container in everyone):
            whole.limits.setdefault(name, value)


def _name(name: str, path: str) -> list[FieldError]:
    errors = resources.validate_name(name, path)
    return errors if errors or supported(name) else [unsupported(path, name, SUPPORTED)]


def validate(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """What is wrong with pod-level amounts, by themselves and beside the containers'."""
    whole = spec.resources
    if whole is None:
        return []
    if spec.os is not None and spec.os.name == "windows":
        return [forbidden_field(path, "may not be set for a windows pod")]
    errors: list[FieldError] = []
    if whole.claims:
        errors.append(forbidden_field(f"{path}.claims", "claims may not be set for Resources at pod-level"))
    errors += resources.validate_requirements(whole, path, spec.resource_claims, _name)
    for name, value in sorted(aggregate(spec, "requests").items()):
        given = whole.requests.get(name)
        if given is not None and parse(value) > parse(given):
            words = f"must be greater than or equal to aggregate container requests of {value}"
            errors.append(invalid_value(f"{path}.requests[{name}]", given, words))
    for name, value in sorted(aggregate(spec, "limits").items()):
        given = whole.limits.get(name)
        if given is not None and name.startswith(HUGE_PAGES) and parse(value) > parse(given):
            words = f"must be greater than or equal to aggregate container limits of {value}"
            errors.append(invalid_value(f"{path}.limits[{name}]", given, words))
    for i, container in enumerate(spec.containers):
        for name, value in sorted(container.resources.limits.items()):
            given = whole.limits.get(name)
            if given is not None and parse(value) > parse(given):
                words = f"must be less than or equal to pod limits of {given}"
                errors.append(invalid_value(f"{path}.containers[{i}][{name}].limits", value, words))
    return errors
