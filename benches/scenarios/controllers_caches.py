"""Controllers with 100,000 objects: what they hold, what they cost at rest, how soon they are there after a restart.

World: an API server (LMDB, TLS) and all controllers, each a process, on one machine. At rest: 100,000 pods that run, on
nodes that are heard of. Restart: Deployments at rest with their ReplicaSet and 5 pods each, 100,000 objects together;
the controllers are ended and started again. They have caught up when they use next to no CPU any more; the API server
counts the requests that it was sent, so that a needless write is seen. Beside it what the API server takes to send all
those objects to one client, and what that client takes to read none of them.

The objects are copies, within the store, of ones that controllers and a hollow kubelet have made and brought to rest.
"""

import asyncio
import re
import sys
import time
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from benches.clones import multiply
from benches.scenarios.controllers_deployment import deployment
from benches.world import (
    NEVER,
    Spent,
    World,
    header,
    made_namespace,
    nodes_ready,
    repeated,
    running_status,
    settled,
    tell,
    tell_spent,
    template,
    until,
)
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client

OBJECTS = machine.scaled(100_000, 70)
REPLICAS = 5
FAMILY = REPLICAS + 2
IDLE_SECONDS = 20.0
CORE_LIMIT, KIB_LIMIT, RESTART_LIMIT = 1.0, 3.0, 5.0
"""Percent of a core, KiB a cached pod, seconds."""
QUIET = 0.5
"""Seconds with next to no CPU after which the controllers have caught up."""
CONTROL = {"leases", "events"}
"""What is written though nothing is needed: a leader's lease, word of what was seen."""


async def caught_up(world: World) -> float:
    """The moment (monotonic) since which the controllers have rested."""
    rested, used = time.monotonic(), world.cpu()["controllers"]
    while time.monotonic() - rested < QUIET:
        await asyncio.sleep(0.05)
        now = world.cpu()["controllers"]
        if now - used > 0.015:
            rested, used = time.monotonic(), now
    return rested


async def writes(client: Client) -> Counter[str]:
    """Requests that write, by verb and resource, since the API server's start. A token is handed out, not written."""
    found = Counter[str]()
    for line in (await client.request("GET", "/metrics")).body.decode().splitlines():
        if line.startswith("apiserver_request_total{"):
            labels = dict(re.findall(r'(\w+)="([^"]*)"', line))
            nothing = labels["verb"] in ("GET", "LIST", "WATCH") or labels.get("subresource") == "token"
            if not nothing and labels.get("resource") not in CONTROL:
                found[f"{labels['verb']} {labels.get('resource')}"] += int(float(line.rsplit(" ", 1)[1]))
    return found


async def one_deployment(world: World) -> None:
    """A Deployment at rest, made by everything that makes one."""
    world.run()
    async with world.client() as client:
        await nodes_ready(client, 1)
        await made_namespace(client, "full")
        await client.create(deployment("d-00000", "full", REPLICAS))

        async def ready() -> bool:
            return (await client.get(apps_v1.Deployment, "d-00000", "full")).status.available_replicas == REPLICAS

        await until(ready, "the Deployment Ready")
        await settled(world)
    for part in ("hollow", "scheduler", "controllers"):
        world.stop(part)


async def one_pod(world: World) -> None:
    """A pod that runs, and the node that it is on."""
    async with world.client() as client:
        world.start("controllers")
        await made_namespace(client, "full")
        metadata = meta_v1.ObjectMeta(name="p-000000", namespace="full", labels={"app": "web"})
        await client.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="node-1")))
        pod = core_v1.Pod(metadata=metadata, spec=template("web").spec)
        pod.spec.node_name = "node-1"
        await client.create(pod)
        status = {"status": running_status("10.0.0.1")}
        await client.patch(core_v1.Pod, "p-000000", "full", status, type="strategic", subresource="status")
        await settled(world)
        world.stop("controllers")


async def rest() -> None:
    """Memory and CPU of controllers that have nothing to do."""
    held = []
    for count in (0, OBJECTS):
        with World(node_monitor_grace_period=NEVER) as world:
            await one_pod(world)
            world.stop("apiserver")
            await multiply(world.folder / "store", ["pods"], "full", "p-000000", count)
            world.start("apiserver")
            world.start("controllers")
            await caught_up(world)
            await settled(world)
            held.append(machine.proportional_mib(world.parts["controllers"].pid))
            if count:
                before = world.cpu()["controllers"]
                await asyncio.sleep(IDLE_SECONDS)
                share = 100 * (world.cpu()["controllers"] - before) / IDLE_SECONDS
                tell(f"controllers at rest, {count} pods cached, share of a core", [share], "%", CORE_LIMIT)
    tell(f"memory of the controllers, {OBJECTS} pods cached", [held[1]], "MiB")
    tell("  for each cached pod", [(held[1] - held[0]) * 1024 / OBJECTS], "KiB", KIB_LIMIT)


async def restart() -> None:
    """Seconds until controllers that start over a full world have looked at all of it."""
    families = OBJECTS // FAMILY
    with World(nodes=1, node_monitor_grace_period=NEVER) as world:
        await one_deployment(world)
        world.stop("apiserver")
        await multiply(
            world.folder / "store", ["apps/deployments", "apps/replicasets", "pods"], "full", "d-00000", families - 1
        )
        async with world.client() as client:

            async def run(_: int) -> Spent:
                world.start("apiserver")
                before = await writes(client)
                spent, began = Spent(world), time.monotonic()
                world.start("controllers")
                rested = await caught_up(world)
                spent.stop().seconds = rested - began
                more = await writes(client) - before
                if more:
                    print(f"  needless writes: {dict(more)}", flush=True)
                world.stop("controllers")
                world.stop("apiserver")
                return spent

            runs = await repeated(run)
            tell_spent(f"controllers start over {families * FAMILY} objects, caught up", runs, RESTART_LIMIT)
            world.start("apiserver")
            spent = Spent(world)
            for path in ("/api/v1/pods", "/apis/apps/v1/replicasets", "/apis/apps/v1/deployments"):
                assert (await client.request("GET", path)).status == 200
            spent.stop()
            tell("  the same objects listed by a client that reads none of them", [spent.seconds], "s")


async def main() -> None:
    header()
    await rest()
    await restart()


if __name__ == "__main__":
    asyncio.run(main())
