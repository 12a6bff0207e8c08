"""The next step of a pod that should run: sandbox, volumes, containers (upstream's SyncPod)."""

import math
from collections.abc import Mapping
from pathlib import Path

from orlop.api.types import core_v1
from orlop.kubelet import containers, killing, starter
from orlop.kubelet.dns import pod_config, wants_cluster
from orlop.kubelet.observer import Observation
from orlop.kubelet.plan import Plan, by_name, plan, sidecar
from orlop.kubelet.podstate import PodState
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.services import container_reference
from orlop.kubelet.sources import references
from orlop.kubelet.status import Waiting
from orlop.kubelet.volumes.payload import VolumeError

SYNC_BACKOFF = 10.0
"""Seconds until a container that could not be started is tried again (upstream: backOffPeriod)."""

SHOWN = 2.0
"""Seconds that a failure is shown by its own name (ErrImagePull, RunContainerError) before it becomes a back-off."""

DEAD_CONTAINERS_KEPT = 1
"""Per container name, for `kubectl logs --previous` (upstream: MaxPerPodContainerCount)."""


class Syncer:
    """Brings one pod nearer to its spec, a step at a time."""

    def __init__(self, state: PodState) -> None:
        self._state = state
        self._s = state.services
        self._paths: Mapping[str, Path] = {}
        self.volumes_stale = True
        """Something that the pod's volumes show has changed."""

    async def sync(self, seen: Observation) -> float | None:
        """Seconds until there is more to do without an event (inf: nothing); None: the pod has ended by itself."""
        state, uid = self._state, self._state.uid
        sandbox, statuses = seen.sandbox, seen.statuses
        actions = self._plan(seen)
        if actions.finished and state.pod.spec.restart_policy != "Always" and not actions.sandbox:
            return None
        if actions.sandbox:
            if (left := self._s.retries.left(f"{uid}/sandbox")) > 0:
                return left
            sandbox = await self._new_sandbox(seen)
            if sandbox is None:
                return self._again("sandbox")
            self._s.retries.forget(f"{uid}/sandbox")
            statuses = []
            actions = plan(state.pod, sandbox, statuses, failed_probes={}, started={})
        assert sandbox is not None
        for kill in actions.kill:
            await killing.kill(state, kill.container, kill.message)
        try:
            await self._volumes()
        except VolumeError as error:
            self._s.events.event(state.pod, "Warning", error.reason, str(error))
            state.publish(sandbox, statuses)
            self._s.prober.follow(state.pod, statuses)
            return self._again("volumes")
        delay = await self._start(actions, sandbox, by_name(statuses))
        if actions.kill or actions.start:
            sandbox, _, statuses = await state.observer.look(state.pod)
            await self._prune(statuses)
        self._s.prober.follow(state.pod, statuses)
        state.publish(sandbox, statuses)
        if not actions.initialized and any(sidecar(c) and c.name not in state.waiting for c in actions.start):
            # No event of the runtime follows a sidecar that simply runs, and the next container may wait for no more.
            return 0.0
        return min(delay, self._renewal())

    def _plan(self, seen: Observation) -> Plan:
        newest = by_name(seen.statuses)
        prober = self._s.prober
        failed = {s.id: p for s in seen.statuses if s.state == "running" and (p := prober.failed(s.id))}
        started = {c.name: prober.started(c, newest[c.name].id) for c in self._state.containers if c.name in newest}
        return plan(self._state.pod, seen.sandbox, seen.statuses, failed_probes=failed, started=started)

    def _again(self, what: str) -> float:
        """Seconds until a step that failed is tried again: longer each time."""
        key = f"{self._state.uid}/{what}"
        if self._s.retries.left(key) <= 0:
            self._s.retries.next(key, self._s.clock.now())
        return self._s.retries.left(key)

    # The sandbox

    async def _network_ready(self) -> bool:
        """Whether a sandbox can be given a network now; tells the pod if not."""
        if self._state.pod.spec.host_network and not self._waits_for_dns():
            return True
        now = await self._s.runtime.status()
        if not now.network_ready:
            self._s.events.event(
                self._state.pod,
                "Warning",
                "NetworkNotReady",
                f"network is not ready: container runtime network not ready: NetworkReady=false "
                f"reason:{now.network_reason} message:{now.network_message}",
            )
        return now.network_ready

    async def _new_sandbox(self, seen: Observation) -> v.PodSandboxStatus | None:
        state, runtime = self._state, self._s.runtime
        await killing.kill_all(state, [s for s in seen.statuses if s.state == "running"])
        if seen.statuses:
            # How they ended is known only as long as they are there.
            state.publish(None, (await state.observer.look(state.pod)).statuses)
        for previous in seen.sandboxes:
            await runtime.stop_pod_sandbox(previous.id)
            await runtime.remove_pod_sandbox(previous.id)
        if seen.sandboxes:
            self._s.events.event(
                state.pod, "Normal", "SandboxChanged", "Pod sandbox changed, it will be killed and re-created."
            )
        state.publish(None, [])
        if not await self._network_ready():
            return None
        if not self._s.config.simulated:
            self._s.sources.hold(state.uid, references(state.pod))
        config = self._sandbox_config(max((s.metadata.attempt for s in seen.sandboxes), default=-1) + 1)
        try:
            sandbox_id = await runtime.run_pod_sandbox(config)
        except base.RuntimeFailure as error:
            message = f"Failed to create pod sandbox: {error}"
            self._s.events.event(state.pod, "Warning", "FailedCreatePodSandBox", message)
            return None
        self.volumes_stale = True
        return (await state.observer.look(state.pod)).sandbox or await runtime.pod_sandbox_status(sandbox_id)

    def _waits_for_dns(self) -> bool:
        """Whether the pod's name server is the node's own, and is not known before the node has its pod CIDRs."""
        return self._s.config.node_dns and wants_cluster(self._state.pod) and not self._s.cluster_dns()

    def _sandbox_config(self, attempt: int) -> v.PodSandboxConfig:
        pod, config = self._state.pod, self._s.config
        servers = self._s.cluster_dns()
        if wants_cluster(pod) and not servers and not config.simulated:
            message = (
                "kubelet does not have ClusterDNS IP configured and cannot create Pod using "
                f'"{pod.spec.dns_policy}" policy. Falling back to "Default" policy.'
            )
            self._s.events.event(pod, "Warning", "MissingClusterDNS", message)
        dns = pod_config(pod, self._s.host_dns, servers, config.cluster_domain)
        return containers.sandbox_config(pod, attempt, dns, config.root_dir / "logs" / self._state.uid)

    # Volumes

    def _renewal(self) -> float:
        """Seconds until one of the pod's tokens wants to be renewed."""
        due = None if self._s.config.simulated else self._s.volumes.next_renewal(self._state.uid)
        return math.inf if due is None else max(0.0, due - self._s.clock.now())

    async def _volumes(self) -> None:
        """Makes the volumes, or brings up to date what has changed. Raises VolumeError."""
        if self._s.config.simulated or not (self.volumes_stale or self._renewal() <= 0):
            return
        self._s.sources.hold(self._state.uid, references(self._state.pod))
        self.volumes_stale = False
        try:
            self._paths = await self._s.volumes.set_up(self._state.pod, self._state.ips)
        except VolumeError:
            self.volumes_stale = True
            raise
        self._s.retries.forget(f"{self._state.uid}/volumes")

    # Containers

    async def _start(
        self, actions: Plan, sandbox: v.PodSandboxStatus, newest: Mapping[str, v.ContainerStatus]
    ) -> float:
        """Starts what the plan says, unless it must pause. Seconds until the earliest pause is over."""
        state, delay = self._state, math.inf
        config = self._sandbox_config(sandbox.metadata.attempt) if actions.start else None
        for container in actions.start:
            if state.stopping.is_set():
                return 0.0
            previous = newest.get(container.name)
            key = f"{state.uid}/{container.name}"
            if previous is not None and previous.state == "exited":
                since = previous.finished_at / 1e9
                left = self._s.restarts.remaining(key, since)
                if left > 0:
                    self._back_off(container, key)
                    delay = min(delay, left)
                    continue
                self._s.restarts.next(key, since)
            attempt = previous.metadata.attempt + 1 if previous else self._attempts_before(container.name)
            assert config is not None
            waiting = await starter.start(state, container, sandbox, config, self._paths, attempt)
            if waiting is None:
                state.waiting.pop(container.name, None)
                continue
            state.waiting[container.name] = waiting
            delay = min(delay, self._pause_of(waiting, container))
        return delay

    def _attempts_before(self, name: str) -> int:
        """The number of the next container of this name when none is left on the node: counts outlive sandboxes."""
        status = self._state.pod.status
        for before in [*status.container_statuses, *status.init_container_statuses]:
            ran = before.state.terminated or before.last_state.terminated or before.state.running
            if before.name == name and ran:
                return before.restart_count + 1
        return 0

    def _pause_of(self, waiting: Waiting, container: core_v1.Container) -> float:
        """Seconds until a container that waits is tried again."""
        left = self._s.pulls.left(f"{self._state.uid}/{container.image}")
        if waiting.reason == "ImagePullBackOff":
            return left
        if left > 0:
            return min(left, SHOWN)
        # What was created but did not start has ended: its restart's own pause counts, from the next look on.
        return SHOWN if waiting.reason in ("RunContainerError", "PostStartHookError") else SYNC_BACKOFF

    def _back_off(self, container: core_v1.Container, key: str) -> None:
        m = self._state.pod.metadata
        where = f"{m.name}_{m.namespace}({m.uid})"
        pause = go_duration(self._s.restarts.pause(key))
        text = f"back-off {pause} restarting failed container={container.name} pod={where}"
        before = self._state.waiting.get(container.name)
        self._state.waiting[container.name] = Waiting("CrashLoopBackOff", text)
        if before is None or before.message != text:
            message = f"Back-off restarting failed container {container.name} in pod {where}"
            self._s.events.event(container_reference(self._state.pod, container), "Warning", "BackOff", message)

    async def _prune(self, statuses: list[v.ContainerStatus]) -> None:
        """Removes dead containers beyond the one whose log may still be asked for."""
        groups: dict[str, list[v.ContainerStatus]] = {}
        for s in sorted(statuses, key=lambda s: (s.metadata.attempt, s.created_at), reverse=True):
            groups.setdefault(s.metadata.name, []).append(s)
        for group in groups.values():
            dead = [s for s in group[1:] if s.state != "running"]
            for s in dead[DEAD_CONTAINERS_KEPT:]:
                await self._s.runtime.remove_container(s.id)
                self._state.observer.messages.pop(s.id, None)


def go_duration(seconds: float) -> str:
    """`10s`, `1m20s`, `5m0s`: how Go prints a duration."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
