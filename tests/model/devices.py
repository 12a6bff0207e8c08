"""Allocation of devices, plain and slow: every way to give requests devices is tried, and each is judged as a whole."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any, NamedTuple

Object = dict[str, Any]


class Given(NamedTuple):
    """A device that a request of a claim got."""

    claim: int
    request: str
    device: str


RULES = {
    "true": lambda device: True,
    "device.attributes['d'].?color.orValue('') == 'red'": lambda device: device["color"] == "red",
    "device.attributes['d'].size >= 2": lambda device: device["size"] >= 2,
    "device.capacity['d'].memory.compareTo(quantity('4')) >= 0": lambda device: device["memory"] >= 4,
}
"""Expressions, and what they mean of a device."""


def fitting(ask: Object, devices: Sequence[Object], used: set[str]) -> list[str]:
    """The devices that a request means; all of them are those that have room for it."""
    fit = [device for device in devices if RULES[ask["rule"]](device)]
    if ask["count"] is None:
        fit = [d for d in fit if (ask["memory"] or 0) <= d["memory"] and not (d["shared"] and d["name"] in used)]
    return [device["name"] for device in fit]


def ways(claims: Sequence[Object], devices: Sequence[Object], used: set[str]) -> Iterator[list[Given]]:
    """Every way to give each request of each claim, or one of its alternatives, as many devices as it asks for."""
    requests = [(index, request) for index, claim in enumerate(claims) for request in claim["requests"]]
    yield from _ways(requests, devices, used)


def _ways(requests: list[tuple[int, Object]], devices: Sequence[Object], used: set[str]) -> Iterator[list[Given]]:
    if not requests:
        yield []
        return
    (claim, request), rest = requests[0], requests[1:]
    for ask in request["alternatives"]:
        fit = fitting(ask, devices, used)
        sets: Iterator[tuple[str, ...]] = combinations(fit, ask["count"] or len(fit))
        if ask["count"] is None and not fit:
            continue
        for chosen in sets:
            for other in _ways(rest, devices, used):
                yield [*(Given(claim, ask["name"], name) for name in chosen), *other]


def holds(given: Sequence[Given], claims: Sequence[Object], devices: Sequence[Object], used: set[str]) -> bool:
    """Whether all that was given may be given at once."""
    by_name = {device["name"]: device for device in devices}
    asks = {
        (index, ask["name"]): ask
        for index, claim in enumerate(claims)
        for request in claim["requests"]
        for ask in request["alternatives"]
    }
    taken = Counter(one.device for one in given)
    for name, count in taken.items():
        device = by_name[name]
        if device["shared"]:
            memory = sum(
                asks[one.claim, one.request]["memory"] or device["memory"] for one in given if one.device == name
            )
            if memory > device["memory"] or name in used:
                return False
        elif count > 1 or name in used:
            return False
    for one in given:
        device, ask = by_name[one.device], asks[one.claim, one.request]
        if (ask["memory"] or 0) > device["memory"]:
            return False
        if device["tainted"] and not ask["tolerates"]:
            return False
    slots = sum(by_name[name]["slots"] for name in taken)
    slots += sum(device["slots"] for device in devices if device["name"] in used)
    if any(by_name[name]["slots"] for name in taken) and slots > SLOTS:
        return False
    for index, claim in enumerate(claims):
        for constraint in claim["constraints"]:
            names = [one for one in given if one.claim == index]
            values = [by_name[one.device]["color"] for one in names]
            if None in values or not _agrees(constraint, values):
                return False
    return True


SLOTS = 3
"""What the pool's one counter has."""


def _agrees(constraint: str, values: Sequence[str | None]) -> bool:
    return len(set(values)) == (len(values) if constraint == "distinct" else min(1, len(values)))


def possible(claims: Sequence[Object], devices: Sequence[Object], used: set[str]) -> bool:
    """Whether there is a way."""
    return any(holds(way, claims, devices, used) for way in ways(claims, devices, used))
