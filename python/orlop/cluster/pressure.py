"""What a person is told of a machine that is short of memory or disk: before a cluster starts, and while it runs."""

import asyncio

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.clock import SystemClock, timeout
from orlop.cluster.settings import Settings
from orlop.kubelet.eviction import signals, thresholds as t
from orlop.kubelet.eviction.config import on_shared_machine
from orlop.kubelet.eviction.machine import filesystem, memory
from orlop.kubelet.eviction.signals import PRESSURES

ANSWER_SECONDS = 2.0
"""How long the API may take to tell of its nodes."""


def shortages(settings: Settings) -> list[str]:
    """What the machine's node will be short of from the start. Blocks."""
    from orlop.kubelet.runtime.native.images import default_root

    folder, images = settings.data_dir, settings.image_dir or default_root()
    seen = {signals.MEMORY: memory()}
    seen[signals.NODEFS], seen[signals.NODEFS_INODES] = filesystem(folder)
    seen[signals.IMAGEFS], seen[signals.IMAGEFS_INODES] = filesystem(images)
    where = {signals.NODEFS: f" in {folder}", signals.IMAGEFS: f" in {images}"}
    return [
        f"{one.signal} is {seen[one.signal].available >> 20} MiB{where.get(one.signal, '')}, less than the threshold: "
        f"the node will have {signals.CONDITION_OF[one.signal]} and take no pods. Free some, or lower --eviction-hard"
        for one in t.met(on_shared_machine(settings.eviction).thresholds({}), seen)
    ]


def under_pressure(settings: Settings) -> list[str]:
    """The nodes of a running cluster that are under pressure; nothing where the API does not answer."""
    from orlop.cluster.components import client_of

    async def ask() -> list[core_v1.Node]:
        clock = SystemClock()
        client = client_of(settings, "admin", clock)
        try:
            async with timeout(clock, ANSWER_SECONDS):
                nodes: list[core_v1.Node] = (await client.list(core_v1.Node)).items
                return nodes
        finally:
            await client.close()

    try:
        nodes = asyncio.run(ask())
    except (errors.ApiError, OSError, TimeoutError):
        return []
    return [
        f"node {node.metadata.name} has {condition.type} since {condition.last_transition_time}: pods are evicted and "
        f"new ones refused until there is room again (kubectl describe node {node.metadata.name})"
        for node in nodes
        for condition in node.status.conditions
        if condition.type in PRESSURES and condition.status == "True"
    ]
