"""The native runtime: CRI's verbs by this machine's kernel alone.

A sandbox is a handful of namespaces kept by files; a container is a folder and, while it runs, one shim. Everything is
on disk, so a new runtime object finds all of it again; nothing is polled: shims tell ends on their sockets.
"""

import asyncio
import logging
import shutil
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from pathlib import Path

from msgspec import structs

from orlop.clock import Clock
from orlop.kubelet.network import netns
from orlop.kubelet.network.base import Network, NetworkError
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import NotFound, RuntimeFailure, Session, Unavailable
from orlop.kubelet.runtime.events import EventStream
from orlop.kubelet.runtime.native import bundle, execs, groups, logs, missing, oci, records, resources, rotate
from orlop.kubelet.runtime.native.containers import Container
from orlop.kubelet.runtime.native.image_service import NativeImages
from orlop.kubelet.runtime.native.images import ImageStore
from orlop.kubelet.runtime.native.records import ContainerRecord, SandboxRecord
from orlop.kubelet.runtime.native.sandboxes import Sandbox
from orlop.kubelet.runtime.native.shim import Program
from orlop.kubelet.runtime.native.stats import interfaces, read as read_stats, read_disk as read_disk_stats

VERSION = "0.1.0"

RUN_DIR = Path("/run/orlop")
"""Where namespaces are kept: memory that a reboot empties, as it ends the namespaces."""

PORT_FORWARD_SECONDS = 10.0
"""Longest wait for a connection within the pod."""

logger = logging.getLogger("orlop.kubelet.runtime.native")


class NativeRuntime(NativeImages):
    """Implements `runtime.base.Runtime`.

    `scope` names cluster and node ("orlop/node-1"); `state_dir` is this node's alone, the image store may be shared.
    `plain` containers are processes of the machine: what can be had without root, and the default there.
    """

    def __init__(
        self,
        clock: Clock,
        network: Network,
        *,
        scope: str,
        state_dir: Path,
        images: ImageStore,
        run_dir: Path | None = None,
        log_limits: v.LogLimits = v.LogLimits(),
        program: Program | None = None,
        plain: bool | None = None,
    ) -> None:
        super().__init__(images)
        self._clock = clock
        self._network = network
        self._scope = scope.strip("/")
        self._state = state_dir.absolute()
        self._real = missing.is_root() if plain is None else not plain
        self._run = run_dir or (RUN_DIR / self._scope if self._real else self._state / "run")
        self._filters = self._run / "filters" / VERSION  # another version's shim may know more system calls
        self._log_limits = log_limits
        self._program = program or Program()
        self._stream = EventStream()
        self._sandboxes: dict[str, Sandbox] = {}
        self._containers: dict[str, Container] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._unified = resources.unified()
        self._guarded = not self._unified
        self._hierarchies = resources.hierarchies()

    async def open(self) -> None:
        if not self._program.source.exists():
            raise Unavailable(f"the shim is not installed at {self._program.source}: install orlop's wheel again")
        await asyncio.to_thread(self._prepare)
        if self._real and self._unified:
            self._guarded = await asyncio.to_thread(self._guards_devices)
        for sandbox in await asyncio.to_thread(self._load_sandboxes):
            self._sandboxes[sandbox.id] = sandbox
        for folder, record in await asyncio.to_thread(self._load_containers):
            self._containers[record.id] = self._container(folder, record)
        await asyncio.gather(*(container.recover() for container in self._containers.values()))
        await self._let_go_of_images()
        live = {s.id: str(s.netns) for s in self._sandboxes.values() if self._plumbed(s) and s.ready()}
        await self._network.recover(live)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(*(container.close() for container in self._containers.values()))
        self._containers.clear()
        self._sandboxes.clear()
        self._program.close()

    async def cleanup(self) -> None:
        await asyncio.gather(*(self.remove_pod_sandbox(sandbox_id) for sandbox_id in list(self._sandboxes)))
        await asyncio.gather(*(self.remove_container(container_id) for container_id in list(self._containers)))
        await asyncio.to_thread(self._clear)

    async def version(self) -> v.Version:
        return v.Version(runtime_name="orlop", runtime_version=VERSION)

    async def status(self) -> v.RuntimeStatus:
        network = self._network.status()
        lacking = await asyncio.to_thread(missing.missing, self._state, plain=not self._real)
        ready = not lacking or not self._real
        return v.RuntimeStatus(
            runtime_ready=ready,
            runtime_reason="" if not lacking else "PlainProcesses" if ready else "ContainerRuntimeNotReady",
            runtime_message="; ".join(lacking),
            network_ready=network.ready,
            network_reason=network.reason,
            network_message=network.message,
        )

    # Pod sandboxes

    async def run_pod_sandbox(self, config: v.PodSandboxConfig) -> str:
        record = SandboxRecord(id=self._new_id(), created_at=self._now(), config=config)
        sandbox = Sandbox(self._state / "sandboxes" / record.id, self._run / "sandboxes" / record.id, record)
        try:
            await asyncio.to_thread(sandbox.make, self._program, real=self._real)
            if self._plumbed(sandbox):
                pod = f"{config.metadata.namespace}/{config.metadata.name}"
                await self._network.attach(sandbox.id, str(sandbox.netns), pod=pod, port_mappings=config.port_mappings)
            sandbox.mark_ready()
        except BaseException as error:
            await asyncio.shield(self._discard(sandbox))
            if isinstance(error, NetworkError):
                raise RuntimeFailure(f'failed to set up network for sandbox "{sandbox.id}": {error}') from error
            if isinstance(error, OSError):
                raise RuntimeFailure(f"failed to make a sandbox: {error}") from error
            raise
        self._sandboxes[sandbox.id] = sandbox
        self._publish_sandbox("created", sandbox)
        self._publish_sandbox("started", sandbox)
        return sandbox.id

    async def stop_pod_sandbox(self, sandbox_id: str) -> None:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        mine = [c for c in self._containers.values() if c.record.sandbox_id == sandbox_id]
        await asyncio.gather(*(container.stop(0) for container in mine))
        was_ready = sandbox.ready()
        await self._network.detach(sandbox_id)
        await asyncio.to_thread(sandbox.stop)
        if was_ready:
            self._publish_sandbox("stopped", sandbox)

    async def remove_pod_sandbox(self, sandbox_id: str) -> None:
        sandbox = self._sandboxes.get(sandbox_id)
        if sandbox is None:
            return
        await self.stop_pod_sandbox(sandbox_id)
        mine = [c.id for c in self._containers.values() if c.record.sandbox_id == sandbox_id]
        await asyncio.gather(*(self.remove_container(container_id) for container_id in mine))
        await asyncio.to_thread(sandbox.delete)
        await asyncio.to_thread(groups.prune, self._cgroup_parent(sandbox))
        if self._sandboxes.pop(sandbox_id, None) is not None:
            self._publish_sandbox("deleted", sandbox)

    async def pod_sandbox_status(self, sandbox_id: str) -> v.PodSandboxStatus:
        sandbox = self._sandbox(sandbox_id)
        attachment = self._network.attachment(sandbox_id)
        return sandbox.status(attachment.ips if attachment else ())

    async def list_pod_sandbox(self, labels: Mapping[str, str] | None = None) -> list[v.PodSandbox]:
        rows = [sandbox.row() for sandbox in self._sandboxes.values()]
        return [row for row in rows if _carries(row.labels, labels)]

    # Containers

    async def create_container(
        self, sandbox_id: str, config: v.ContainerConfig, sandbox_config: v.PodSandboxConfig
    ) -> str:
        sandbox = self._sandbox(sandbox_id)
        if not sandbox.ready():
            raise RuntimeFailure(f"sandbox {sandbox_id} is not ready")
        await self._take_over(sandbox_id, config.metadata)
        image = await self.find(config.image)
        if image is None:
            raise NotFound(f"No such image: {config.image}")
        if not self._real and image.layers:
            raise RuntimeFailure(f"the image {config.image} cannot be run: {missing.NEED_ROOT}")
        container_id = self._new_id()
        folder = self._state / "containers" / container_id
        record = ContainerRecord(
            id=container_id,
            sandbox_id=sandbox_id,
            created_at=self._now(),
            config=config,
            pod=sandbox.record.config.metadata,
            image_ref=image.id,
            log_path=str(self._log_path(folder, config, sandbox_config)),
            stop_signal=config.stop_signal or image.config.stop_signal or "SIGTERM",
            resources=config.resources,
            cgroup=f"{self._cgroup_parent(sandbox)}/{container_id}" if self._real else "",
        )
        await self.images.hold(image.id, self._owner(container_id))
        try:
            source = bundle.Source(
                image=image,
                layers=tuple(await self.images.lowerdirs(image)),
                masked=(*await self.images.masked_paths(image), *self._own_paths(image.layers)),
            )
            place = oci.Place(
                namespaces={**sandbox.paths(), **self._target(config)} if self._real else {},
                files=sandbox.files(config.security.readonly_rootfs) if self._real else (),
                unified=self._unified,
                guarded=self._guarded,
                hierarchies=self._hierarchies,
                cgroup=record.cgroup,
            )
            limit = self._log_limits.max_size if record.log_path else 0
            await asyncio.to_thread(
                lambda: bundle.write(
                    folder,
                    record,
                    sandbox.record.config,
                    source,
                    place,
                    plain=not self._real,
                    log_max=limit,
                    filters=self._filters,
                )
            )
        except BaseException as error:
            await asyncio.shield(self.images.release(image.id, self._owner(container_id)))
            if isinstance(error, OSError):
                raise RuntimeFailure(f"failed to make a container: {error}") from error
            raise
        container = self._container(folder, record)
        self._containers[container_id] = container
        self._publish("created", container)
        return container_id

    async def start_container(self, container_id: str) -> None:
        container = self._find(container_id)
        if not self._sandbox(container.record.sandbox_id).ready():
            raise RuntimeFailure(f"sandbox {container.record.sandbox_id} is not ready")
        await container.start(self._program)
        self._publish("started", container)

    async def stop_container(self, container_id: str, timeout_seconds: float) -> None:
        if (container := self._containers.get(container_id)) is not None:
            await container.stop(timeout_seconds)

    async def remove_container(self, container_id: str) -> None:
        container = self._containers.get(container_id)
        if container is None:
            return
        await container.stop(0)
        await container.delete()
        await self.images.release(container.record.image_ref, self._owner(container_id))
        if self._containers.pop(container_id, None) is not None:
            self._publish("deleted", container)

    async def container_status(self, container_id: str) -> v.ContainerStatus:
        return self._find(container_id).status()

    async def list_containers(
        self, *, sandbox_id: str | None = None, labels: Mapping[str, str] | None = None
    ) -> list[v.Container]:
        rows = [
            container.row()
            for container in self._containers.values()
            if sandbox_id is None or container.record.sandbox_id == sandbox_id
        ]
        rows.sort(key=lambda row: row.created_at, reverse=True)
        return [row for row in rows if _carries(row.labels, labels)]

    async def update_container_resources(self, container_id: str, new: v.Resources) -> None:
        container = self._find(container_id)
        container.need_running()
        if not container.record.cgroup:
            raise RuntimeFailure(f"limits cannot be changed: {missing.NEED_ROOT}")
        await asyncio.to_thread(resources.update, container.record.cgroup, new)
        container.record = structs.replace(
            container.record, resources=resources.merged(container.record.resources, new)
        )
        await asyncio.to_thread(records.write, container.folder / records.RECORD, container.record)

    # Streams

    async def exec_sync(
        self, container_id: str, command: list[str], timeout_seconds: float | None = None
    ) -> v.ExecResult:
        return await execs.run(self._clock, self._find(container_id), command, timeout_seconds)

    async def exec(self, container_id: str, command: list[str], *, stdin: bool = False, tty: bool = False) -> Session:
        return await execs.start(self._find(container_id), command, stdin=stdin, tty=tty)

    async def attach(self, container_id: str, *, stdin: bool = False) -> Session:
        return await execs.attach(self._find(container_id), stdin=stdin)

    async def port_forward(self, sandbox_id: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sandbox = self._sandbox(sandbox_id)
        if not sandbox.ready():
            raise RuntimeFailure(f"sandbox {sandbox_id} is not running")
        path = str(sandbox.netns) if self._plumbed(sandbox) else "/proc/self/ns/net"
        try:
            sock = await asyncio.to_thread(netns.connect, path, port, PORT_FORWARD_SECONDS)
            return await asyncio.open_connection(sock=sock)
        except (OSError, NetworkError) as error:
            raise RuntimeFailure(f"failed to connect to localhost:{port} inside the pod: {error}") from error

    # Logs and events

    async def logs(self, container_id: str, options: v.LogOptions) -> AsyncGenerator[bytes, None]:
        container = self._find(container_id)
        async with aclosing(logs.read(container.record.log_path, options, container.settled)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def reopen_container_log(self, container_id: str) -> None:
        container = self._find(container_id)
        container.need_running()
        await container.reopen_log()

    async def events(self) -> AsyncGenerator[v.ContainerEvent, None]:
        async with aclosing(self._stream.read()) as events:
            async for event in events:
                yield event

    # Resource use

    async def container_stats(self, container_id: str) -> v.ContainerStats:
        return await asyncio.to_thread(read_stats, self._find(container_id), self._now())

    async def list_pod_sandbox_stats(self) -> list[v.PodSandboxStats]:
        found = []
        for sandbox in [s for s in self._sandboxes.values() if s.ready()]:
            containers = []
            for container in [c for c in self._containers.values() if c.record.sandbox_id == sandbox.id]:
                if container.state == "running":
                    with suppress(NotFound):
                        containers.append(await asyncio.to_thread(read_stats, container, self._now()))
            pid = next((_pid(c) for c in self._containers.values() if _runs_in(c, sandbox.id)), 0)
            found.append(
                v.PodSandboxStats(
                    pod_sandbox_id=sandbox.id,
                    metadata=sandbox.record.config.metadata,
                    timestamp=self._now(),
                    containers=tuple(containers),
                    interfaces=await asyncio.to_thread(interfaces, pid) if pid and self._plumbed(sandbox) else (),
                )
            )
        return found

    async def container_disk_stats(self, container_id: str) -> v.ContainerDiskStats:
        container = self._find(container_id)
        return await asyncio.to_thread(read_disk_stats, container)

    async def filesystems(self) -> v.Filesystems:
        return v.Filesystems(images=str(self.images.layout.root), layers=str(self._state))

    # Within

    def _prepare(self) -> None:
        for folder in (self._state, self._run):
            folder.mkdir(parents=True, exist_ok=True, mode=0o711)

    def _guards_devices(self) -> bool:
        try:
            self._program.call("devices")
        except RuntimeFailure as error:
            logger.warning("%s; containers get the capability MKNOD only where they ask for it by name", error)
            return False
        return True

    async def _let_go_of_images(self) -> None:
        """Holds of containers that a kubelet was killed in the middle of making, or of removing."""
        known = {self._owner(container_id) for container_id in self._containers}
        for image_id, owners in (await self.images.holders()).items():
            for owner in owners:
                if owner.startswith(self._owner("")) and owner not in known:
                    await self.images.release(image_id, owner)

    def _load_sandboxes(self) -> list[Sandbox]:
        found = []
        for folder in sorted(_folders(self._state / "sandboxes")):
            record = records.read(folder / records.RECORD, SandboxRecord)
            sandbox_run = self._run / "sandboxes" / folder.name
            if record is None:  # the kubelet died while it made it
                record = SandboxRecord(
                    id=folder.name,
                    created_at=0,
                    config=v.PodSandboxConfig(metadata=v.PodSandboxMetadata(name="", uid="", namespace="")),
                )
                Sandbox(folder, sandbox_run, record).delete()
                continue
            found.append(Sandbox(folder, sandbox_run, record))
        return found

    def _load_containers(self) -> list[tuple[Path, ContainerRecord]]:
        found = []
        for folder in sorted(_folders(self._state / "containers")):
            record = records.read(folder / records.RECORD, ContainerRecord)
            if record is None or folder.name.startswith("."):
                shutil.rmtree(folder, ignore_errors=True)
            else:
                found.append((folder, record))
        return found

    def _clear(self) -> None:
        shutil.rmtree(self._run, ignore_errors=True)
        shutil.rmtree(self._state, ignore_errors=True)
        scope = Path("/orlop") / self._scope
        for group in (scope, *scope.parents[:-1]):
            groups.prune(str(group))
        if self._run.is_relative_to(RUN_DIR):
            for folder in self._run.parents[: len(Path(self._scope).parts)]:
                with suppress(OSError):  # another node's, or another cluster's
                    folder.rmdir()

    async def _discard(self, sandbox: Sandbox) -> None:
        await self._network.detach(sandbox.id)
        await asyncio.to_thread(sandbox.delete)

    async def _take_over(self, sandbox_id: str, metadata: v.ContainerMetadata) -> None:
        """A container of the same name and attempt that never ran was left by a kubelet that was killed."""
        for other in [c for c in self._containers.values() if c.record.sandbox_id == sandbox_id]:
            if other.record.config.metadata == metadata:
                if other.state != "created":
                    raise RuntimeFailure(
                        f"the name {metadata.name!r} (attempt {metadata.attempt}) is in use by container {other.id}"
                    )
                await self.remove_container(other.id)

    def _target(self, config: v.ContainerConfig) -> dict[str, str]:
        """The process namespace of another container that this one wants to be in."""
        if not config.pid_target:
            return {}
        target = self._find(config.pid_target)
        target.need_running()
        return {"pid": f"/proc/{_pid(target)}/ns/pid"}

    def _container(self, folder: Path, record: ContainerRecord) -> Container:
        return Container(folder, record, self._clock, self._has_ended, self._log_is_full)

    def _has_ended(self, container: Container) -> None:
        self._publish("stopped", container)

    def _log_is_full(self, container: Container) -> None:
        task = asyncio.get_running_loop().create_task(self._rotate(container), name=f"rotate {container.id[:12]}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _rotate(self, container: Container) -> None:
        path = Path(container.record.log_path)
        try:
            await asyncio.to_thread(rotate.rename, path, self._clock.now())
            await container.reopen_log()
            await asyncio.to_thread(rotate.tidy, path, self._log_limits)
        except (RuntimeFailure, OSError) as error:
            logger.warning("the log of container %s could not be rotated: %s", container.id, error)

    def _publish(self, kind: v.EventType, container: Container) -> None:
        found = container.exit if kind == "stopped" else None
        self._stream.publish(
            v.ContainerEvent(
                type=kind,
                at=self._now(),
                pod_sandbox_id=container.record.sandbox_id,
                container_id=container.id,
                container_name=container.record.config.metadata.name,
                pod=container.record.pod,
                exit_code=found.code if found is not None else None,
                oom_killed=found.oom if found is not None else False,
            )
        )

    def _publish_sandbox(self, kind: v.EventType, sandbox: Sandbox) -> None:
        self._stream.publish(
            v.ContainerEvent(
                type=kind,
                at=self._now(),
                pod_sandbox_id=sandbox.id,
                container_id=sandbox.id,
                pod=sandbox.record.config.metadata,
            )
        )

    def _sandbox(self, sandbox_id: str) -> Sandbox:
        if (sandbox := self._sandboxes.get(sandbox_id)) is None:
            raise NotFound(f"No such sandbox: {sandbox_id}")
        return sandbox

    def _find(self, container_id: str) -> Container:
        if (container := self._containers.get(container_id)) is None:
            raise NotFound(f"No such container: {container_id}")
        return container

    def _plumbed(self, sandbox: Sandbox) -> bool:
        """Whether it has a network of its own."""
        return self._real and sandbox.namespaces.network == "pod"

    def _cgroup_parent(self, sandbox: Sandbox) -> str:
        parent = sandbox.record.config.cgroup_parent.strip("/")
        return f"/{parent}/{sandbox.id}" if parent else f"/orlop/{self._scope}/{sandbox.id}"

    def _log_path(self, folder: Path, config: v.ContainerConfig, sandbox: v.PodSandboxConfig) -> Path:
        if sandbox.log_directory and config.log_path:
            return Path(sandbox.log_directory) / config.log_path
        return folder / "log"

    def _own_paths(self, layers: tuple[str, ...]) -> tuple[str, ...]:
        """What a container of the image `host` must not see of this runtime."""
        return () if layers else (str(self._state),)

    def _owner(self, container_id: str) -> str:
        return f"{self._scope}/{container_id}"

    def _new_id(self) -> str:
        return self._clock.token(32).hex()

    def _now(self) -> int:
        return int(self._clock.now() * 1e9)


def _folders(parent: Path) -> list[Path]:
    try:
        return [entry for entry in parent.iterdir() if entry.is_dir()]
    except FileNotFoundError:
        return []


def _carries(labels: Mapping[str, str], wanted: Mapping[str, str] | None) -> bool:
    return all(labels.get(name) == value for name, value in (wanted or {}).items())


def _pid(container: Container) -> int:
    return container.running.pid if container.running is not None else 0


def _runs_in(container: Container, sandbox_id: str) -> bool:
    return container.record.sandbox_id == sandbox_id and container.state == "running"
