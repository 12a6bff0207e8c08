"""Rules of probes and lifecycle hooks: what is done to a container, when, and how often."""

from collections.abc import Sequence

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.resources import unsupported


def validate(container: core_v1.Container, path: str) -> list[FieldError]:
    """What is wrong with a container's three probes."""
    errors: list[FieldError] = []
    for json, probe in (
        ("livenessProbe", container.liveness_probe),
        ("readinessProbe", container.readiness_probe),
        ("startupProbe", container.startup_probe),
    ):
        if probe is None:
            continue
        where = f"{path}.{json}"
        errors += _probe(probe, where)
        if json != "readinessProbe" and probe.success_threshold != 1:
            errors.append(invalid_value(f"{where}.successThreshold", probe.success_threshold, "must be 1"))
        if json == "readinessProbe" and probe.termination_grace_period_seconds is not None:
            errors.append(
                invalid_value(
                    f"{where}.terminationGracePeriodSeconds",
                    probe.termination_grace_period_seconds,
                    "must not be set for readinessProbes",
                )
            )
    return errors


def _probe(probe: core_v1.Probe, path: str) -> list[FieldError]:
    errors = _handler(
        [
            ("exec", probe.exec),
            ("httpGet", probe.http_get),
            ("tcpSocket", probe.tcp_socket),
            ("grpc", probe.grpc),
        ],
        path,
    )
    for json, value in (
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ):
        if value < 0:
            errors.append(invalid_value(f"{path}.{json}", value, "must be greater than or equal to 0"))
    grace = probe.termination_grace_period_seconds
    if grace is not None and grace <= 0:
        errors.append(invalid_value(f"{path}.terminationGracePeriodSeconds", grace, "must be greater than 0"))
    return errors


def _handler(actions: Sequence[tuple[str, object]], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    given = [(json, action) for json, action in actions if action is not None]
    for i, (json, action) in enumerate(given):
        where = f"{path}.{json}"
        if i:
            errors.append(forbidden_field(where, "may not specify more than 1 handler type"))
        elif isinstance(action, core_v1.ExecAction):
            if not action.command:
                errors.append(required(f"{where}.command"))
        elif isinstance(action, core_v1.HTTPGetAction):
            errors += _http(action, where)
        elif isinstance(action, core_v1.TCPSocketAction | core_v1.GRPCAction):
            errors += port_number_or_name(action.port, f"{where}.port")
    if not given:
        errors.append(required(path, "must specify a handler type"))
    return errors


def port_number_or_name(port: int | str, path: str) -> list[FieldError]:
    """A port by number or by its name in the container."""
    wrong = names.port_number(port) if isinstance(port, int) else names.port_name(port)
    return [invalid_value(path, port, m) for m in wrong]


def _http(action: core_v1.HTTPGetAction, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not action.path:
        errors.append(required(f"{path}.path"))
    errors += port_number_or_name(action.port, f"{path}.port")
    if action.scheme not in ("HTTP", "HTTPS"):
        errors.append(unsupported(f"{path}.scheme", action.scheme, ("HTTP", "HTTPS")))
    for header in action.http_headers:
        errors += [invalid_value(f"{path}.httpHeaders", header.name, m) for m in names.http_header(header.name)]
    return errors


def validate_lifecycle(lifecycle: core_v1.Lifecycle | None, path: str, grace: int | None) -> list[FieldError]:
    """What is wrong with a container's hooks. `grace` is the pod's termination grace period."""
    if lifecycle is None:
        return []
    errors: list[FieldError] = []
    for json, hook in (("postStart", lifecycle.post_start), ("preStop", lifecycle.pre_stop)):
        if hook is None:
            continue
        where = f"{path}.{json}"
        errors += _handler(
            [("exec", hook.exec), ("httpGet", hook.http_get), ("tcpSocket", hook.tcp_socket), ("sleep", hook.sleep)],
            where,
        )
        if hook.sleep is not None and grace is not None and not 0 <= hook.sleep.seconds <= grace:
            why = (
                f"must be non-negative and less than terminationGracePeriodSeconds ({grace}). Additional details: "
                "https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/"
            )
            errors.append(invalid_value(where, hook.sleep.seconds, why))
    return errors
