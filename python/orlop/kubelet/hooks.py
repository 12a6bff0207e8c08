"""Lifecycle hooks: postStart and preStop."""

from collections.abc import Awaitable, Callable

from orlop import logging
from orlop.api.types import core_v1
from orlop.clock import timeout
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import Services, container_reference

log = logging.get("kubelet")

UNBOUNDED = 24 * 3600.0
"""Seconds for a hook that has no limit of its own (postStart)."""


async def run_hook(
    services: Services,
    hook: core_v1.LifecycleHandler,
    container: core_v1.Container,
    status: v.ContainerStatus,
    ip: str,
    limit: float = UNBOUNDED,
) -> str | None:
    """Runs the hook for at most `limit` seconds. Returns what went wrong, None if nothing did."""
    if hook.exec:
        try:
            outcome = await services.handlers.execute(status, hook.exec.command, limit)
        except base.RuntimeFailure as error:
            return str(error)
    elif hook.http_get:
        outcome = await services.handlers.http(hook.http_get, container, ip, limit)
    elif hook.tcp_socket:
        outcome = await services.handlers.tcp(hook.tcp_socket, container, ip, limit)
    elif hook.sleep:
        await services.clock.sleep(min(float(hook.sleep.seconds), limit))
        return None
    else:
        return "invalid handler: no action given"
    return None if outcome.success else outcome.message


async def stop(
    services: Services,
    pod: core_v1.Pod,
    container: core_v1.Container | None,
    status: v.ContainerStatus,
    grace: float,
    ip: str,
    turn: Callable[[float], Awaitable[None]] | None = None,
) -> None:
    """Ends a container: preStop, its `turn` (at most so many seconds), the stop signal, and after `grace` seconds in
    all SIGKILL."""
    began = services.clock.monotonic()
    hook = container.lifecycle.pre_stop if container is not None and container.lifecycle else None
    if container is not None and hook is not None and grace > 0:
        try:
            async with timeout(services.clock, grace):
                failure = await run_hook(services, hook, container, status, ip, grace)
        except TimeoutError:
            failure = "context deadline exceeded"
        if failure is not None:
            # What the hook said stays here: it may hold secrets, and more people may read events (as upstream).
            log.warning("PreStop hook failed", extra={"container": container.name, "err": failure})
            reference = container_reference(pod, container)
            services.events.event(reference, "Warning", "FailedPreStopHook", "PreStopHook failed")
    left = grace - (services.clock.monotonic() - began)
    if turn is not None and left > 0:
        await turn(left)
        left = grace - (services.clock.monotonic() - began)
    # Upstream gives a container at least this long after a preStop hook that used everything up.
    await services.runtime.stop_container(status.id, max(left, MINIMUM_GRACE) if grace > 0 else 0)


MINIMUM_GRACE = 2.0
"""Seconds (upstream: minimumGracePeriodInSeconds)."""
