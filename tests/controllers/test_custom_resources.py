"""Custom resources own, are owned and are counted as every other kind, from the moment they are defined."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from orlop.api.types import core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock
from orlop.control import Manager
from orlop.controllers.garbagecollector import GarbageCollector
from orlop.controllers.resourcequota import ResourceQuotaController
from tests.apiserver.crd.conftest import DEFINITIONS, WIDGETS, definition, version, widget
from tests.support.worlds import ADMIN, MANAGER, server

TURNS = 2000


class World:
    def __init__(self, client: Client, clock: FakeClock) -> None:
        self.client = client
        self.clock = clock

    async def send(self, method: str, path: str, body: Any = None) -> Any:
        answer = await self.client.request(method, path, body=msgspec.json.encode(body) if body is not None else b"")
        assert answer.status < 300, answer.body
        return msgspec.json.decode(answer.body)

    async def until(self, holds: Callable[[], Awaitable[bool]]) -> None:
        for _ in range(TURNS):
            if await holds():
                return
            await self.clock.advance(0.1)
        raise AssertionError("it does not come")

    async def define(self) -> None:
        await self.send("POST", DEFINITIONS, definition(version()))

        async def served() -> bool:
            return (await self.client.request("GET", WIDGETS)).status == 200

        await self.until(served)

    async def widget(self, name: str, owner: dict[str, Any] | None = None) -> Any:
        body = widget(name)
        if owner is not None:
            body["metadata"]["ownerReferences"] = [reference(owner)]
        return await self.send("POST", WIDGETS, body)

    async def config_map(self, name: str, owner: dict[str, Any]) -> None:
        refs = [msgspec.convert(reference(owner), meta_v1.OwnerReference)]
        metadata = meta_v1.ObjectMeta(name=name, namespace="default", owner_references=refs)
        await self.client.create(core_v1.ConfigMap(metadata=metadata))

    async def gone(self, path: str) -> None:
        async def holds() -> bool:
            return (await self.client.request("GET", path)).status == 404

        await self.until(holds)


def reference(owner: dict[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }


@asynccontextmanager
async def world() -> AsyncIterator[World]:
    async with server() as (app, clock):
        inside, outside = ASGITransport(app, ADMIN), ASGITransport(app, MANAGER)
        controllers = [GarbageCollector(), ResourceQuotaController()]
        manager = Manager(Client(outside, clock=clock, user_agent="manager"), clock, controllers)
        task = asyncio.ensure_future(manager.run())
        try:
            await manager.ready()
            yield World(Client(inside, clock=clock, user_agent="test"), clock)
        finally:
            task.cancel()
            await asyncio.wait({task})
            await outside.close()
            await inside.close()


MAPS = "/api/v1/namespaces/default/configmaps"


async def test_what_a_custom_resource_owns_goes_with_it() -> None:
    async with world() as w:
        await w.define()
        owner = await w.widget("owner")
        await w.config_map("owned", owner)
        await w.widget("child", owner)
        await w.send("DELETE", f"{WIDGETS}/owner", {"propagationPolicy": "Background"})
        await w.gone(f"{MAPS}/owned")
        await w.gone(f"{WIDGETS}/child")


async def test_a_foreground_deletion_waits_for_custom_dependents() -> None:
    async with world() as w:
        await w.define()
        owner = await w.widget("owner")
        child = await w.widget("child", owner)
        held = {"metadata": {"finalizers": ["example.com/hold"]}}
        headers = {"content-type": "application/merge-patch+json"}
        path = f"{WIDGETS}/{child['metadata']['name']}"
        answer = await w.client.request("PATCH", path, headers=headers, body=msgspec.json.encode(held))
        assert answer.status == 200
        await w.send("DELETE", f"{WIDGETS}/owner", {"propagationPolicy": "Foreground"})

        async def going() -> bool:
            return "deletionTimestamp" in (await w.send("GET", path))["metadata"]

        await w.until(going)
        assert (await w.send("GET", f"{WIDGETS}/owner"))["metadata"]["finalizers"] == ["foregroundDeletion"]
        freed = msgspec.json.encode({"metadata": {"finalizers": None}})
        assert (await w.client.request("PATCH", path, headers=headers, body=freed)).status == 200
        await w.gone(f"{WIDGETS}/owner")


async def test_a_definition_that_goes_takes_what_its_objects_owned() -> None:
    async with world() as w:
        await w.define()
        await w.config_map("owned", await w.widget("owner"))
        await w.send("DELETE", f"{DEFINITIONS}/widgets.example.com")
        await w.gone(f"{DEFINITIONS}/widgets.example.com")
        await w.gone(f"{MAPS}/owned")
        await w.define()  # and the kind may come back
        await w.config_map("again", await w.widget("owner"))
        await w.send("DELETE", f"{WIDGETS}/owner", {"propagationPolicy": "Background"})
        await w.gone(f"{MAPS}/again")


async def test_quotas_count_custom_resources() -> None:
    async with world() as w:
        await w.define()
        quota = core_v1.ResourceQuota(metadata=meta_v1.ObjectMeta(name="q", namespace="default"))
        quota.spec.hard = {"count/widgets.example.com": "2"}
        await w.client.create(quota)

        def used(count: str) -> Callable[[], Awaitable[bool]]:
            async def holds() -> bool:
                found = await w.client.get(core_v1.ResourceQuota, "q", "default")
                return found.status.used == {"count/widgets.example.com": count}

            return holds

        await w.until(used("0"))
        await w.widget("a")
        await w.widget("b")
        await w.until(used("2"))
        await w.send("DELETE", f"{WIDGETS}/a")
        await w.until(used("1"))
