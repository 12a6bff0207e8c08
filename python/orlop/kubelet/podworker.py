"""One pod on this node: looks at what runs, does the next step, tells the status. One task per pod.

Life: running → (told to end, deadline passed, or all containers ended) terminating → terminated → gone.
"""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import cast

from orlop import logging
from orlop.api import errors
from orlop.api.types import core_v1
from orlop.clock import parse_time
from orlop.kubelet import containers, hooks, starter, status
from orlop.kubelet.dns import pod_config
from orlop.kubelet.observer import Observer
from orlop.kubelet.plan import Plan, by_name, plan
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import Services, container_reference
from orlop.kubelet.sources import references
from orlop.kubelet.status import Facts, Waiting
from orlop.kubelet.volumes.payload import VolumeError

log = logging.get("kubelet")

RETRY_FIRST, RETRY_MAX = 0.5, 30.0
"""Seconds between tries of a step that failed."""

VOLUME_REFRESH = 60.0
"""Seconds between looks at a running pod's tokens; ConfigMaps and Secrets tell by their watch."""

DEAD_CONTAINERS_KEPT = 1
"""Per container name, for `kubectl logs --previous` (upstream: MaxPerPodContainerCount)."""


class PodWorker:
    """Drives one pod until it is gone from the node and the API."""

    def __init__(self, services: Services, pod: core_v1.Pod) -> None:
        self.pod = pod
        self.gone = False
        """The API has no such pod any more."""
        self._s = services
        self._wake = asyncio.Event()
        self._observer = Observer(services)
        self._waiting: dict[str, Waiting] = {}
        self._phase = self._reason = self._message = ""
        self._paths: Mapping[str, Path] = {}
        self._volumes_at = 0.0
        self._volumes_stale = True
        self._torn_down = False

    @property
    def pod_ip(self) -> str:
        """The pod's own address as of the last look; "" without one."""
        return self._observer.ip

    @property
    def uid(self) -> str:
        return self.pod.metadata.uid

    def update(self, pod: core_v1.Pod) -> None:
        """A newer version of the pod from the API."""
        if pod.metadata.labels != self.pod.metadata.labels or pod.metadata.annotations != self.pod.metadata.annotations:
            self._volumes_stale = True
        self.pod = pod
        self._wake.set()

    def remove(self) -> None:
        """The pod is gone from the API."""
        self.gone = True
        self._wake.set()

    def wake(self, *, volumes: bool = False) -> None:
        """Something happened: a container ended, a probe changed, with `volumes` an object it mounts changed."""
        self._volumes_stale = self._volumes_stale or volumes
        self._wake.set()

    async def run(self) -> None:
        """Works until the pod is gone."""
        pause = RETRY_FIRST
        try:
            while True:
                self._wake.clear()
                try:
                    delay = await self._step()
                    pause = RETRY_FIRST
                except (base.RuntimeFailure, errors.ApiError, OSError, TimeoutError) as error:
                    log.warning(
                        "Error syncing pod, skipping",
                        extra={"pod": f"{self.pod.metadata.namespace}/{self.pod.metadata.name}", "err": error},
                    )
                    self._s.events.event(self.pod, "Warning", "FailedSync", f"error determining status: {error}")
                    delay, pause = pause, min(pause * 2, RETRY_MAX)
                if delay is None:
                    return
                await self._sleep(delay)
        finally:
            self._s.stopped(self.uid)

    async def _sleep(self, seconds: float) -> None:
        """Until woken, or `seconds` have passed."""
        sleeper = asyncio.ensure_future(self._s.clock.sleep(seconds))
        waker = asyncio.ensure_future(self._wake.wait())
        try:
            await asyncio.wait([sleeper, waker], return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeper.cancel()
            waker.cancel()

    async def _step(self) -> float | None:
        """One look and one step. Seconds until the next look without an event; None: the pod is gone."""
        sandbox, all_sandboxes, statuses = await self._observer.look(self.pod)
        if self.gone or self.pod.metadata.deletion_timestamp:
            return await self._terminate(all_sandboxes, statuses)
        if self.pod.status.phase in ("Failed", "Succeeded") or self._phase:
            await self._finish(sandbox, statuses)
            return VOLUME_REFRESH * 60
        deadline = self._deadline()
        if deadline is not None and deadline <= 0:
            self._phase, self._reason = "Failed", "DeadlineExceeded"
            self._message = "Pod was active on the node longer than the specified deadline"
            self._s.events.event(self.pod, "Normal", "DeadlineExceeded", self._message)
            await self._finish(sandbox, statuses)
            return VOLUME_REFRESH * 60
        delay = await self._advance(sandbox, all_sandboxes, statuses)
        return min(delay, deadline) if deadline is not None else delay

    def _deadline(self) -> float | None:
        seconds = self.pod.spec.active_deadline_seconds
        if seconds is None or not self.pod.status.start_time:
            return None
        return parse_time(self.pod.status.start_time) + seconds - self._s.clock.now()

    def _container(self, name: str) -> core_v1.Container | None:
        return next((c for c in [*self.pod.spec.init_containers, *self.pod.spec.containers] if c.name == name), None)

    # A pod that should run

    async def _advance(
        self,
        sandbox: v.PodSandboxStatus | None,
        all_sandboxes: list[v.PodSandbox],
        statuses: list[v.ContainerStatus],
    ) -> float:
        newest = by_name(statuses)
        failed = {s.id: p for s in statuses if s.state == "running" and (p := self._s.prober.failed(s.id))}
        started = {
            c.name: self._s.prober.started(c, newest[c.name].id)
            for c in [*self.pod.spec.init_containers, *self.pod.spec.containers]
            if c.name in newest
        }
        actions = plan(self.pod, sandbox, statuses, failed_probes=failed, started=started)
        if actions.finished:
            self._waiting.clear()
            if self.pod.spec.restart_policy != "Always" and not actions.sandbox:
                self._publish(sandbox, statuses)
                await self._finish(sandbox, statuses)
                return VOLUME_REFRESH * 60
        delay = VOLUME_REFRESH
        if actions.sandbox:
            if (left := self._s.retries.left(f"{self.uid}/sandbox")) > 0:
                return left
            sandbox = await self._new_sandbox(all_sandboxes, statuses)
            if sandbox is None:
                return self._again("sandbox")
            self._s.retries.forget(f"{self.uid}/sandbox")
            statuses = []
            actions = plan(self.pod, sandbox, statuses, failed_probes={}, started={})
        assert sandbox is not None
        for kill in actions.kill:
            await self._kill(kill.container, kill.message)
        try:
            await self._volumes(sandbox)
        except VolumeError as error:
            self._s.events.event(self.pod, "Warning", "FailedMount", str(error))
            self._publish(sandbox, statuses)
            return self._again("volumes")
        delay = min(delay, await self._start(actions, sandbox, by_name(statuses)))
        if actions.kill or actions.start:
            sandbox, _, statuses = await self._observer.look(self.pod)
            await self._prune(statuses)
        self._s.prober.follow(self.pod, statuses)
        self._publish(sandbox, statuses)
        return delay

    def _again(self, what: str) -> float:
        """Seconds until a step that failed is tried again: longer each time."""
        self._s.retries.next(f"{self.uid}/{what}", self._s.clock.now())
        return self._s.retries.left(f"{self.uid}/{what}")

    async def _network_ready(self) -> bool:
        """Whether a sandbox can be given a network now; tells the pod if not."""
        if self.pod.spec.host_network:
            return True
        now = await self._s.runtime.status()
        if not now.network_ready:
            self._s.events.event(
                self.pod,
                "Warning",
                "NetworkNotReady",
                f"network is not ready: container runtime network not ready: NetworkReady=false "
                f"reason:{now.network_reason} message:{now.network_message}",
            )
        return now.network_ready

    async def _new_sandbox(
        self, old: list[v.PodSandbox], statuses: list[v.ContainerStatus]
    ) -> v.PodSandboxStatus | None:
        for container in statuses:
            if container.state == "running":
                await self._kill(container, f"Stopping container {container.metadata.name}")
        for previous in old:
            await self._s.runtime.stop_pod_sandbox(previous.id)
            await self._s.runtime.remove_pod_sandbox(previous.id)
        if old:
            self._s.events.event(
                self.pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created."
            )
        self._publish(None, [])
        if not await self._network_ready():
            return None
        if not self._s.config.simulated:
            self._s.sources.hold(self.uid, references(self.pod))
        attempt = max((s.metadata.attempt for s in old), default=-1) + 1
        config = self._sandbox_config(attempt)
        try:
            sandbox_id = await self._s.runtime.run_pod_sandbox(config)
        except base.RuntimeFailure as error:
            self._s.events.event(
                self.pod, "Warning", "FailedCreatePodSandBox", f"Failed to create pod sandbox: {error}"
            )
            return None
        return await self._s.runtime.pod_sandbox_status(sandbox_id)

    def _sandbox_config(self, attempt: int) -> v.PodSandboxConfig:
        dns = pod_config(self.pod, self._s.host_dns, self._s.config.cluster_dns, self._s.config.cluster_domain)
        logs = self._s.config.root_dir / "logs" / self.uid
        return containers.sandbox_config(self.pod, attempt, dns, logs)

    async def _volumes(self, sandbox: v.PodSandboxStatus) -> None:
        now = self._s.clock.monotonic()
        if self._s.config.simulated or not (self._volumes_stale or now - self._volumes_at >= VOLUME_REFRESH):
            return
        self._s.sources.hold(self.uid, references(self.pod))
        ips = list(self._s.host_ips) if self.pod.spec.host_network else list(sandbox.ips)
        self._volumes_stale = False
        try:
            self._paths = await self._s.volumes.set_up(self.pod, ips)
        except VolumeError:
            self._volumes_stale = True
            raise
        self._volumes_at = now

    async def _start(
        self, actions: Plan, sandbox: v.PodSandboxStatus, newest: Mapping[str, v.ContainerStatus]
    ) -> float:
        """Starts what the plan says, unless it must pause. Seconds until the earliest pause is over."""
        delay = VOLUME_REFRESH
        config = self._sandbox_config(sandbox.metadata.attempt)
        old_counts = {s.name: s.restart_count for s in self.pod.status.container_statuses}
        old_counts |= {s.name: s.restart_count for s in self.pod.status.init_container_statuses}
        ran = {
            s.name
            for s in [*self.pod.status.container_statuses, *self.pod.status.init_container_statuses]
            if s.state.terminated or s.last_state.terminated or s.state.running
        }
        for container in actions.start:
            previous = newest.get(container.name)
            key = f"{self.uid}/{container.name}"
            if previous is not None and previous.state == "exited":
                since = previous.finished_at / 1e9
                left = self._s.restarts.remaining(key, since)
                if left > 0:
                    self._back_off(container, key)
                    delay = min(delay, left)
                    continue
                self._s.restarts.next(key, since)
            attempt = previous.metadata.attempt + 1 if previous else 0
            if previous is None and container.name in ran:
                attempt = old_counts.get(container.name, 0) + 1
            waiting = await starter.start(self._s, self.pod, container, sandbox, config, self._paths, attempt)
            if waiting is None:
                self._waiting.pop(container.name, None)
                continue
            self._waiting[container.name] = waiting
            delay = min(delay, RETRY_FIRST * 4 if waiting.reason != "ImagePullBackOff" else 10.0)
        return delay

    def _back_off(self, container: core_v1.Container, key: str) -> None:
        m = self.pod.metadata
        where = f"{m.name}_{m.namespace}({m.uid})"
        pause = _go_duration(self._s.restarts.pause(key))
        text = f"back-off {pause} restarting failed container={container.name} pod={where}"
        before = self._waiting.get(container.name)
        self._waiting[container.name] = Waiting("CrashLoopBackOff", text)
        if before is None or before.message != text:
            reference = container_reference(self.pod, container)
            message = f"Back-off restarting failed container {container.name} in pod {where}"
            self._s.events.event(reference, "Warning", "BackOff", message)

    async def _kill(self, container: v.ContainerStatus, message: str, grace: float | None = None) -> None:
        spec = self._container(container.metadata.name)
        if grace is None:
            grace = self._probe_grace(spec, container)
        subject = container_reference(self.pod, spec) if spec else self.pod
        self._s.events.event(subject, "Normal", "Killing", message)
        ip = self._s.host_ips[0] if self.pod.spec.host_network else self._observer.ip
        await hooks.stop(self._s, self.pod, spec, container, grace, ip)

    def _probe_grace(self, spec: core_v1.Container | None, container: v.ContainerStatus) -> float:
        """A failed probe may have a grace period of its own."""
        which = self._s.prober.failed(container.id)
        probe = None
        if spec is not None and which is not None:
            probe = spec.liveness_probe if which == "liveness" else spec.startup_probe
        if probe is not None and probe.termination_grace_period_seconds is not None:
            return float(probe.termination_grace_period_seconds)
        grace = self.pod.spec.termination_grace_period_seconds
        return float(30 if grace is None else grace)

    async def _prune(self, statuses: list[v.ContainerStatus]) -> None:
        """Removes dead containers beyond the one whose log may still be asked for."""
        groups: dict[str, list[v.ContainerStatus]] = {}
        for s in sorted(statuses, key=lambda s: (s.metadata.attempt, s.created_at), reverse=True):
            groups.setdefault(s.metadata.name, []).append(s)
        for group in groups.values():
            dead = [s for s in group[1:] if s.state != "running"]
            for s in dead[DEAD_CONTAINERS_KEPT:]:
                await self._s.runtime.remove_container(s.id)
                self._observer.messages.pop(s.id, None)

    # The end

    async def _finish(self, sandbox: v.PodSandboxStatus | None, statuses: list[v.ContainerStatus]) -> None:
        """The pod has ended but stays in the API: everything stops, dead containers keep their logs."""
        if self._torn_down:
            return
        running = [s for s in statuses if s.state == "running"]
        for s in running:
            await self._kill(s, f"Stopping container {s.metadata.name}")
        if running:
            sandbox, _, statuses = await self._observer.look(self.pod)
        self._s.prober.forget(self.uid, statuses)
        self._waiting.clear()
        self._publish(sandbox, statuses)
        if sandbox is not None:
            await self._s.runtime.stop_pod_sandbox(sandbox.id)
        self._s.restarts.forget(self.uid)
        self._s.pulls.forget(self.uid)
        self._s.retries.forget(self.uid)
        self._s.sources.release(self.uid)
        self._torn_down = True
        sandbox, _, statuses = await self._observer.look(self.pod)
        self._publish(sandbox, statuses)

    def _grace(self) -> float:
        m = self.pod.metadata
        if m.deletion_grace_period_seconds is not None:
            return float(m.deletion_grace_period_seconds)
        grace = self.pod.spec.termination_grace_period_seconds
        return float(30 if grace is None else grace)

    async def _terminate(self, sandboxes: list[v.PodSandbox], statuses: list[v.ContainerStatus]) -> float | None:
        """Ends the containers, tells their last states, frees everything, then deletes the pod from the API."""
        running = [s for s in statuses if s.state == "running"]
        if running:
            self._s.prober.stop_liveness(statuses)
            await self._end_all(running)
            return 0.0
        self._s.prober.forget(self.uid, statuses)
        self._waiting.clear()
        if not self.gone:
            self._publish(None, statuses, terminating=True)
        for sandbox in sandboxes:
            await self._s.runtime.stop_pod_sandbox(sandbox.id)
            await self._s.runtime.remove_pod_sandbox(sandbox.id)
        if not self._s.config.simulated:
            self._s.sources.release(self.uid)
            await self._s.volumes.tear_down(self.uid)
        self._s.restarts.forget(self.uid)
        self._s.pulls.forget(self.uid)
        self._s.retries.forget(self.uid)
        if not self.gone:
            await self._s.statuses.settled(self.uid)
            await self._s.statuses.delete(self.pod)
        self._s.statuses.forget(self.uid)
        return None

    async def _end_all(self, running: list[v.ContainerStatus]) -> None:
        """Stops all containers side by side; begins again when the grace period is shortened meanwhile."""
        grace = self._grace()
        stops = asyncio.gather(
            *(self._kill(s, f"Stopping container {s.metadata.name}", grace) for s in running), return_exceptions=True
        )
        try:
            while not stops.done():
                waker: asyncio.Future[object] = asyncio.ensure_future(self._wake.wait())
                await asyncio.wait([_any(stops), waker], return_when=asyncio.FIRST_COMPLETED)
                waker.cancel()
                self._wake.clear()
                if not stops.done() and self._grace() < grace:
                    break
        finally:
            stops.cancel()
            await asyncio.gather(stops, return_exceptions=True)

    # What the API is told

    def _publish(
        self,
        sandbox: v.PodSandboxStatus | None,
        statuses: list[v.ContainerStatus],
        *,
        terminating: bool = False,
    ) -> None:
        if self.gone:
            return
        specs = {c.name: c for c in [*self.pod.spec.init_containers, *self.pod.spec.containers]}
        facts = Facts(
            sandbox=sandbox,
            containers=statuses,
            waiting=dict(self._waiting),
            ready={
                s.id: self._s.prober.ready(specs[s.metadata.name], s.id) for s in statuses if s.metadata.name in specs
            },
            started={
                s.id: self._s.prober.started(specs[s.metadata.name], s.id) for s in statuses if s.metadata.name in specs
            },
            host_ips=self._s.host_ips,
            start_time=self._s.clock.now(),
            phase=self._phase,
            reason=self._reason or self.pod.status.reason,
            message=self._message or self.pod.status.message,
            terminating=terminating or bool(self.pod.metadata.deletion_timestamp),
            messages=self._observer.messages,
            runtime_name=self._s.runtime_name,
        )
        self._s.statuses.publish(self.pod, status.generate(self.pod, facts, self._s.clock.now()))


def _any(future: "asyncio.Future[list[BaseException | None]]") -> "asyncio.Future[object]":
    return cast("asyncio.Future[object]", future)


def _go_duration(seconds: float) -> str:
    """`10s`, `1m20s`, `5m0s`: how Go prints a duration."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
