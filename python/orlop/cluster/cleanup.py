"""Takes away what a cluster made on this machine: containers, pod network, rules, mounts. Safe to repeat."""

import asyncio

from orlop import logging
from orlop.clock import SystemClock
from orlop.cluster.runtimes import docker_answers, make_runtime
from orlop.cluster.settings import Settings

log = logging.get("cluster")


async def clean_node(settings: Settings) -> None:
    """After the supervisor has ended. Does nothing where there was no real node."""
    import os

    if os.geteuid() != 0 or settings.runtime == "hollow":
        return
    from orlop.kubelet.volumes import host
    from orlop.proxy.cleanup import cleanup

    runtime, network = make_runtime(settings, "docker", SystemClock())
    if docker_answers():
        await runtime.open()
        try:
            await runtime.cleanup()
        finally:
            await runtime.close()
    await network.cleanup()
    await cleanup(settings.scope)
    await asyncio.to_thread(host.remove, settings.kubelet_root / "pods")
