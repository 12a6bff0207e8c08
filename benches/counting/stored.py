"""Figures that are kept in the repository, and whether those of now are worse.

A figure is kept with the commit it was taken at. It is replaced only where it has changed by more than its noise, so
that many small losses do not hide one after the other.
"""

from pathlib import Path

import msgspec

from benches.counting.callgrind import Count

FILE = Path(__file__).parents[1] / "stored.json"

STRANGE = 0.15
"""Added to the noise where the figures were taken with other tools (Python, compiler, valgrind): code of theirs is in
every figure."""


class Figure(msgspec.Struct):
    """One, as it is kept."""

    instructions: float
    """A unit."""
    noise: float
    """Part of it that runs differ by."""
    commit: str


class Stored(msgspec.Struct):
    """The file."""

    machine: str
    tools: dict[str, str]
    figures: dict[str, Figure]


class Row(msgspec.Struct):
    """A figure of now beside the stored one."""

    name: str
    now: float | None
    before: Figure | None
    allowed: float

    @property
    def factor(self) -> float:
        return self.now / self.before.instructions if self.now and self.before else 1.0

    @property
    def lost(self) -> bool:
        return self.factor > 1 + self.allowed

    @property
    def gained(self) -> bool:
        return self.factor < 1 - self.allowed

    @property
    def verdict(self) -> str:
        if self.now is None:
            return "is stored and was not counted: a benchmark is gone, or its figure must be dropped (UPDATE=1)"
        if self.before is None:
            return "is not stored yet (UPDATE=1)"
        change = f"{100 * (self.factor - 1):+.1f} % since {self.before.commit}, {100 * self.allowed:.1f} % is noise"
        return f"LOST: {change}" if self.lost else f"better: {change}" if self.gained else change

    @property
    def bad(self) -> bool:
        """Whether the check fails for it."""
        return self.lost or self.now is None or self.before is None


def load(path: Path = FILE) -> Stored | None:
    return msgspec.json.decode(path.read_bytes(), type=Stored) if path.exists() else None


def save(stored: Stored, path: Path = FILE) -> None:
    path.write_bytes(msgspec.json.format(msgspec.json.encode(stored), indent=1) + b"\n")


def compare(stored: Stored | None, now: dict[str, Count], tools: dict[str, str], *, whole: bool = True) -> list[Row]:
    """Each figure of now and before, by name; of parts that were not counted now only where it is the `whole`."""
    before = stored.figures if stored is not None else {}
    if not whole:
        before = {name: figure for name, figure in before.items() if _part(name) in set(map(_part, now))}
    strange = STRANGE if stored is not None and stored.tools != tools else 0.0
    rows = []
    for name in sorted(before.keys() | now.keys()):
        figure = before.get(name)
        each = now[name].each if name in now else None
        rows.append(Row(name, each, figure, (figure.noise if figure else 0.0) + strange))
    return rows


def updated(
    stored: Stored | None, runs: list[dict[str, Count]], tools: dict[str, str], machine: str, at: str
) -> Stored:
    """With the figures of these runs, which must be of the same benchmarks; the differences between them are noise."""
    before = stored.figures if stored is not None and stored.tools == tools else {}
    parts = set(map(_part, runs[0]))
    figures = {name: figure for name, figure in before.items() if _part(name) not in parts}
    for name in sorted(runs[0]):
        each = [run[name].each for run in runs]
        middle = sum(each) / len(each)
        noise = min(NOISE_MOST, max(least_noise(name), round(3 * (max(each) - min(each)) / middle, 3)))
        kept = before.get(name)
        if kept is not None and abs(middle / kept.instructions - 1) <= max(noise, kept.noise):
            figures[name] = kept
        else:
            figures[name] = Figure(round(middle, 1), noise, at)
    return Stored(machine, tools, dict(sorted(figures.items())))


def _part(name: str) -> str:
    return name.split(":")[0]


NOISE_MOST = 0.2
"""A loss of a fifth is seen whatever two runs said: three times the difference of two is a guess, and where a block of
a gzip list ends is chance."""
NOISE = {"server:": 0.05, "python:": 0.03, "hub: an object of a gzip list": 0.1}
"""By how a name begins. Requests that meet share a wake-up, a commit or a write, or do not; Python's memory and
dictionaries lie a little differently each time; where a compressed block ends is left to chance."""


def least_noise(name: str) -> float:
    """What runs may differ by, however well two of them agree."""
    return next((noise for begin, noise in NOISE.items() if name.startswith(begin)), 0.02)
