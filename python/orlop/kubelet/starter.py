"""Starts one container: image, environment, mounts, create, start, postStart hook."""

import asyncio
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, TypeVar

from msgspec import structs

from orlop import tasks
from orlop.api.types import core_v1
from orlop.kubelet import containers, killing
from orlop.kubelet.environment import ConfigError, environment
from orlop.kubelet.hooks import run_hook
from orlop.kubelet.images import ImageProblem, ensure_image
from orlop.kubelet.podstate import PodState
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import Services, container_reference
from orlop.kubelet.status import Waiting
from orlop.kubelet.termination import termination_file
from orlop.kubelet.volumes.payload import VolumeError

T = TypeVar("T")

GIVEN_UP = Waiting("ContainerCreating")
"""The pod is to end, so nothing is started any more."""


async def start(
    state: PodState,
    container: core_v1.Container,
    sandbox: v.PodSandboxStatus,
    sandbox_config: v.PodSandboxConfig,
    paths: Mapping[str, Path],
    attempt: int,
) -> Waiting | None:
    """Starts the container. Returns why it is waiting instead, if it is; gives up when the pod is told to end."""
    services, pod, ips = state.services, state.pod, state.ips
    reference = container_reference(pod, container)
    runtime = services.runtime
    try:
        image = await unless_ending(state, ensure_image(services, pod, container))
    except ImageProblem as problem:
        services.events.event(reference, "Warning", "Failed", f"Error: {problem.reason}")
        return Waiting(problem.reason, problem.message)
    if state.stopping.is_set():
        return GIVEN_UP
    try:
        containers.check_non_root(pod, container, image)
        if services.config.simulated:
            variables: dict[str, str] = {}
            mounts: list[v.Mount] = []
        else:
            cluster_services = await unless_ending(state, services.cluster_services())
            if cluster_services is None:
                return GIVEN_UP
            variables = await environment(
                pod,
                container,
                sources=services.sources,
                services=cluster_services,
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
    if target := _target(pod, container.name):
        try:
            config = structs.replace(config, pid_target=await _running(services, sandbox.id, target))
        except (ConfigError, base.RuntimeFailure) as error:
            services.events.event(reference, "Warning", "Failed", f"Error: {error}")
            return Waiting("CreateContainerConfigError", str(error))
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
    return await _post_start(state, container, container_id)


def _target(pod: core_v1.Pod, name: str) -> str:
    """The container whose processes an ephemeral container is to see; "" for none of its own choice."""
    return next((c.target_container_name for c in pod.spec.ephemeral_containers if c.name == name), "")


async def _running(services: Services, sandbox_id: str, name: str) -> str:
    """The id of the running container of this name. Raises ConfigError."""
    for container in await services.runtime.list_containers(sandbox_id=sandbox_id):
        if container.metadata.name == name and container.state == "running":
            return container.id
    raise ConfigError(f'unable to find target container "{name}"')


async def _post_start(state: PodState, container: core_v1.Container, container_id: str) -> Waiting | None:
    services = state.services
    hook = container.lifecycle.post_start if container.lifecycle else None
    if hook is None:
        return None
    status = await services.runtime.container_status(container_id)
    failure = await unless_ending(state, run_hook(services, hook, container, status, state.ip))
    if failure is None:
        return None
    # What the hook said is only for those who may read the pod: it may hold secrets (as upstream).
    reference = container_reference(state.pod, container)
    services.events.event(reference, "Warning", "FailedPostStartHook", "PostStartHook failed")
    await killing.kill(state, status, "FailedPostStartHook")
    return Waiting("PostStartHookError", failure)


async def unless_ending(state: PodState, work: Coroutine[Any, Any, T]) -> T | None:
    """The result of `work`; None when the pod is told to end before it is there."""

    async def told() -> None:
        await state.stopping.wait()

    return await tasks.first(work, told())


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
