"""When a decision was made: the revisions that the scheduler's caches had, and the decision's number.

The scheduler writes it on the event that it tells of the decision anyway (FailedScheduling, Scheduled), so it costs no
request, outlives the scheduler, and goes when the event does.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from orlop.client import Informer
from orlop.scheduler.queue import Item

ANNOTATION = "orlop/decided-at"
"""On events of the scheduler."""


class Stamp(NamedTuple):
    """What a decision was made on."""

    run: str
    """The scheduler's process: numbers count within it."""
    number: int
    """Decisions with a smaller number were counted in, also where the API did not tell of them yet."""
    revisions: Mapping[str, str]
    """The resourceVersion of each resource, by its name without the group."""

    def text(self) -> str:
        """As it is written."""
        return f"{self.run} {self.number} {' '.join(f'{name}={at}' for name, at in self.revisions.items())}"


class Stamper:
    """Stamps pods with what they are about to be decided on."""

    def __init__(self, run: str, informers: Sequence[Informer[Any]]) -> None:
        """`informers` fill the table that decisions are made on; `run` is this process's own name."""
        self._run = run
        self._informers = informers
        self._number = 0

    def stamp(self, items: Iterable[Item]) -> None:
        """To be called in the order of the decisions, before they are made."""
        revisions = {of.resource.rpartition("/")[2]: of.resource_version for of in self._informers}
        for item in items:
            self._number += 1
            item.decided = Stamp(self._run, self._number, revisions).text()


def parse(text: str) -> Stamp | None:
    """What `Stamp.text` wrote; None for anything else."""
    match text.split():
        case [run, number, *revisions] if number.isdecimal() and all("=" in word for word in revisions):
            return Stamp(run, int(number), dict(word.split("=", 1) for word in revisions))
    return None


def of(annotations: Mapping[str, str]) -> Stamp | None:
    """The stamp on an object, if it has one."""
    return parse(annotations.get(ANNOTATION, ""))
