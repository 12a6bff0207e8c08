"""Rules of probes and lifecycle hooks: what is done to a container, when, and how often."""

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import NOT_NEGATIVE, POSITIVE
from orlop.apiserver.registry.resources import unsupported

SCHEMES = ("HTTP", "HTTPS")
ONE_HANDLER = "may not specify more than 1 handler type"


def validate(container: core_v1.Container, path: str) -> list[FieldError]:
    """What is wrong with a container's three probes."""
    errors: list[FieldError] = []
    probe = container.liveness_probe
    if probe is not None:
        errors += _probe(probe, f"{path}.livenessProbe")
        errors += _once(probe, f"{path}.livenessProbe")
    probe = container.readiness_probe
    if probe is not None:
        where = f"{path}.readinessProbe"
        errors += _probe(probe, where)
        grace = probe.termination_grace_period_seconds
        if grace is not None:
            words = "must not be set for readinessProbes"
            errors.append(invalid_value(f"{where}.terminationGracePeriodSeconds", grace, words))
    probe = container.startup_probe
    if probe is not None:
        errors += _probe(probe, f"{path}.startupProbe")
        errors += _once(probe, f"{path}.startupProbe")
    return errors


def _once(probe: core_v1.Probe, path: str) -> list[FieldError]:
    if probe.success_threshold == 1:
        return []
    return [invalid_value(f"{path}.successThreshold", probe.success_threshold, "must be 1")]


def _probe(probe: core_v1.Probe, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    given, wrong = _shared(probe, path)
    errors += wrong
    if probe.grpc is not None:
        given += 1
        where = f"{path}.grpc"
        errors += port_number_or_name(probe.grpc.port, f"{where}.port") if given == 1 else _again(where)
    if not given:
        errors.append(required(path, "must specify a handler type"))
    for json, value in (
        ("initialDelaySeconds", probe.initial_delay_seconds),
        ("timeoutSeconds", probe.timeout_seconds),
        ("periodSeconds", probe.period_seconds),
        ("successThreshold", probe.success_threshold),
        ("failureThreshold", probe.failure_threshold),
    ):
        if value < 0:
            errors.append(invalid_value(f"{path}.{json}", value, NOT_NEGATIVE))
    grace = probe.termination_grace_period_seconds
    if grace is not None and grace <= 0:
        errors.append(invalid_value(f"{path}.terminationGracePeriodSeconds", grace, POSITIVE))
    return errors


def _shared(of: core_v1.Probe | core_v1.LifecycleHandler, path: str) -> tuple[int, list[FieldError]]:
    """How many of the handlers are given that probes and hooks both have, and what is wrong with them."""
    errors: list[FieldError] = []
    given = 0
    if of.exec is not None:
        given += 1
        errors += _exec(of.exec, f"{path}.exec")
    if of.http_get is not None:
        given += 1
        errors += _http(of.http_get, f"{path}.httpGet") if given == 1 else _again(f"{path}.httpGet")
    if of.tcp_socket is not None:
        given += 1
        where = f"{path}.tcpSocket"
        errors += port_number_or_name(of.tcp_socket.port, f"{where}.port") if given == 1 else _again(where)
    return given, errors


def _again(path: str) -> list[FieldError]:
    return [forbidden_field(path, ONE_HANDLER)]


def _exec(action: core_v1.ExecAction, path: str) -> list[FieldError]:
    return [] if action.command else [required(f"{path}.command")]


def port_number_or_name(port: int | str, path: str) -> list[FieldError]:
    """A port by number or by its name in the container."""
    wrong = names.port_number(port) if isinstance(port, int) else names.port_name(port)
    return [invalid_value(path, port, m) for m in wrong]


def _http(action: core_v1.HTTPGetAction, path: str) -> list[FieldError]:
    errors = [] if action.path else [required(f"{path}.path")]
    errors += port_number_or_name(action.port, f"{path}.port")
    if action.scheme not in SCHEMES:
        errors.append(unsupported(f"{path}.scheme", action.scheme, SCHEMES))
    for header in action.http_headers:
        errors += [invalid_value(f"{path}.httpHeaders", header.name, m) for m in names.http_header(header.name)]
    return errors


def validate_lifecycle(lifecycle: core_v1.Lifecycle, path: str, grace: int | None) -> list[FieldError]:
    """What is wrong with a container's hooks. `grace` is the pod's termination grace period."""
    errors: list[FieldError] = []
    if lifecycle.post_start is not None:
        errors += _hook(lifecycle.post_start, f"{path}.postStart", grace)
    if lifecycle.pre_stop is not None:
        errors += _hook(lifecycle.pre_stop, f"{path}.preStop", grace)
    return errors


def _hook(hook: core_v1.LifecycleHandler, path: str, grace: int | None) -> list[FieldError]:
    errors: list[FieldError] = []
    given, wrong = _shared(hook, path)
    errors += wrong
    if hook.sleep is not None:
        given += 1
        errors += _sleep(hook.sleep.seconds, f"{path}.sleep", grace) if given == 1 else _again(f"{path}.sleep")
    if not given:
        errors.append(required(path, "must specify a handler type"))
    return errors


def _sleep(seconds: int, path: str, grace: int | None) -> list[FieldError]:
    if grace is None or 0 <= seconds <= grace:
        return []
    words = f"must be non-negative and less than terminationGracePeriodSeconds ({grace})"
    return [invalid_value(path, seconds, words)]
