"""What a cluster's nodes have of containers, whichever runtime runs them: asked of the runtime beside the node."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

from tests.support.cluster import UpCluster

from orlop.clock import SystemClock
from orlop.cluster.nodes import real_nodes
from orlop.cluster.runtimes import choose_runtime, make_runtime
from orlop.cluster.settings import load
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import NotFound, Runtime

T = TypeVar("T")


def _ask(cluster: UpCluster, node: str, work: Callable[[Runtime], Awaitable[T]]) -> T:
    settings = load(cluster.data)
    assert settings is not None
    [found] = [n for n in real_nodes(settings, 9) if n.name == node]

    async def ask() -> T:
        kind = choose_runtime(settings)
        runtime, _ = make_runtime(settings, found, kind, SystemClock(), HollowNetwork())
        await runtime.open()
        try:
            return await work(runtime)
        finally:
            await runtime.close()

    return asyncio.run(ask())


async def _of(runtime: Runtime, namespace: str) -> tuple[set[str], list[v.Container]]:
    pods = {s.id: s.metadata.uid for s in await runtime.list_pod_sandbox() if s.metadata.namespace == namespace}
    return set(pods.values()), [c for c in await runtime.list_containers() if c.pod_sandbox_id in pods]


def containers(cluster: UpCluster, node: str, namespace: str) -> dict[str, str]:
    """A node's containers of one namespace: id → state (created, running, exited)."""

    async def work(runtime: Runtime) -> dict[str, str]:
        return {c.id: c.state for c in (await _of(runtime, namespace))[1]}

    return _ask(cluster, node, work)


def sandboxes(cluster: UpCluster, node: str, namespace: str) -> set[str]:
    """The uids of the pods of one namespace of which a node has a sandbox, in whatever state."""

    async def work(runtime: Runtime) -> set[str]:
        return (await _of(runtime, namespace))[0]

    return _ask(cluster, node, work)


def kill_containers(cluster: UpCluster, node: str) -> None:
    """SIGKILL to every container and sandbox of a node."""

    async def work(runtime: Runtime) -> list[int]:
        pids = []
        for container in await runtime.list_containers():
            with suppress(NotFound):
                pids.append((await runtime.container_status(container.id)).pid)
        for sandbox in await runtime.list_pod_sandbox():
            with suppress(NotFound):
                pids.append((await runtime.pod_sandbox_status(sandbox.id)).pid)
        return pids

    for pid in _ask(cluster, node, work):
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
