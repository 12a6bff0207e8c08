"""What configMap, secret, downwardAPI and projected volumes hold."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.kubelet.fields import NodeFacts, field_value, resource_value
from orlop.kubelet.sources import Sources
from orlop.kubelet.volumes.atomic import File

DEFAULT_MODE = 0o644

Tokens = Callable[[core_v1.Pod, core_v1.ServiceAccountTokenProjection], Awaitable[str]]


class VolumeError(Exception):
    """The volume cannot be set up (yet): the pod waits with reason ContainerCreating and an event that says why."""

    reason = "FailedMount"
    """The event's reason."""


def _checked(path: str) -> str:
    parts = path.split("/")
    if not path or path.startswith("/") or ".." in parts:
        raise VolumeError(f'invalid path: "{path}" must be relative and may not contain ".."')
    return path


def _select(
    data: Mapping[str, bytes], items: Sequence[core_v1.KeyToPath], mode: int, optional: bool, what: str
) -> dict[str, File]:
    if not items:
        return {key: File(value, mode) for key, value in data.items()}
    files = {}
    for item in items:
        if item.key not in data:
            if optional:
                continue
            raise VolumeError(f"{what} references non-existent {what} key: {item.key}")
        files[_checked(item.path)] = File(data[item.key], mode if item.mode is None else item.mode)
    return files


async def config_map(
    namespace: str, name: str, items: Sequence[core_v1.KeyToPath], mode: int, optional: bool, sources: Sources
) -> dict[str, File]:
    """The files of a ConfigMap. Raises VolumeError if it is missing and not optional."""
    try:
        found = await sources.get(core_v1.ConfigMap, namespace, name)
    except errors.NotFound as error:
        if optional:
            return {}
        raise VolumeError(error.message) from error
    data = {key: value.encode() for key, value in found.data.items()} | dict(found.binary_data)
    return _select(data, items, mode, optional, "configmap")


async def secret(
    namespace: str, name: str, items: Sequence[core_v1.KeyToPath], mode: int, optional: bool, sources: Sources
) -> dict[str, File]:
    """The files of a Secret. Raises VolumeError if it is missing and not optional."""
    try:
        found = await sources.get(core_v1.Secret, namespace, name)
    except errors.NotFound as error:
        if optional:
            return {}
        raise VolumeError(error.message) from error
    return _select(found.data, items, mode, optional, "secret")


def downward(
    pod: core_v1.Pod, items: Sequence[core_v1.DownwardAPIVolumeFile], mode: int, pod_ips: list[str], node: NodeFacts
) -> dict[str, File]:
    """The files of a downwardAPI volume. Raises VolumeError for a field that is not supported."""
    files = {}
    for item in items:
        try:
            if item.field_ref:
                value = field_value(pod, item.field_ref.field_path, pod_ips, node)
            elif item.resource_field_ref:
                value = resource_value(pod, item.resource_field_ref, "", node)
            else:
                continue
        except ValueError as error:
            raise VolumeError(str(error)) from error
        files[_checked(item.path)] = File(value.encode(), mode if item.mode is None else item.mode)
    return files


async def projected(
    pod: core_v1.Pod,
    volume: core_v1.ProjectedVolumeSource,
    *,
    sources: Sources,
    tokens: Tokens,
    pod_ips: list[str],
    node: NodeFacts,
) -> dict[str, File]:
    """The files of all sources of a projected volume; a later source may not repeat an earlier one's path."""
    mode = DEFAULT_MODE if volume.default_mode is None else volume.default_mode
    namespace = pod.metadata.namespace
    files: dict[str, File] = {}
    for source in volume.sources:
        if source.config_map:
            c = source.config_map
            files |= await config_map(namespace, c.name, c.items, mode, bool(c.optional), sources)
        if source.secret:
            s = source.secret
            files |= await secret(namespace, s.name, s.items, mode, bool(s.optional), sources)
        if source.downward_api:
            files |= downward(pod, source.downward_api.items, mode, pod_ips, node)
        if source.service_account_token:
            token = await tokens(pod, source.service_account_token)
            # Readable by the container's user alone, as upstream: 0600 where one user runs all, else by the fsGroup.
            files[_checked(source.service_account_token.path)] = File(token.encode(), _token_mode(pod), _one_user(pod))
    return files


def _one_user(pod: core_v1.Pod) -> int | None:
    """The user that all containers run as, where they state one and the same."""
    default = pod.spec.security_context.run_as_user if pod.spec.security_context else None
    users = set()
    for container in [*pod.spec.init_containers, *pod.spec.containers]:
        own = container.security_context.run_as_user if container.security_context else None
        users.add(own if own is not None else default)
    return users.pop() if len(users) == 1 else None


def _token_mode(pod: core_v1.Pod) -> int:
    if pod.spec.security_context and pod.spec.security_context.fs_group is not None:
        return 0o600
    return 0o600 if _one_user(pod) is not None else 0o644
