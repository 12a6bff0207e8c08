"""Thresholds of eviction, from the flags' text to amounts. Words and defaults are upstream's (eviction/helpers.go)."""

import struct
from collections.abc import Iterable, Mapping

import msgspec

from orlop.api import durations, quantity
from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.signals import Layout, Observation, Observations

DEFAULT_HARD: Mapping[str, str] = {
    signals.MEMORY: "100Mi",
    signals.NODEFS: "10%",
    signals.NODEFS_INODES: "5%",
    signals.IMAGEFS: "15%",
    signals.IMAGEFS_INODES: "5%",
}
"""--eviction-hard where nothing is said (upstream: DefaultEvictionHard on Linux)."""


class Value(msgspec.Struct, frozen=True):
    """An amount, or a fraction of a capacity."""

    amount: int = 0
    fraction: float = 0.0

    def of(self, capacity: int) -> int:
        """In the signal's own unit."""
        return int(float(capacity) * self.fraction) if self.fraction else self.amount


class Threshold(msgspec.Struct, frozen=True):
    """Below this much available, the node is short of it; at once where there is no grace period (a hard one)."""

    signal: str
    value: Value
    grace_period: float = 0.0
    min_reclaim: Value | None = None
    """What is to be available beyond the value once something has been reclaimed."""

    @property
    def hard(self) -> bool:
        return self.grace_period == 0.0

    def is_met(self, seen: Observation, *, reclaimed: bool) -> bool:
        """Whether less is available; with `reclaimed`, less than the value and the minimum reclaim together."""
        wanted = self.value.of(seen.capacity)
        if reclaimed and self.min_reclaim is not None:
            wanted += self.min_reclaim.of(seen.capacity)
        return seen.available < wanted


def parse(
    hard: Mapping[str, str],
    soft: Mapping[str, str] | None = None,
    soft_grace_periods: Mapping[str, str] | None = None,
    minimum_reclaims: Mapping[str, str] | None = None,
) -> list[Threshold]:
    """The thresholds that the flags ask for. Raises ValueError naming what is wrong."""
    graces = {signal: _grace(signal, text) for signal, text in (soft_grace_periods or {}).items()}
    reclaims = {signal: _reclaim(signal, text) for signal, text in (minimum_reclaims or {}).items()}
    found = [Threshold(signal, value) for signal, value in _values(hard)]
    for signal, value in _values(soft or {}):
        if signal not in graces:
            raise ValueError(f"grace period must be specified for the soft eviction threshold {signal}")
        found.append(Threshold(signal, value, graces[signal]))
    found = [msgspec.structs.replace(t, min_reclaim=reclaims.get(t.signal)) for t in found]
    # Pods have no more than what is not reserved: where that is less than the machine, it has a threshold of its own.
    pods = [msgspec.structs.replace(t, signal=signals.ALLOCATABLE_MEMORY) for t in found if _guards_memory(t)]
    return found + pods


def for_layout(thresholds: Iterable[Threshold], layout: Layout) -> list[Threshold]:
    """With those of containerfs, which are the ones of the file system that writable layers lie on."""
    chosen = [t for t in thresholds if t.signal not in signals.CONTAINERFS_OF]
    with_images = layout.images_apart and layout.layers_with_images
    names = {
        signals.IMAGEFS if with_images else signals.NODEFS: signals.CONTAINERFS,
        signals.IMAGEFS_INODES if with_images else signals.NODEFS_INODES: signals.CONTAINERFS_INODES,
    }
    return chosen + [msgspec.structs.replace(t, signal=names[t.signal]) for t in chosen if t.signal in names]


def met(thresholds: Iterable[Threshold], seen: Observations, *, reclaimed: bool = False) -> list[Threshold]:
    """Those that are met now, whatever their grace periods."""
    return [t for t in thresholds if t.signal in seen and t.is_met(seen[t.signal], reclaimed=reclaimed)]


def _guards_memory(threshold: Threshold) -> bool:
    return threshold.signal == signals.MEMORY and threshold.hard


def _values(texts: Mapping[str, str]) -> Iterable[tuple[str, Value]]:
    for signal, text in texts.items():
        _check(signal)
        if text in ("0%", "100%"):  # as good as none
            continue
        if text.endswith("%"):
            fraction = _percentage(text)
            if fraction < 0:
                raise ValueError(f"eviction percentage threshold {signal} must be >= 0%: {text}")
            if fraction > 1:
                raise ValueError(f"eviction percentage threshold {signal} must be <= 100%: {text}")
            yield signal, Value(fraction=fraction)
            continue
        amount = _quantity(signal, text)
        if amount <= 0:
            raise ValueError(f"eviction threshold {signal} must be positive: {text}")
        yield signal, Value(amount)


def _grace(signal: str, text: str) -> float:
    _check(signal)
    seconds = durations.parse(text)
    if seconds < 0:
        raise ValueError(f"invalid eviction grace period specified: {text}, must be a positive value")
    return seconds


def _reclaim(signal: str, text: str) -> Value:
    _check(signal)
    if text.endswith("%"):
        fraction = _percentage(text)
        if fraction <= 0:
            raise ValueError(f"eviction percentage minimum reclaim {signal} must be positive: {text}")
        return Value(fraction=fraction)
    amount = _quantity(signal, text)
    if amount < 0:
        raise ValueError(f"negative eviction minimum reclaim specified for {signal}")
    return Value(amount)


def _check(signal: str) -> None:
    if signal not in signals.RESOURCE_OF:
        raise ValueError(f"unsupported eviction signal {signal}")


def _quantity(signal: str, text: str) -> int:
    try:
        return quantity.value(text)
    except ValueError as error:
        raise ValueError(f"{signal} {text!r}: {error}") from None


def _percentage(text: str) -> float:
    """A fraction in Go's float32: the amounts that follow are upstream's to the byte."""
    try:
        return _single(_single(float(text.rstrip("%"))) / 100)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{text.rstrip("%")}": invalid syntax') from None


def _single(number: float) -> float:
    return float(struct.unpack("f", struct.pack("f", number))[0])
