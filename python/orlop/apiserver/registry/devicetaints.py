"""Since when devices are tainted: the server's time, where whoever taints them does not say.

Upstream: SetDefaults_DeviceTaint in pkg/apis/resource/v1/defaults.go, pkg/registry/resource/devicetaintrule.
"""

from collections.abc import Iterable

from orlop.api.types import resource_v1
from orlop.apiserver.registry.transactions import Hooks, Transaction
from orlop.clock import Clock, rfc3339

RULES, SLICES = "resource.k8s.io/devicetaintrules", "resource.k8s.io/resourceslices"


class DeviceTaintTimes(Hooks):
    """Of DeviceTaintRules and of ResourceSlices: how long a claim tolerates a taint is counted from then."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def create(self, new: "Tainting", dry_run: bool) -> Transaction | None:
        self._date(new, ())
        return None

    async def update(self, new: "Tainting", old: "Tainting", dry_run: bool) -> Transaction | None:
        """A taint that was there keeps its time; with another effect it is another."""
        if isinstance(new, resource_v1.DeviceTaintRule) and isinstance(old, resource_v1.DeviceTaintRule):
            taint, before = new.spec.taint, old.spec.taint
            if taint.effect != before.effect and taint.time_added == before.time_added:
                taint.time_added = None
        self._date(new, _taints(old))
        return None

    def _date(self, obj: "Tainting", known: Iterable[tuple[str, resource_v1.DeviceTaint]]) -> None:
        missing = [(where, taint) for where, taint in _taints(obj) if taint.time_added is None]
        if not missing:
            return
        times = {(where, t.key, t.value, t.effect): t.time_added for where, t in known}
        now = rfc3339(self._clock.now())
        for where, taint in missing:
            taint.time_added = times.get((where, taint.key, taint.value, taint.effect)) or now


Tainting = resource_v1.DeviceTaintRule | resource_v1.ResourceSlice


def _taints(obj: Tainting) -> list[tuple[str, resource_v1.DeviceTaint]]:
    """The taints, and what they are of."""
    if isinstance(obj, resource_v1.DeviceTaintRule):
        return [("", obj.spec.taint)]
    return [(device.name, taint) for device in obj.spec.devices for taint in device.taints]
