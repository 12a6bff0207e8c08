"""100 of 1,000 nodes die at once: when they are tainted, and how fast their pods are let go.

World: an API server (LMDB, TLS), all controllers and 1,000 hollow nodes in ten zones of 100, on one machine; a pod
on each node that is to die. The nodes that die are processes that are killed, so that they say no last word. Eight
zones lose five nodes each, one loses sixty (mostly gone: the secondary rate), and then, in a second step, one loses
all it has (that zone alone: the ordinary rate). Each is to be tainted within a second of its last heartbeat and the
grace period; the NoExecute taints that empty them are to come at the zone's rate: upstream's 0.1 nodes a second,
0.01 where a large zone is mostly gone. A pod tolerates its node's loss for no time, and is then deleted at once.
"""

import asyncio
import os
import signal
import sys
import time
from collections import defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from benches.world import World, each, header, made_namespace, nodes_ready, settled, tell, template
from orlop.api.types import coordination_v1, core_v1, meta_v1
from orlop.client import Client
from orlop.clock import parse_time

ZONES = 10
PER_ZONE = machine.scaled(100, 6)
NODES = ZONES * PER_ZONE
FEW, MOST = machine.scaled(5, 1), machine.scaled(60, 4)
"""Nodes that each of eight zones loses, and that the ninth does."""
GRACE = float(machine.scaled(25, 15))
"""Seconds without a heartbeat; nodes renew their lease every 10."""
RATE, SECONDARY = 0.1, 0.01 if PER_ZONE > 50 else 0.0
"""Nodes a second that a zone gives up; a small zone that is mostly gone gives up none."""
WATCH_SECONDS = float(machine.scaled(45, 15))
"""How long evictions are counted, each time."""
LIMIT = 1.0
"""Seconds from the deadline to the taint."""
ZONE_LABEL = "topology.kubernetes.io/zone"
UNREACHABLE = "node.kubernetes.io/unreachable"


class Seen:
    """When each node was seen with which taint, and each pod as being deleted."""

    def __init__(self) -> None:
        self.tainted: dict[str, float] = {}
        self.emptied: dict[str, float] = {}
        self.deleted: dict[str, float] = {}

    async def nodes(self, client: Client, since: str) -> None:
        async for event in client.watch(core_v1.Node, resource_version=since):
            if event.type == "BOOKMARK":
                continue
            node, now = event.decode(core_v1.Node), time.time()
            for taint in node.spec.taints:
                if taint.key == UNREACHABLE:
                    where = self.tainted if taint.effect == "NoSchedule" else self.emptied
                    where.setdefault(node.metadata.name, now)

    async def pods(self, client: Client, since: str) -> None:
        async for event in client.watch(core_v1.Pod, "dying", resource_version=since):
            if event.type == "BOOKMARK":
                continue
            pod = event.decode(core_v1.Pod)
            if event.type == "DELETED" or pod.metadata.deletion_timestamp is not None:
                self.deleted.setdefault(pod.spec.node_name, time.time())


def name(zone: int, i: int) -> str:
    """Nodes are numbered so that those that die together are in a row: the healthy, the first to die, the last zone."""
    if zone == ZONES - 1:
        return f"hollow-{NODES - PER_ZONE + i}"
    lost = MOST if zone == ZONES - 2 else FEW
    if i < lost:
        return f"hollow-{HEALTHY + (zone * FEW if zone < ZONES - 2 else (ZONES - 2) * FEW) + i}"
    before = sum(PER_ZONE - FEW for _ in range(min(zone, ZONES - 2)))
    return f"hollow-{before + i - lost}"


DYING = (ZONES - 2) * FEW + MOST
HEALTHY = NODES - PER_ZONE - DYING


async def place(client: Client) -> None:
    """Nodes into their zones, a pod onto each that is to die."""
    zones = {name(zone, i): f"zone-{zone}" for zone in range(ZONES) for i in range(PER_ZONE)}
    assert len(zones) == NODES
    patches = [(node, {"metadata": {"labels": {ZONE_LABEL: zone}}}) for node, zone in zones.items()]
    await each(patches, lambda p: client.patch(core_v1.Node, p[0], None, p[1]), 32)
    await made_namespace(client, "dying")

    async def pod(i: int) -> None:
        made = core_v1.Pod(metadata=meta_v1.ObjectMeta(name=f"p-{i}", namespace="dying"), spec=template("p").spec)
        made.spec.node_name = f"hollow-{i}"
        made.spec.tolerations = [
            core_v1.Toleration(key=UNREACHABLE, operator="Exists", effect="NoExecute", toleration_seconds=0)
        ]
        await client.create(made)

    await each(range(HEALTHY, NODES), pod, 32)


async def lose(world: World, client: Client, part: str, names: list[str]) -> Seen:
    """Kills a process of nodes and watches what becomes of them."""
    seen = Seen()
    since = (await client.list(core_v1.Node, limit=1)).resource_version
    async with asyncio.TaskGroup() as group:
        watching = [group.create_task(follow(client, since)) for follow in (seen.nodes, seen.pods)]
        os.kill(world.parts[part].pid, signal.SIGKILL)
        leases = {
            lease.metadata.name: parse_time(lease.spec.renew_time or "")
            for lease in (await client.list(coordination_v1.Lease, "kube-node-lease")).items
        }
        async with asyncio.timeout(GRACE + 60):
            while len(seen.tainted) < len(names):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        late = [seen.tainted[node] - (leases[node] + GRACE) for node in names]
        tell(f"{len(names)} nodes lost: tainted after the deadline", late, "s", LIMIT)
        await asyncio.sleep(WATCH_SECONDS)
        for task in watching:
            task.cancel()
    assert set(seen.tainted) == set(names), "a node that lives was tainted"
    return seen


def rates(seen: Seen, zones: dict[str, list[str]], expected: dict[str, float]) -> None:
    """Evictions of each zone beside the stated rate."""
    by_rate: dict[float, list[float]] = defaultdict(list)
    for zone, names in zones.items():
        turns = sorted(seen.emptied[node] for node in names if node in seen.emptied)
        first = turns[0] if turns else time.time()
        # The first may go before it is seen that most of the zone is lost.
        most = 1 + int((WATCH_SECONDS + 1) * expected[zone])
        assert len(turns) <= most, f"{zone}: {len(turns)} nodes emptied, {most} allowed"
        assert len(turns) >= min(len(names), most - 2), f"{zone}: only {len(turns)} nodes emptied"
        if len(turns) > 1:
            by_rate[expected[zone]].append((len(turns) - 1) / (turns[-1] - first))
        for node in names:
            if node in seen.emptied:
                assert node in seen.deleted, f"the pod of {node} is still there"
            else:
                assert node not in seen.deleted, f"the pod of {node} was deleted before its node's turn"
    for rate, found in by_rate.items():
        tell(f"  nodes emptied a second and zone, where {rate:g} is stated", found, "/s", rate)
    told = [seen.deleted[node] - at for node, at in seen.emptied.items()]
    tell("  from a node's turn to its pod's deletion", told, "s")


async def main() -> None:
    header()
    with World(nodes=NODES, node_monitor_grace_period=GRACE) as world:
        world.start("controllers")
        world.start("hollow", 0, HEALTHY, name="healthy")
        world.start("hollow", HEALTHY, DYING, name="dying")
        world.start("hollow", NODES - PER_ZONE, PER_ZONE, name="zone")
        async with world.client() as client:
            await nodes_ready(client, NODES)
            await place(client)
            await settled(world, 3.0)
            zones = {f"zone-{z}": [name(z, i) for i in range(FEW)] for z in range(ZONES - 2)}
            zones[f"zone-{ZONES - 2}"] = [name(ZONES - 2, i) for i in range(MOST)]
            expected = dict.fromkeys(zones, RATE) | {f"zone-{ZONES - 2}": SECONDARY}
            seen = await lose(world, client, "dying", [node for names in zones.values() for node in names])
            rates(seen, zones, expected)
            last = [name(ZONES - 1, i) for i in range(PER_ZONE)]
            seen = await lose(world, client, "zone", last)
            rates(seen, {"zone": last}, {"zone": RATE})


if __name__ == "__main__":
    asyncio.run(main())
