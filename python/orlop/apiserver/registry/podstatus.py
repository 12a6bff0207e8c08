"""What a kubelet may say of its pod: pkg/apis/core/validation's ValidatePodStatusUpdate."""

import ipaddress
from collections.abc import Sequence

from orlop.api.errors import IMMUTABLE, FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, names, podannotations
from orlop.apiserver.registry.common import subdomain
from orlop.apiserver.registry.resources import unsupported

SYSTEM_CONDITIONS = frozenset({"Initialized", "PodScheduled", "Ready"})
NOT_NEGATIVE = "must be a non-negative integer"
NO_RETURN = "may not be transitioned to non-terminated state"
TWO_FAMILIES = "may specify no more than one IP for each IP family"
HEALTHS = ("Healthy", "Unhealthy", "Unknown")
MAX_HEALTH_MESSAGE = 512
"""Bytes of what a device's health says."""
MAX_ID = (1 << 31) - 1


def validate(new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """What is wrong with a change of a pod's status, besides its metadata's."""
    errors = podannotations.validate_update(new.metadata, old.metadata)
    before = old.metadata.annotations.get(podannotations.DELETION_COST)
    errors += podannotations.validate(new.metadata.annotations, new.spec, "metadata.annotations", before)
    status, was = new.status, old.status
    errors += _conditions(status.conditions)
    nominated = status.nominated_node_name
    if nominated and nominated != was.nominated_node_name:
        errors += subdomain(nominated, "status.nominatedNodeName")
        if old.spec.node_name:
            words = "may not be set on pods that are already bound to a node"
            errors.append(forbidden_field("status.nominatedNodeName", words))
    if status.observed_generation < 0:
        errors.append(invalid_value("status.observedGeneration", status.observed_generation, NOT_NEGATIVE))
    if status.qos_class != was.qos_class:
        errors.append(invalid_value("status.qosClass", status.qos_class, IMMUTABLE))
    errors += _states(status.container_statuses, was.container_statuses, "containerStatuses", old.spec)
    if was.init_container_statuses:
        errors += _states(
            status.init_container_statuses, was.init_container_statuses, "initContainerStatuses", old.spec
        )
    if was.ephemeral_container_statuses:
        errors += _states(
            status.ephemeral_container_statuses, was.ephemeral_container_statuses, "ephemeralContainerStatuses", None
        )
    if status.resource_claim_statuses:
        errors += _claims(status.resource_claim_statuses, new.spec)
    if status.pod_ips and status.pod_ips != was.pod_ips:
        errors += _addresses([a.ip for a in status.pod_ips], [a.ip for a in was.pod_ips], "status.podIPs")
    if status.host_ips and (status.host_ip, status.host_ips) != (was.host_ip, was.host_ips):
        if status.host_ip != status.host_ips[0].ip:
            words = "must be equal to `hostIP`"
            errors.append(invalid_value("status.hostIPs[0].ip", status.host_ips[0].ip, words))
        errors += _addresses([a.ip for a in status.host_ips], [a.ip for a in was.host_ips], "status.hostIPs")
    return errors + _each(new)


def _conditions(conditions: list[core_v1.PodCondition]) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, condition in enumerate(conditions):
        if condition.observed_generation < 0:
            where = f"status.conditions[{i}].observedGeneration"
            errors.append(invalid_value(where, condition.observed_generation, NOT_NEGATIVE))
        if condition.type not in SYSTEM_CONDITIONS:
            where = f"status.conditions[{i}].Type"
            errors += [invalid_value(where, condition.type, m) for m in meta.key_errors(condition.type)]
    return errors


def _all_may_restart(spec: core_v1.PodSpec) -> bool:
    """Whether a container's end may start the whole pod anew (KEP-5532)."""
    return any(
        rule.action == "RestartAllContainers"
        for container in (*spec.containers, *spec.init_containers)
        for rule in container.restart_policy_rules
    )


def should_restart(container: core_v1.Container, spec: core_v1.PodSpec, code: int) -> bool:
    """Whether a container that ended with `code` starts again: by its rules, its own policy, or the pod's."""
    for rule in container.restart_policy_rules:
        codes = rule.exit_codes
        if codes is not None and (code in codes.values) == (codes.operator == "In"):
            return rule.action in ("Restart", "RestartAllContainers")
    policy = container.restart_policy or spec.restart_policy
    return policy == "Always" or (policy == "OnFailure" and code != 0)


def _states(
    new: Sequence[core_v1.ContainerStatus],
    old: Sequence[core_v1.ContainerStatus],
    json: str,
    spec: core_v1.PodSpec | None,
) -> list[FieldError]:
    """Containers that ended and do not start again stay as they are. `spec` is None for those that never do."""
    errors: list[FieldError] = []
    for i, was in enumerate(old):
        ended = was.state.terminated
        if ended is None:
            continue
        now = next((s for s in new if s.name == was.name), None)
        if now is None or now.state.terminated is not None:
            continue
        if spec is not None:
            if _all_may_restart(spec):
                continue
            listed = spec.init_containers if json.startswith("init") else spec.containers
            container = next((c for c in listed if c.name == was.name), None)
            if container is not None and should_restart(container, spec, ended.exit_code):
                continue
        errors.append(forbidden_field(f"status.{json}[{i}].state", NO_RETURN))
    return errors


def _claims(statuses: Sequence[core_v1.PodResourceClaimStatus], spec: core_v1.PodSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    known = {c.name for c in spec.resource_claims}
    seen: set[str] = set()
    for i, status in enumerate(statuses):
        where = f"status.resourceClaimStatuses[{i}]"
        if status.name not in known:
            words = "must match the name of an entry in `spec.resourceClaims`"
            errors.append(invalid_value(f"{where}.name", status.name, words))
        if status.name in seen:
            errors.append(duplicate(f"{where}.name", status.name))
        seen.add(status.name)
        if status.resource_claim_name is not None:
            errors += subdomain(status.resource_claim_name, f"{where}.resourceClaimName")
    return errors


def _addresses(now: list[str], was: list[str], path: str) -> list[FieldError]:
    """One address of each family at most; those that were there before stay."""
    errors: list[FieldError] = []
    for i, address in enumerate(now):
        if address not in was:
            errors += [invalid_value(f"{path}[{i}]", address, m) for m in names.ip(address)]
    if len(now) < 2:
        return errors
    unread = next((i for i, a in enumerate(now) if names.parse_ip(a) is None), None)
    if unread is not None:
        words = f"failed to check for dual stack with error:invalid IP[{unread}]: {now[unread]}"
        errors.append(FieldError("InternalError", path, None, words))
    families = {ipaddress.ip_address(a).version for a in now if not names.ip(a)}
    if len(families) != 2 or len(now) > 2:
        key = "IP"
        errors.append(invalid_value(path, [{key: a} for a in now], TWO_FAMILIES))
    return errors


def _each(pod: core_v1.Pod) -> list[FieldError]:
    """What is said of each container: its user, and the devices that it has."""
    errors: list[FieldError] = []
    status, spec = pod.status, pod.spec
    system = spec.os.name if spec.os is not None else "linux"
    for json, listed, containers in (
        ("containerStatuses", status.container_statuses, spec.containers),
        ("initContainerStatuses", status.init_container_statuses, spec.init_containers),
        ("ephemeralContainerStatuses", status.ephemeral_container_statuses, None),
    ):
        for i, one in enumerate(listed):
            if one.user is not None and one.user.linux is not None:
                errors += _user(one.user.linux, f"status.{json}[{i}].user.linux", system)
            if not one.allocated_resources_status:
                continue
            where = f"status.{json}[{i}].allocatedResourcesStatus"
            if containers is None:
                errors.append(forbidden_field(where, "must not be specified in container status"))
                continue
            container = next((c for c in containers if c.name == one.name), None)
            for j, resource in enumerate(one.allocated_resources_status):
                errors += _devices(resource, container, f"{where}[{j}]")
    return errors


def _user(user: core_v1.LinuxContainerUser, path: str, system: str) -> list[FieldError]:
    if system == "windows":
        return [forbidden_field(path, "cannot be set for a windows pod")]
    words = f"must be between 0 and {MAX_ID}, inclusive"
    numbers = [("uid", user.uid), ("gid", user.gid)]
    numbers += [(f"supplementalGroups[{i}]", group) for i, group in enumerate(user.supplemental_groups)]
    return [invalid_value(f"{path}.{json}", n, words) for json, n in numbers if not 0 <= n <= MAX_ID]


def _devices(status: core_v1.ResourceStatus, container: core_v1.Container | None, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if container is not None:
        if status.name.startswith("claim:"):
            known = {
                f"claim:{c.name}/{c.request}" if c.request else f"claim:{c.name}" for c in container.resources.claims
            }
            words = (
                "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or "
                "'claim:<claimName>' if request is empty"
            )
        else:
            known = set(container.resources.requests)
            words = "must match one of the container's resource requests"
        if status.name not in known:
            errors.append(invalid_value(f"{path}.name", status.name, words))
    seen: set[str] = set()
    for i, device in enumerate(status.resources):
        where = f"{path}.resources[{i}]"
        if device.health not in HEALTHS:
            errors.append(unsupported(f"{where}.health", device.health, HEALTHS))
        message = getattr(device, "message", None)
        if message is not None and not message:
            errors.append(required(f"{where}.message", "must be non-empty if specified"))
        elif message is not None and len(message) > MAX_HEALTH_MESSAGE:
            words = f"may not be more than {MAX_HEALTH_MESSAGE} bytes"
            errors.append(FieldError("FieldValueTooLong", f"{where}.message", None, words))
        if device.resource_id in seen:
            errors.append(duplicate(f"{where}.resourceID", device.resource_id))
        seen.add(device.resource_id)
    return errors
