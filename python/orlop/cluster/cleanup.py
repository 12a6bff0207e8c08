"""Takes away what a cluster made on this machine: containers, pod network, rules, mounts. Safe to repeat."""

import asyncio
import os
import shutil

from orlop.clock import SystemClock
from orlop.cluster.nodes import RealNode, known_nodes, nodes_dir
from orlop.cluster.runtimes import docker_answers, make_runtime
from orlop.cluster.settings import Settings


async def clean_nodes(settings: Settings) -> None:
    """All nodes, after the supervisor has ended. Does nothing where there was no real node."""
    if settings.runtime == "hollow":
        return
    await asyncio.gather(*(clean_node(settings, node) for node in known_nodes(settings)))
    if settings.node_cidr:
        from orlop.cluster import nodenet

        await asyncio.to_thread(nodenet.remove_host, settings)


async def clean_node(settings: Settings, node: RealNode) -> None:
    """One node that does not run any more."""
    from orlop.kubelet.network import balancers
    from orlop.kubelet.network.hollow import HollowNetwork
    from orlop.kubelet.volumes import host
    from orlop.networkpolicy.config import PolicyConfig
    from orlop.networkpolicy.table import Table
    from orlop.proxy.cleanup import cleanup

    # What a namespace has of links and rules goes with it.
    away = HollowNetwork() if node.netns else None
    for kind in used_runtimes(node):
        runtime, _ = make_runtime(settings, node, kind, SystemClock(), away)
        if kind == "docker" and not docker_answers():
            continue
        await runtime.open()
        try:
            await runtime.cleanup()
        finally:
            await runtime.close()
    await asyncio.to_thread(host.remove, node.kubelet_root / "pods")
    if node.netns:
        from orlop.cluster import nodenet

        await asyncio.to_thread(nodenet.remove_node, node)
        await asyncio.to_thread(shutil.rmtree, nodes_dir(settings) / node.name, ignore_errors=True)
    elif os.geteuid() == 0:  # who is not has made no network
        _, network = make_runtime(settings, node, "native", SystemClock())
        await network.cleanup()
        await cleanup(settings.scope)
        if settings.load_balancer_pools:
            await asyncio.to_thread(balancers.release, settings.load_balancer_pools)
        await Table(PolicyConfig(node_name=node.name, scope=settings.scope).table).remove()


def used_runtimes(node: RealNode) -> list[str]:
    """Those that have left something of this node: a cluster may have changed from one to the other."""
    return [kind for kind in ("native", "docker") if (node.state / kind).exists()]
