"""An API server in this process, its real access rules included, and a scheduler as its client."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import Clock, FakeClock, SystemClock
from orlop.scheduler import Scheduler

SCHEDULER = User("system:kube-scheduler", ("system:authenticated",))
ADMIN = User("admin", ("system:masters", "system:authenticated"))
TIMEOUT = 4.0


class World:
    """`admin` acts; `clock` is the scheduler's own, standing still unless moved."""

    def __init__(self, server: ApiServer) -> None:
        self.server = server
        self.clock = FakeClock()
        self.admin = self.client(ADMIN, SystemClock())

    def client(self, user: User, clock: Clock) -> Client:
        return Client(ASGITransport(self.server.app, user), clock=clock, user_agent="test")

    @asynccontextmanager
    async def scheduler(self, **options: Any) -> AsyncIterator[Scheduler]:
        """A scheduler at work, ended (and its errors raised) with the block."""
        client = self.client(SCHEDULER, self.clock)
        scheduler = Scheduler(client, self.clock, seed=1, **options)
        task = asyncio.ensure_future(scheduler.run())
        try:
            await asyncio.wait_for(scheduler.ready(), TIMEOUT)
            yield scheduler
            assert not task.done(), task
        finally:
            task.cancel()
            await asyncio.wait({task})
            await client.close()
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error

    async def node(self, name: str, cpu: str = "4", **spec: Any) -> core_v1.Node:
        metadata = {"name": name, "labels": {"kubernetes.io/hostname": name}}
        wanted = msgspec.convert({"metadata": metadata, "spec": spec}, core_v1.Node)
        node = await self.admin.create(wanted)
        # Admission taints a new node as not ready; here no controller takes that away.
        node.spec.taints = wanted.spec.taints
        node = await self.admin.update(node)
        node.status.allocatable = node.status.capacity = {"cpu": cpu, "memory": "8Gi", "pods": "110"}
        return await self.admin.update_status(node)

    async def pod(self, name: str, cpu: str = "1", **spec: Any) -> core_v1.Pod:
        container = {"name": "c", "image": "i", "resources": {"requests": {"cpu": cpu}}}
        pod = {"metadata": {"name": name, "namespace": "default"}, "spec": {"containers": [container], **spec}}
        return await self.admin.create(msgspec.convert(pod, core_v1.Pod))

    async def get(self, name: str) -> core_v1.Pod:
        return await self.admin.get(core_v1.Pod, name, "default")

    async def placed(self, name: str) -> str:
        """The node that the pod is bound to, once it is."""

        async def node() -> str:
            return (await self.get(name)).spec.node_name

        return await eventually(node)

    async def condition(self, name: str, reason: str) -> str:
        """The message of its condition PodScheduled=False, once it has this reason."""

        async def message() -> str | None:
            for condition in (await self.get(name)).status.conditions:
                if condition.type == "PodScheduled" and condition.reason == reason:
                    assert condition.status == "False"
                    return condition.message
            return None

        found = await eventually(message)
        assert found is not None
        return found

    async def event(self, name: str, reason: str) -> core_v1.Event:
        """The newest event about the pod with this reason, once there is one."""

        async def newest() -> core_v1.Event | None:
            events = (await self.admin.list(core_v1.Event, "default")).items
            mine = [e for e in events if e.involved_object.name == name and e.reason == reason]
            return mine[-1] if mine else None

        found = await eventually(newest)
        assert found is not None
        return found


async def eventually(look: Callable[[], Any]) -> Any:
    """What `look` gives once that is something. Raises TimeoutError."""
    async with asyncio.timeout(TIMEOUT):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.005)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    config = Config(data_dir=tmp_path, secure_port=None, store="memory")
    async with ApiServer(config) as server:
        world = World(server)
        account = meta_v1.ObjectMeta(name="default", namespace="default")
        await world.admin.create(core_v1.ServiceAccount(metadata=account))
        yield world
