"""What every pod worker of a node shares."""

from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from orlop.api.types import core_v1
from orlop.clock import Clock
from orlop.kubelet.backoff import Backoff
from orlop.kubelet.config import KubeletConfig
from orlop.kubelet.ended import Ended
from orlop.kubelet.fields import NodeFacts
from orlop.kubelet.handlers import Handlers
from orlop.kubelet.probes import Prober
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.sources import Sources
from orlop.kubelet.statuses import StatusManager
from orlop.kubelet.volumes.manager import Volumes


class Events(Protocol):
    """Where events go: `orlop.client.events.Recorder` fits."""

    def event(
        self,
        obj: Any,
        type: Literal["Normal", "Warning"],
        reason: str,
        message: str,
        *,
        annotations: dict[str, str] | None = None,
    ) -> None: ...


class Services(msgspec.Struct, kw_only=True):
    """One node's parts, made once."""

    config: KubeletConfig
    clock: Clock
    runtime: base.Runtime
    runtime_name: str
    sources: Sources
    volumes: Volumes
    handlers: Handlers
    prober: Prober
    restarts: Backoff
    pulls: Backoff
    retries: Backoff
    """Sandboxes and volumes that could not be set up."""
    statuses: StatusManager
    events: Events
    node: NodeFacts
    node_memory: int
    host_dns: v.DNSConfig
    cluster_dns: Callable[[], Sequence[str]]
    """The name servers of pods, as far as they are known yet."""
    cluster_services: Callable[[], Coroutine[Any, Any, Iterable[core_v1.Service]]]
    """Every Service, once they have been read: what a container is told of them it is told at its start only."""
    host_ips: list[str]
    admit: Callable[[core_v1.Pod, Callable[[], None]], Coroutine[Any, Any, Ended | None]]
    """Takes a pod on and calls what it is given, or says why not."""
    stopped: Callable[[str], None]
    """Called with a pod's uid when its worker has nothing left to do."""


def container_reference(pod: core_v1.Pod, container: core_v1.Container) -> core_v1.ObjectReference:
    """What an event about a container points at: the pod, and the container's place in its spec."""
    field = "containers"
    if any(c.name == container.name for c in pod.spec.init_containers):
        field = "initContainers"
    elif any(c.name == container.name for c in pod.spec.ephemeral_containers):
        field = "ephemeralContainers"
    return core_v1.ObjectReference(
        kind="Pod",
        api_version="v1",
        namespace=pod.metadata.namespace,
        name=pod.metadata.name,
        uid=pod.metadata.uid,
        resource_version=pod.metadata.resource_version,
        field_path=f"spec.{field}{{{container.name}}}",
    )
