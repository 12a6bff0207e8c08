"""The docker runtime: CRI's verbs on a Docker Engine of this machine.

A pod sandbox is a pause container without network, which the node's pod network then plumbs; containers join its
network, IPC and, where shared, process namespaces.
"""

import asyncio
import math
import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any

from msgspec import structs

from orlop.clock import Clock
from orlop.kubelet.network import netns
from orlop.kubelet.network.base import Network, NetworkError
from orlop.kubelet.runtime import diskuse, values as v
from orlop.kubelet.runtime.base import NotFound, RuntimeFailure, Session, StartFailure, Unavailable
from orlop.kubelet.runtime.docker import create, inspect, labels as marks, logs
from orlop.kubelet.runtime.docker.containers import Containers
from orlop.kubelet.runtime.docker.engine import DEFAULT_SOCKET, Engine
from orlop.kubelet.runtime.docker.events import EventPump
from orlop.kubelet.runtime.docker.execs import Execs
from orlop.kubelet.runtime.docker.images import DockerImages
from orlop.kubelet.runtime.docker.resolv import ResolvFiles
from orlop.kubelet.runtime.docker.stats import Meter, interfaces
from orlop.kubelet.runtime.events import EventStream

PORT_FORWARD_SECONDS = 10.0
"""Longest wait for a connection within the pod."""

PAUSE_STOP_SECONDS = 1
"""The pause program ends at once on SIGTERM."""

JOIN_TRIES, JOIN_PAUSE = 500, 0.01
"""Looks, and seconds between them, for the pause program's first act: nothing tells of a change of namespace."""


class DockerRuntime(DockerImages):
    """Implements `runtime.base.Runtime`.

    `scope` names cluster and node ("orlop/node-1"): of all the engine's containers only those of this scope exist here.
    `state_dir` holds the files that containers mount (resolv.conf). `host_netns` is the network namespace that is the
    node's own, where that is not the machine's ("").
    """

    def __init__(
        self,
        clock: Clock,
        network: Network,
        *,
        scope: str,
        state_dir: Path,
        host_netns: str = "",
        log_limits: v.LogLimits = v.LogLimits(),
        socket_path: str = DEFAULT_SOCKET,
    ) -> None:
        engine = Engine(socket_path)
        super().__init__(engine, clock)
        self._network = network
        self._scope = scope
        self._host_netns = host_netns
        self._log_limits = log_limits
        self._resolv = ResolvFiles(state_dir / "sandboxes")
        self._containers = Containers(engine, scope)
        self._stream = EventStream()
        self._pump = EventPump(engine, scope, clock, self._stream)
        self._execs = Execs(engine, self._containers, self._pump, clock)
        self._meter = Meter(clock)
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._engine.open()
        self._task = asyncio.get_running_loop().create_task(self._pump.run(), name="docker events")
        await self._pump.connected.wait()
        await self._network.recover(await self._plumbed())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        await self._engine.close()

    async def cleanup(self) -> None:
        sandboxes = await self._containers.rows(marks.SANDBOX)
        await asyncio.gather(*(self.remove_pod_sandbox(row["Id"]) for row in sandboxes))
        rest = await self._containers.rows()
        await asyncio.gather(*(self._containers.remove(row["Id"]) for row in rest))
        await self.remove_pause()
        await self._resolv.clear()

    async def version(self) -> v.Version:
        found = self._engine.server_version
        return v.Version(
            runtime_name="docker",
            runtime_version=str(found.get("Version", "")),
            runtime_api_version=str(found.get("ApiVersion", "")),
        )

    async def status(self) -> v.RuntimeStatus:
        network = self._network.status()
        reason = message = ""
        try:
            await self._engine.call(lambda api: api.ping())
        except RuntimeFailure as error:
            reason, message = "ContainerRuntimeNotReady", str(error)
        return v.RuntimeStatus(
            runtime_ready=not reason,
            runtime_reason=reason,
            runtime_message=message,
            network_ready=network.ready,
            network_reason=network.reason,
            network_message=network.message,
        )

    # Pod sandboxes

    async def run_pod_sandbox(self, config: v.PodSandboxConfig) -> str:
        sandbox_id = await self._create_sandbox(config)
        try:
            await self._engine.call(lambda api: api.start(sandbox_id))
            await self._resolv.write(sandbox_id, config.dns)
            if self._host_netns and config.namespaces.network == "node":
                await self._joined(sandbox_id)
            elif config.namespaces.network == "pod":
                pid = (await self._containers.inspect(sandbox_id))["State"]["Pid"]
                pod = f"{config.metadata.namespace}/{config.metadata.name}"
                await self._network.attach(sandbox_id, _netns(pid), pod=pod, port_mappings=config.port_mappings)
        except BaseException as error:
            await asyncio.shield(self.remove_pod_sandbox(sandbox_id))
            if isinstance(error, NetworkError):
                raise RuntimeFailure(f'failed to set up network for sandbox "{sandbox_id}": {error}') from error
            raise
        return sandbox_id

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        rows = await self._containers.rows(f"{marks.SANDBOX_ID}={sandbox_id}")
        await asyncio.gather(*(self._containers.stop(row["Id"], 0) for row in rows if row["State"] == "running"))
        await self._network.detach(sandbox_id)
        await self._containers.stop(sandbox_id, PAUSE_STOP_SECONDS)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        rows = await self._containers.rows(f"{marks.SANDBOX_ID}={sandbox_id}")
        await asyncio.gather(*(self.remove_container(row["Id"]) for row in rows))
        await self._network.detach(sandbox_id)
        await self._containers.remove(sandbox_id)
        await self._resolv.remove(sandbox_id)

    async def pod_sandbox_status(self, sandbox_id: str) -> v.PodSandboxStatus:
        found = await self._containers.inspect(sandbox_id)
        record = marks.sandbox_record(found["Config"]["Labels"])
        if record is None:
            raise NotFound(f"No such sandbox: {sandbox_id}")
        attachment = self._network.attachment(sandbox_id)
        return inspect.sandbox_status(found, record, attachment.ips if attachment else ())

    async def list_pod_sandbox(self, labels: Mapping[str, str] | None = None) -> list[v.PodSandbox]:
        rows = await self._containers.rows(marks.SANDBOX, *_pairs(labels))
        found = [row for row in map(inspect.sandbox_row, rows) if row is not None]
        return [structs.replace(row, state="notready") if self._pump.has_ended(row.id) else row for row in found]

    # Containers

    async def create_container(
        self, sandbox_id: str, config: v.ContainerConfig, sandbox_config: v.PodSandboxConfig
    ) -> str:
        image = await self.image_status(config.image)
        if image is None:
            raise NotFound(f"No such image: {config.image}")
        user = str(image.uid) if image.uid is not None else image.username
        extra = self._resolv.mounts(sandbox_id, sandbox_config.dns, config)
        body = create.container_body(self._scope, sandbox_id, config, sandbox_config, user, self._log_limits, extra)
        return await self._containers.create(marks.container_name(config.metadata, sandbox_config.metadata), body)

    async def start_container(self, container_id: str) -> None:
        await self._containers.inspect(container_id)
        try:
            await self._engine.call(lambda api: api.start(container_id))
        except Unavailable:
            raise
        except RuntimeFailure as error:  # also NotFound: the engine says 404 for a program that is not in the image
            raise StartFailure(str(error)) from error

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        await self._containers.stop(container_id, max(0, math.ceil(timeout_seconds)))

    async def remove_container(self, container_id: str) -> None:
        self._meter.forget(container_id)
        await self._containers.remove(container_id)

    async def container_status(self, container_id: str) -> v.ContainerStatus:
        found = await self._containers.inspect(container_id)
        record = marks.container_record(found["Config"]["Labels"])
        if record is None:
            raise NotFound(f"No such container: {container_id}")
        return inspect.container_status(found, record)

    async def list_containers(
        self, *, sandbox_id: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[v.Container]:
        wanted = marks.CONTAINER if sandbox_id is None else f"{marks.SANDBOX_ID}={sandbox_id}"
        rows = map(inspect.container_row, await self._containers.rows(wanted, *_pairs(labels)))
        return [await self._settled(row) for row in rows if row is not None]

    async def update_container_resources(self, container_id: str, resources: v.Resources) -> None:
        await self._containers.inspect(container_id)
        changes = {
            "cpu_shares": resources.cpu_shares,
            "cpu_period": resources.cpu_period,
            "cpu_quota": resources.cpu_quota,
            "cpuset_cpus": resources.cpuset_cpus,
            "cpuset_mems": resources.cpuset_mems,
            "mem_limit": resources.memory_limit_in_bytes,
            "memswap_limit": resources.memory_limit_in_bytes,
        }
        wanted = {name: value for name, value in changes.items() if value}
        await self._engine.call(lambda api: api.update_container(container_id, **wanted))

    # Streams

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_seconds: float | None = None
    ) -> v.ExecResult:
        return await self._execs.run(container_id, command, timeout_seconds)

    async def exec(self, container_id: str, command: list[str], *, stdin: bool = False, tty: bool = False) -> Session:
        return await self._execs.start(container_id, command, stdin=stdin, tty=tty)

    async def attach(self, container_id: str, *, stdin: bool = False) -> Session:
        return await self._execs.attach(container_id, stdin=stdin)

    async def port_forward(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        found = await self._containers.inspect(sandbox_id)
        if not found["State"]["Running"]:
            raise RuntimeFailure(f"sandbox {sandbox_id} is not running")
        try:
            sock = await asyncio.to_thread(netns.connect, _netns(found["State"]["Pid"]), port, PORT_FORWARD_SECONDS)
            return await asyncio.open_connection(sock=sock)
        except (OSError, NetworkError) as error:
            raise RuntimeFailure(f"failed to connect to localhost:{port} inside the pod: {error}") from error

    # Logs and events

    async def logs(self, container_id: str, options: v.LogOptions) -> AsyncGenerator[bytes, None]:
        found = await self._containers.inspect(container_id)
        async with aclosing(logs.read(self._engine.streams, found["Id"], found["Config"]["Tty"], options)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def reopen_container_log(self, container_id: str) -> None:
        """Nothing to do: the engine rotates its own logs (create.container_body)."""

    async def events(self) -> AsyncGenerator[v.ContainerEvent, None]:
        await self._pump.connected.wait()
        async with aclosing(self._stream.read()) as events:
            async for event in events:
                yield event

    # Resource use

    async def container_stats(self, container_id: str) -> v.ContainerStats:
        return await self._stats(await self.container_status(container_id))

    async def list_pod_sandbox_stats(self) -> list[v.PodSandboxStats]:
        containers: dict[str, list[v.ContainerStats]] = {}
        for container in await self.list_containers():
            if container.state == "running":
                with suppress(NotFound):
                    containers.setdefault(container.pod_sandbox_id, []).append(await self._stats(container))
        found = []
        for row in await self.list_pod_sandbox():
            if row.state == "ready":
                with suppress(NotFound):
                    sandbox = await self.pod_sandbox_status(row.id)
                    found.append(
                        v.PodSandboxStats(
                            pod_sandbox_id=sandbox.id,
                            metadata=sandbox.metadata,
                            timestamp=int(self._clock.now() * 1e9),
                            containers=tuple(containers.get(sandbox.id, ())),
                            interfaces=interfaces(sandbox.pid) if sandbox.namespaces.network == "pod" else (),
                        )
                    )
        return found

    async def container_disk_stats(self, container_id: str) -> v.ContainerDiskStats:
        found = await self._engine.call(lambda api: api.inspect_container(container_id))
        rows = await self._engine.call(
            lambda api: api.containers(all=True, size=True, filters={"id": found["Id"]})  # the engine measures
        )
        path = found.get("LogPath")
        logs = await asyncio.to_thread(diskuse.measure_files, Path(path)) if path else diskuse.NOTHING
        return v.ContainerDiskStats(
            container_id=container_id,
            layer_bytes=sum(int(row.get("SizeRw") or 0) for row in rows),
            log_bytes=logs.bytes,
            log_inodes=logs.inodes,
        )

    async def filesystems(self) -> v.Filesystems:
        root = str(self._engine.info.get("DockerRootDir", "/var/lib/docker"))
        return v.Filesystems(images=root, layers=root)

    # Within

    async def _create_sandbox(self, config: v.PodSandboxConfig) -> str:
        name = marks.sandbox_name(config.metadata)
        try:
            return await self._containers.create(name, await self._sandbox_body(config))
        except NotFound:  # another node that ended took the pause image away in between
            return await self._containers.create(name, await self._sandbox_body(config))

    async def _sandbox_body(self, config: v.PodSandboxConfig) -> dict[str, Any]:
        return create.sandbox_body(self._scope, await self.ensure_pause(), config, self._host_netns)

    async def _joined(self, sandbox_id: str) -> None:
        """Returns when the pause program has moved into the node's namespace, so that containers follow it there."""
        for _ in range(JOIN_TRIES):
            state = (await self._containers.inspect(sandbox_id))["State"]
            if not state["Running"]:
                raise RuntimeFailure(f"the pause program could not enter {self._host_netns}")
            if await asyncio.to_thread(_same, _netns(state["Pid"]), self._host_netns):
                return
            await self._clock.sleep(JOIN_PAUSE)
        raise RuntimeFailure(f"the pause program did not enter {self._host_netns}")

    async def _plumbed(self) -> dict[str, str]:
        """The running sandboxes with a network of their own, and the paths of their namespaces."""
        found = {}
        for row in await self.list_pod_sandbox():
            if row.state == "ready":
                with suppress(NotFound):
                    status = await self.pod_sandbox_status(row.id)
                    if status.namespaces.network == "pod" and status.pid:
                        found[row.id] = _netns(status.pid)
        return found

    async def _settled(self, row: v.Container) -> v.Container:
        """A row with its true state: rows lag behind events, and cannot tell "created" from "could not be started"."""
        if row.state == "running" and self._pump.has_ended(row.id):
            return structs.replace(row, state="exited")
        if row.state != "created":
            return row
        try:
            return structs.replace(row, state=(await self.container_status(row.id)).state)
        except NotFound:
            return row

    async def _stats(self, container: v.Container) -> v.ContainerStats:
        if not self._meter.knows(container.id):
            status = await self.container_status(container.id)
            if status.state != "running":
                raise NotFound(f"container {container.id} is not running")
            self._meter.learn(container.id, status.pid)
        return self._meter.read(container.id, container.metadata)


def _netns(pid: int) -> str:
    return f"/proc/{pid}/ns/net"


def _same(one: str, other: str) -> bool:
    """Whether two paths lead to one namespace."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def _pairs(labels: Mapping[str, str] | None) -> list[str]:
    return [f"{name}={value}" for name, value in (labels or {}).items()]
