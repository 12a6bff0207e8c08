"""Rules of containers: pkg/apis/core/validation's validateContainers and what they call."""

from collections.abc import Sequence

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names, probes, resources, security, volumes
from orlop.apiserver.registry.resources import unsupported

PULL_POLICIES = ("Always", "IfNotPresent", "Never")
PROTOCOLS = ("SCTP", "TCP", "UDP")
ENV_FIELDS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.uid",
        "spec.nodeName",
        "spec.serviceAccountName",
        "status.hostIP",
        "status.hostIPs",
        "status.podIP",
        "status.podIPs",
    }
)
PROPAGATIONS = ("Bidirectional", "HostToContainer", "None")


def validate_all(spec: core_v1.PodSpec, path: str, found: dict[str, core_v1.Volume]) -> list[FieldError]:
    """The containers, then the init containers, as upstream orders its findings."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    if not spec.containers:
        errors.append(required(f"{path}.containers"))
    grace = spec.termination_grace_period_seconds
    for i, container in enumerate(spec.containers):
        where = f"{path}.containers[{i}]"
        errors += validate_common(container, where, found, spec.host_network)
        errors += validate_name(container.name, f"{where}.name", seen)
        errors += probes.validate_lifecycle(container.lifecycle, f"{where}.lifecycle", grace)
        errors += probes.validate(container, where)
        if container.restart_policy is not None:
            rules = container.restart_policy_rules
            if container.restart_policy not in ("Always", "Never", "OnFailure") or (
                not rules and container.restart_policy == ""
            ):
                errors.append(
                    unsupported(f"{where}.restartPolicy", container.restart_policy, ("Always", "Never", "OnFailure"))
                )
    errors += _host_ports(spec.containers, f"{path}.containers")
    for i, container in enumerate(spec.init_containers):
        where = f"{path}.initContainers[{i}]"
        errors += validate_common(container, where, found, spec.host_network)
        errors += validate_name(container.name, f"{where}.name", seen)
        if container.restart_policy == "Always":
            errors += probes.validate_lifecycle(container.lifecycle, f"{where}.lifecycle", grace)
            errors += probes.validate(container, where)
            continue
        for field, value in (
            ("lifecycle", container.lifecycle),
            ("livenessProbe", container.liveness_probe),
            ("readinessProbe", container.readiness_probe),
            ("startupProbe", container.startup_probe),
        ):
            if value is not None:
                errors.append(
                    forbidden_field(
                        f"{where}.{field}", "may not be set for init containers without restartPolicy=Always"
                    )
                )
        if container.restart_policy not in (None, "Never", "OnFailure"):
            errors.append(
                unsupported(f"{where}.restartPolicy", container.restart_policy, ("Always", "Never", "OnFailure"))
            )
    return errors


def validate_name(name: str, path: str, seen: set[str]) -> list[FieldError]:
    """What is wrong with a container's name; `seen` are the pod's others."""
    if not name:
        return [required(path)]
    errors = [invalid_value(path, name, m) for m in names.label(name)]
    if name in seen:
        errors.append(duplicate(path, name))
    seen.add(name)
    return errors


def validate_common(
    container: core_v1.Container | core_v1.EphemeralContainer,
    path: str,
    found: dict[str, core_v1.Volume],
    host_network: bool,
) -> list[FieldError]:
    """What holds for containers of every kind."""
    errors: list[FieldError] = []
    if not container.image:
        errors.append(required(f"{path}.image"))
    elif container.image != container.image.strip():
        errors.append(invalid_value(f"{path}.image", container.image, "must not have leading or trailing whitespace"))
    if container.termination_message_policy not in ("File", "FallbackToLogsOnError"):
        errors.append(
            unsupported(
                f"{path}.terminationMessagePolicy",
                container.termination_message_policy,
                ("File", "FallbackToLogsOnError"),
            )
        )
    errors += _ports(container.ports, f"{path}.ports", host_network)
    errors += _env(container.env, f"{path}.env")
    errors += _env_from(container.env_from, f"{path}.envFrom")
    errors += _mounts(container, path, found)
    if container.image_pull_policy not in PULL_POLICIES:
        errors.append(unsupported(f"{path}.imagePullPolicy", container.image_pull_policy, PULL_POLICIES))
    errors += resources.validate_requirements(container.resources, f"{path}.resources")
    if container.security_context is not None:
        errors += security.validate(container.security_context, f"{path}.securityContext")
    return errors


def _ports(ports: Sequence[core_v1.ContainerPort], path: str, host_network: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, port in enumerate(ports):
        where = f"{path}[{i}]"
        if port.name:
            wrong = names.port_name(port.name)
            errors += [invalid_value(f"{where}.name", port.name, m) for m in wrong]
            if not wrong:
                if port.name in seen:
                    errors.append(duplicate(f"{where}.name", port.name))
                seen.add(port.name)
        if not port.container_port:
            errors.append(required(f"{where}.containerPort"))
        else:
            errors += [
                invalid_value(f"{where}.containerPort", port.container_port, m)
                for m in names.port_number(port.container_port)
            ]
        if port.host_port:
            errors += [invalid_value(f"{where}.hostPort", port.host_port, m) for m in names.port_number(port.host_port)]
            if host_network and port.host_port != port.container_port:
                errors.append(
                    invalid_value(
                        f"{where}.containerPort",
                        port.container_port,
                        "must match `hostPort` when `hostNetwork` is true",
                    )
                )
        if not port.protocol:
            errors.append(required(f"{where}.protocol"))
        elif port.protocol not in PROTOCOLS:
            errors.append(unsupported(f"{where}.protocol", port.protocol, PROTOCOLS))
        if port.host_ip:
            errors += [invalid_value(f"{where}.hostIP", port.host_ip, m) for m in names.ip(port.host_ip)]
    return errors


def _host_ports(containers: Sequence[core_v1.Container], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, container in enumerate(containers):
        for j, port in enumerate(container.ports):
            if not port.host_port:
                continue
            text = f"{port.protocol}/{port.host_ip}/{port.host_port}"
            if text in seen:
                errors.append(duplicate(f"{path}[{i}].ports[{j}].hostPort", text))
            seen.add(text)
    return errors


def _env(variables: Sequence[core_v1.EnvVar], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, variable in enumerate(variables):
        if variable.value_from is None and variable.name and not names.env_name(variable.name):
            continue
        where = f"{path}[{i}]"
        if not variable.name:
            errors.append(required(f"{where}.name"))
        else:
            errors += [invalid_value(f"{where}.name", variable.name, m) for m in names.env_name(variable.name)]
        if variable.value_from is not None:
            errors += _value_from(variable, variable.value_from, f"{where}.valueFrom")
    return errors


def _value_from(variable: core_v1.EnvVar, source: core_v1.EnvVarSource, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    count = 0
    if source.field_ref is not None:
        count += 1
        errors += volumes.field_ref(source.field_ref, f"{path}.fieldRef", ENV_FIELDS)
    if source.resource_field_ref is not None:
        count += 1
        errors += volumes.resource_ref(source.resource_field_ref, f"{path}.resourceFieldRef", False)
    for json, ref in (("configMapKeyRef", source.config_map_key_ref), ("secretKeyRef", source.secret_key_ref)):
        if ref is not None:
            count += 1
            if not ref.name:
                errors.append(required(f"{path}.{json}.name"))
            if not ref.key:
                errors.append(required(f"{path}.{json}.key"))
            else:
                errors += [invalid_value(f"{path}.{json}.key", ref.key, m) for m in names.config_key(ref.key)]
    if source.file_key_ref is not None:
        count += 1
    if not count:
        errors.append(
            invalid_value(
                path,
                "",
                "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or "
                "`fileKeyRef`",
            )
        )
    elif variable.value:
        errors.append(invalid_value(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid_value(path, "", "may not have more than one field specified at a time"))
    return errors


def _env_from(sources: Sequence[core_v1.EnvFromSource], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, source in enumerate(sources):
        where = f"{path}[{i}]"
        if source.prefix:
            errors += [invalid_value(f"{where}.prefix", source.prefix, m) for m in names.env_name(source.prefix)]
        count = 0
        for json, ref in (("configMapRef", source.config_map_ref), ("secretRef", source.secret_ref)):
            if ref is not None:
                count += 1
                if not ref.name:
                    errors.append(required(f"{where}.{json}.name"))
        if not count:
            errors.append(invalid_value(where, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            errors.append(invalid_value(where, "", "may not have more than one field specified at a time"))
    return errors


def _mounts(
    container: core_v1.Container | core_v1.EphemeralContainer, path: str, found: dict[str, core_v1.Volume]
) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, mount in enumerate(container.volume_mounts):
        where = f"{path}.volumeMounts[{i}]"
        if not mount.name:
            errors.append(required(f"{where}.name"))
        if not mount.mount_path:
            errors.append(required(f"{where}.mountPath"))
        if mount.name not in found:
            errors.append(FieldError("FieldValueNotFound", f"{where}.name", mount.name, ""))
        if mount.mount_path in seen:
            errors.append(invalid_value(f"{where}.mountPath", mount.mount_path, "must be unique"))
        seen.add(mount.mount_path)
        if mount.sub_path:
            # Upstream names these without the mount's index.
            errors += volumes.local_path(mount.sub_path, f"{path}.volumeMounts.subPath")
        if mount.sub_path_expr:
            if mount.sub_path:
                errors.append(
                    invalid_value(
                        f"{where}.subPathExpr", mount.sub_path_expr, "subPathExpr and subPath are mutually exclusive"
                    )
                )
            errors += volumes.local_path(mount.sub_path_expr, f"{path}.volumeMounts.subPathExpr")
        if mount.mount_propagation is not None:
            if mount.mount_propagation not in PROPAGATIONS:
                errors.append(unsupported(f"{where}.mountPropagation", mount.mount_propagation, PROPAGATIONS))
            privileged = container.security_context is not None and container.security_context.privileged
            if mount.mount_propagation == "Bidirectional" and not privileged:
                errors.append(
                    forbidden_field(
                        f"{where}.mountPropagation",
                        "Bidirectional mount propagation is available only to privileged containers",
                    )
                )
        if mount.recursive_read_only not in (None, "Disabled"):
            if mount.recursive_read_only not in ("Enabled", "IfPossible"):
                errors.append(
                    unsupported(
                        f"{where}.recursiveReadOnly",
                        mount.recursive_read_only,
                        ("Disabled", "IfPossible", "Enabled"),
                    )
                )
            elif not mount.read_only:
                errors.append(
                    forbidden_field(f"{where}.recursiveReadOnly", "may only be specified when readOnly is true")
                )
    return errors
