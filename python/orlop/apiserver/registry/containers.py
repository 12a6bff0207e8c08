"""Rules of containers: pkg/apis/core/validation's validateContainers and what they call."""

from collections.abc import Sequence

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required, too_many
from orlop.api.types import core_v1
from orlop.apiserver.registry import environment, mounts, names, probes, resources, security, volumesources
from orlop.apiserver.registry.mounts import AnyContainer
from orlop.apiserver.registry.resources import unsupported

PROTOCOLS = ("SCTP", "TCP", "UDP")
MESSAGE_POLICIES = ("File", "FallbackToLogsOnError")
RESIZE_POLICIES = ("NotRequired", "RestartContainer")
RESTART_POLICIES = ("Always", "Never", "OnFailure")
RULE_ACTIONS = ("Restart", "RestartAllContainers")
RULE_OPERATORS = ("In", "NotIn")
MAX_RULES = 20
MAX_EXIT_CODES = 255
BLANKS = "must not have leading or trailing whitespace"
NO_POLICY = "must specify restartPolicy when restart rules are used"
ONLY_SIDECARS = "may not be set for init containers without restartPolicy=Always"


def validate_all(spec: core_v1.PodSpec, path: str, found: dict[str, core_v1.Volume]) -> list[FieldError]:
    """The containers, then the init containers, as upstream orders its findings."""
    errors: list[FieldError] = []
    if not spec.containers:
        errors.append(required(f"{path}.containers"))
    own: set[str] = set()
    for i, container in enumerate(spec.containers):
        where = f"{path}.containers[{i}]"
        errors += validate_common(container, where, found, spec)
        if container.name in own:
            errors.append(duplicate(f"{where}.name", container.name))
        own.add(container.name)
        errors += _life(container, where, spec)
        if container.restart_policy is not None or container.restart_policy_rules:
            errors += _restarts(container, where)
    errors += _host_ports(spec.containers, f"{path}.containers")
    for i, container in enumerate(spec.init_containers):
        where = f"{path}.initContainers[{i}]"
        errors += validate_common(container, where, found, spec)
        if container.restart_policy is not None:
            errors += _restarts(container, where)
        elif container.restart_policy_rules:
            errors.append(required(f"{where}.restartPolicy", NO_POLICY))
        if container.name in own:
            errors.append(duplicate(f"{where}.name", container.name))
        elif container.name:
            own.add(container.name)
        # They run one by one, so each is looked at alone; upstream then calls every one of them the first.
        errors += _host_ports([container], f"{path}.initContainers")
        if container.restart_policy == "Always":
            errors += _life(container, where, spec)
            continue
        for field, value in (
            ("lifecycle", container.lifecycle),
            ("livenessProbe", container.liveness_probe),
            ("readinessProbe", container.readiness_probe),
            ("startupProbe", container.startup_probe),
        ):
            if value is not None:
                errors.append(forbidden_field(f"{where}.{field}", ONLY_SIDECARS))
        for j, policy in enumerate(container.resize_policy):
            if policy.restart_policy == "RestartContainer":
                words = "must not be set to 'RestartContainer' for non-sidecar initContainers"
                where_policy = f"{where}.resizePolicy[{j}].restartPolicy"
                errors.append(invalid_value(where_policy, policy.restart_policy, words))
    return errors


def _life(container: core_v1.Container, path: str, spec: core_v1.PodSpec) -> list[FieldError]:
    """Hooks and probes, of containers that stay."""
    if container.lifecycle is None:
        return probes.validate(container, path)
    grace = spec.termination_grace_period_seconds
    return probes.validate_lifecycle(container.lifecycle, f"{path}.lifecycle", grace) + probes.validate(container, path)


def validate_common(
    container: AnyContainer, path: str, found: dict[str, core_v1.Volume], spec: core_v1.PodSpec
) -> list[FieldError]:
    """What holds for containers of every kind. `found` are the volumes that are right."""
    errors: list[FieldError] = []
    if not container.name:
        errors.append(required(f"{path}.name"))
    else:
        errors += [invalid_value(f"{path}.name", container.name, m) for m in names.label(container.name)]
    if not container.image:
        errors.append(required(f"{path}.image"))
    policy = container.termination_message_policy
    if policy not in MESSAGE_POLICIES:
        where = f"{path}.terminationMessagePolicy"
        errors.append(unsupported(where, policy, MESSAGE_POLICIES) if policy else required(where))
    if container.ports:
        errors += _ports(container.ports, f"{path}.ports")
    if container.env:
        errors += environment.validate(container.env, f"{path}.env")
    if container.env_from:
        errors += environment.validate_from(container.env_from, f"{path}.envFrom")
    if container.volume_mounts:
        errors += mounts.validate(container, f"{path}.volumeMounts", found)
    if container.volume_devices:
        errors += mounts.validate_devices(container, f"{path}.volumeDevices", found)
    if container.image_pull_policy not in volumesources.PULL_POLICIES:
        errors += volumesources.pull_policy(container.image_pull_policy, f"{path}.imagePullPolicy")
    amounts = container.resources
    if amounts.limits or amounts.requests or amounts.claims:
        errors += resources.validate_requirements(amounts, f"{path}.resources", spec.resource_claims)
    if container.resize_policy:
        errors += validate_resize_policy(container.resize_policy, f"{path}.resizePolicy", spec.restart_policy)
    if container.security_context is not None:
        own_users = spec.host_users is False
        errors += security.validate(container.security_context, f"{path}.securityContext", not own_users)
    return errors


def _ports(ports: Sequence[core_v1.ContainerPort], path: str) -> list[FieldError]:
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
        number = port.container_port
        if not number:
            errors.append(required(f"{where}.containerPort"))
        else:
            errors += [invalid_value(f"{where}.containerPort", number, m) for m in names.port_number(number)]
        if port.host_port:
            errors += [invalid_value(f"{where}.hostPort", port.host_port, m) for m in names.port_number(port.host_port)]
        if not port.protocol:
            errors.append(required(f"{where}.protocol"))
        elif port.protocol not in PROTOCOLS:
            errors.append(unsupported(f"{where}.protocol", port.protocol, PROTOCOLS))
    return errors


def _host_ports(containers: Sequence[core_v1.Container], path: str) -> list[FieldError]:
    """One port of the node for one container at a time."""
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


def validate_host_network(spec: core_v1.PodSpec, path: str, is_pod: bool) -> list[FieldError]:
    """In the node's network a port is the same inside and outside; in a template it may still be left out."""
    errors: list[FieldError] = []
    for i, container in enumerate(spec.containers):
        for j, port in enumerate(container.ports):
            if (is_pod or port.host_port) and port.host_port != port.container_port:
                where = f"{path}.containers[{i}].ports[{j}].hostPort"
                words = "must match `containerPort` when `hostNetwork` is true"
                errors.append(invalid_value(where, port.host_port, words))
    return errors


def validate_images(containers: Sequence[AnyContainer], path: str) -> list[FieldError]:
    """Images of a pod; in templates upstream tolerates blanks."""
    return [
        invalid_value(f"{path}[{i}].image", c.image, BLANKS)
        for i, c in enumerate(containers)
        if c.image != c.image.strip()
    ]


def validate_resize_policy(
    policies: Sequence[core_v1.ContainerResizePolicy], path: str, restart_policy: str
) -> list[FieldError]:
    """Whether a container goes on while its resources change. Upstream tells most of it of the list."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, policy in enumerate(policies):
        name, restart = policy.resource_name, policy.restart_policy
        if name in seen:
            errors.append(duplicate(f"{path}[{i}]", name))
        seen.add(name)
        if name not in ("cpu", "memory"):
            errors.append(unsupported(path, name, ("cpu", "memory")) if name else required(path))
        if restart not in RESIZE_POLICIES:
            errors.append(unsupported(path, restart, RESIZE_POLICIES) if restart else required(path))
        if restart_policy == "Never" and restart != "NotRequired":
            words = "must be 'NotRequired' when pod `restartPolicy` is 'Never'"
            errors.append(invalid_value(path, restart, words))
    return errors


def _restarts(container: core_v1.Container, path: str) -> list[FieldError]:
    """A container's own restart policy and the rules that come before it (KEP-5307)."""
    errors: list[FieldError] = []
    policy, rules = container.restart_policy, container.restart_policy_rules
    where = f"{path}.restartPolicy"
    if policy is None:
        errors.append(required(where, NO_POLICY))
    elif policy not in RESTART_POLICIES:
        errors.append(unsupported(where, policy, RESTART_POLICIES))
    if len(rules) > MAX_RULES:
        errors.append(too_many(f"{path}.restartPolicyRules", len(rules), MAX_RULES))
    for i, rule in enumerate(rules):
        where = f"{path}.restartPolicyRules[{i}]"
        if rule.action not in RULE_ACTIONS:
            errors.append(unsupported(f"{where}.action", rule.action, RULE_ACTIONS))
        codes = rule.exit_codes
        if codes is None:
            errors.append(required(f"{where}.exitCodes", "must be specified"))
            continue
        if codes.operator not in RULE_OPERATORS:
            errors.append(unsupported(f"{where}.exitCodes.operator", codes.operator, RULE_OPERATORS))
        if len(codes.values) > MAX_EXIT_CODES:
            errors.append(too_many(f"{where}.exitCodes.values", len(codes.values), MAX_EXIT_CODES))
    return errors
