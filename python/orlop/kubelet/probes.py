"""Probes: one task for each container and probe while the container runs.

Thresholds, delays and the meaning of each result are upstream's (pkg/kubelet/prober/worker.go).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from orlop import tasks
from orlop.api.types import core_v1
from orlop.clock import Clock
from orlop.kubelet.handlers import Handlers, Outcome
from orlop.kubelet.plan import sidecar
from orlop.kubelet.runtime import values as v

READINESS, LIVENESS, STARTUP = "readiness", "liveness", "startup"

Ask = Callable[[core_v1.Pod, core_v1.Container, core_v1.Probe, v.ContainerStatus, str], Awaitable[Outcome]]
"""(pod, container, probe, status, which probe) → outcome"""

Report = Callable[[core_v1.Pod, core_v1.Container, str], None]
"""(pod, container, message): an event `Unhealthy`."""


def asker(handlers: Handlers, ip_of: Callable[[str], str]) -> Ask:
    """Probes over the real thing: exec, HTTP, TCP. `ip_of` gives a pod's address by uid."""

    async def ask(
        pod: core_v1.Pod, container: core_v1.Container, probe: core_v1.Probe, status: v.ContainerStatus, _which: str
    ) -> Outcome:
        timeout = float(probe.timeout_seconds or 1)
        if probe.exec:
            return await handlers.execute(status, probe.exec.command, timeout)
        if probe.http_get:
            return await handlers.http(probe.http_get, container, ip_of(pod.metadata.uid), timeout)
        if probe.tcp_socket:
            return await handlers.tcp(probe.tcp_socket, container, ip_of(pod.metadata.uid), timeout)
        return Outcome(False, "missing probe handler for " + container.name)

    return ask


class Prober:
    """Keeps the results of all probes of the node's containers, and wakes a pod's worker when one changes."""

    def __init__(self, clock: Clock, group: tasks.Group, ask: Ask, wake: Callable[[str], None], report: Report) -> None:
        self._clock = clock
        self._group = group
        self._ask = ask
        self._wake = wake
        self._report = report
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._results: dict[tuple[str, str], bool] = {}
        self._pods: dict[str, core_v1.Pod] = {}

    def follow(self, pod: core_v1.Pod, statuses: Sequence[v.ContainerStatus]) -> None:
        """Starts probes of containers that run now and ends those of containers that do not."""
        uid = pod.metadata.uid
        self._pods[uid] = pod
        running = {s.id: s for s in statuses if s.state == "running"}
        probed = {c.name: c for c in [*pod.spec.containers, *(c for c in pod.spec.init_containers if sidecar(c))]}
        mine = {s.id for s in statuses}
        for container_id, which in list(self._tasks):
            if container_id in mine and container_id not in running:
                self._end(container_id, which)
        for container_id, status in running.items():
            container = probed.get(status.metadata.name)
            if container is None:
                continue
            for which, probe in (
                (STARTUP, container.startup_probe),
                (READINESS, container.readiness_probe),
                (LIVENESS, container.liveness_probe),
            ):
                key = (container_id, which)
                if probe is not None and key not in self._tasks:
                    self._results.setdefault(key, which == LIVENESS)
                    name = f"{which} probe {pod.metadata.namespace}/{pod.metadata.name}/{container.name}"
                    self._tasks[key] = self._group.start(name, self._run(uid, container, probe, status, which))

    def forget(self, uid: str, statuses: Sequence[v.ContainerStatus]) -> None:
        """The pod is ending: no probe any more."""
        self._pods.pop(uid, None)
        for status in statuses:
            for which in (STARTUP, READINESS, LIVENESS):
                if (status.id, which) in self._tasks:
                    self._end(status.id, which)
                self._results.pop((status.id, which), None)

    def stop_liveness(self, statuses: Sequence[v.ContainerStatus]) -> None:
        """A pod that terminates is not restarted, but its readiness is still told."""
        for status in statuses:
            for which in (STARTUP, LIVENESS):
                if (status.id, which) in self._tasks:
                    self._end(status.id, which)

    def _end(self, container_id: str, which: str) -> None:
        self._tasks.pop((container_id, which)).cancel()

    def ready(self, container: core_v1.Container, container_id: str) -> bool:
        """Whether the readiness probe holds; true where there is none."""
        return container.readiness_probe is None or self._results.get((container_id, READINESS), False)

    def started(self, container: core_v1.Container, container_id: str) -> bool:
        """Whether the startup probe has passed; true where there is none."""
        return container.startup_probe is None or self._results.get((container_id, STARTUP), False)

    def failed(self, container_id: str) -> str | None:
        """The probe that wants the container restarted, if one does."""
        if self._results.get((container_id, LIVENESS), True) is False:
            return LIVENESS
        if (container_id, "startup failed") in self._results:
            return STARTUP
        return None

    async def _run(
        self, uid: str, container: core_v1.Container, probe: core_v1.Probe, status: v.ContainerStatus, which: str
    ) -> None:
        period = float(probe.period_seconds or 10)
        failures_allowed = probe.failure_threshold or 3
        successes_wanted = probe.success_threshold or 1
        age = self._clock.now() - status.started_at / 1e9
        await self._clock.sleep(max(0.0, probe.initial_delay_seconds - age))
        key = (status.id, which)
        streak, last = 0, None
        while True:
            if which != STARTUP and not self.started(container, status.id):
                # Readiness and liveness wait for the startup probe; its change wakes the worker, not this task.
                await self._clock.sleep(min(period, 1.0))
                continue
            pod = self._pods.get(uid)
            if pod is None:
                return
            outcome = await self._ask(pod, container, probe, status, which)
            streak = streak + 1 if outcome.success == last else 1
            last = outcome.success
            if not outcome.success:
                self._report(pod, container, f"{which.capitalize()} probe failed: {outcome.message}")
            reached = streak >= (successes_wanted if outcome.success else failures_allowed)
            if reached and self._set(key, outcome.success, which):
                self._wake(uid)
                if which == STARTUP or (which == LIVENESS and not outcome.success):
                    return
            await self._clock.sleep(period)

    def _set(self, key: tuple[str, str], success: bool, which: str) -> bool:
        if which == STARTUP and not success:
            self._results[(key[0], "startup failed")] = True
            return True
        changed = self._results.get(key) != success
        self._results[key] = success
        return changed
