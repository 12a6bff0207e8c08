"""Frames made in Python, each once for an event, whoever watches."""

from collections.abc import Callable, Hashable

KEPT = 4 << 20
"""Bytes of frames that are kept, half of them at least the newest: what some watchers are behind the others."""


class Frames:
    """Made frames by what they are of. `made` counts those that were really made."""

    def __init__(self, kept: int = KEPT) -> None:
        self._kept = kept
        self._young: dict[Hashable, tuple[bytes, bytes]] = {}
        self._old: dict[Hashable, tuple[bytes, bytes]] = {}
        self._size = 0
        self.made = 0

    def shared(self, key: Hashable, value: bytes, make: Callable[[], bytes]) -> bytes:
        """The frame that was made of `value` under this key, or a new one. Two objects may share a key, as those of two
        servers in one process: `value` decides."""
        found = self._young.get(key)
        if found is None and (found := self._old.get(key)) is not None:
            self._keep(key, found)
        if found is not None and found[0] == value:
            return found[1]
        frame = make()
        self.made += 1
        self._keep(key, (value, frame))
        return frame

    def _keep(self, key: Hashable, one: tuple[bytes, bytes]) -> None:
        self._young[key] = one
        self._size += len(one[0]) + len(one[1])
        if self._size > self._kept // 2:
            self._old, self._young, self._size = self._young, {}, 0
