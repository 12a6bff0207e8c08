"""Tells in a FlowSchema's status whether its priority level is there: the condition Dangling.

As k8s.io/apiserver's pkg/util/flowcontrol controller, which says it of each schema whenever either changes.
"""

import asyncio
from typing import Any

from orlop.api import errors, scheme
from orlop.api.types import flowcontrol_v1 as types
from orlop.apiserver.core import Core
from orlop.apiserver.flows import BOTH, LEVELS, SCHEMAS
from orlop.apiserver.following import Follower
from orlop.clock import rfc3339
from orlop.store.base import Attribution

DANGLING = "Dangling"
BY = Attribution("system:apiserver", "api-priority-and-fairness-config-consumer-v1")


class FlowStatus:
    """One server's."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._kind = scheme.of(types.FlowSchema)

    async def run(self) -> None:
        """Keeps the conditions right until cancelled."""
        await Follower(self._core, "FlowSchemas' conditions", BOTH, self.reconcile).run()

    async def reconcile(self) -> None:
        """Writes the conditions that are not as they should be."""
        objects = self._core.objects
        schemas = [objects.decode(self._kind, value) for value in self._core.hub.list(SCHEMAS, None).items]
        await asyncio.gather(*(self._settle(s.metadata.name) for s in schemas if not self._right(s)))

    def _wanted(self, schema: types.FlowSchema) -> types.FlowSchemaCondition:
        level = schema.spec.priority_level_configuration.name
        start = f'This FlowSchema references the PriorityLevelConfiguration object named "{level}"'
        if self._core.hub.get(LEVELS, "", level) is not None:
            return types.FlowSchemaCondition(
                type=DANGLING, status="False", reason="Found", message=f"{start} and it exists"
            )
        return types.FlowSchemaCondition(
            type=DANGLING, status="True", reason="NotFound", message=f"{start} but there is no such object"
        )

    def _right(self, schema: types.FlowSchema) -> bool:
        wanted = self._wanted(schema)
        return any(
            (c.type, c.status, c.reason, c.message) == (DANGLING, wanted.status, wanted.reason, wanted.message)
            for c in schema.status.conditions
        )

    async def _settle(self, name: str) -> None:
        core = self._core
        found = core.hub.get(SCHEMAS, "", name)
        if found is None:
            return

        async def change(old: Any) -> Any:
            if self._right(old):
                return old
            wanted = self._wanted(old)
            new: types.FlowSchema = core.objects.decode(self._kind, core.objects.find(self._kind, "", name)[0])
            before = next((c for c in new.status.conditions if c.type == DANGLING), None)
            same = before is not None and before.status == wanted.status
            wanted.last_transition_time = before.last_transition_time if same and before else rfc3339(core.clock.now())
            new.status.conditions = [*(c for c in new.status.conditions if c.type != DANGLING), wanted]
            return new

        try:
            strategy = core.strategies[self._kind.type_key]
            await core.objects.update(strategy, "", name, change, by=BY, subresource="status")
        except errors.NotFound:
            return
