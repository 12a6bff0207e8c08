"""What goes with the write of an object: other writes that stand or fall with it, and what is held for it meanwhile."""

from collections.abc import Awaitable
from typing import Any, Protocol

from orlop.api.kind import Kind
from orlop.store.base import Write


class Transaction(Protocol):
    """What a write brings along: other writes that stand or fall with it, and what to give back if it fails."""

    writes: list[Write]

    async def committed(self) -> None:
        """Called when the write is stored, before it is answered: for what follows from it."""

    def release(self) -> None:
        """Lets go of what was held for the write; called whatever became of it."""


class Hooks:
    """What a kind does beside its own object in the same transaction (Services: addresses and ports)."""

    def concern(self, kind: Kind, namespace: str) -> bool:
        """Whether a write of this kind in this namespace may bring something along; if not, they need not be asked."""
        return True

    async def create(self, new: Any, dry_run: bool) -> Transaction | None:
        return None

    async def update(self, new: Any, old: Any, dry_run: bool) -> Transaction | None:
        return None

    async def delete(self, old: Any) -> Transaction | None:
        return None


class _NoHooks(Hooks):
    def concern(self, kind: Kind, namespace: str) -> bool:
        return False


NO_HOOKS = _NoHooks()


class Joined:
    """Two transactions as one."""

    def __init__(self, first: Transaction, second: Transaction) -> None:
        self._both = (first, second)
        self.writes = [*first.writes, *second.writes]

    async def committed(self) -> None:
        for one in self._both:
            await one.committed()

    def release(self) -> None:
        for one in self._both:
            one.release()


class Both(Hooks):
    """One kind's own hooks, and then those of every kind."""

    def __init__(self, first: Hooks, second: Hooks) -> None:
        self._first = first
        self._second = second

    def concern(self, kind: Kind, namespace: str) -> bool:
        return self._first.concern(kind, namespace) or self._second.concern(kind, namespace)

    async def create(self, new: Any, dry_run: bool) -> Transaction | None:
        return await _joined(await self._first.create(new, dry_run), self._second.create(new, dry_run))

    async def update(self, new: Any, old: Any, dry_run: bool) -> Transaction | None:
        return await _joined(await self._first.update(new, old, dry_run), self._second.update(new, old, dry_run))

    async def delete(self, old: Any) -> Transaction | None:
        return await _joined(await self._first.delete(old), self._second.delete(old))


async def _joined(first: Transaction | None, later: Awaitable[Transaction | None]) -> Transaction | None:
    try:
        second = await later
    except BaseException:
        if first is not None:
            first.release()
        raise
    return Joined(first, second) if first is not None and second is not None else first or second
