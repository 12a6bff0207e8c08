"""What access control reads of the hub: the current objects, and what has changed."""

from collections.abc import Sequence
from typing import Protocol


class Listing(Protocol):
    """Objects as they are now."""

    @property
    def items(self) -> Sequence[bytes]: ...


class Changes(Protocol):
    """A watcher."""

    @property
    def state(self) -> str: ...

    def events(self, max_events: int, /) -> Sequence[tuple[str, int, bytes]]: ...


class Objects(Protocol):
    """The part of `orlop.native.Hub` that is used here."""

    @property
    def revision(self) -> int: ...

    def get(self, resource: str, namespace: str, name: str, /) -> tuple[bytes, int] | None: ...

    def list(
        self,
        resource: str,
        namespace: str | None,
        label_selector: str = "",
        field_selector: str = "",
        limit: int = 0,
        /,
    ) -> Listing: ...

    def watch(self, resource: str, namespace: str | None, /) -> Changes: ...
