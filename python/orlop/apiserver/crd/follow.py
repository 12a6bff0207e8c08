"""Follows CustomResourceDefinitions: serves them, settles their names and conditions, ends their instances with them.

What apiextensions does in three controllers (naming, establishing, finalizing) is one here: `settle` says what a
definition's status should be. Every server over a store does it; the store decides who was first.
"""

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from orlop import logging
from orlop.api import errors, scheme
from orlop.api.types import apiextensions_v1, meta_v1
from orlop.apiserver.crd import definition as definitions
from orlop.apiserver.crd.served import Served
from orlop.apiserver.crd.strategy import CustomResources
from orlop.apiserver.registry.meta import CLEANUP as FINALIZER
from orlop.clock import rfc3339
from orlop.store.base import Attribution, StoreError

if TYPE_CHECKING:
    from orlop.apiserver.core import Core

Crd = apiextensions_v1.CustomResourceDefinition
Condition = apiextensions_v1.CustomResourceDefinitionCondition

RESOURCE = "apiextensions.k8s.io/customresourcedefinitions"
BATCH = 256
"""Events taken at a time."""
RETRY = 1.0
"""Seconds until a step that failed is taken again."""
CHECK = 0.2
"""Seconds between two looks whether the instances of an ending definition are gone."""
BY = Attribution("system:apiserver", "kube-apiserver", "", "")

CONFLICTS = {"plural": "Plural", "singular": "Singular", "kind": "Kind", "list_kind": "ListKind"}
"""How reasons name the names."""

log = logging.get("apiserver")


class Follower:
    """One server's view of the definitions."""

    def __init__(self, core: "Core", served: Served) -> None:
        self._core = core
        self._served = served
        row = scheme.by_kind("apiextensions.k8s.io/v1", "CustomResourceDefinition")
        assert row is not None
        self._row = row
        self._wake = asyncio.Event()
        self._changed: dict[str, bytes | None] = {}

    async def load(self) -> None:
        """Serves what is there: before the first request is answered."""
        for value in self._core.hub.list(RESOURCE, None, "", "", 0, None).items:
            await self._served.put(definitions.decode(value))

    async def run(self) -> None:
        """Follows until cancelled."""
        core = self._core
        while True:
            watcher = core.hub.watch(RESOURCE, None, "", "", None, True, False, False)
            settling = asyncio.ensure_future(self._settle())
            try:
                self._compare()
                while watcher.state == "live":
                    events = watcher.events(BATCH)
                    for type_, _, value in events:
                        await self._take(type_, value)
                    if not events:
                        await core.waker.wait(watcher.id)
            finally:
                settling.cancel()
                await asyncio.gather(settling, return_exceptions=True)
                watcher.close()
                core.waker.forget(watcher.id)

    def _compare(self) -> None:
        """What went while nobody looked is served no longer."""
        there = {definitions.decode(v).metadata.name for v in self._list()}
        for name in self._served.names() - there:
            self._served.drop(name)

    def _list(self) -> list[bytes]:
        return list(self._core.hub.list(RESOURCE, None, "", "", 0, None).items)

    async def _take(self, type_: str, value: bytes) -> None:
        if type_ not in ("ADDED", "MODIFIED", "DELETED"):
            return
        found = definitions.decode(value)
        if type_ == "DELETED":
            self._served.drop(found.metadata.name)
            # Its names are free: who wanted them is looked at again.
            for other in self._list():
                self._changed[definitions.decode(other).metadata.name] = None
        else:
            await self._served.put(found)
            self._changed[found.metadata.name] = None
        self._core.aggregator.changed()
        self._wake.set()

    # --- conditions -------------------------------------------------------------------------------

    async def _settle(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._changed:
                name = next(iter(self._changed))
                del self._changed[name]
                try:
                    wait = await self._one(name)
                except (errors.ApiError, StoreError) as error:
                    log.warning("a definition could not be settled, will try again: %s", error)
                    wait = RETRY
                if wait:
                    self._later(name, wait)

    def _later(self, name: str, seconds: float) -> None:
        async def later() -> None:
            await self._core.clock.sleep(seconds)
            self._changed[name] = None
            self._wake.set()

        self._core.background("settle a definition", later())

    async def _one(self, name: str) -> float:
        """Settles one; returns after how many seconds to look again, 0 if it is done."""
        crd: Crd | None = self._core.objects.get(self._row, "", name)
        if crd is None:
            return 0.0
        if crd.metadata.deletion_timestamp is not None and FINALIZER in crd.metadata.finalizers:
            return await self._end(name, crd)
        wanted = self.settled(crd)
        if wanted != crd.status:
            await self._write(name, wanted)
        return 0.0

    async def _write(self, name: str, status: apiextensions_v1.CustomResourceDefinitionStatus) -> None:
        core = self._core

        async def change(old: Crd) -> Crd:
            new: Crd = core.objects.get(self._row, "", name) or old
            new.status = status
            return new

        strategy = core.strategies[self._row.type_key]
        try:
            await core.objects.update(strategy, "", name, change, by=BY, subresource="status")
        except errors.NotFound:
            return

    def settled(self, crd: Crd) -> apiextensions_v1.CustomResourceDefinitionStatus:
        """The status that a definition should have, by the names that others of its group hold."""
        asked, held = crd.spec.names, crd.status.accepted_names
        resources, kinds = self._taken(crd)
        accepted = apiextensions_v1.CustomResourceDefinitionNames(
            plural=held.plural,
            singular=held.singular,
            short_names=held.short_names,
            kind=held.kind,
            list_kind=held.list_kind,
            categories=asked.categories,
        )
        reason = message = ""
        for field, used in (("plural", resources), ("singular", resources), ("kind", kinds), ("list_kind", kinds)):
            name: str = getattr(asked, field)
            if name != getattr(held, field) and name in used:
                reason, message = f"{CONFLICTS[field]}Conflict", f'"{name}" is already in use'
            else:
                setattr(accepted, field, name)
        clashes = [n for n in asked.short_names if n not in held.short_names and n in resources]
        if clashes:
            texts = [f'"{n}" is already in use' for n in clashes]
            reason, message = "ShortNamesConflict", texts[0] if len(texts) == 1 else f"[{', '.join(texts)}]"
        else:
            accepted.short_names = asked.short_names
        conditions = list(crd.status.conditions)
        if reason:
            self._set(crd, conditions, "NamesAccepted", "False", reason, message)
        else:
            self._set(crd, conditions, "NamesAccepted", "True", "NoConflicts", "no conflicts found")
        established = definitions.condition(crd.status, "Established") == "True"
        if not established and not reason:
            words = "the initial names have been accepted"
            self._set(crd, conditions, "Established", "True", "InitialNamesAccepted", words)
        elif not established:
            self._set(crd, conditions, "Established", "False", "NotAccepted", "not all names are accepted")
        self._approval(crd, conditions)
        return apiextensions_v1.CustomResourceDefinitionStatus(
            conditions=conditions,
            accepted_names=accepted,
            stored_versions=crd.status.stored_versions,
            observed_generation=crd.status.observed_generation,
        )

    def _taken(self, crd: Crd) -> tuple[set[str], set[str]]:
        """Resource names and kinds that other definitions of the group hold."""
        resources: set[str] = set()
        kinds: set[str] = set()
        for value in self._list():
            other = definitions.decode(value)
            if other.spec.group != crd.spec.group or other.metadata.name == crd.metadata.name:
                continue
            names = other.status.accepted_names
            resources |= {names.plural, names.singular, *names.short_names}
            kinds |= {names.kind, names.list_kind}
        return resources - {""}, kinds - {""}

    def _approval(self, crd: Crd, conditions: list[Condition]) -> None:
        """KubernetesAPIApprovalPolicyConformant, of groups that are the project's own."""
        from orlop.apiserver.registry.extensions import APPROVED, is_protected

        if not is_protected(crd.spec.group):
            return
        approval = crd.metadata.annotations.get(APPROVED, "")
        type_ = "KubernetesAPIApprovalPolicyConformant"
        if approval.startswith("unapproved"):
            self._set(crd, conditions, type_, "False", "UnapprovedAnnotation", f"not approved: {approval!r}")
        elif "://" in approval:
            self._set(crd, conditions, type_, "True", "ApprovedAnnotation", f"approved in {approval}")

    def _set(self, crd: Crd, conditions: list[Condition], type_: str, status: str, reason: str, message: str) -> None:
        now = rfc3339(self._core.clock.now())
        for i, found in enumerate(conditions):
            if found.type == type_:
                if (found.status, found.reason, found.message) == (status, reason, message):
                    return
                when = found.last_transition_time if found.status == status else now
                conditions[i] = Condition(
                    type=type_, status=status, reason=reason, message=message, last_transition_time=when
                )
                return
        conditions.append(
            Condition(type=type_, status=status, reason=reason, message=message, last_transition_time=now)
        )

    # --- the end ----------------------------------------------------------------------------------

    async def _end(self, name: str, crd: Crd) -> float:
        """Deletes the instances; when none is left the definition may go."""
        core = self._core
        resource = f"{crd.spec.group}/{crd.spec.names.plural}"
        conditions = list(crd.status.conditions)
        if definitions.condition(crd.status, "Established") != "True":
            self._set(crd, conditions, "Terminating", "False", "NeverEstablished", "resource was never established")
        else:
            words = "CustomResource deletion is in progress"
            self._set(crd, conditions, "Terminating", "True", "InstanceDeletionInProgress", words)
            if conditions != crd.status.conditions:
                crd.status.conditions = conditions
                await self._write(name, crd.status)
                return CHECK / 10
            if await self._delete_instances(crd, resource):
                return CHECK
            conditions = list(crd.status.conditions)
            words = "removed all instances"
            self._set(crd, conditions, "Terminating", "False", "InstanceDeletionCompleted", words)

        async def change(old: Crd) -> Crd:
            new: Crd = core.objects.get(self._row, "", name) or old
            new.status.conditions = conditions
            new.metadata.finalizers = [f for f in new.metadata.finalizers if f != FINALIZER]
            return new

        strategy = core.strategies[self._row.type_key]
        with suppress(errors.NotFound):
            await core.objects.update(strategy, "", name, change, by=BY, before=_finish)
        return 0.0

    async def _delete_instances(self, crd: Crd, resource: str) -> bool:
        """Asks every instance to go; whether any is left."""
        core = self._core
        route = next(
            (r for v in crd.spec.versions if (r := self._served.route(crd.spec.group, v.name, crd.spec.names.plural))),
            None,
        )
        found = core.hub.list(resource, None, "", "", 0, None)
        if route is None:
            return False
        kind = route.kind if route.conversion is None else route.conversion.stored
        strategy = core.strategies[kind.type_key]
        if isinstance(strategy, CustomResources):
            strategy = strategy.as_stored()  # what ends need not be converted
            kind = strategy.kind
        for value in found.items:
            metadata: meta_v1.ObjectMeta = core.objects.decode(kind, value).metadata
            if metadata.deletion_timestamp is not None:
                continue
            try:
                await core.objects.delete(strategy, metadata.namespace, metadata.name, meta_v1.DeleteOptions(), by=BY)
            except errors.NotFound:
                continue
        return bool(core.hub.list(resource, None, "", "", 1, None).items)


def _finish(new: Any, old: Any) -> list[errors.FieldError]:
    return []
