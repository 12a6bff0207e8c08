"""What a cluster's nodes have of containers, whichever runtime runs them.

The Docker Engine is asked; what the embedded runtime has is read from its files, since a second runtime beside a
working kubelet would tidy away what that is just making.
"""

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Literal, NamedTuple

from tests.support.cluster import UpCluster

from orlop.clock import SystemClock
from orlop.cluster.nodes import RealNode, real_nodes
from orlop.cluster.runtimes import choose_runtime, make_runtime
from orlop.cluster.settings import Settings, load
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime.base import NotFound
from orlop.kubelet.runtime.native import records
from orlop.kubelet.runtime.native.records import ContainerRecord, Exit, Running, SandboxRecord


class Seen(NamedTuple):
    """A container or a sandbox."""

    kind: Literal["sandbox", "container"]
    id: str
    namespace: str
    pod_uid: str
    state: str
    """Of a container: created, running, exited."""
    pids: list[int]
    """Its first process, and the one that watches it."""
    log: Path | None = None
    """A container's current one; older ones lie beside it."""


def everything(cluster: UpCluster, node: str) -> list[Seen]:
    """All that a node has."""
    settings = load(cluster.data)
    assert settings is not None
    [found] = [n for n in real_nodes(settings, 9) if n.name == node]
    if choose_runtime(settings) == "native":
        return _native(found)
    return asyncio.run(_asked(settings, found))


def _native(node: RealNode) -> list[Seen]:
    seen = []
    for folder in (node.state / "native" / "sandboxes").glob("[!.]*"):
        if (sandbox := records.read(folder / records.RECORD, SandboxRecord)) is not None:
            pod = sandbox.config.metadata
            seen.append(Seen("sandbox", sandbox.id, pod.namespace, pod.uid, "", []))
    for folder in (node.state / "native" / "containers").glob("[!.]*"):
        if (container := records.read(folder / records.RECORD, ContainerRecord)) is None:
            continue
        running = records.read(folder / records.RUNNING, Running)
        state, pids = "created", []
        if records.read(folder / records.EXIT, Exit) is not None:
            state = "exited"
        elif running is not None:
            state = "running" if records.runs(running.pid, running.start_time) else "exited"
            pids = [pid for pid in (running.pid, running.shim) if records.start_time(pid)]
        owner, log = container.pod, Path(container.log_path)
        seen.append(Seen("container", container.id, owner.namespace, owner.uid, state, pids, log))
    return seen


async def _asked(settings: Settings, node: RealNode) -> list[Seen]:
    runtime, _ = make_runtime(settings, node, "docker", SystemClock(), HollowNetwork())
    await runtime.open()
    try:
        seen = []
        pods = {s.id: s.metadata for s in await runtime.list_pod_sandbox()}
        for sandbox_id, pod in pods.items():
            with suppress(NotFound):
                pid = (await runtime.pod_sandbox_status(sandbox_id)).pid
                seen.append(Seen("sandbox", sandbox_id, pod.namespace, pod.uid, "", [pid] if pid else []))
        for row in await runtime.list_containers():
            with suppress(NotFound, KeyError):
                pod, now = pods[row.pod_sandbox_id], await runtime.container_status(row.id)
                pids = [now.pid] if now.pid else []
                seen.append(Seen("container", row.id, pod.namespace, pod.uid, row.state, pids, Path(now.log_path)))
        return seen
    finally:
        await runtime.close()


def containers(cluster: UpCluster, node: str, namespace: str) -> dict[str, str]:
    """A node's containers of one namespace: id → state (created, running, exited)."""
    return {
        one.id: one.state for one in everything(cluster, node) if one.kind == "container" and one.namespace == namespace
    }


def sandboxes(cluster: UpCluster, node: str, namespace: str) -> set[str]:
    """The uids of the pods of one namespace of which a node has a sandbox, in whatever state."""
    return {one.pod_uid for one in everything(cluster, node) if one.kind == "sandbox" and one.namespace == namespace}


def pids_of(cluster: UpCluster, node: str, container_id: str) -> list[int]:
    """A running container's first process, and the one that watches it."""
    [found] = [one for one in everything(cluster, node) if one.id == container_id]
    return found.pids


def kill_containers(cluster: UpCluster, node: str) -> None:
    """SIGKILL to every container and sandbox of a node, and before that to what watches over them."""
    for one in everything(cluster, node):
        for pid in reversed(one.pids):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
