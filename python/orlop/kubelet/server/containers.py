"""Which container a request's path means."""

from aiohttp import web

from orlop.api.types import core_v1
from orlop.client.informer import Informer
from orlop.kubelet.runtime import base, values as v


class Finder:
    """Finds pods and containers of this node by what the API server calls them."""

    def __init__(self, runtime: base.Runtime, pods: Informer[core_v1.Pod]) -> None:
        self._runtime = runtime
        self._pods = pods

    async def container(self, request: web.Request, *, previous: bool = False) -> v.Container:
        """The newest container the path names, or the one before it. Raises HTTP errors in upstream's words."""
        namespace, pod, name = (request.match_info[k] for k in ("namespace", "pod", "container"))
        wanted = {
            base.LABEL_POD_NAMESPACE: namespace,
            base.LABEL_POD_NAME: pod,
            base.LABEL_CONTAINER_NAME: name,
        }
        current = self._pods.get(namespace, pod)
        if current is not None:
            wanted[base.LABEL_POD_UID] = current.metadata.uid
        found = await self._runtime.list_containers(labels=wanted)
        found.sort(key=lambda c: (c.metadata.attempt, c.created_at), reverse=True)
        if previous:
            found = found[1:] if found and found[0].state in ("running", "created") else found[1:] or found
            if not found:
                raise web.HTTPBadRequest(text=f'previous terminated container "{name}" in pod "{pod}" not found')
        if not found:
            if current is None:
                raise web.HTTPNotFound(text=f'pod "{pod}" not found')
            reason = _waiting_reason(current, name)
            raise web.HTTPBadRequest(
                text=f'container "{name}" in pod "{pod}" is waiting to start: {reason or "ContainerCreating"}'
            )
        return found[0]

    async def running(self, request: web.Request) -> v.Container:
        """As `container`, but it must run: for exec and attach."""
        container = await self.container(request)
        if container.state != "running":
            name = container.metadata.name
            raise web.HTTPBadRequest(text=f'container "{name}" in pod "{container.pod.name}" is not running')
        return container

    async def sandbox(self, request: web.Request) -> v.PodSandbox:
        """The pod's sandbox, which must run: for port-forward."""
        namespace, pod = request.match_info["namespace"], request.match_info["pod"]
        wanted = {base.LABEL_POD_NAMESPACE: namespace, base.LABEL_POD_NAME: pod}
        current = self._pods.get(namespace, pod)
        if current is not None:
            wanted[base.LABEL_POD_UID] = current.metadata.uid
        ready = [s for s in await self._runtime.list_pod_sandbox(wanted) if s.state == "ready"]
        if not ready:
            raise web.HTTPNotFound(text="pod does not exist" if current is None else f'pod "{pod}" is not running')
        return max(ready, key=lambda s: s.metadata.attempt)


def _waiting_reason(pod: core_v1.Pod, name: str) -> str:
    status = pod.status
    for one in [*status.container_statuses, *status.init_container_statuses, *status.ephemeral_container_statuses]:
        if one.name == name and one.state.waiting:
            return one.state.waiting.reason
    return ""
