"""ResourceQuota: what a namespace may use. Upstream: plugin/pkg/admission/resourcequota.

Upstream's plug-in charges the quota first and stores the object after that, and the two may come apart. Here the
charge is part of the write: the quota's new status and the object are committed together or not at all, against the
revision of the quota that was looked at. A namespace's charges of this server go one after the other, and so do the
counts that the quota controller writes.

Where several quotas count an object, one is in the transaction (it takes one write of a resource). The others are
charged right after it, before anybody's turn comes: a count that was begun before that is written against an older
revision and refused, one that is begun after it sees the object. All are charged so when the object is a ResourceQuota
itself. Only a server that dies in between leaves them uncharged, until the controller counts again.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from orlop.api import amounts, errors, quota, scheme
from orlop.api.amounts import Amounts
from orlop.api.kind import Kind
from orlop.api.types import core_v1
from orlop.apiserver.registry.objects import Objects, split
from orlop.apiserver.registry.transactions import Hooks
from orlop.store.base import Attribution, Conflict, Key, Write

BY = Attribution(user="system:apiserver", manager="resourcequota")
RESOURCE = "resourcequotas"


class Charge:
    """A charge under way: it holds the namespace's turn."""

    def __init__(self, turn: asyncio.Lock) -> None:
        self.writes: list[Write] = []
        self.later: Callable[[], Awaitable[None]] | None = None
        """What is charged when the object is stored."""
        self._turn = turn

    async def committed(self) -> None:
        if self.later is not None:
            await self.later()

    def release(self) -> None:
        self._turn.release()


class ResourceQuotas(Hooks):
    """Charges every write of every namespaced kind."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        row = scheme.by_resource("", "v1", RESOURCE)
        assert row is not None
        self._row: Kind = row
        self._evaluators: dict[type[Any], quota.Evaluator | None] = {}
        self._newest = -1
        self._there = False

    def concern(self, kind: Kind, namespace: str) -> bool:
        if kind.resource == RESOURCE:
            return True
        return self._any(namespace)

    def _any(self, namespace: str) -> bool:
        """Whether the namespace has quotas. Most clusters have none at all, which is looked at once."""
        newest = self._objects.hub.newest(RESOURCE)
        if newest != self._newest:
            self._there = len(self._objects.hub.list(RESOURCE, None, "", "", 1, None)) > 0
            self._newest = newest
        return self._there and bool(namespace) and len(self._objects.hub.list(RESOURCE, namespace, "", "", 1, None)) > 0

    async def create(self, new: Any, dry_run: bool) -> Charge | None:
        return await self._charge(new, None, dry_run)

    async def update(self, new: Any, old: Any, dry_run: bool) -> Charge | None:
        if isinstance(new, core_v1.ResourceQuota):
            return await self._turn(new.metadata.namespace)
        if (by := self._evaluator(type(new))) is None or not by.grows:
            return None  # as with most updates
        return await self._charge(new, old, dry_run)

    async def _turn(self, namespace: str) -> Charge:
        turn = self._turns.setdefault(namespace, asyncio.Lock())
        await turn.acquire()
        return Charge(turn)

    async def _charge(self, new: Any, old: Any, dry_run: bool) -> Charge | None:
        """Raises Forbidden if a quota does not allow it."""
        namespace = new.metadata.namespace
        by = self._evaluator(type(new))
        if by is None or (old is not None and not by.grows):
            return None
        if not self._any(namespace):
            return None
        write = _Asked(scheme.of(type(new)), by, new, old, self._objects.clock.now())
        if not write.concerns:
            return None
        charge = await self._turn(namespace)
        try:
            found = self._counting(write)
            if not dry_run:
                together, apart = (found[:0], found) if write.kind.resource == RESOURCE else (found[:1], found[1:])
                charge.writes = [self._write(*one) for one in together]
                names = [one.metadata.name for one, _ in apart]
                charge.later = partial(self._charge_apart, write, names) if names else None
        except BaseException:
            charge.release()
            raise
        return charge

    def _evaluator(self, struct: type[Any]) -> quota.Evaluator | None:
        try:
            return self._evaluators[struct]
        except KeyError:
            found = self._evaluators[struct] = quota.evaluator(scheme.of(struct))
            return found

    def _counting(self, write: "_Asked") -> list[tuple[core_v1.ResourceQuota, Amounts]]:
        """The quotas that the object costs something, and what is used of each then. Raises Forbidden."""
        namespace = write.new.metadata.namespace
        every: list[core_v1.ResourceQuota] = [
            self._objects.decode(self._row, value)
            for value in self._objects.hub.list(RESOURCE, namespace, "", "", 0, None).items
        ]
        for found in every:  # before any of them counts
            write.require(found)
        return [(found, used) for found in every if (used := write.charge(found)) is not None]

    def _write(self, found: core_v1.ResourceQuota, used: Amounts) -> Write:
        revision = int(found.metadata.resource_version)
        status = msgspec.structs.replace(found.status, used=amounts.written(used))
        changed = msgspec.structs.replace(found, status=status)
        return Write(Key(RESOURCE, found.metadata.namespace, found.metadata.name), split(changed), revision, by=BY)

    async def _charge_apart(self, write: "_Asked", names: list[str]) -> None:
        """Charges these quotas for an object that is stored: it is too late to refuse."""
        write.refusable = False
        for name in names:
            while (found := self._objects.get(self._row, write.new.metadata.namespace, name)) is not None:
                used = write.charge(found)
                if used is None:
                    break
                with suppress(Conflict):  # another server was faster
                    await self._objects.writer.commit(self._write(found, used))
                    break


class _Asked:
    """A write, and what it asks of quotas."""

    def __init__(self, kind: Kind, by: quota.Evaluator, new: Any, old: Any, now: float) -> None:
        self.kind = kind
        self.new = new
        self._by = by
        self._old = old
        self._used = by.usage(new, now)
        self._grown = self._used if old is None else amounts.increase(self._used, by.usage(old, now))
        # What a status reports has happened already: it is charged, but not refused.
        self.refusable = old is None or (bool(self._grown or by.scoped) and new.spec != old.spec)

    @property
    def concerns(self) -> bool:
        """Whether it can cost any quota anything."""
        return bool(self._grown) or (self._by.scoped and self.refusable)

    def require(self, found: core_v1.ResourceQuota) -> None:
        """What a quota counts of containers they must say. Raises Forbidden."""
        if self.kind.resource != "pods" or self._old is not None:
            return
        hard = amounts.parsed(found.status.hard)
        if not quota.matches(found, hard, self._by, self.new):
            return
        limited = {n: hard[n] for n in hard if self._by.names(n)}
        if missing := quota.unset(self.new, limited):
            raise self._refused(f"failed quota: {found.metadata.name}: must specify {missing}")

    def charge(self, found: core_v1.ResourceQuota) -> Amounts | None:
        """What is used of the quota after the write; None if it costs this quota nothing. Raises Forbidden."""
        hard = amounts.parsed(found.status.hard)
        if not quota.matches(found, hard, self._by, self.new):
            return None
        named = found.metadata.name
        limited = {n: hard[n] for n in hard if self._by.names(n)}
        counted = amounts.parsed(found.status.used)
        if self.refusable and (unknown := sorted(limited.keys() - counted.keys())):
            raise self._refused(f"status unknown for quota: {named}, resources: {','.join(unknown)}")
        was_in = self._old is not None and quota.in_scopes(found, self._by, self._old)
        used = self._grown if was_in else self._used
        asked = {n: a for n, a in used.items() if n in limited and a.number != 0}
        after = amounts.add(counted, asked)
        exceeded = [n for n in asked if after[n].number > hard[n].number]
        if exceeded and self.refusable:
            parts = [{n: listed[n] for n in exceeded} for listed in (asked, counted, hard)]
            requested, so_far, limit = map(amounts.shown, parts)
            raise self._refused(f"exceeded quota: {named}, requested: {requested}, used: {so_far}, limited: {limit}")
        return after if asked else None

    def _refused(self, why: str) -> errors.Forbidden:
        return errors.forbidden(self.kind.plural, self.kind.group, self.new.metadata.name, why)
