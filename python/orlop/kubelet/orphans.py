"""What an earlier run of the kubelet left of pods that the API no longer has."""

import asyncio
from collections.abc import Callable, Set

from orlop import logging
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.volumes.manager import Volumes

log = logging.get("kubelet")

GRACE_SECONDS = 1.0
"""Of a container whose pod nobody knows any more, so neither its grace period (upstream: minimum of a removed pod)."""


class Orphans:
    """Finds and removes them; one that resists holds up no other."""

    def __init__(self, runtime: base.Runtime, volumes: Volumes | None) -> None:
        self._runtime = runtime
        self._volumes = volumes

    async def remove(self, wanted: Callable[[], Set[str]]) -> bool:
        """Removes every sandbox and directory of a pod that is not `wanted` (by uid). Whether nothing is left.

        `wanted` is asked after listing: what came meanwhile is nobody's orphan."""
        try:
            sandboxes = await self._runtime.list_pod_sandbox()
            directories = await asyncio.to_thread(self._volumes.known_pods) if self._volumes else set()
        except (base.RuntimeFailure, OSError) as error:
            log.warning("Failed to list what is on the node", extra={"err": error})
            return False
        known = wanted()
        resisting: set[str] = set()
        for sandbox in [s for s in sandboxes if s.metadata.uid not in known]:
            log.info("Removing orphaned pod sandbox", extra={"pod": sandbox.metadata.name})
            try:
                await self._end(sandbox)
            except Exception as error:
                log.warning("Failed to remove pod sandbox", extra={"pod": sandbox.metadata.name, "err": error})
                resisting.add(sandbox.metadata.uid)
        if self._volumes:
            for uid in directories - known - resisting:
                await self._volumes.tear_down(uid)
        return not resisting

    async def _end(self, sandbox: v.PodSandbox) -> None:
        for container in await self._runtime.list_containers(sandbox_id=sandbox.id):
            if container.state == "running":
                await self._runtime.stop_container(container.id, GRACE_SECONDS)
        await self._runtime.stop_pod_sandbox(sandbox.id)
        await self._runtime.remove_pod_sandbox(sandbox.id)
