"""Sets of completion indexes, kept and written as upstream does: `0-2,5` (pkg/controller/job/indexed_job_utils.go)."""

from bisect import bisect_left
from collections.abc import Iterable
from contextlib import suppress

from orlop.controllers.views import PodView

INDEX = "batch.kubernetes.io/job-completion-index"
"""The annotation, and the label, that says which index a pod is for."""


class Indexes:
    """A set of indexes as sorted intervals: its size is that of its text, however many indexes there are."""

    __slots__ = ("_spans",)

    def __init__(self, spans: Iterable[tuple[int, int]] = ()) -> None:
        """`spans` are pairs of first and last, in any order; they may touch and overlap."""
        merged: list[tuple[int, int]] = []
        for first, last in sorted(spans):
            if merged and first <= merged[-1][1] + 1:
                merged[-1] = (merged[-1][0], max(last, merged[-1][1]))
            else:
                merged.append((first, last))
        self._spans = merged

    @classmethod
    def parse(cls, text: str | None, completions: int) -> "Indexes":
        """The indexes below `completions` that the text names; parts that cannot be read are left out."""
        spans = []
        for part in (text or "").split(","):
            first, hyphen, last = part.partition("-")
            with suppress(ValueError):
                low, high = int(first), int(last if hyphen else first)
                if low <= high and low < completions:
                    spans.append((low, min(high, completions - 1)))
        return cls(spans)

    def __str__(self) -> str:
        return ",".join(
            str(first) if first == last else f"{first},{last}" if last == first + 1 else f"{first}-{last}"
            for first, last in self._spans
        )

    def __repr__(self) -> str:
        return f"Indexes({self})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Indexes) and self._spans == other._spans

    __hash__ = None  # type: ignore[assignment]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in self._spans)

    def __contains__(self, index: int) -> bool:
        at = bisect_left(self._spans, index, key=lambda span: span[1])
        return at < len(self._spans) and self._spans[at][0] <= index

    def plus(self, indexes: Iterable[int]) -> "Indexes":
        """These and those."""
        return Indexes([*self._spans, *((i, i) for i in indexes)])

    def union(self, other: "Indexes") -> "Indexes":
        return Indexes([*self._spans, *other._spans])

    def common(self, other: "Indexes") -> int:
        """How many indexes both have."""
        count = i = j = 0
        while i < len(self._spans) and j < len(other._spans):
            (a, b), (c, d) = self._spans[i], other._spans[j]
            count += max(0, min(b, d) - max(a, c) + 1)
            if b < d:
                i += 1
            else:
                j += 1
        return count

    def first_missing(self, count: int, completions: int) -> list[int]:
        """The lowest indexes below `completions` that are not in the set, at most `count`."""
        missing: list[int] = []
        candidate = 0
        for first, last in [*self._spans, (completions, completions)]:
            end = min(first, completions, candidate + count - len(missing))
            missing.extend(range(candidate, end))
            candidate = max(candidate, last + 1)
            if len(missing) >= count:
                break
        return missing


def index_of(pod: PodView) -> int | None:
    """The pod's index; None if it has none that can be read."""
    text = pod.metadata.annotations.get(INDEX, "")
    return int(text) if text.isascii() and text.isdecimal() else None


def indexes_of(pods: Iterable[PodView]) -> set[int]:
    return {index for pod in pods if (index := index_of(pod)) is not None}
