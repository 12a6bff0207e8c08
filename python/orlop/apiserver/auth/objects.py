"""What access control reads of the hub: the current objects, and whether they have changed."""

from collections.abc import Sequence
from typing import Protocol


class Listing(Protocol):
    @property
    def items(self) -> Sequence[bytes]: ...


class Changes(Protocol):
    """A watcher of the hub."""

    @property
    def state(self) -> str: ...

    def events(self, max: int, /) -> Sequence[object]: ...


class Objects(Protocol):
    """The part of the hub that access control needs."""

    @property
    def revision(self) -> int: ...

    def get(self, resource: str, namespace: str, name: str, /) -> tuple[bytes, int] | None: ...

    def list(
        self,
        resource: str,
        namespace: str | None,
        label_selector: str,
        field_selector: str,
        limit: int,
        after: tuple[str, str] | None,
        /,
    ) -> Listing: ...

    def watch(
        self,
        resource: str,
        namespace: str | None,
        label_selector: str,
        field_selector: str,
        since: int | None,
        initial: bool,
        bookmarks: bool,
        /,
    ) -> Changes: ...
