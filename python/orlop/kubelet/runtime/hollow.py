"""A simulated runtime: pods by the thousand in one process, their lives told by stage data on the clock."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

from orlop.clock import Clock
from orlop.kubelet.network.base import Network
from orlop.kubelet.network.hollow import addresses_as_path
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import (
    LABEL_POD_UID,
    ImageFailure,
    NotFound,
    ProbeKind,
    RuntimeFailure,
    Session,
    SimulatedUse,
    StartFailure,
    Unsupported,
)
from orlop.kubelet.runtime.delays import DelayQueue, Timer
from orlop.kubelet.runtime.events import EventStream
from orlop.kubelet.runtime.hollow_stages import Answer, BadStage, Stage, choose, for_image
from orlop.kubelet.runtime.hollow_state import Container, Image, Sandbox, State
from orlop.kubelet.runtime.reference import with_default_tag
from orlop.kubelet.runtime.replay import ReplaySession

SIGKILL_EXIT = 137


class HollowRuntime:
    """Implements `runtime.base.Runtime`. Sandboxes and containers are entries in memory; time costs one delay queue.

    Commands answer what the stage says; `probe` tells how a probe would go. With a `state_file` everything outlives
    this object, and what was to end meanwhile has ended.
    """

    def __init__(
        self, clock: Clock, network: Network, stages: Sequence[Stage] = (), state_file: Path | None = None
    ) -> None:
        self._clock = clock
        self._network = network
        self._stages = stages
        self._events = EventStream()
        self._delays = DelayQueue(clock)
        self._task: asyncio.Task[None] | None = None
        self._state = State(state_file)
        self._timers: dict[str, Timer] = {}
        self._waiters: dict[str, asyncio.Event] = {}

    async def open(self) -> None:
        if self._task is None:
            await asyncio.to_thread(self._state.open)
            ready = (s for s in self._state.sandboxes.values() if s.state == "ready")
            await self._network.recover({s.id: addresses_as_path(s.ips) for s in ready})
            for container in self._state.containers.values():
                self._plan_end(container)
            self._task = asyncio.get_running_loop().create_task(self._delays.run(), name="hollow runtime's delays")

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self._state.close()

    async def cleanup(self) -> None:
        for sandbox_id in list(self._state.sandboxes):
            await self.remove_pod_sandbox(sandbox_id)

    async def version(self) -> v.Version:
        return v.Version(runtime_name="hollow", runtime_version="1.0.0")

    async def status(self) -> v.RuntimeStatus:
        network = self._network.status()
        return v.RuntimeStatus(
            runtime_ready=True,
            network_ready=network.ready,
            network_reason=network.reason,
            network_message=network.message,
        )

    # Pod sandboxes

    async def run_pod_sandbox(self, config: v.PodSandboxConfig) -> str:
        sandbox_id = self._clock.token(32).hex()
        ips: tuple[str, ...] = ()
        if config.namespaces.network == "pod":
            pod = f"{config.metadata.namespace}/{config.metadata.name}"
            ips = (await self._network.attach(sandbox_id, "", pod=pod, port_mappings=config.port_mappings)).ips
        sandbox = Sandbox(id=sandbox_id, config=config, created_at=self._now(), ips=ips)
        self._state.keep(sandbox)
        self._tell("started", sandbox)
        return sandbox_id

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        sandbox = self._state.sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        for container in self._of(sandbox_id):
            self._end(container, SIGKILL_EXIT)
        await self._network.detach(sandbox_id)
        if sandbox.state == "ready":
            sandbox.state = "notready"
            self._state.keep(sandbox)
            self._tell("stopped", sandbox)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        await self.stop_pod_sandbox(sandbox_id)
        for container in self._of(sandbox_id):
            await self.remove_container(container.id)
        if sandbox := self._state.sandboxes.get(sandbox_id):
            self._state.drop(sandbox_id)
            self._tell("deleted", sandbox)

    async def pod_sandbox_status(self, sandbox_id: str) -> v.PodSandboxStatus:
        sandbox = self._sandbox(sandbox_id)
        return v.PodSandboxStatus(
            id=sandbox.id,
            metadata=sandbox.config.metadata,
            state=sandbox.state,
            created_at=sandbox.created_at,
            labels=sandbox.config.labels,
            annotations=sandbox.config.annotations,
            ips=sandbox.ips,
            namespaces=sandbox.config.namespaces,
        )

    async def list_pod_sandbox(self, labels: Mapping[str, str] | None = None) -> list[v.PodSandbox]:
        return [
            v.PodSandbox(
                id=sandbox.id,
                metadata=sandbox.config.metadata,
                state=sandbox.state,
                created_at=sandbox.created_at,
                labels=sandbox.config.labels,
                annotations=sandbox.config.annotations,
            )
            for sandbox in reversed(self._sandboxes(labels))
            if _carries(sandbox.config.labels, labels)
        ]

    # Containers

    async def create_container(
        self, sandbox_id: str, config: v.ContainerConfig, sandbox_config: v.PodSandboxConfig
    ) -> str:
        sandbox = self._sandbox(sandbox_id)
        if sandbox.state != "ready":
            raise RuntimeFailure(f"sandbox {sandbox_id} is not running")
        image = await self.image_status(config.image)
        if image is None:
            raise NotFound(f"No such image: {config.image}")
        try:
            stage = choose(
                self._stages,
                config.image,
                config.metadata.name,
                sandbox.config.metadata,
                {**sandbox.config.annotations, **config.annotations},
            )
        except BadStage as error:
            raise RuntimeFailure(str(error)) from error
        container_id = self._clock.token(32).hex()
        container = Container(
            id=container_id,
            sandbox_id=sandbox_id,
            config=config,
            image_id=image.id,
            stage=stage,
            created_at=self._now(),
            resources=config.resources,
        )
        self._state.keep(container)
        self._tell("created", sandbox, container)
        return container_id

    async def start_container(self, container_id: str) -> None:
        container = self._container(container_id)
        if container.state != "created":
            raise RuntimeFailure(f"container {container_id} is {container.state}, not created")
        stage = container.stage
        await self._delays.wait(self._stretch(stage, stage.start_delay))
        if container.state != "created":
            raise RuntimeFailure(f"container {container_id} was stopped while starting")
        if stage.start_error:
            container.message = stage.start_error
            self._end(container, 128, reason="StartError")
            raise StartFailure(stage.start_error)
        container.state = "running"
        container.started_at = self._now()
        if stage.run is not None:
            container.ends_at = container.started_at + int(self._stretch(stage, stage.run) * 1e9)
        self._state.keep(container)
        self._tell("started", self._sandbox(container.sandbox_id), container)
        self._plan_end(container)

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        container = self._state.containers.get(container_id)
        if container is None:
            return
        if container.state == "running":
            delay = self._stretch(container.stage, container.stage.stop_delay)
            code = container.stage.stop_exit_code if delay <= timeout_seconds else SIGKILL_EXIT
            self._after(container, min(delay, timeout_seconds), code)
            await self._ended(container)

    async def remove_container(self, container_id: str) -> None:
        if container := self._state.containers.get(container_id):
            self._end(container, SIGKILL_EXIT)
            self._state.drop(container_id)
            self._tell("deleted", self._state.sandboxes[container.sandbox_id], container)

    async def container_status(self, container_id: str) -> v.ContainerStatus:
        c = self._container(container_id)
        return v.ContainerStatus(
            id=c.id,
            pod_sandbox_id=c.sandbox_id,
            metadata=c.config.metadata,
            pod=self._sandbox(c.sandbox_id).config.metadata,
            image=c.config.image,
            image_ref=c.image_id,
            state=c.state,
            created_at=c.created_at,
            labels=c.config.labels,
            annotations=c.config.annotations,
            started_at=c.started_at,
            finished_at=c.finished_at,
            exit_code=c.exit_code,
            reason=c.reason,
            message=c.message,
            log_path=c.config.log_path,
            mounts=c.config.mounts,
            resources=c.resources,
            stop_signal=c.config.stop_signal or "SIGTERM",
        )

    async def list_containers(
        self, *, sandbox_id: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[v.Container]:
        return [
            v.Container(
                id=c.id,
                pod_sandbox_id=c.sandbox_id,
                metadata=c.config.metadata,
                pod=self._sandbox(c.sandbox_id).config.metadata,
                image=c.config.image,
                image_ref=c.image_id,
                state=c.state,
                created_at=c.created_at,
                labels=c.config.labels,
                annotations=c.config.annotations,
            )
            for c in reversed(self._containers(sandbox_id, labels))
            if _carries(c.config.labels, labels)
        ]

    async def update_container_resources(self, container_id: str, resources: v.Resources) -> None:
        container = self._container(container_id)
        container.resources = resources
        self._state.keep(container)

    # Streams

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_seconds: float | None = None
    ) -> v.ExecResult:
        answer = self._answer(container_id, command)
        return v.ExecResult(stdout=answer.stdout.encode(), stderr=answer.stderr.encode(), exit_code=answer.exit_code)

    async def exec(self, container_id: str, command: list[str], *, stdin: bool = False, tty: bool = False) -> Session:
        return ReplaySession(await self.exec_sync(container_id, command))

    async def attach(self, container_id: str, *, stdin: bool = False) -> Session:
        raise Unsupported("a hollow container has no process to attach to")

    async def port_forward(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        raise Unsupported("a hollow pod has no ports")

    async def probe(self, container_id: str, kind: ProbeKind) -> bool:
        """How a probe ("startup", "readiness", "liveness") of this container goes now; see `base.SimulatedProbes`."""
        container = self._container(container_id)
        if container.state != "running":
            return False
        stage, age = container.stage, (self._now() - container.started_at) / 1e9
        if kind == "liveness":
            return stage.live_for is None or age < stage.live_for
        if age < stage.ready_after:
            return False
        return kind == "startup" or stage.ready_for is None or age < stage.ready_after + stage.ready_for

    # Logs and events

    async def logs(self, container_id: str, options: v.LogOptions) -> AsyncGenerator[bytes, None]:
        container = self._container(container_id)
        lines = container.stage.logs if container.started_at and options.stream != "stderr" else ()
        if container.started_at < options.since:
            lines = ()
        if options.tail_lines is not None:
            lines = lines[len(lines) - min(options.tail_lines, len(lines)) :]
        at = datetime.fromtimestamp(container.started_at / 1e9, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ ")
        data = "".join(f"{at if options.timestamps else ''}{line}\n" for line in lines).encode()
        yield data[: options.limit_bytes]
        if options.follow and container.state != "exited":
            await self._ended(container)

    async def reopen_container_log(self, container_id: str) -> None:
        self._container(container_id)

    async def events(self) -> AsyncGenerator[v.ContainerEvent, None]:
        async with aclosing(self._events.read()) as events:
            async for event in events:
                yield event

    # Resource use

    async def container_stats(self, container_id: str) -> v.ContainerStats:
        container = self._container(container_id)
        if container.state != "running":
            raise NotFound(f"container {container_id} is not running")
        return self._stats(container)

    async def list_pod_sandbox_stats(self) -> list[v.PodSandboxStats]:
        running: dict[str, list[v.ContainerStats]] = {}
        for container in self._state.containers.values():
            if container.state == "running":
                running.setdefault(container.sandbox_id, []).append(self._stats(container))
        return [
            v.PodSandboxStats(
                pod_sandbox_id=sandbox.id,
                metadata=sandbox.config.metadata,
                timestamp=self._now(),
                containers=tuple(running.get(sandbox.id, ())),
            )
            for sandbox in self._state.sandboxes.values()
            if sandbox.state == "ready"
        ]

    async def container_disk_stats(self, container_id: str) -> v.ContainerDiskStats:
        stage = self._container(container_id).stage
        return v.ContainerDiskStats(container_id=container_id, layer_bytes=stage.layer_bytes, log_bytes=stage.log_bytes)

    async def filesystems(self) -> v.Filesystems:
        return v.Filesystems(images="/", layers="/")

    def simulated_use(self) -> SimulatedUse:
        """See `base.SimulatedResources`."""
        memory = disk = pids = 0
        for container in self._state.containers.values():
            stage = container.stage
            disk += stage.layer_bytes + stage.log_bytes
            if container.state == "running":
                memory += stage.memory_bytes
                pids += stage.pids
            if self._state.sandboxes[container.sandbox_id].state == "ready":
                disk += sum(stage.volume_bytes.values())
        return SimulatedUse(memory, disk, sum(image.size for image in self._state.images.values()), pids)

    def simulated_volumes(self, pod_uid: str) -> dict[str, int]:
        """See `base.SimulatedResources`."""
        found: dict[str, int] = {}
        for container in self._state.containers_of.of(pod_uid):
            for name, size in container.stage.volume_bytes.items():
                found[name] = found.get(name, 0) + size
        return found

    # Images

    async def list_images(self) -> list[v.Image]:
        return [_image(image) for image in self._state.images.values()]

    async def image_status(self, image: str) -> v.Image | None:
        reference = with_default_tag(image)
        found = (known for known in self._state.images.values() if image == known.id or reference == known.name)
        return next(map(_image, found), None)

    async def pull_image(self, image: str, auth: v.AuthConfig | None = None) -> str:
        stage = for_image(self._stages, image)
        await self._delays.wait(self._stretch(stage, stage.pull_delay))
        if stage.pull_error:
            raise ImageFailure("ErrImagePull", stage.pull_error)
        name = with_default_tag(image)
        if name not in self._state.images:
            self._state.keep(Image(name=name, id=f"sha256:{self._clock.token(32).hex()}", size=stage.image_bytes))
        return self._state.images[name].id

    async def remove_image(self, image: str) -> None:
        for name in [known.name for known in self._state.images.values() if image in (known.name, known.id)]:
            self._state.drop(name)

    async def image_fs_info(self) -> v.FilesystemUsage:
        return v.FilesystemUsage(timestamp=self._now(), mountpoint="/", used_bytes=self.simulated_use().images)

    # Within

    def _now(self) -> int:
        return int(self._clock.now() * 1e9)

    def _stretch(self, stage: Stage, seconds: float) -> float:
        return seconds * (1 + stage.jitter * self._clock.random.uniform(-1, 1)) if stage.jitter else seconds

    def _sandbox(self, sandbox_id: str) -> Sandbox:
        if sandbox := self._state.sandboxes.get(sandbox_id):
            return sandbox
        raise NotFound(f"No such sandbox: {sandbox_id}")

    def _container(self, container_id: str) -> Container:
        if container := self._state.containers.get(container_id):
            return container
        raise NotFound(f"No such container: {container_id}")

    def _of(self, sandbox_id: str) -> list[Container]:
        return self._state.containers_in.of(sandbox_id)

    def _sandboxes(self, labels: Mapping[str, str] | None) -> list[Sandbox]:
        """Those that may carry the labels: a node asks for one pod's all the time, so that is not a search."""
        uid = (labels or {}).get(LABEL_POD_UID)
        return list(self._state.sandboxes.values()) if uid is None else self._state.sandboxes_of.of(uid)

    def _containers(self, sandbox_id: str | None, labels: Mapping[str, str] | None) -> list[Container]:
        if sandbox_id is not None:
            return self._state.containers_in.of(sandbox_id)
        uid = (labels or {}).get(LABEL_POD_UID)
        return list(self._state.containers.values()) if uid is None else self._state.containers_of.of(uid)

    def _plan_end(self, container: Container) -> None:
        """A container that runs and is to end by itself ends at its time."""
        if container.state == "running" and container.ends_at:
            stage = container.stage
            code = SIGKILL_EXIT if stage.oom else stage.exit_code
            left = (container.ends_at - self._now()) / 1e9
            self._after(container, left, code, "OOMKilled" if stage.oom else "")

    def _after(self, container: Container, seconds: float, exit_code: int, reason: str = "") -> None:
        if planned := self._timers.pop(container.id, None):
            planned.cancel()
        self._timers[container.id] = self._delays.after(seconds, lambda: self._end(container, exit_code, reason))

    async def _ended(self, container: Container) -> None:
        if container.state != "exited":
            await self._waiters.setdefault(container.id, asyncio.Event()).wait()

    def _end(self, container: Container, exit_code: int, reason: str = "") -> None:
        if container.state == "exited":
            return
        if planned := self._timers.pop(container.id, None):
            planned.cancel()
        container.state = "exited"
        container.finished_at = self._now()
        container.exit_code = exit_code
        container.reason = reason or ("Error" if exit_code else "Completed")
        self._state.keep(container)
        if waiter := self._waiters.pop(container.id, None):
            waiter.set()
        self._tell("stopped", self._state.sandboxes[container.sandbox_id], container)

    def _answer(self, container_id: str, command: list[str]) -> Answer:
        container = self._container(container_id)
        if container.state != "running":
            raise RuntimeFailure(f"container {container_id} is not running")
        return container.stage.answer(command)

    def _tell(self, kind: v.EventType, sandbox: Sandbox, container: Container | None = None) -> None:
        stopped = container is not None and kind == "stopped"
        self._events.publish(
            v.ContainerEvent(
                type=kind,
                at=self._now(),
                pod_sandbox_id=sandbox.id,
                container_id=container.id if container else sandbox.id,
                container_name=container.config.metadata.name if container else "",
                pod=sandbox.config.metadata,
                exit_code=container.exit_code if container and stopped else None,
                oom_killed=container is not None and container.reason == "OOMKilled",
            )
        )

    def _stats(self, container: Container) -> v.ContainerStats:
        now = self._now()
        cpu = (now - container.started_at) * container.stage.cpu_milli // 1000
        memory = container.stage.memory_bytes
        return v.ContainerStats(
            container_id=container.id,
            metadata=container.config.metadata,
            timestamp=now,
            cpu_usage_core_nanoseconds=cpu,
            memory_usage_bytes=memory,
            memory_working_set_bytes=memory,
            memory_rss_bytes=memory,
            pids=container.stage.pids,
        )


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return not wanted or all(labels.get(key) == value for key, value in wanted.items())


def _image(image: Image) -> v.Image:
    digest = f"{image.name.rsplit('@', 1)[0].rsplit(':', 1)[0]}@{image.id}"
    return v.Image(id=image.id, repo_tags=(image.name,), repo_digests=(digest,), size=image.size)
