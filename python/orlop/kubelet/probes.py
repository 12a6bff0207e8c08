"""Probes: one task for each container and probe while the container runs.

Thresholds, delays and the meaning of each result are upstream's (pkg/kubelet/prober/worker.go).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from orlop import logging, tasks
from orlop.api.types import core_v1
from orlop.clock import Clock
from orlop.kubelet.handlers import Handlers, Outcome
from orlop.kubelet.plan import sidecar
from orlop.kubelet.runtime import values as v

log = logging.get("kubelet")

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


class Probed:
    """One running container: what its probes have found, and the tasks that ask."""

    def __init__(self) -> None:
        self.ready = False
        self.started = asyncio.Event()
        self.failed: str | None = None
        """The probe that wants it restarted."""
        self.tasks: dict[str, asyncio.Task[None]] = {}

    def end(self, *which: str) -> None:
        """Ends these probes."""
        for name in which:
            if (task := self.tasks.get(name)) is not None:
                task.cancel()


class Prober:
    """Keeps the results of all probes of the node's containers, and wakes a pod's worker when one changes."""

    def __init__(self, clock: Clock, group: tasks.Group, ask: Ask, wake: Callable[[str], None], report: Report) -> None:
        self._clock = clock
        self._group = group
        self._ask = ask
        self._wake = wake
        self._report = report
        self._pods: dict[str, core_v1.Pod] = {}
        self._probed: dict[str, dict[str, Probed]] = {}
        """By pod uid and container id."""
        self._found: dict[str, Probed] = {}
        """The same by container id alone."""

    def follow(self, pod: core_v1.Pod, statuses: Sequence[v.ContainerStatus]) -> None:
        """Starts probes of containers that run now and ends those of containers that do not."""
        containers = {c.name: c for c in [*pod.spec.containers, *(c for c in pod.spec.init_containers if sidecar(c))]}
        containers = {name: c for name, c in containers.items() if _probes(c)}
        uid = pod.metadata.uid
        if not containers:
            return
        self._pods[uid] = pod
        running = {s.id: s for s in statuses if s.state == "running" and s.metadata.name in containers}
        mine = self._probed.setdefault(uid, {})
        for container_id in [i for i in mine if i not in running]:
            self._drop(mine, container_id)
        for container_id, status in running.items():
            if container_id not in mine:
                mine[container_id] = self._found[container_id] = self._begin(
                    pod, containers[status.metadata.name], status
                )

    def _begin(self, pod: core_v1.Pod, container: core_v1.Container, status: v.ContainerStatus) -> Probed:
        probed = Probed()
        told = next((s for s in _statuses(pod) if s.container_id.endswith("//" + status.id)), None)
        if told is not None and told.state.running:
            # A kubelet that starts anew finds it running: what was told of it holds until a probe says otherwise.
            probed.ready = told.ready
            if told.started:
                probed.started.set()
        if container.startup_probe is None:
            probed.started.set()
        for which, probe in _probes(container).items():
            if which == STARTUP and probed.started.is_set():
                continue
            name = f"{which} probe {pod.metadata.namespace}/{pod.metadata.name}/{container.name}"
            work = self._run(pod.metadata.uid, probed, container, probe, status, which)
            probed.tasks[which] = self._group.start(name, work)
        return probed

    def forget(self, uid: str) -> None:
        """The pod has ended: no probe any more."""
        self._pods.pop(uid, None)
        mine = self._probed.pop(uid, {})
        for container_id in list(mine):
            self._drop(mine, container_id)

    def stop_liveness(self, statuses: Sequence[v.ContainerStatus]) -> None:
        """A pod that terminates is not restarted, but its readiness is still told."""
        for status in statuses:
            if (probed := self._found.get(status.id)) is not None:
                probed.end(STARTUP, LIVENESS)

    def _drop(self, mine: dict[str, Probed], container_id: str) -> None:
        mine.pop(container_id).end(STARTUP, READINESS, LIVENESS)
        self._found.pop(container_id, None)

    def ready(self, container: core_v1.Container, container_id: str) -> bool:
        """Whether the readiness probe holds; true where there is none."""
        probed = self._found.get(container_id)
        return container.readiness_probe is None or (probed is not None and probed.ready)

    def started(self, container: core_v1.Container, container_id: str) -> bool:
        """Whether the startup probe has passed; true where there is none."""
        probed = self._found.get(container_id)
        return container.startup_probe is None or (probed is not None and probed.started.is_set())

    def failed(self, container_id: str) -> str | None:
        """The probe that wants the container restarted, if one does."""
        probed = self._found.get(container_id)
        return None if probed is None else probed.failed

    async def _run(
        self,
        uid: str,
        probed: Probed,
        container: core_v1.Container,
        probe: core_v1.Probe,
        status: v.ContainerStatus,
        which: str,
    ) -> None:
        """Asks, period by period, until the container is to be restarted (or, of a startup probe, has started)."""
        period = float(probe.period_seconds or 10)
        if which != STARTUP:
            await probed.started.wait()
        age = self._clock.now() - status.started_at / 1e9
        await self._clock.sleep(max(0.0, probe.initial_delay_seconds - age))
        streak, last = 0, None
        while True:
            outcome = await self._outcome(self._pods[uid], container, probe, status, which)
            if outcome is not None:
                streak = streak + 1 if outcome.success == last else 1
                last = outcome.success
                wanted = (probe.success_threshold or 1) if outcome.success else (probe.failure_threshold or 3)
                if streak >= wanted and self._set(probed, which, outcome.success):
                    self._wake(uid)
                if probed.failed == which or (which == STARTUP and probed.started.is_set()):
                    return
            await self._clock.sleep(period)

    async def _outcome(
        self,
        pod: core_v1.Pod,
        container: core_v1.Container,
        probe: core_v1.Probe,
        status: v.ContainerStatus,
        which: str,
    ) -> Outcome | None:
        """What one probe says; None when it could not be asked, which counts neither way."""
        try:
            outcome = await self._ask(pod, container, probe, status, which)
        except Exception as error:
            log.warning("Probe errored", extra={"probe": which, "container": container.name, "err": error})
            message = f"{which.capitalize()} probe errored and resulted in unknown state: {error}"
            self._report(pod, container, message)
            return None
        if not outcome.success:
            self._report(pod, container, f"{which.capitalize()} probe failed: {outcome.message}")
        return outcome

    @staticmethod
    def _set(probed: Probed, which: str, success: bool) -> bool:
        """Takes a result in. Whether it changes anything."""
        if which == READINESS:
            changed, probed.ready = probed.ready != success, success
            return changed
        if not success:
            probed.failed = which
            return True
        if which == STARTUP:
            probed.started.set()
            return True
        return False


def _probes(container: core_v1.Container) -> dict[str, core_v1.Probe]:
    found = {
        STARTUP: container.startup_probe,
        READINESS: container.readiness_probe,
        LIVENESS: container.liveness_probe,
    }
    return {which: probe for which, probe in found.items() if probe is not None}


def _statuses(pod: core_v1.Pod) -> list[core_v1.ContainerStatus]:
    return [*pod.status.init_container_statuses, *pod.status.container_statuses]
