"""One pod on this node, from its arrival until nothing of it is left. One task per pod.

Life: running → (told to end, deadline passed, or all containers ended) terminating → terminated → gone.
A worker that has nothing to do sleeps without a timer: events of the runtime, probes and watches wake it.
"""

import asyncio
import math

from orlop import logging, tasks
from orlop.api.types import core_v1
from orlop.clock import parse_time
from orlop.kubelet import killing
from orlop.kubelet.ended import EVICTED, Ended
from orlop.kubelet.observer import Observation
from orlop.kubelet.podstate import PodState
from orlop.kubelet.runtime import values as v
from orlop.kubelet.services import Services
from orlop.kubelet.status import KUBELET_CONDITIONS, TERMINAL
from orlop.kubelet.syncpod import Syncer

log = logging.get("kubelet")

RETRY_FIRST, RETRY_MAX = 0.5, 30.0
"""Seconds between tries of a step that failed."""

NEVER = math.inf
"""No next look but by an event."""


class PodWorker:
    """Drives one pod until it is gone from the node and the API."""

    def __init__(self, services: Services, pod: core_v1.Pod) -> None:
        self._s = services
        self._state = PodState(services, pod)
        self._syncer = Syncer(self._state)
        self._wake = asyncio.Event()
        self._finished = False
        self._done = asyncio.Event()
        self.admitted = bool(pod.status.start_time)
        """The node has taken the pod on, in this run or an earlier one."""
        self.released = pod.status.phase in TERMINAL
        """Nothing of the pod runs any more, or will: what it asked for is free."""

    @property
    def pod(self) -> core_v1.Pod:
        """The API's newest version of the pod."""
        return self._state.pod

    @property
    def ip(self) -> str:
        """The address its probes go to; "" without one."""
        return self._state.ip

    def update(self, pod: core_v1.Pod) -> None:
        """A newer version of the pod from the API."""
        old = self._state.pod
        self._state.update(pod)
        if pod.metadata.labels != old.metadata.labels or pod.metadata.annotations != old.metadata.annotations:
            self._syncer.volumes_stale = True
        if _news(old, pod):
            self._wake.set()
        elif pod.status != old.status:
            self._state.notice()

    def remove(self) -> None:
        """The pod is gone from the API."""
        self._state.remove()
        self._wake.set()

    def wake(self, *, volumes: bool = False) -> None:
        """Something happened: a container ended, a probe changed, with `volumes` an object it mounts changed."""
        self._syncer.volumes_stale = self._syncer.volumes_stale or volumes
        self._wake.set()

    @property
    def counts(self) -> bool:
        """Whether the pod has a claim on the node's resources."""
        return self.admitted and not self.released and not self._state.gone

    @property
    def grace(self) -> float:
        """Seconds that its containers have to end."""
        return self._state.grace

    def end(self, how: Ended) -> None:
        """The node ends the pod; it stays in the API as Failed."""
        self._state.end(how)
        self._wake.set()

    async def done(self) -> None:
        """Returns when the pod has ended here."""
        await self._done.wait()

    async def run(self) -> None:
        """Works until the pod is gone. Whatever goes wrong is tried again, ever more seldom."""
        pause = RETRY_FIRST
        try:
            while True:
                self._wake.clear()
                try:
                    delay = await self._step()
                    pause = RETRY_FIRST
                except Exception as error:
                    where = f"{self.pod.metadata.namespace}/{self.pod.metadata.name}"
                    log.warning("Error syncing pod, skipping", extra={"pod": where, "err": error}, exc_info=error)
                    self._s.events.event(self.pod, "Warning", "FailedSync", f"error determining status: {error}")
                    delay, pause = pause, min(pause * 2, RETRY_MAX)
                if delay is None:
                    return
                await self._sleep(delay)
        finally:
            self.released = True
            self._done.set()
            self._s.stopped(self._state.uid)

    async def _admit(self) -> None:
        """Asks whether the node takes the pod on, unless it has already, or the pod is to end anyway."""
        state = self._state
        if self.admitted or state.stopping.is_set() or state.phase:
            return
        refused = await self._s.admit(self.pod, self._taken)
        if refused is not None:
            self._s.events.event(self.pod, "Warning", refused.reason, refused.message)
            state.end(refused)

    def _taken(self) -> None:
        self.admitted = True

    async def _sleep(self, seconds: float) -> None:
        """Until woken, or `seconds` have passed."""
        if seconds == NEVER:
            await self._wake.wait()
        elif not self._wake.is_set():
            await tasks.first(self._s.clock.sleep(seconds), self._woken())

    async def _woken(self) -> None:
        await self._wake.wait()

    async def _step(self) -> float | None:
        """One look and one step. Seconds until the next look without an event; None: the pod is gone."""
        state = self._state
        if self._finished and not state.ending.is_set():
            return NEVER
        await self._admit()
        seen = await state.observer.look(state.pod)
        if state.ending.is_set():
            return await self._terminate(seen)
        deadline = self._deadline()
        if deadline <= 0 and not state.phase:
            state.phase, state.reason = "Failed", "DeadlineExceeded"
            state.message = "Pod was active on the node longer than the specified deadline"
            self._s.events.event(state.pod, "Normal", "DeadlineExceeded", state.message)
        if state.phase:
            return await self._finish(seen)
        delay = await self._syncer.sync(seen)
        if delay is None:
            return await self._finish(await state.observer.look(state.pod))
        # The first status tells the start time; the deadline counts from there.
        return min(delay, self._deadline())

    def _deadline(self) -> float:
        """Seconds until activeDeadlineSeconds are over."""
        seconds, start = self.pod.spec.active_deadline_seconds, self._state.start_time()
        if seconds is None or not start:
            return NEVER
        return parse_time(start) + seconds - self._s.clock.now()

    # The end

    async def _finish(self, seen: Observation) -> float:
        """The pod has ended but stays in the API: everything stops, dead containers keep their logs."""
        state = self._state
        state.waiting.clear()
        running = [s for s in seen.statuses if s.state == "running"]
        if running:
            self._s.prober.stop_liveness(seen.statuses)
            state.publish(seen.sandbox, seen.statuses)
            if not await self._end(running):
                return 0.0
            seen = await state.observer.look(state.pod)
        self.released = True
        self._s.prober.forget(state.uid)
        state.publish(seen.sandbox, seen.statuses)
        for sandbox in seen.sandboxes:
            await self._s.runtime.stop_pod_sandbox(sandbox.id)
        await self._let_go()
        if not self._s.config.simulated:
            await self._s.volumes.unmount(state.uid)
        seen = await state.observer.look(state.pod)
        state.publish(seen.sandbox, seen.statuses)
        if state.reason == EVICTED:
            # It went to give something back: not even its dead containers stay (upstream: PodIsEvicted).
            for sandbox in seen.sandboxes:
                await self._s.runtime.remove_pod_sandbox(sandbox.id)
        self._finished = True
        self._done.set()
        return NEVER

    async def _terminate(self, seen: Observation) -> float | None:
        """Ends the containers, tells their last states, frees everything, then deletes the pod from the API."""
        state = self._state
        running = [s for s in seen.statuses if s.state == "running"]
        if running:
            self._s.prober.stop_liveness(seen.statuses)
            await self._end(running)
            return 0.0
        self.released = True
        self._s.prober.forget(state.uid)
        state.waiting.clear()
        state.publish(seen.sandbox, seen.statuses, terminated=True)
        for sandbox in seen.sandboxes:
            await self._s.runtime.stop_pod_sandbox(sandbox.id)
            await self._s.runtime.remove_pod_sandbox(sandbox.id)
        await self._let_go()
        if not self._s.config.simulated:
            await self._s.volumes.tear_down(state.uid)
        if not state.gone:
            await self._s.statuses.settled(state.uid)
            await self._s.statuses.delete(state.pod)
        self._s.statuses.forget(state.uid)
        return None

    async def _end(self, running: list[v.ContainerStatus]) -> bool:
        """Ends these containers. False: the pod was given less time meanwhile, so it is to be done again."""
        grace, was_ending = self._state.grace, self._state.ending.is_set()
        ends = asyncio.ensure_future(killing.kill_all(self._state, running))
        try:
            while not ends.done():
                woken = asyncio.ensure_future(self._woken())
                await asyncio.wait([ends, woken], return_when=asyncio.FIRST_COMPLETED)
                woken.cancel()
                self._wake.clear()
                hurried = self._state.grace < grace or (self._state.ending.is_set() and not was_ending)
                if hurried and not ends.done():
                    return False
            await ends
        finally:
            ends.cancel()
            await asyncio.gather(ends, return_exceptions=True)
        return True

    async def _let_go(self) -> None:
        """What was kept for starting its containers is not needed any more."""
        uid = self._state.uid
        for backoff in (self._s.restarts, self._s.pulls, self._s.retries):
            backoff.forget(uid)
        if not self._s.config.simulated:
            self._s.sources.release(uid)


def _news(old: core_v1.Pod, new: core_v1.Pod) -> bool:
    """Whether the pod differs in something this node acts on: most updates only repeat what it has told itself."""

    def told_by_others(pod: core_v1.Pod) -> object:
        m = pod.metadata
        conditions = [(c.type, c.status) for c in pod.status.conditions if c.type not in KUBELET_CONDITIONS]
        return m.deletion_timestamp, m.deletion_grace_period_seconds, m.labels, m.annotations, m.generation, conditions

    if told_by_others(old) != told_by_others(new) or old.spec != new.spec:
        return True
    return old.status.phase != new.status.phase and new.status.phase in ("Failed", "Succeeded")
