"""ResourceQuotas: counts what a namespace uses. Upstream: pkg/controller/resourcequota.

What is made is charged by the API server in the write itself; this controller counts when a quota changes, when
something goes away or shrinks, and now and then. It reads what is there from the server, not from a cache, and writes
against the revision of the quota it read before: a charge that comes between makes it count again.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from orlop.api import amounts, quota, scheme
from orlop.api.amounts import Amounts
from orlop.api.kind import Kind
from orlop.api.types import core_v1
from orlop.control import Builder, Controller, Key, Result, key_of
from orlop.controllers import pods
from orlop.controllers.views import PodView, owned

RESYNC = 300.0
"""Seconds after which a namespace is counted again, whatever has happened (upstream: --resource-quota-sync-period)."""
_VERBS = frozenset({"list", "watch"})


class ResourceQuotaController(Controller):
    """One quota a key."""

    name = "resourcequota-controller"

    def setup(self, builder: Builder) -> None:
        self.quotas = builder.for_(core_v1.ResourceQuota, changed=lambda old, new: old.spec != new.spec)
        builder.watches(PodView, self._of, changed=_frees)
        for kind in _counted():
            if kind.resource not in ("pods", "resourcequotas"):
                builder.share(owned(kind)).on_change(self._gone if kind.resource not in _SHRINK else self._changed)

    def _of(self, obj: Any) -> Iterable[Key]:
        return [key_of(q) for q in self.quotas.items(obj.metadata.namespace)]

    def _changed(self, old: Any, new: Any) -> None:
        if old is not None:
            for key in self._of(old):
                self.context.enqueue(key, 0)

    def _gone(self, old: Any, new: Any) -> None:
        if new is None:
            self._changed(old, new)

    async def reconcile(self, key: Key) -> Result | None:
        if self.quotas.get(*key) is None:
            return None
        found = await self.context.client.get(core_v1.ResourceQuota, key.name, key.namespace)
        used = amounts.parsed(found.status.used)
        for kind in _counted():
            used.update(await self._count(found, kind))
        hard = found.spec.hard
        status = core_v1.ResourceQuotaStatus(
            hard=hard, used=amounts.written({name: used[name] for name in hard if name in used})
        )
        if not same(status, found.status):
            await self.context.client.update_status(msgspec.structs.replace(found, status=status))
        return Result(requeue_after=RESYNC)

    async def _count(self, found: core_v1.ResourceQuota, kind: Kind) -> Amounts:
        """What the namespace's objects of the kind use of the names that the quota limits."""
        by = quota.evaluator(kind)
        names = [name for name in found.spec.hard if by is not None and by.names(name)]
        if by is None or not names:
            return {}
        now = self.context.clock.now()
        listed = await self.context.client.list(kind.struct, found.metadata.namespace)
        usages = (by.usage(obj, now) for obj in listed.items if quota.in_scopes(found, by, obj))
        used = amounts.total(usages)
        return {name: used.get(name, amounts.ZERO) for name in names}


_SHRINK = frozenset({"services", "persistentvolumeclaims"})
"""Resources of which an object may use less after a change."""


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
