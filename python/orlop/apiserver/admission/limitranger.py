"""LimitRanger: what containers ask for where they do not say, and the bounds of what pods, containers and claims may.

The rules and words are those of plugin/pkg/admission/limitranger.
"""

from collections.abc import Callable, Iterator
from decimal import Decimal

from orlop.api import amounts, errors, scheme
from orlop.api.amounts import ZERO, Amount, Amounts
from orlop.api.podresources import pod_limits, pod_requests
from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Admission, Attributes

ANNOTATION = "kubernetes.io/limit-ranger"
_LIMIT_RANGE = scheme.by_resource("", "v1", "limitranges")

Bound = Callable[[str, str, Amount, Amounts, Amounts], str]
"""What is wrong with requests and limits under a bound of one resource; "" if nothing is."""


class LimitRanger(Admission):
    """Fills pods in from the LimitRanges of their namespace and refuses what is out of bounds."""

    resources = ("pods", "persistentvolumeclaims")
    subresources = ("", "resize")

    def handles(self, a: Attributes) -> bool:
        # Pods do not change what they ask for but by a resize.
        ordinary_update = a.kind.plural == "pods" and a.operation == "UPDATE" and a.subresource != "resize"
        return super().handles(a) and not ordinary_update

    def _ranges(self, namespace: str) -> list[core_v1.LimitRange]:
        assert _LIMIT_RANGE is not None
        items = self.objects.hub.list(_LIMIT_RANGE.resource, namespace, "", "", 0, None).items
        return [self.objects.decode(_LIMIT_RANGE, item) for item in items]

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("limitranges",)

    async def admit(self, a: Attributes) -> None:
        if a.kind.plural == "pods" and a.operation == "CREATE":
            for found in self._ranges(a.namespace):
                fill(a.object, found)

    async def validate(self, a: Attributes) -> None:
        if a.object.metadata.deletion_timestamp is not None:
            return
        for found in self._ranges(a.namespace):
            wrong = list(
                _wrong_with_pod(a.object, found) if a.kind.plural == "pods" else _wrong_with_claim(a.object, found)
            )
            if wrong:
                why = wrong[0] if len(wrong) == 1 else f"[{', '.join(wrong)}]"
                raise errors.forbidden(a.kind.plural, a.kind.group, a.name, why)


def fill(pod: core_v1.Pod, found: core_v1.LimitRange) -> None:
    """Gives containers the defaults for what they do not name, and notes on the pod which."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in found.spec.limits:
        if item.type == "Container":
            requests.update(item.default_request)
            limits.update(item.default)
    notes: list[str] = []
    for words, containers in (("container", pod.spec.containers), ("init container", pod.spec.init_containers)):
        for container in containers:
            for what, given, defaults in (
                ("request", container.resources.requests, requests),
                ("limit", container.resources.limits, limits),
            ):
                added = sorted(defaults.keys() - given.keys())
                given.update({name: defaults[name] for name in added})
                if added:
                    notes.append(f"{', '.join(added)} {what} for {words} {container.name}")
    if notes:
        pod.metadata.annotations[ANNOTATION] = f"LimitRanger plugin set: {'; '.join(notes)}"


def _wrong_with_pod(pod: core_v1.Pod, found: core_v1.LimitRange) -> Iterator[str]:
    for item in found.spec.limits:
        if item.type == "Container":
            for container in (*pod.spec.containers, *pod.spec.init_containers):
                given = container.resources
                yield from _bounds(item, amounts.parsed(given.requests), amounts.parsed(given.limits))
        elif item.type == "Pod":
            yield from _bounds(item, pod_requests(pod), pod_limits(pod))


def _bounds(item: core_v1.LimitRangeItem, requests: Amounts, limits: Amounts) -> Iterator[str]:
    checks: tuple[tuple[dict[str, str], Bound], ...] = (
        (item.min, _too_little),
        (item.max, _too_much),
        (item.max_limit_request_ratio, _too_far_apart),
    )
    for bounds, check in checks:
        for name, bound in sorted(amounts.parsed(bounds).items()):
            if wrong := check(item.type, name, bound, requests, limits):
                yield wrong


def _wrong_with_claim(claim: core_v1.PersistentVolumeClaim, found: core_v1.LimitRange) -> Iterator[str]:
    requests = amounts.parsed(claim.spec.resources.requests)
    for item in found.spec.limits:
        if item.type != "PersistentVolumeClaim":
            continue
        for name, bound in sorted(amounts.parsed(item.min).items()):
            if wrong := _too_little(item.type, name, bound, requests, {}):
                yield wrong
        for name, bound in sorted(amounts.parsed(item.max).items()):
            about = f"maximum {name} usage per {item.type} is {bound}"
            if name not in requests:
                yield f"{about}.  No request is specified"
            elif requests[name].number > bound.number:
                yield f"{about}, but request is {requests[name]}"


def _too_little(type_: str, name: str, bound: Amount, requests: Amounts, limits: Amounts) -> str:
    about = f"minimum {name} usage per {type_} is {bound}"
    if name not in requests:
        return f"{about}.  No request is specified"
    if requests[name].number < bound.number:
        return f"{about}, but request is {requests[name]}"
    if name in limits and limits[name].number < bound.number:
        return f"{about}, but limit is {limits[name]}"
    return ""


def _too_much(type_: str, name: str, bound: Amount, requests: Amounts, limits: Amounts) -> str:
    about = f"maximum {name} usage per {type_} is {bound}"
    if name not in limits:
        return f"{about}.  No limit is specified"
    if limits[name].number > bound.number:
        return f"{about}, but limit is {limits[name]}"
    if name in requests and requests[name].number > bound.number:
        return f"{about}, but request is {requests[name]}"
    return ""


def _too_far_apart(type_: str, name: str, bound: Amount, requests: Amounts, limits: Amounts) -> str:
    about = f"{name} max limit to request ratio per {type_} is {bound}"
    request, limit = requests.get(name, ZERO).number, limits.get(name, ZERO).number
    if not request:
        return f"{about}, but no request is specified or request is 0"
    if not limit:
        return f"{about}, but no limit is specified or limit is 0"
    ratio: Decimal = limit / request
    return f"{about}, but provided ratio is {float(ratio):f}" if ratio > bound.number else ""
