"""What of a node's capacity pods may have (upstream: pkg/kubelet/cm, Node Allocatable)."""

from collections.abc import Iterable, Mapping

from orlop.api import quantity
from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.thresholds import Threshold

RESERVABLE = ("cpu", "memory", "ephemeral-storage", "pid")

_GUARDED = {signals.MEMORY: "memory", signals.NODEFS: "ephemeral-storage"}
"""Signals whose hard thresholds are kept free of pods."""


def check_reserved(flag: str, reserved: Mapping[str, str]) -> None:
    """Raises ValueError, in upstream's words, for what cannot be reserved."""
    for name, text in reserved.items():
        if name not in RESERVABLE:
            raise ValueError(f'{flag}: cannot reserve "{name}" resource')
        try:
            negative = quantity.parse(text) < 0
        except ValueError as error:
            raise ValueError(f'{flag}: failed to parse quantity "{text}" for "{name}" resource: {error}') from None
        if negative:
            raise ValueError(f'{flag}: resource quantity for "{name}" cannot be negative: {text}')


def reservation(
    capacity: Mapping[str, str], reserved: Iterable[Mapping[str, str]], thresholds: Iterable[Threshold]
) -> dict[str, int]:
    """Thousandths of each resource that pods do not get. Raises ValueError where that is more than there is."""
    held: dict[str, int] = {}
    for texts in reserved:
        for name in capacity.keys() & texts.keys():
            held[name] = held.get(name, 0) + quantity.milli(texts[name])
    for threshold in thresholds:
        name = _GUARDED.get(threshold.signal, "")
        if threshold.hard and name in capacity:
            held[name] = held.get(name, 0) + threshold.value.of(quantity.value(capacity[name])) * 1000
    for name, milli in held.items():
        if milli > quantity.milli(capacity[name]):
            raise ValueError(
                f'invalid Node Allocatable configuration. Resource "{name}" has a reservation of '
                f"{_written(milli, capacity[name])}, capacity of {capacity[name]}"
            )
    return held


def allocatable(capacity: Mapping[str, str], held: Mapping[str, int]) -> dict[str, str]:
    """The capacity without what is held back; memory without huge pages, which are taken from it."""
    pages = sum(quantity.value(text) for name, text in capacity.items() if name.startswith("hugepages-"))
    taken = dict(held)
    if pages:
        taken["memory"] = taken.get("memory", 0) + pages * 1000
    result = dict(capacity)
    for name, milli in taken.items():
        left = max(0, quantity.milli(capacity[name]) - milli)
        result[name] = _written(left, capacity[name])
    return result


def _written(milli: int, like: str) -> str:
    """In binary units where the other amount is."""
    binary = like.endswith("i") and milli % 1000 == 0
    return quantity.format_binary(milli // 1000) if binary else quantity.format_milli(milli)


def pods_memory(capacity: Mapping[str, str], reserved: Iterable[Mapping[str, str]]) -> int | None:
    """Bytes that all pods together may use; None where nothing is reserved, so that the machine's end is theirs."""
    held = sum(quantity.value(texts["memory"]) for texts in reserved if "memory" in texts)
    return quantity.value(capacity["memory"]) - held if held else None
