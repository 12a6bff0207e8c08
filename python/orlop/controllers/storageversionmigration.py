"""Has all objects of a resource stored anew, each by a write that changes nothing (KEP-4192).

Upstream: pkg/controller/storageversionmigrator. There it is two controllers over the garbage collector's caches; here
it is one that lists, page by page, what there was when it began.
"""

from typing import Any

import msgspec

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1, storagemigration_v1
from orlop.client import copy, discovery
from orlop.client.decode import Listed, error_of
from orlop.clock import parse_time, rfc3339
from orlop.control import Builder, Controller, Key, Result
from orlop.controllers.views import Owned, owned

PAGE = 500
"""Objects listed at a time."""
PATIENCE = 60.0
"""Seconds after its making in which a migration's resource may still come to be: its CRD may be as new."""
AGAIN = 5.0
"""Seconds between two looks for such a resource."""
MANAGER = "storage-version-migrator-controller"

Migration = storagemigration_v1.StorageVersionMigration


class StorageVersionMigrator(Controller):
    """Runs each migration once, and says in conditions how it went."""

    name = MANAGER

    def setup(self, builder: Builder) -> None:
        self.migrations = builder.for_(Migration)

    async def reconcile(self, key: Key) -> Result | None:
        cached = self.migrations.get(*key)
        if cached is None or _is(cached, "Succeeded") or _is(cached, "Failed"):
            return None
        migration = copy(cached)
        wanted = migration.spec.resource
        rows, stale = await discovery.kinds(self.context.client)
        row = next((r for r in rows if (r.group, r.plural) == (wanted.group, wanted.resource)), None)
        if row is None:
            waited = self.context.clock.now() - parse_time(migration.metadata.creation_timestamp)
            if waited < PATIENCE or any(version.rpartition("/")[0] == wanted.group for version in stale):
                return Result(requeue_after=AGAIN)
            await self._say(migration, "Failed", "resource does not exist in discovery")
            return None
        page = await self._list(row, "")
        if not migration.status.resource_version:
            migration.status.resource_version = page.resource_version
        migration = await self._say(migration, "Running", "")
        try:
            while True:
                for obj in page.items:
                    await self._rewrite(row, obj)
                if not page.continue_:
                    break
                page = await self._list(row, page.continue_)
        except errors.ApiError as error:
            self.context.log.warning("an object could not be stored anew", extra={"key": str(key), "error": str(error)})
            await self._say(migration, "Failed", "migration encountered unhandled error")
            return None
        await self._say(migration, "Succeeded", "")
        return None

    async def _list(self, row: Kind, continue_: str) -> Listed[Owned]:
        return await self.context.client.list(owned(row), limit=PAGE, continue_=continue_)

    async def _rewrite(self, row: Kind, obj: Owned) -> None:
        """Writes the object as it is. One that has changed since, or is gone, has been stored anew or need not be."""
        meta = obj.metadata
        # both: an object of that name made anew must not be taken for this one, nor made where it is gone
        patch: dict[str, Any] = {
            "apiVersion": row.api_version,
            "kind": row.kind,
            "metadata": {"name": meta.name, "uid": meta.uid, "resourceVersion": meta.resource_version},
        }
        response = await self.context.client.request(
            "PATCH",
            row.path(meta.namespace or None, meta.name),
            query={"fieldManager": MANAGER},
            body=msgspec.json.encode(patch),
            headers={"content-type": "application/apply-patch+yaml"},
        )
        if response.status >= 400 and response.status not in (404, 409):
            raise error_of(response)

    async def _say(self, migration: Migration, type_: str, words: str) -> Migration:
        """Sets the condition; one that has ended runs no more."""
        reason = {"Running": "InProgress"}.get(type_, type_)
        if type_ != "Running":
            self._set(migration, "Running", "False", reason, "")
        self._set(migration, type_, "True", reason, words)
        return await self.context.client.update_status(migration)

    def _set(self, migration: Migration, type_: str, status: str, reason: str, words: str) -> None:
        conditions = migration.status.conditions
        found = next((c for c in conditions if c.type == type_), None)
        if found is None:
            found = meta_v1.Condition(type=type_)
            conditions.append(found)
        if found.status != status:
            found.last_transition_time = rfc3339(self.context.clock.now())
        found.status, found.reason, found.message = status, f"StorageVersionMigration{reason}", words


def _is(migration: Migration, type_: str) -> bool:
    return any(c.type == type_ and c.status == "True" for c in migration.status.conditions)
