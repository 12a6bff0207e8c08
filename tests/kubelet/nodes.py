"""A real API server in this process and one node on it, its containers simulated or real."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport
from orlop.client.client import Client
from orlop.client.transport import Response, Unreachable
from orlop.clock import SystemClock
from orlop.kubelet.config import KubeletConfig
from orlop.kubelet.kubelet import Kubelet
from orlop.kubelet.network.base import Network
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime.base import Runtime
from orlop.kubelet.runtime.hollow import HollowRuntime
from orlop.kubelet.runtime.hollow_stages import STAGE_ANNOTATION, Stage

NODE = "n1"
ADMIN = User("admin", ("system:masters", "system:authenticated"))
KUBELET = User(f"system:node:{NODE}", ("system:nodes", "system:authenticated"))
WAIT_SECONDS = 8.0
CAPACITY = {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"}


class Line(ASGITransport):
    """The kubelet's way to the API server: notes what is written, and can be cut."""

    def __init__(self, app: Any) -> None:
        super().__init__(app, KUBELET)
        self.cut = False
        self.writes: list[tuple[str, str, Any]] = []

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        if self.cut:
            raise Unreachable(f"{method} {target}: cut", sent=False)
        if method != "GET":
            self.writes.append((method, target.partition("?")[0], msgspec.json.decode(body) if body else None))
        return await super().request(method, target, headers, body)

    def patches(self, name: str) -> list[Any]:
        """The status patches of one pod."""
        return [body["status"] for method, path, body in self.writes if path.endswith(f"/pods/{name}/status")]


class FastClock(SystemClock):
    """A clock that runs `speed` times as fast as the machine's, so that minutes pass in a test's seconds."""

    def __init__(self, speed: float) -> None:
        super().__init__()
        self._speed = speed
        self._start = super().monotonic()
        self._wall = super().now()

    def monotonic(self) -> float:
        return (super().monotonic() - self._start) * self._speed

    def now(self) -> float:
        return self._wall + self.monotonic()

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / self._speed)


class Node:
    """One node and the API server it serves. `admin` acts as a user."""

    def __init__(self, server: ApiServer, clock: SystemClock, folder: Path) -> None:
        self.server, self.clock, self.folder = server, clock, folder
        self.admin = Client(ASGITransport(server.app, ADMIN), clock=SystemClock(), user_agent="test")
        self.line = Line(server.app)
        self.image = "app:1"
        self.network: Network = HollowNetwork()
        self.config = KubeletConfig(
            node_name=NODE,
            root_dir=folder / "kubelet",
            node_ips=["192.0.2.7"],
            capacity=CAPACITY,
            simulated=True,
            pod_cidr="10.222.0.0/24",
        )
        self.make_runtime: Callable[[], Runtime] = lambda: HollowRuntime(
            clock, self.network, [Stage()], state_file=folder / "runtime.jsonl"
        )
        self.kubelet: Kubelet
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> Kubelet:
        """A kubelet at work, in place of one that was stopped."""
        client = Client(self.line, clock=self.clock, user_agent="kubelet")
        self.kubelet = Kubelet(client, self.clock, self.config, self.make_runtime(), self.network)
        self._task = asyncio.ensure_future(self.kubelet.run())
        registered = asyncio.ensure_future(self.kubelet.registered())
        await asyncio.wait([self._task, registered], return_when=asyncio.FIRST_COMPLETED, timeout=WAIT_SECONDS)
        if self._task.done():
            self._task.result()
        await registered
        return self.kubelet

    async def stop(self) -> None:
        """Ends the kubelet as a signal would: its containers run on. Raises what it ended with, if with an error."""
        if self._task is not None:
            task, self._task = self._task, None
            ended = task.done()
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
            assert not ended, "the kubelet ended by itself"

    async def pod(self, name: str = "p", *, stage: Any = None, **spec: Any) -> core_v1.Pod:
        """A pod of one container `main` unless `containers` says otherwise; `stage` plays hollow containers' part."""
        containers = spec.pop("containers", [{}])
        for index, c in enumerate(containers):
            c.setdefault("name", "main" if index == 0 else f"c{index}")
        for c in [*containers, *spec.get("initContainers", [])]:
            c.setdefault("image", self.image)
        metadata: dict[str, Any] = {"name": name, "namespace": "default"}
        metadata["labels"] = spec.pop("labels", {})
        metadata["finalizers"] = spec.pop("finalizers", [])
        metadata["annotations"] = spec.pop("annotations", {})
        if stage is not None:
            metadata["annotations"][STAGE_ANNOTATION] = msgspec.json.encode(stage).decode()
        spec.setdefault("automountServiceAccountToken", False)
        document = {"metadata": metadata, "spec": {"nodeName": NODE, "containers": containers, **spec}}
        return await self.admin.create(msgspec.convert(document, core_v1.Pod))

    async def get(self, name: str = "p") -> core_v1.Pod:
        return await self.admin.get(core_v1.Pod, name, "default")

    async def until(
        self, what: Callable[[core_v1.Pod], Any], name: str = "p", seconds: float = WAIT_SECONDS
    ) -> core_v1.Pod:
        """The pod once `what` holds of it."""
        last: core_v1.Pod | None = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    last = await self.get(name)
                    if what(last):
                        return last
                    await asyncio.sleep(0.02)
        except TimeoutError:
            shown = msgspec.json.format(msgspec.json.encode(last.status if last else None)).decode()
            events = "\n".join(f"{e.reason}: {e.message}" for e in await self.events(name))
            raise AssertionError(f"{name} did not get there:\n{shown}\n{events}") from None

    async def gone(self, name: str = "p", seconds: float = WAIT_SECONDS) -> None:
        """Returns when the API has no such pod, or another of that name."""
        try:
            async with asyncio.timeout(seconds):
                while True:
                    await self.get(name)
                    await asyncio.sleep(0.02)
        except errors.NotFound:
            return

    async def running(self, name: str = "p") -> core_v1.Pod:
        return await self.until(lambda p: p.status.phase == "Running" and ready(p), name)

    async def events(self, name: str = "p") -> list[core_v1.Event]:
        found = await self.admin.list(core_v1.Event, "default")
        return [e for e in found.items if e.involved_object.name == name]

    async def said(self, reason: str, name: str = "p", seconds: float = WAIT_SECONDS) -> list[core_v1.Event]:
        """The events of that reason, once there is one."""
        async with asyncio.timeout(seconds):
            while True:
                found = [e for e in await self.events(name) if e.reason == reason]
                if found:
                    return found
                await asyncio.sleep(0.02)

    async def delete(self, name: str = "p", grace: int | None = None) -> None:
        await self.admin.delete(core_v1.Pod, name, "default", grace=grace)


def ready(pod: core_v1.Pod) -> bool:
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def main(pod: core_v1.Pod, name: str = "main") -> core_v1.ContainerStatus:
    """The status of one container."""
    found = [*pod.status.init_container_statuses, *pod.status.container_statuses]
    return next((s for s in found if s.name == name), core_v1.ContainerStatus(name=name))


def waits(reason: str, name: str = "main") -> Callable[[core_v1.Pod], bool]:
    """Whether the container waits for this reason."""

    def check(pod: core_v1.Pod) -> bool:
        waiting = main(pod, name).state.waiting
        return waiting is not None and waiting.reason == reason

    return check


@asynccontextmanager
async def hollow(folder: Path, *, speed: float = 1.0, start: bool = True) -> AsyncIterator[Node]:
    """A node of simulated containers, `speed` times as fast as the world."""
    config = Config(data_dir=folder / "api", store="memory", secure_port=None)
    (folder / "api").mkdir()
    async with ApiServer(config) as server:
        node = Node(server, FastClock(speed), folder)
        await node.admin.create(
            core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        )
        if start:
            await node.start()
        try:
            yield node
        finally:
            await node.stop()
