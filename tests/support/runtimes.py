"""The runtimes that the conformance suite runs over, each with a way to say what its containers shall do."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from msgspec import structs
from tests.support import docker_engine, images

from orlop.clock import SystemClock
from orlop.kubelet.network.base import Network
from orlop.kubelet.network.hollow import HollowNetwork
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import Runtime
from orlop.kubelet.runtime.docker import DockerRuntime
from orlop.kubelet.runtime.hollow import HollowRuntime
from orlop.kubelet.runtime.hollow_stages import STAGE_ANNOTATION
from orlop.kubelet.runtime.native.runtime import NativeRuntime

EVENT_SECONDS = 20.0
POD_CIDR = "10.203.0.0/24"


async def until(condition: Callable[[], bool], seconds: float = EVENT_SECONDS) -> None:
    """Looks again and again at what nobody tells: files and processes of the machine."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


class World:
    """One runtime under test with a scope of its own, and shorthands for pods."""

    name: str
    image: str
    real = True

    def __init__(self, network: Network | None = None) -> None:
        self.clock = SystemClock()
        self.scope = f"orlop-test/{uuid4().hex[:8]}"
        self.network = network or HollowNetwork()
        self.runtime: Runtime = self.make()

    def make(self) -> Runtime:
        """A new runtime object for the same node, as after a restart."""
        raise NotImplementedError

    def does(self, script: str, stage: dict[str, Any]) -> dict[str, Any]:
        """Fields of a ContainerConfig: `script` for a real shell, or the stage that plays it."""
        raise NotImplementedError

    # What containers do

    def sleeps(self) -> dict[str, Any]:
        return self.does("trap 'exit 0' TERM; echo ready; while :; do sleep 0.1; done", {"logs": ["ready"]})

    def exits(self, code: int, after: float = 0.0) -> dict[str, Any]:
        return self.does(f"sleep {after}; exit {code}", {"run": after, "exitCode": code})

    def ignores_sigterm(self) -> dict[str, Any]:
        return self.does("trap '' TERM; while :; do sleep 0.1; done", {"stopDelay": 3600})

    def prints(self, *lines: str, then: float | None = 0.0) -> dict[str, Any]:
        script = "; ".join([*(f"echo '{line}'" for line in lines), "sleep 3600" if then is None else f"sleep {then}"])
        return self.does(script, {"logs": lines, "run": then})

    # Pods

    def pod(self, name: str = "pod", *, attempt: int = 0, **fields: Any) -> v.PodSandboxConfig:
        metadata = v.PodSandboxMetadata(name=name, uid=f"uid-{self.scope}-{name}", namespace="default", attempt=attempt)
        metadata = structs.replace(metadata, uid=metadata.uid.replace("/", "-"))
        return v.PodSandboxConfig(metadata=metadata, **{"hostname": name, **fields})

    async def container(
        self, sandbox_id: str, pod: v.PodSandboxConfig, does: dict[str, Any], *, start: bool = True, **fields: Any
    ) -> str:
        metadata = fields.pop("metadata", v.ContainerMetadata(name="main"))
        config = v.ContainerConfig(**{"metadata": metadata, "image": self.image, **does, **fields})
        container_id = await self.runtime.create_container(sandbox_id, config, pod)
        if start:
            await self.runtime.start_container(container_id)
        return container_id

    async def run(self, does: dict[str, Any], name: str = "pod", **fields: Any) -> str:
        """A pod of one started container."""
        pod = self.pod(name)
        return await self.container(await self.runtime.run_pod_sandbox(pod), pod, does, **fields)

    async def ended(self, container_id: str, seconds: float = EVENT_SECONDS) -> v.ContainerStatus:
        """Waits for its end by events."""
        async with asyncio.timeout(seconds):
            async for _ in self.runtime.events():
                status = await self.runtime.container_status(container_id)
                if status.state == "exited":
                    return status
        raise AssertionError("the events ended")

    async def ready(self, container_id: str) -> None:
        """Waits until a container that `sleeps` can be asked to end: a signal that comes before its trap is lost."""
        async with asyncio.timeout(EVENT_SECONDS):
            while await self.log(container_id) != b"ready\n":  # noqa: ASYNC110 - nothing tells of a log's line
                await asyncio.sleep(0.01)

    async def log(self, container_id: str, **options: Any) -> bytes:
        chunks = [chunk async for chunk in self.runtime.logs(container_id, v.LogOptions(**options))]
        return b"".join(chunks)


class DockerWorld(World):
    name = "docker"

    def __init__(self, state_dir: Path, network: Network | None = None) -> None:
        docker_engine.ensure()
        self.image = images.busybox()
        self.state_dir = state_dir
        super().__init__(network)

    def make(self) -> Runtime:
        return DockerRuntime(self.clock, self.network, scope=self.scope, state_dir=self.state_dir)

    def does(self, script: str, stage: dict[str, Any]) -> dict[str, Any]:
        return {"command": ("/bin/sh", "-c", script)}


class NativeWorld(World):
    name = "native"

    def __init__(self, state_dir: Path, network: Network | None = None) -> None:
        self.store = images.native_store()
        self.image = images.BUSYBOX
        self.state_dir = state_dir
        super().__init__(network)

    def make(self) -> Runtime:
        return NativeRuntime(
            self.clock,
            self.network,
            scope=self.scope,
            state_dir=self.state_dir,
            images=self.store,
            log_limits=self.log_limits,
        )

    log_limits = v.LogLimits()

    def does(self, script: str, stage: dict[str, Any]) -> dict[str, Any]:
        return {"command": ("/bin/sh", "-c", script)}


class HollowWorld(World):
    name = "hollow"
    image = "simulated:1"
    real = False

    def __init__(self, state_dir: Path, network: Network | None = None) -> None:
        self.state_dir = state_dir
        super().__init__(network)

    def make(self) -> Runtime:
        return HollowRuntime(self.clock, self.network, state_file=self.state_dir / "hollow.jsonl")

    def does(self, script: str, stage: dict[str, Any]) -> dict[str, Any]:
        return {"annotations": {STAGE_ANNOTATION: msgspec.json.encode(stage).decode()}}


@asynccontextmanager
async def opened(
    name: str, state_dir: Path, network: Network | None = None, pod_cidr: str = POD_CIDR
) -> AsyncIterator[World]:
    """A world with its runtime open; everything it made is gone afterwards. Without `network`: addresses only."""
    world = {"docker": DockerWorld, "native": NativeWorld, "hollow": HollowWorld}[name](state_dir, network)
    await world.network.configure([pod_cidr])
    await world.runtime.open()
    try:
        if not world.real:
            await world.runtime.pull_image(world.image)
        yield world
    finally:
        await world.runtime.cleanup()
        await world.runtime.close()
        await world.network.cleanup()
