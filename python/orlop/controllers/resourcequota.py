"""ResourceQuotas: counts what a namespace uses. Upstream: pkg/controller/resourcequota.

What is made is charged by the API server in the write itself; this controller counts when a quota changes, when
something goes away or shrinks, and now and then. It reads what is there from the server, not from a cache, and writes
against the revision of the quota it read before: a charge that comes between makes it count again.
"""

from typing import Any

import msgspec

from orlop.api import amounts, errors, quota, scheme
from orlop.api.amounts import Amounts
from orlop.api.kind import Kind
from orlop.api.types import core_v1
from orlop.control import Builder, Controller, Key, Result, key_of
from orlop.controllers import pods
from orlop.controllers.customkinds import CustomKinds
from orlop.controllers.views import PodView, owned

RESYNC = 300.0
"""Seconds after which a namespace is counted again, whatever has happened (upstream: --resource-quota-sync-period)."""
AGAIN = 0.1
"""Seconds until the next count where something was charged during this one: while much is made that is the rule, and no
failure to back off from."""
REST = 4.0
"""After a count a quota rests this many times as long: thousands of pods that go one after the other must not make the
manager and the server do nothing but count."""
_VERBS = frozenset({"list", "watch"})


class ResourceQuotaController(Controller):
    """One quota a key."""

    name = "resourcequota-controller"

    def __init__(self) -> None:
        self._rest: dict[Key, float] = {}
        """By the monotonic clock, until when a quota is not counted again."""

    def setup(self, builder: Builder) -> None:
        self.quotas = builder.for_(core_v1.ResourceQuota, changed=lambda old, new: old.spec != new.spec)
        builder.informer(PodView).on_change(self._pod)
        for kind in _counted():
            if kind.resource not in ("pods", "resourcequotas"):
                by = quota.evaluator(kind)
                builder.share(owned(kind)).on_change(self._changed if by is not None and by.grows else self._gone)

        self._custom = CustomKinds(
            builder, added=lambda _, cache: cache.on_change(self._custom_changed), dropped=lambda _, gone: None
        )

    def _custom_changed(self, old: Any, new: Any) -> None:
        """Custom resources are counted when they come too: of their kinds the server charges none."""
        if (old is None) != (new is None):
            self._changed(old or new, None)

    def _pod(self, old: PodView | None, new: PodView | None) -> None:
        if old is not None and (new is None or _frees(old, new)):
            self._changed(old, new)

    def _changed(self, old: Any, new: Any) -> None:
        """What is new has been charged when it was made."""
        if old is not None:
            for found in self.quotas.items(old.metadata.namespace):
                self.context.enqueue(key_of(found), 0)

    def _gone(self, old: Any, new: Any) -> None:
        if new is None:
            self._changed(old, new)

    async def reconcile(self, key: Key) -> Result | None:
        if self.quotas.get(*key) is None:
            self._rest.pop(key, None)
            return None
        began = self.context.clock.monotonic()
        if (left := self._rest.get(key, 0.0) - began) > 0:
            return Result(requeue_after=left)
        # Its account may list quotas, not get one.
        client = self.context.client
        named = await client.list(core_v1.ResourceQuota, key.namespace, fields=f"metadata.name={key.name}")
        if not named.items:
            return None
        found = named.items[0]
        used = amounts.parsed(found.status.used)
        for kind in (*_counted(), *self._custom):
            used.update(await self._count(found, kind))
        hard = found.spec.hard
        status = core_v1.ResourceQuotaStatus(
            hard=hard, used=amounts.written({name: used[name] for name in hard if name in used})
        )
        again = RESYNC
        if not same(status, found.status):
            try:
                await client.update_status(msgspec.structs.replace(found, status=status))
            except errors.Conflict:
                again = AGAIN
        ended = self.context.clock.monotonic()
        self._rest[key] = ended + REST * (ended - began)
        return Result(requeue_after=again)

    async def _count(self, found: core_v1.ResourceQuota, kind: Kind) -> Amounts:
        """What the namespace's objects of the kind use of the names that the quota limits."""
        by = quota.evaluator(kind)
        names = [name for name in found.spec.hard if by is not None and by.names(name)]
        if by is None or not names:
            return {}
        now = self.context.clock.now()
        read = kind.struct if by.grows else owned(kind)  # of most kinds it is enough that an object is there
        listed = await self.context.client.list(read, found.metadata.namespace)
        usages = (by.usage(obj, now) for obj in listed.items if quota.in_scopes(found, by, obj))
        used = amounts.total(usages)
        return {name: used.get(name, amounts.ZERO) for name in names}


def _counted() -> list[Kind]:
    return [k for k in scheme.KINDS if quota.evaluator(k) is not None and not k.storage and set(k.verbs) >= _VERBS]


def _frees(old: PodView, new: PodView) -> bool:
    """Whether a pod may use less than before: it has ended, is resized, or has got a deadline."""
    if pods.is_terminal(new):
        return not pods.is_terminal(old)
    if new.metadata.generation != old.metadata.generation and new.spec.node_name == old.spec.node_name:
        return True
    return _resizing(old) != _resizing(new)


def _resizing(pod: PodView) -> bool:
    return any(c.type in ("PodResizePending", "PodResizeInProgress") for c in pod.status.conditions)


def same(a: core_v1.ResourceQuotaStatus, b: core_v1.ResourceQuotaStatus) -> bool:
    """Whether both say the same amounts, however they are written."""

    def numbers(listed: dict[str, str]) -> dict[str, object]:
        return {name: amount.number for name, amount in amounts.parsed(listed).items()}

    return numbers(a.hard) == numbers(b.hard) and numbers(a.used) == numbers(b.used)
