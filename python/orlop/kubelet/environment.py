"""A container's environment, in upstream's order: service links, envFrom, then env with `$(NAME)` expanded."""

import re
from collections.abc import Iterable, Mapping

from orlop.api import errors
from orlop.api.types import core_v1
from orlop.kubelet.fields import NodeFacts, field_value, resource_value
from orlop.kubelet.sources import Sources

_EXPANSION = re.compile(r"\$(\$|\([^()]*\))")


class ConfigError(Exception):
    """The container's configuration names something that is not there: reason CreateContainerConfigError."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` becomes its value, `$$(NAME)` stays as `$(NAME)`, an unknown name is left as it stands."""

    def replace(match: re.Match[str]) -> str:
        inside = match.group(1)
        if inside == "$":
            return "$"
        return values.get(inside[1:-1], match.group(0))

    return _EXPANSION.sub(replace, text)


async def environment(
    pod: core_v1.Pod,
    container: core_v1.Container,
    *,
    sources: Sources,
    services: Iterable[core_v1.Service],
    pod_ips: list[str],
    node: NodeFacts,
) -> dict[str, str]:
    """The variables in order. Raises ConfigError in upstream's words when a source is missing and not optional."""
    values = service_variables(pod, services)
    for source in container.env_from:
        values.update(await _from_source(pod, source, sources))
    for variable in container.env:
        resolved = await _one(pod, container, variable, values, sources, pod_ips, node)
        if resolved is not None:
            values[variable.name] = resolved
    return values


async def _from_source(pod: core_v1.Pod, source: core_v1.EnvFromSource, sources: Sources) -> dict[str, str]:
    reference = source.config_map_ref or source.secret_ref
    if reference is None:
        return {}
    try:
        if source.config_map_ref:
            found = await sources.get(core_v1.ConfigMap, pod.metadata.namespace, reference.name)
            data: dict[str, str] = dict(found.data)
        else:
            secret = await sources.get(core_v1.Secret, pod.metadata.namespace, reference.name)
            data = {k: v.decode(errors="surrogateescape") for k, v in secret.data.items()}
    except errors.NotFound as error:
        if reference.optional:
            return {}
        raise ConfigError(error.message) from error
    return {source.prefix + key: value for key, value in data.items() if "=" not in key and key}


async def _one(
    pod: core_v1.Pod,
    container: core_v1.Container,
    variable: core_v1.EnvVar,
    values: Mapping[str, str],
    sources: Sources,
    pod_ips: list[str],
    node: NodeFacts,
) -> str | None:
    origin = variable.value_from
    if origin is None:
        return expand(variable.value, values)
    try:
        if origin.field_ref:
            return field_value(pod, origin.field_ref.field_path, pod_ips, node)
        if origin.resource_field_ref:
            return resource_value(pod, origin.resource_field_ref, container.name, node)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    namespace = pod.metadata.namespace
    key_reference = origin.config_map_key_ref or origin.secret_key_ref
    if key_reference is None:
        return None
    kind = "ConfigMap" if origin.config_map_key_ref else "Secret"
    try:
        if origin.config_map_key_ref:
            data = (await sources.get(core_v1.ConfigMap, namespace, key_reference.name)).data
            found: str | None = data.get(key_reference.key)
        else:
            secret = await sources.get(core_v1.Secret, namespace, key_reference.name)
            raw = secret.data.get(key_reference.key)
            found = None if raw is None else raw.decode(errors="surrogateescape")
    except errors.NotFound as error:
        if key_reference.optional:
            return None
        raise ConfigError(error.message) from error
    if found is None and not key_reference.optional:
        raise ConfigError(f"couldn't find key {key_reference.key} in {kind} {namespace}/{key_reference.name}")
    return found


def service_variables(pod: core_v1.Pod, services: Iterable[core_v1.Service]) -> dict[str, str]:
    """`WEB_SERVICE_HOST` and the Docker-link variables of the namespace's Services; `kubernetes` is always there."""
    links = pod.spec.enable_service_links is not False
    values: dict[str, str] = {}
    for service in sorted(services, key=lambda s: (s.metadata.namespace, s.metadata.name)):
        address = service.spec.cluster_ip
        if address in ("", "None") or not service.spec.ports:
            continue
        master = service.metadata.namespace == "default" and service.metadata.name == "kubernetes"
        if not master and not (links and service.metadata.namespace == pod.metadata.namespace):
            continue
        prefix = service.metadata.name.upper().replace("-", "_")
        values[f"{prefix}_SERVICE_HOST"] = address
        values[f"{prefix}_SERVICE_PORT"] = str(service.spec.ports[0].port)
        for port in service.spec.ports:
            if port.name:
                values[f"{prefix}_SERVICE_PORT_{port.name.upper().replace('-', '_')}"] = str(port.port)
        host = f"[{address}]" if ":" in address else address
        for index, port in enumerate(service.spec.ports):
            protocol = port.protocol or "TCP"
            url = f"{protocol.lower()}://{host}:{port.port}"
            if index == 0:
                values[f"{prefix}_PORT"] = url
            base = f"{prefix}_PORT_{port.port}_{protocol.upper()}"
            values[base] = url
            values[f"{base}_PROTO"] = protocol.lower()
            values[f"{base}_PORT"] = str(port.port)
            values[f"{base}_ADDR"] = address
    return values
