"""Starts one container: image, environment, mounts, create, start, postStart hook."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

from orlop.api.types import core_v1
from orlop.kubelet import containers
from orlop.kubelet.environment import ConfigError, environment
from orlop.kubelet.hooks import run_hook
from orlop.kubelet.images import ImageProblem, ensure_image
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import Services, container_reference
from orlop.kubelet.status import Waiting
from orlop.kubelet.volumes.payload import VolumeError

MAX_TERMINATION_MESSAGE = 4096
"""Bytes of a container's termination message (upstream: MaxContainerTerminationMessageLength)."""
MAX_LOG_LINES = 80
"""Lines of the log that stand in for a missing message with FallbackToLogsOnError."""
MAX_LOG_BYTES = 2048
"""Bytes of those lines."""


async def start(
    services: Services,
    pod: core_v1.Pod,
    container: core_v1.Container,
    sandbox: v.PodSandboxStatus,
    sandbox_config: v.PodSandboxConfig,
    paths: Mapping[str, Path],
    attempt: int,
) -> Waiting | None:
    """Starts the container. Returns why it is waiting instead, if it is."""
    reference = container_reference(pod, container)
    runtime = services.runtime
    try:
        image = await ensure_image(services, pod, container)
    except ImageProblem as problem:
        return Waiting(problem.reason, problem.message)
    ips = list(services.host_ips) if pod.spec.host_network else list(sandbox.ips)
    try:
        containers.check_non_root(pod, container, image)
        if services.config.simulated:
            variables: dict[str, str] = {}
            mounts: list[v.Mount] = []
        else:
            variables = await environment(
                pod,
                container,
                sources=services.sources,
                services=services.cluster_services(),
                pod_ips=ips,
                node=services.node,
            )
            mounts = await asyncio.to_thread(
                _mounts,
                services.volumes.pod_directory(pod.metadata.uid),
                pod,
                container,
                paths,
                variables,
                attempt,
                ips,
                services.config.cluster_domain,
            )
    except (ConfigError, VolumeError, OSError) as error:
        services.events.event(reference, "Warning", "Failed", f"Error: {error}")
        return Waiting("CreateContainerConfigError", str(error))
    config = containers.container_config(
        pod, container, attempt=attempt, environment=variables, mounts=mounts, node_memory=services.node_memory
    )
    try:
        container_id = await runtime.create_container(sandbox.id, config, sandbox_config)
    except base.RuntimeFailure as error:
        services.events.event(reference, "Warning", "Failed", f"Error: {error}")
        return Waiting("CreateContainerError", str(error))
    services.events.event(reference, "Normal", "Created", f"Created container: {container.name}")
    try:
        await runtime.start_container(container_id)
    except base.RuntimeFailure as error:
        services.events.event(reference, "Warning", "Failed", f"Error: {error}")
        return Waiting("RunContainerError", str(error))
    services.events.event(reference, "Normal", "Started", f"Started container {container.name}")
    return await _post_start(services, pod, container, container_id, ips)


async def _post_start(
    services: Services, pod: core_v1.Pod, container: core_v1.Container, container_id: str, ips: list[str]
) -> Waiting | None:
    hook = container.lifecycle.post_start if container.lifecycle else None
    if hook is None:
        return None
    status = await services.runtime.container_status(container_id)
    failure = await run_hook(services, hook, container, status, ips[0] if ips else "", timeout=None)
    if failure is None:
        return None
    reference = container_reference(pod, container)
    services.events.event(reference, "Warning", "FailedPostStartHook", f"PostStartHook failed: {failure}")
    await services.runtime.stop_container(container_id, pod.spec.termination_grace_period_seconds or 30)
    return Waiting("PostStartHookError", failure)


def _mounts(
    directory: Path,
    pod: core_v1.Pod,
    container: core_v1.Container,
    paths: Mapping[str, Path],
    variables: Mapping[str, str],
    attempt: int,
    ips: list[str],
    domain: str,
) -> list[v.Mount]:
    mounts = containers.volume_mounts(pod, container, paths, variables)
    taken = {m.container_path for m in mounts}
    directory.mkdir(parents=True, exist_ok=True)
    if not pod.spec.host_network and "/etc/hosts" not in taken:
        hosts = directory / "etc-hosts"
        hosts.write_text(containers.hosts_file(pod, ips, domain), encoding="utf-8")
        mounts.append(v.Mount(container_path="/etc/hosts", host_path=str(hosts)))
    if container.termination_message_path and container.termination_message_path not in taken:
        message = termination_file(directory, container.name, attempt)
        message.parent.mkdir(parents=True, exist_ok=True)
        message.touch()
        message.chmod(0o666)
        mounts.append(v.Mount(container_path=container.termination_message_path, host_path=str(message)))
    return mounts


def termination_file(directory: Path, name: str, attempt: int) -> Path:
    """Where a container's termination message lies on the node."""
    return directory / "containers" / name / str(attempt)


async def termination_message(
    services: Services, pod: core_v1.Pod, container: core_v1.Container, status: v.ContainerStatus
) -> str:
    """What the container said when it ended: its message file, or the end of its log where that is asked for."""
    directory = services.volumes.pod_directory(pod.metadata.uid)
    file = termination_file(directory, container.name, status.metadata.attempt)

    def read() -> bytes:
        try:
            with file.open("rb") as stream:
                return stream.read(MAX_TERMINATION_MESSAGE)
        except OSError:
            return b""

    message = await asyncio.to_thread(read)
    fallback = container.termination_message_policy == "FallbackToLogsOnError" and status.exit_code != 0
    if not message and fallback:
        chunks = []
        async for chunk in services.runtime.logs(status.id, v.LogOptions(tail_lines=MAX_LOG_LINES)):
            chunks.append(chunk)
        message = b"".join(chunks)[-MAX_LOG_BYTES:]
    return message.decode(errors="replace")
