"""Lifecycle hooks: postStart and preStop."""

import asyncio

from orlop.api.types import core_v1
from orlop.kubelet.runtime import values as v
from orlop.kubelet.services import Services

UNBOUNDED = 24 * 3600.0
"""Seconds for a hook that has no limit of its own (postStart)."""


async def run_hook(
    services: Services,
    hook: core_v1.LifecycleHandler,
    container: core_v1.Container,
    status: v.ContainerStatus,
    ip: str,
    timeout: float | None,
) -> str | None:
    """Runs the hook for at most `timeout` seconds. Returns what went wrong, None if nothing did."""
    limit = UNBOUNDED if timeout is None else timeout
    if hook.exec:
        outcome = await services.handlers.execute(status, hook.exec.command, limit)
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
) -> None:
    """Ends a container: preStop, the stop signal, and after `grace` seconds in all SIGKILL."""
    began = services.clock.monotonic()
    hook = container.lifecycle.pre_stop if container is not None and container.lifecycle else None
    if container is not None and hook is not None and grace > 0:
        try:
            async with asyncio.timeout(grace):
                failure = await run_hook(services, hook, container, status, ip, grace)
        except TimeoutError:
            failure = "context deadline exceeded"
        if failure is not None:
            services.events.event(pod, "Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}")
    left = grace - (services.clock.monotonic() - began)
    # Upstream gives a container at least this long after a preStop hook that used everything up.
    await services.runtime.stop_container(status.id, max(left, MINIMUM_GRACE) if grace > 0 else 0)


MINIMUM_GRACE = 2.0
"""Seconds (upstream: minimumGracePeriodInSeconds)."""
