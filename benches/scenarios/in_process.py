"""What client and controllers cost, in-process over the store in memory: requests, a cache's filling and memory, a
Deployment of a thousand pods made and deleted. CPU is client's, server's and controllers' together."""

import asyncio
import gc
import sys
import tempfile
import tracemalloc
from collections.abc import Awaitable, Callable
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from benches import machine
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.apiserver.auth.user import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client, Informer
from orlop.client.asgi import ASGITransport
from orlop.clock import SystemClock
from orlop.control import Manager
from orlop.controllers import Options, all_controllers
from orlop.controllers.views import PodView

PODS = machine.scaled(2000)
CLIENTS = 16
REPLICAS = machine.scaled(1000)
ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
MANAGER = User("system:kube-controller-manager", ("system:authenticated",))


def meta(name: str, **more: Any) -> meta_v1.ObjectMeta:
    return meta_v1.ObjectMeta(name=name, namespace="default", **more)


def spec() -> core_v1.PodSpec:
    return core_v1.PodSpec(containers=[core_v1.Container(name="c", image="web:1")])


async def each(what: str, work: Callable[[int], Awaitable[object]]) -> None:
    """The CPU of doing `work` for each pod, by a number of clients at once."""

    async def client(first: int) -> None:
        for i in range(first, PODS, CLIENTS):
            await work(i)

    began, cpu = perf_counter(), process_time()
    await asyncio.gather(*(client(i) for i in range(CLIENTS)))
    used, took = process_time() - cpu, perf_counter() - began
    print(f"{what:58} {used / PODS * 1e6:10.1f} µs of CPU {PODS / took:10.0f} /s")


async def fill(client: Client, kind: type[Any], name: str) -> None:
    """What a cache of the kind costs to fill and to keep."""
    gc.collect()
    for traced in (False, True):
        if traced:
            tracemalloc.start()
        informer = Informer(client, kind)
        cpu = process_time()
        task = asyncio.ensure_future(informer.run())
        await informer.synced()
        used = process_time() - cpu
        assert len(informer) == PODS
        if traced:
            kept = tracemalloc.get_traced_memory()[0]
            tracemalloc.stop()
            print(f"{f'{name}, kept':58} {kept / PODS / 1024:10.2f} KiB")
        else:
            print(f"{f'{name}, filled':58} {used / PODS * 1e6:10.1f} µs of CPU")
        task.cancel()
        await asyncio.wait({task})


async def deployment(client: Client, manager: Manager) -> None:
    labels = {"app": "web"}
    template = core_v1.PodTemplateSpec(metadata=meta_v1.ObjectMeta(labels=labels), spec=spec())
    selector = meta_v1.LabelSelector(match_labels=labels)
    wanted = apps_v1.DeploymentSpec(replicas=REPLICAS, selector=selector, template=template)
    began, cpu = perf_counter(), process_time()
    await client.create(apps_v1.Deployment(metadata=meta("web"), spec=wanted))
    while (  # noqa: ASYNC110
        await client.get(apps_v1.Deployment, "web", "default")
    ).status.replicas != REPLICAS or not manager.idle:
        await asyncio.sleep(0.02)
    used, took = process_time() - cpu, perf_counter() - began
    made = (await client.list(core_v1.Pod, "default", labels="app=web")).items
    assert len(made) == REPLICAS
    print(
        f"{f'a Deployment of {REPLICAS}, a pod':58} {used / REPLICAS * 1e6:10.1f} µs of CPU {REPLICAS / took:10.0f} /s"
    )
    began, cpu = perf_counter(), process_time()
    await client.delete(apps_v1.Deployment, "web", "default")
    while (await client.list(core_v1.Pod, "default", labels="app=web", limit=1)).items:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    used, took = process_time() - cpu, perf_counter() - began
    print(f"{'its deletion, a pod':58} {used / REPLICAS * 1e6:10.1f} µs of CPU {REPLICAS / took:10.0f} /s")


async def main() -> None:
    print(machine.line())
    clock = SystemClock()
    with tempfile.TemporaryDirectory() as folder:
        async with ApiServer(Config(data_dir=Path(folder), secure_port=None, store="memory"), clock) as api:
            client = Client(ASGITransport(api.app, ADMIN), clock=clock, user_agent="bench")
            await client.create(core_v1.ServiceAccount(metadata=meta("default")))
            await client.create(core_v1.Node(metadata=meta_v1.ObjectMeta(name="node-1")))
            path = "/api/v1/namespaces/default/pods/p"
            labels = {"app": "bench"}
            await each(
                "create a pod", lambda i: client.create(core_v1.Pod(metadata=meta(f"p{i}", labels=labels), spec=spec()))
            )
            await each("get a pod, as bytes", lambda i: client.request("GET", f"{path}{i}"))
            await each("get a pod, typed", lambda i: client.get(core_v1.Pod, f"p{i}", "default"))
            await each("bind a pod", lambda i: client.bind("default", f"p{i}", "node-1"))
            await fill(client, core_v1.Pod, "a pod in a cache")
            await fill(client, PodView, "a pod in the controllers' cache")
            await each("delete a pod", lambda i: client.delete(core_v1.Pod, f"p{i}", "default", grace=0))
            working = Client(ASGITransport(api.app, MANAGER), clock=clock, user_agent="kube-controller-manager")
            manager = Manager(working, clock, all_controllers(Options(root_ca=b"CA")))
            task = asyncio.ensure_future(manager.run())
            await manager.ready()
            await deployment(client, manager)
            task.cancel()
            await asyncio.wait({task})


if __name__ == "__main__":
    asyncio.run(main())
