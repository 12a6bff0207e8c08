"""When that happened which a slice is written for: by it programs measure how long changes take to reach nodes."""

from orlop.api.types import core_v1
from orlop.clock import parse_time
from orlop.control.controller import Key
from orlop.controllers import pods
from orlop.controllers.views import PodView

ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"


class Triggers:
    """Remembers what of each Service has been seen (upstream: endpointslice/util, TriggerTimeTracker)."""

    def __init__(self) -> None:
        self._seen: dict[Key, dict[str, str]] = {}

    def forget(self, key: Key) -> None:
        self._seen.pop(key, None)

    def oldest_change(self, key: Key, service: core_v1.Service, members: list[PodView]) -> str | None:
        """The time of the oldest change since the last call: the Service's creation, a pod's readiness. None: none."""
        times = {"": service.metadata.creation_timestamp}
        for pod in members:
            condition = pods.ready_condition(pod)
            if condition is not None and condition.last_transition_time:
                times[pod.metadata.name] = condition.last_transition_time
        before = self._seen.get(key, {})
        self._seen[key] = times
        changed = [time for name, time in times.items() if time and (name not in before or _later(time, before[name]))]
        return min(changed, key=parse_time, default=None)


def _later(time: str, than: str) -> bool:
    return time != than and parse_time(time) > parse_time(than)
