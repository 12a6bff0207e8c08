"""ResourceQuota: what a namespace may use. Upstream: plugin/pkg/admission/resourcequota.

Upstream's plug-in charges the quota first and stores the object after that, and the two may come apart. Here the
charge is part of the write: the quota's new status and the object are committed together or not at all, against the
revision of the quota that was looked at. A namespace's charges of this server go one after the other, so they do not
make each other try again. Where several quotas count an object, one is in the transaction (it takes one write of a
resource), the others are charged just before it; so are all when the object is a ResourceQuota itself. What such a
charge is too much by, because the write failed after it, the quota controller corrects when it next counts.
"""

import asyncio
from typing import Any
from weakref import WeakValueDictionary

import msgspec

from orlop.api import amounts, errors, quota, scheme
from orlop.api.amounts import Amounts
from orlop.api.kind import Kind
from orlop.api.types import core_v1
from orlop.apiserver.registry.objects import Hooks, Objects, split
from orlop.store.base import Attribution, Conflict, Key, Write

BY = Attribution(user="system:apiserver", manager="resourcequota")
RESOURCE = "resourcequotas"


class Charge:
    """A charge under way: it holds the namespace's turn."""

    def __init__(self, turn: asyncio.Lock) -> None:
        self.writes: list[Write] = []
        self._turn = turn

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

    async def create(self, new: Any, dry_run: bool) -> Charge | None:
        return await self._charge(new, None, dry_run)

    async def update(self, new: Any, old: Any, dry_run: bool) -> Charge | None:
        return await self._charge(new, old, dry_run)

    async def _charge(self, new: Any, old: Any, dry_run: bool) -> Charge | None:
        """Raises Forbidden if a quota does not allow it."""
        namespace = new.metadata.namespace
        if not namespace or not self._objects.hub.list(RESOURCE, namespace, "", "", 1, None).items:
            return None
        kind = scheme.of(type(new))
        by = quota.evaluator(kind)
        if by is None:
            return None
        write = _Asked(kind, by, new, old, self._objects.clock.now())
        if not write.concerns:
            return None
        turn = self._turns.setdefault(namespace, asyncio.Lock())
        await turn.acquire()
        charge = Charge(turn)
        try:
            charge.writes = await self._charged(write, dry_run)
        except BaseException:
            charge.release()
            raise
        return charge

    async def _charged(self, write: "_Asked", dry_run: bool) -> list[Write]:
        """Charges all quotas but one, and gives the write of that one."""
        charged: set[str] = set()
        while True:
            writes = [w for w in self._charges(write) if w.key.name not in charged]
            if dry_run:
                return []
            together = [] if write.kind.resource == RESOURCE else writes[-1:]
            try:
                for one in writes[: len(writes) - len(together)]:
                    await self._objects.writer.commit(one)
                    charged.add(one.key.name)
            except Conflict:
                continue  # the controller has counted meanwhile
            return together

    def _charges(self, write: "_Asked") -> list[Write]:
        """The new states of the quotas that count the object. Raises Forbidden."""
        namespace = write.new.metadata.namespace
        writes = []
        for value in self._objects.hub.list(RESOURCE, namespace, "", "", 0, None).items:
            found: core_v1.ResourceQuota = self._objects.decode(self._row, value)
            used = write.charge(found)
            if used is None:
                continue
            revision = int(found.metadata.resource_version)
            status = msgspec.structs.replace(found.status, used=amounts.written(used))
            changed = msgspec.structs.replace(found, status=status)
            writes.append(Write(Key(RESOURCE, namespace, found.metadata.name), split(changed), revision, by=BY))
        return writes


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
        self._refusable = old is None or (bool(self._grown or by.scoped) and new.spec != old.spec)

    @property
    def concerns(self) -> bool:
        """Whether it can cost any quota anything."""
        return bool(self._grown) or (self._by.scoped and self._refusable)

    def charge(self, found: core_v1.ResourceQuota) -> Amounts | None:
        """What is used of the quota after the write; None if it costs this quota nothing. Raises Forbidden."""
        hard = amounts.parsed(found.status.hard)
        if not quota.matches(found, hard, self._by, self.new):
            return None
        named = found.metadata.name
        limited = {n: hard[n] for n in hard if self._by.names(n)}
        if self.kind.resource == "pods" and self._old is None and (missing := quota.unset(self.new, limited)):
            raise self._refused(f"failed quota: {named}: must specify {missing}")
        counted = amounts.parsed(found.status.used)
        if self._refusable and (unknown := sorted(limited.keys() - counted.keys())):
            raise self._refused(f"status unknown for quota: {named}, resources: {','.join(unknown)}")
        was_in = self._old is not None and quota.in_scopes(found, self._by, self._old)
        used = self._grown if was_in else self._used
        asked = {n: a for n, a in used.items() if n in limited and a.number != 0}
        after = amounts.add(counted, asked)
        exceeded = [n for n in asked if after[n].number > hard[n].number]
        if exceeded and self._refusable:
            parts = [{n: listed[n] for n in exceeded} for listed in (asked, counted, hard)]
            requested, so_far, limit = map(amounts.shown, parts)
            raise self._refused(f"exceeded quota: {named}, requested: {requested}, used: {so_far}, limited: {limit}")
        return after if asked else None

    def _refused(self, why: str) -> errors.Forbidden:
        return errors.forbidden(self.kind.plural, self.kind.group, self.new.metadata.name, why)
