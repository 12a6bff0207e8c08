"""Tells the API why a pod is not scheduled: its condition PodScheduled and an event."""

from typing import Any, Literal

from orlop import logging
from orlop.api import errors
from orlop.api.types import core_v1
from orlop.client import Client, Head, Recorder
from orlop.clock import Clock, rfc3339
from orlop.scheduler.explain.stamp import ANNOTATION
from orlop.scheduler.queue import Item
from orlop.tasks import Group, run_all

MAX_PATCHES = 16
"""Status patches in flight at a time."""
NOTE_LIMIT = 1024
"""Longest message of an event (core validation's NoteLengthLimit); the condition's has no limit."""
GATED_MESSAGE = "Scheduling is blocked due to non-empty scheduling gates"

Reason = Literal["Unschedulable", "SchedulingGated", "SchedulerError"]

_log = logging.get("scheduler")


class PodHead(Head):
    """What the scheduler's cache holds of a pod; all else is in the core's table."""

    __kind__ = core_v1.Pod


class Reporter:
    """Writes events and conditions. `run` does the writing; the other methods return at once and never raise."""

    def __init__(self, client: Client, clock: Clock, names: list[str]) -> None:
        self._client = client
        self._clock = clock
        self._recorders = {name: Recorder(client, clock, name) for name in names}
        self._waiting: dict[str, tuple[Item, Reason, str, str | None]] = {}
        self._patching: set[str] = set()
        self._group = Group(self._failed)

    @property
    def idle(self) -> bool:
        """All that was told has been written."""
        return not self._waiting and not self._patching and all(r.idle for r in self._recorders.values())

    async def run(self) -> None:
        """Writes until cancelled."""
        async with self._group:
            await run_all(*(recorder.run() for recorder in self._recorders.values()))

    def scheduled(self, item: Item, node: str) -> None:
        """The pod is bound."""
        message = f"Successfully assigned {item.namespace}/{item.name} to {node}"
        self._event(item, "Normal", "Scheduled", message, "Binding")

    def skipped(self, item: Item) -> None:
        """The pod is being deleted and is not scheduled any more."""
        message = f"skip schedule deleting pod: {item.namespace}/{item.name}"
        self._event(item, "Warning", "FailedScheduling", message, "Scheduling")

    def preempted(self, item: Item, victim: tuple[str, str, str], node: str) -> None:
        """A pod was deleted to make room for `item` on a node."""
        namespace, name, uid = victim
        about = core_v1.ObjectReference(api_version="v1", kind="Pod", namespace=namespace, name=name, uid=uid)
        message = f"Preempted by pod {item.uid} on node {node}"
        recorder = self._recorders[item.scheduler_name]
        recorder.event(about, "Normal", "Preempted", message, related=_reference(item), action="Preempting")

    def failed(self, item: Item, reason: Reason, message: str, nominated: str | None = None) -> None:
        """The pod was refused by all nodes, or its attempt failed. `nominated` is the node on which room is being made
        for it, "" for none any more; None leaves what is there."""
        note = message if len(message) <= NOTE_LIMIT else message[: NOTE_LIMIT - 4] + " ..."
        self._event(item, "Warning", "FailedScheduling", note, "Scheduling")
        self.condition(item, reason, message, nominated)

    def condition(self, item: Item, reason: Reason, message: str, nominated: str | None = None) -> None:
        """Sets the pod's condition PodScheduled to False for this reason, unless it says so already, and its
        nomination (see `failed`)."""
        if item.condition == ("False", reason, message) and nominated in (None, item.nominated):
            return
        if nominated is None and item.uid in self._waiting:
            nominated = self._waiting[item.uid][3]
        self._waiting[item.uid] = (item, reason, message, nominated)
        self._start()

    def _event(self, item: Item, type: Literal["Normal", "Warning"], reason: str, message: str, action: str) -> None:
        annotations = {ANNOTATION: item.decided} if item.decided else None
        recorder = self._recorders[item.scheduler_name]
        recorder.event(_reference(item), type, reason, message, action=action, annotations=annotations)

    def _start(self) -> None:
        while len(self._patching) < MAX_PATCHES:
            # One at a time for a pod: a later condition must not be overtaken by an earlier one.
            uid = next((uid for uid in self._waiting if uid not in self._patching), None)
            if uid is None:
                return
            self._patching.add(uid)
            self._group.start("pod condition", self._patch(*self._waiting.pop(uid)))

    async def _patch(self, item: Item, reason: Reason, message: str, nominated: str | None) -> None:
        condition: dict[str, Any] = {"type": "PodScheduled", "status": "False", "reason": reason, "message": message}
        if item.generation:
            condition["observedGeneration"] = item.generation
        if item.condition is None or item.condition[0] != "False":
            condition["lastTransitionTime"] = rfc3339(self._clock.now())
        status: dict[str, Any] = {"conditions": [condition]}
        if nominated is not None and nominated != item.nominated:
            status["nominatedNodeName"] = nominated or None
        patch = {"metadata": {"uid": item.uid}, "status": status}
        try:
            await self._client.patch(PodHead, item.name, item.namespace, patch, type="strategic", subresource="status")
            item.condition = ("False", reason, message)
            item.nominated = item.nominated if nominated is None else nominated
        except (errors.NotFound, errors.Conflict):
            pass  # it is gone, or another one by now
        except errors.ApiError as error:
            # The next refusal tries again.
            _log.warning("error updating pod", extra={"pod": f"{item.namespace}/{item.name}", "error": str(error)})
        finally:
            self._patching.discard(item.uid)
            self._start()

    def _failed(self, name: str, error: BaseException) -> None:
        _log.error("task failed", extra={"task": name}, exc_info=error)


def _reference(item: Item) -> core_v1.ObjectReference:
    return core_v1.ObjectReference(api_version="v1", kind="Pod", namespace=item.namespace, name=item.name, uid=item.uid)
