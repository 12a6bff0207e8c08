"""When a volume came into its phase: the server's time, where whoever changes it does not say."""

from typing import Any

from orlop.apiserver.registry.transactions import Hooks, Transaction
from orlop.clock import Clock, rfc3339

VOLUMES = "persistentvolumes"


class PhaseTimes(Hooks):
    """Of PersistentVolumes (KEP-3762)."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    async def update(self, new: Any, old: Any, dry_run: bool) -> Transaction | None:
        given, before = new.status, old.status
        if given.last_phase_transition_time in (None, before.last_phase_transition_time):
            same = given.phase == before.phase
            given.last_phase_transition_time = before.last_phase_transition_time if same else rfc3339(self._clock.now())
        return None
