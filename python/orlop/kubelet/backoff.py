"""Growing pauses between tries of the same thing, forgotten after a good while."""

from orlop.clock import Clock

CONTAINER_INITIAL = 10.0
"""Seconds before the second restart of a container (upstream: backOffPeriod)."""
CONTAINER_MAX = 300.0
"""Longest pause between restarts (upstream: MaxContainerBackOff)."""


class Backoff:
    """Doubles from `initial` to `maximum` seconds; an item untouched for twice `maximum` starts anew."""

    def __init__(self, clock: Clock, initial: float = CONTAINER_INITIAL, maximum: float = CONTAINER_MAX) -> None:
        self._clock = clock
        self._initial = initial
        self._maximum = maximum
        self._items: dict[str, tuple[float, float]] = {}

    def remaining(self, key: str, since: float) -> float:
        """Seconds still to wait when the last try ended at `since` (wall clock); 0: go ahead."""
        pause, updated = self._items.get(key, (0.0, 0.0))
        if self._stale(since, updated):
            return 0.0
        return max(0.0, since + pause - self._clock.now())

    def pause(self, key: str) -> float:
        """The current pause in seconds."""
        return self._items.get(key, (0.0, 0.0))[0]

    def left(self, key: str) -> float:
        """Seconds left of the pause since the last `next`; 0 when it is over."""
        pause, updated = self._items.get(key, (0.0, 0.0))
        return max(0.0, updated + pause - self._clock.now())

    def next(self, key: str, since: float) -> None:
        """A try begins: the pause after it is twice the last."""
        pause, updated = self._items.get(key, (0.0, 0.0))
        if pause and not self._stale(since, updated):
            pause = min(pause * 2, self._maximum)
        else:
            pause = self._initial
        self._items[key] = (pause, self._clock.now())

    def _stale(self, since: float, updated: float) -> bool:
        return since - updated > 2 * self._maximum

    def forget(self, prefix: str) -> None:
        """Drops all items of a pod."""
        for key in [k for k in self._items if k.startswith(prefix)]:
            del self._items[key]
