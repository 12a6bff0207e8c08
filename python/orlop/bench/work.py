"""The works of the scenarios: each drives one server and says how long, how often and how late."""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from orlop.bench.http import Connection, Target
from orlop.bench.http2 import Streams
from orlop.bench.objects import pod, running
from orlop.bench.process import Processes
from orlop.bench.progress import progressing

REPLACE = {"$patch": "replace"}
CONNECTIONS = 4
"""Connections of HTTP/2, whose streams are the clients."""
LIMIT = 180.0
"""Seconds that a server may take to be ready."""


@dataclass
class Result:
    """What one run gave."""

    count: int
    seconds: float
    cpu: float
    """Of the server, the work's own cost alone."""
    late: list[float] = field(default_factory=list)
    """Milliseconds of each request or delivery."""
    more: dict[str, float] = field(default_factory=dict)

    @property
    def per_cpu_second(self) -> float:
        return self.count / max(self.cpu, 1e-3)


class Load:
    """A server under load."""

    def __init__(self, target: Target, processes: Processes) -> None:
        self.target = target
        self.processes = processes
        self.one = Connection(target)
        # Nobody else's: neither of a run before on the same server nor of one beside it.
        self.namespace = f"orlop-bench-{secrets.token_hex(4)}"
        self.list_namespace = f"{self.namespace}-list"
        """What is listed has a namespace of its own: so many objects, whatever ran before."""
        self.pods = f"/api/v1/namespaces/{self.namespace}/pods"
        self.listed_pods = f"/api/v1/namespaces/{self.list_namespace}/pods"
        self.maps = f"/api/v1/namespaces/{self.namespace}/configmaps"
        self.leases = f"/apis/coordination.k8s.io/v1/namespaces/{self.namespace}/leases"
        self.recorded = f"/api/v1/namespaces/{self.namespace}/events"
        self.made = 0
        self.listed = 0
        """Pods there are to be listed."""
        self.told = 0
        """How often the pods' statuses have been told."""
        self.events = 0
        """Events recorded."""
        self.held = 0
        """Objects made for watchers to be held beside."""
        self.rest: float | None = None
        """MiB resident before the first watchers were held."""

    async def prepare(self) -> None:
        """The namespaces that everything is made in."""
        for namespace in (self.namespace, self.list_namespace):
            body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}}
            await self._ensure("/api/v1/namespaces", body)
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
            await self._ensure(f"/api/v1/namespaces/{namespace}/serviceaccounts", account)

    async def clean(self) -> None:
        """Deletes what was made, where a server is used for other things too. Raises TimeoutError."""
        self.one.close()
        at_once = b'{"kind":"DeleteOptions","apiVersion":"v1","gracePeriodSeconds":0}'
        answers = 0
        async with progressing(lambda: answers):
            for path in (self.pods, self.listed_pods, self.maps, self.leases, self.recorded):
                while await self._some(path):  # a server may end a large deletion by its own limit of time
                    await self.one.ask("DELETE", path, at_once)
                    await self.one.read()
                    answers += 1
            for namespace in (self.namespace, self.list_namespace):
                await self.one.ask("DELETE", f"/api/v1/namespaces/{namespace}")
                await self.one.read()
        self.one.close()

    async def _some(self, path: str) -> bool:
        status = await self.one.ask("GET", f"{path}?limit=1")
        answer = await self.one.read()
        return status == 200 and bool(msgspec.json.decode(answer)["items"])

    async def _ensure(self, path: str, body: Any) -> None:
        status = await self.one.ask("POST", path, msgspec.json.encode(body))
        answer = await self.one.read()
        if status not in (200, 201, 404, 409):
            raise RuntimeError(f"POST {path}: {status} {answer[:300].decode(errors='replace')}")

    async def spread(
        self, count: int, clients: int, call: Callable[[Connection, int], Awaitable[object]]
    ) -> list[float]:
        """`call(connection, 0..count-1)` over so many connections; milliseconds of each."""
        late: list[float] = []
        numbers = iter(range(count))

        async def run(connection: Connection) -> None:
            for i in numbers:
                began = time.perf_counter()
                await call(connection, i)
                late.append(1000 * (time.perf_counter() - began))

        connections = [Connection(self.target) for _ in range(clients)]
        for connection in connections:
            await connection.open()
        try:
            async with progressing(lambda: len(late)), asyncio.TaskGroup() as group:
                for connection in connections:
                    group.create_task(run(connection))
        finally:
            for connection in connections:
                connection.close()
        return late

    async def measured(self, count: int, clients: int, call: Callable[[Connection, int], Awaitable[object]]) -> Result:
        cpu, began = self.processes.cpu(), time.perf_counter()
        late = await self.spread(count, clients, call)
        return Result(count, time.perf_counter() - began, self.processes.cpu() - cpu, late)


async def create(load: Load, objects: int, clients: int, different: bool = False) -> Result:
    """Pods of the size that a Deployment makes: of ten templates, or each of its own."""
    first, load.made = load.made, load.made + objects
    bodies = [pod(first + i, different) for i in range(objects)]
    return await load.measured(objects, clients, lambda c, i: c.request("POST", load.pods, bodies[i]))


async def _pods(load: Load, objects: int) -> None:
    if load.made < objects:
        await create(load, objects - load.made, 16)


async def get(load: Load, objects: int, clients: int, http2: bool = False) -> Result:
    """One pod at a time; with `http2` on so many streams of a few connections."""
    await _pods(load, objects)
    if not http2:
        return await load.measured(objects, clients, lambda c, i: c.request("GET", f"{load.pods}/p-{i % load.made:06}"))
    connections = [await Streams.connect(load.target) for _ in range(CONNECTIONS)]
    try:
        return await load.measured(
            objects, clients, lambda _, i: connections[i % CONNECTIONS].whole(f"{load.pods}/p-{i % load.made:06}")
        )
    finally:
        for connection in connections:
            connection.close()


async def list_(load: Load, objects: int, times: int, gzip: bool = False) -> Result:
    """So many pods, one list after another."""
    if load.listed < objects:
        first, load.listed = load.listed, objects
        bodies = [pod(number) for number in range(first, objects)]
        await load.spread(objects - first, 16, lambda c, i: c.request("POST", load.listed_pods, bodies[i]))
    more = "Accept-Encoding: gzip\r\n" if gzip else ""
    size = len(await load.one.request("GET", load.listed_pods, more=more))
    result = await load.measured(times, 1, lambda c, i: c.request("GET", load.listed_pods, more=more))
    result.more = {"CPU ms each": 1000 * result.cpu / times, "MiB": size / 2**20}
    return result


async def lease(load: Load, objects: int, leases: int, clients: int) -> Result:
    """Renewals, as nodes send them."""
    for i in range(leases):
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": f"l-{i}", "namespace": load.namespace},
            "spec": {"holderIdentity": "n", "leaseDurationSeconds": 40},
        }
        await load._ensure(load.leases, body)
    second = int(time.time())

    def renew(connection: Connection, i: int) -> Awaitable[object]:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second + i // 1000))
        body = b'{"spec":{"renewTime":"%b.%06dZ"}}' % (moment.encode(), i % 1_000_000)
        return connection.request("PATCH", f"{load.leases}/l-{i % leases}", body, "merge-patch+json")

    return await load.measured(objects, clients, renew)


async def lease_put(load: Load, objects: int, leases: int, clients: int) -> Result:
    """Renewals as kubelets send them: the whole object, at the revision of the last answer."""
    await lease(load, leases, leases, clients)
    idle = deque([msgspec.json.decode(await load.one.request("GET", f"{load.leases}/l-{i}")) for i in range(leases)])
    second = int(time.time())

    async def renew(connection: Connection, i: int) -> None:
        tree = idle.popleft()  # there are at least as many as clients
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second + i // 1000))
        tree["spec"]["renewTime"] = f"{moment}.{i % 1_000_000:06d}Z"
        answer = await connection.request("PUT", f"{load.leases}/{tree['metadata']['name']}", msgspec.json.encode(tree))
        idle.append(msgspec.json.decode(answer))

    return await load.measured(objects, min(clients, leases), renew)


async def status(load: Load, objects: int, clients: int) -> Result:
    """What a kubelet tells of pods that run: a strategic merge patch of each one's status."""
    await _pods(load, objects)
    load.told += 1
    since = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + load.told))

    def tell(connection: Connection, i: int) -> Awaitable[object]:
        status = running(f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}", since)
        status["podIPs"].append(REPLACE)
        status["hostIPs"].append(REPLACE)
        body = msgspec.json.encode({"status": status})
        return connection.request("PATCH", f"{load.pods}/p-{i:06}/status", body, "strategic-merge-patch+json")

    return await load.measured(objects, clients, tell)


async def bind(load: Load, objects: int, clients: int) -> Result:
    """Pods get their nodes, as a scheduler gives them: each once, so new ones are made before."""
    first = load.made
    await create(load, objects, clients)

    def assign(connection: Connection, i: int) -> Awaitable[object]:
        name = f"p-{first + i:06}"
        body = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"name": name, "namespace": load.namespace},
            "target": {"apiVersion": "v1", "kind": "Node", "name": f"node-{i % 100}"},
        }
        return connection.request("POST", f"{load.pods}/{name}/binding", msgspec.json.encode(body))

    return await load.measured(objects, clients, assign)


async def event(load: Load, objects: int, clients: int) -> Result:
    """Events as components write them, each of its own name."""
    first, load.events = load.events, load.events + objects
    now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())

    def record(connection: Connection, i: int) -> Awaitable[object]:
        name = f"p-{first + i:06}"
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"{name}.{first + i:016x}", "namespace": load.namespace},
            "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": name, "namespace": load.namespace},
            "reason": "Started",
            "message": "Started container web",
            "source": {"component": "kubelet", "host": f"node-{i % 100}"},
            "firstTimestamp": now,
            "lastTimestamp": now,
            "count": 1,
            "type": "Normal",
            "reportingComponent": "kubelet",
            "reportingInstance": f"node-{i % 100}",
        }
        return connection.request("POST", load.recorded, msgspec.json.encode(body))

    return await load.measured(objects, clients, record)


WORKS: dict[str, Callable[..., Awaitable[Result]]] = {
    "create": create,
    "get": get,
    "list": list_,
    "lease": lease,
    "lease-put": lease_put,
    "status": status,
    "bind": bind,
    "event": event,
}
"""By the name in scenarios.yaml; arguments are the scenario's sizes."""
