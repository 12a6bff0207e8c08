"""The engine's containers of one scope: nothing else exists for the code above."""

import logging
from typing import Any

from orlop.kubelet.runtime.base import NotFound, RuntimeFailure
from orlop.kubelet.runtime.docker import labels
from orlop.kubelet.runtime.docker.engine import Engine, is_conflict

logger = logging.getLogger("orlop.kubelet.runtime.docker")


class Containers:
    """Lists, inspects, makes and removes, by the scope label."""

    def __init__(self, engine: Engine, scope: str) -> None:
        self._engine = engine
        self._scope = scope

    async def rows(self, *wanted: str) -> list[dict[str, Any]]:
        """GET /containers/json: all states, newest first, those with all these labels (`name` or `name=value`)."""
        filters = {"label": [f"{labels.SCOPE}={self._scope}", *wanted]}
        rows: list[dict[str, Any]] = await self._engine.call(lambda api: api.containers(all=True, filters=filters))
        return rows

    async def inspect(self, container_id: str) -> dict[str, Any]:
        """GET /containers/ID/json. Raises NotFound, also for a container of another scope."""
        found: dict[str, Any] = await self._engine.call(lambda api: api.inspect_container(container_id))
        if (found["Config"]["Labels"] or {}).get(labels.SCOPE) != self._scope:
            raise NotFound(f"No such container: {container_id}")
        return found

    async def create(self, name: str, body: dict[str, Any]) -> str:
        """Makes a container. A dead one of ours that has the name (of a kubelet killed half-way) makes room."""
        try:
            return await self._create(name, body)
        except RuntimeFailure as error:
            if not is_conflict(error):
                raise
            found = await self.inspect(name)
            if found["State"]["Running"]:
                raise
            logger.info("removing a leftover container that has the name of a new one", extra={"container": name})
            await self.remove(found["Id"])
            return await self._create(name, body)

    async def _create(self, name: str, body: dict[str, Any]) -> str:
        host = body["HostConfig"]
        host["OomScoreAdj"] = max(host["OomScoreAdj"], self._engine.lowest_oom_score)
        made = await self._engine.call(lambda api: api.create_container_from_config(body, name))
        return str(made["Id"])

    async def remove(self, container_id: str) -> None:
        """Removes it with its log, running or not; fine when it is not there."""
        try:
            await self.inspect(container_id)
            await self._engine.call(lambda api: api.remove_container(container_id, force=True, v=True))
        except NotFound:
            return
        except RuntimeFailure as error:
            if not is_conflict(error):  # its removal is already in progress
                raise

    async def stop(self, container_id: str, seconds: int) -> None:
        """Its stop signal, after `seconds` SIGKILL; returns when it has ended. Fine when it is not there."""
        try:
            await self.inspect(container_id)
            await self._engine.streams.json("POST", f"/containers/{container_id}/stop", {"t": str(seconds)})
        except NotFound:
            return
