"""How long a failed pod stays before it is replaced: a node that refuses a pod is not asked again at once."""

from typing import NamedTuple

from orlop.clock import Clock

FIRST = 1.0
MOST = 900.0
"""Seconds: doubled with each failure from the first to the second. Forgotten after twice the second."""


class _Entry(NamedTuple):
    delay: float
    since: float


class Backoff:
    """One delay a key."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[tuple[str, ...], _Entry] = {}

    def left(self, key: tuple[str, ...]) -> float:
        """Seconds to wait before the key may be acted on again; 0 for at once."""
        entry = self._entries.get(key)
        return max(0.0, entry.since + entry.delay - self._clock.monotonic()) if entry is not None else 0.0

    def next(self, key: tuple[str, ...]) -> None:
        """Notes that the key has been acted on."""
        now = self._clock.monotonic()
        self._entries = {k: e for k, e in self._entries.items() if now - e.since <= 2 * MOST}
        entry = self._entries.get(key)
        self._entries[key] = _Entry(min(2 * entry.delay, MOST) if entry is not None else FIRST, now)
