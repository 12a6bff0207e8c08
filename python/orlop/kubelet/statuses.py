"""Sends pod statuses to the API: the newest of each pod, again until it has arrived, never holding up a worker."""

import asyncio
from contextlib import suppress
from typing import Any

import msgspec

from orlop import logging, tasks
from orlop.api import errors
from orlop.api.types import core_v1
from orlop.client.client import Client
from orlop.clock import Clock, timeout
from orlop.kubelet.status import DISRUPTION_TARGET, KUBELET_CONDITIONS

log = logging.get("kubelet")

RETRY_SECONDS = (0.2, 1.0, 5.0, 10.0)
"""Pauses between tries while the API cannot be reached."""
BETTER_NEWS = 1.0
"""Seconds that a pod's being Pending without a reason is held back: where its containers start one write tells both."""
EXPECTED = frozenset({"ContainerCreating", "PodInitializing"})
"""Why containers wait that are being started: nobody learns anything from it."""
AT_ONCE = 4
"""Statuses of a node that are sent at a time (upstream: one). Those that wait are replaced by newer ones; more
would be more connections, each of which costs both sides more than a status does."""

PATIENCE = 2.0
"""Seconds that a node's next event lets statuses go first: what a pod is before what happened to it."""


class StatusManager:
    """One node's statuses on their way."""

    def __init__(self, client: Client, clock: Clock, group: tasks.Group) -> None:
        self._client = client
        self._clock = clock
        self._group = group
        self._wanted: dict[str, tuple[core_v1.Pod, core_v1.PodStatus]] = {}
        self._sending: dict[str, asyncio.Task[None]] = {}
        self._held: dict[str, asyncio.Event] = {}
        """By uid: set when there is better news than that the pod is Pending."""
        self._known: dict[str, core_v1.Pod] = {}
        """By uid: the API's answer to what was sent last. The watch may be behind it."""
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._quiet = asyncio.Event()
        self._quiet.set()

    def publish(self, pod: core_v1.Pod, status: core_v1.PodStatus) -> None:
        """The pod's status now; `pod` as the API is known to have it. Nothing is sent when the API has it already."""
        uid = pod.metadata.uid
        if uid not in self._sending:
            known = self._newest(pod).status
            # Told first of whose containers nothing is known: most are, and need no closer look.
            if len(known.container_statuses) == len(status.container_statuses) and not difference(known, status):
                return
        self._wanted[uid] = (pod, status)
        if uid in self._held and not starting(status):
            self._held[uid].set()
        if uid not in self._sending:
            task = self._group.start(f"status {pod.metadata.namespace}/{pod.metadata.name}", self._send(uid))
            self._sending[uid] = task
            self._quiet.clear()

    def _newest(self, pod: core_v1.Pod) -> core_v1.Pod:
        """Of what the watch has told and what the last write was answered, the newer."""
        known = self._known.get(pod.metadata.uid)
        if known is None or int(known.metadata.resource_version) <= int(pod.metadata.resource_version):
            return pod
        return known

    def noticed(self, pod: core_v1.Pod, told: core_v1.PodStatus) -> None:
        """The watch shows this version. Where somebody else has overwritten the kubelet's part of the status, as the
        controllers do when the node seemed lost, what was `told` is told again."""
        known = self._known.get(pod.metadata.uid)
        if known is None or int(known.metadata.resource_version) < int(pod.metadata.resource_version):
            self.publish(pod, told)

    async def _hold(self, uid: str) -> None:
        better = self._held[uid] = asyncio.Event()
        try:
            async with timeout(self._clock, BETTER_NEWS):
                await better.wait()
        except TimeoutError:
            pass
        finally:
            del self._held[uid]

    async def quiet(self) -> None:
        """Returns when no status is on its way, but after a while in any case: what is less urgent waits for it."""
        if not self._quiet.is_set():
            with suppress(TimeoutError):
                async with timeout(self._clock, PATIENCE):
                    await self._quiet.wait()

    async def settled(self, uid: str) -> None:
        """Returns when the newest status of the pod has arrived (or the pod is gone)."""
        task = self._sending.get(uid)
        if task is not None:
            await asyncio.wait([task])

    def forget(self, uid: str) -> None:
        """The pod is gone from the API."""
        self._wanted.pop(uid, None)
        self._known.pop(uid, None)

    async def delete(self, pod: core_v1.Pod) -> None:
        """Removes the pod from the API, now that nothing of it is left here; a pod that is gone already is fine."""
        while True:
            try:
                await self._client.delete(
                    core_v1.Pod, pod.metadata.name, pod.metadata.namespace, grace=0, uid=pod.metadata.uid
                )
                return
            except (errors.NotFound, errors.Conflict):
                return
            except (errors.ApiError, OSError, TimeoutError) as error:
                log.warning("Failed to delete pod", extra={"pod": pod.metadata.name, "err": error})
                await self._clock.sleep(RETRY_SECONDS[1])

    async def _send(self, uid: str) -> None:
        tries, again = 0, False
        try:
            if starting(self._wanted[uid][1]):
                await self._hold(uid)
            while uid in self._wanted:
                try:
                    async with self._turns:
                        if uid not in self._wanted:
                            return
                        pod, status = self._wanted.pop(uid)
                        patch = difference(self._newest(pod).status, status)
                        if not patch:
                            continue
                        answer = await self._client.patch(
                            core_v1.Pod,
                            pod.metadata.name,
                            pod.metadata.namespace,
                            {"metadata": {"uid": uid}, "status": patch},
                            type="strategic",
                            subresource="status",
                        )
                except (errors.NotFound, errors.Conflict):
                    # Gone, or another pod of the same name by now: nothing to tell.
                    self.forget(uid)
                    return
                except Exception as error:
                    self._wanted.setdefault(uid, (pod, status))
                    log.warning("Failed to update status for pod", extra={"pod": pod.metadata.name, "err": error})
                    await self._clock.sleep(RETRY_SECONDS[min(tries, len(RETRY_SECONDS) - 1)])
                    tries += 1
                    continue
                self._known[uid], tries = answer, 0
                if not again and difference(answer.status, status):
                    # Somebody else wrote meanwhile. Once: a server that keeps something else is not to be argued with.
                    again = True
                    self._wanted.setdefault(uid, (answer, status))
        finally:
            self._sending.pop(uid, None)
            if not self._sending:
                self._quiet.set()


def starting(status: core_v1.PodStatus) -> bool:
    """Whether the pod is Pending and all of its containers are on their way, as far as anybody knows."""
    every = (*status.init_container_statuses, *status.container_statuses)
    return status.phase == "Pending" and all(
        s.state.waiting is not None and s.state.waiting.reason in EXPECTED and not s.restart_count for s in every
    )


def difference(old: core_v1.PodStatus, new: core_v1.PodStatus) -> dict[str, Any]:
    """A strategic merge patch that turns the kubelet's part of `old` into `new`; empty when there is nothing to do.

    Conditions are merged by type, so those of others stay; addresses are replaced as a whole.
    """
    if old == new:
        return {}
    before: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(old))
    after: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(new))
    conditions = [c for c in after.pop("conditions", []) if c["type"] in (*KUBELET_CONDITIONS, DISRUPTION_TARGET)]
    known = {c["type"]: c for c in before.pop("conditions", [])}
    patch: dict[str, Any] = {key: value for key, value in after.items() if before.get(key) != value}
    patch |= {key: None for key in before if key not in after}
    # A merge keeps what is not named: a reason that no longer holds is taken out by null.
    changed = [dict.fromkeys(known.get(c["type"], {})) | c for c in conditions if known.get(c["type"]) != c]
    if changed:
        patch["conditions"] = changed
    for key in ("podIPs", "hostIPs"):
        if patch.get(key) and before.get(key):
            patch[key] = [*patch[key], {"$patch": "replace"}]
    return patch
