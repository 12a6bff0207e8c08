"""One way to write a benchmark, two to take its figure: pytest-benchmark times it, and under valgrind its instructions
are counted (`make bench-check`)."""

import gc
from collections.abc import Callable
from typing import Any

import pytest

from benches.counting.marks import Marks

WARM = 20
"""Calls before those that count: the interpreter learns in the first."""
COUNTED = 20


class Counter:
    """What pytest-benchmark's fixture is, as far as the benchmarks here use it."""

    def __init__(self, name: str, marks: Marks) -> None:
        self._name = name
        self._marks = marks
        self.extra_info: dict[str, Any] = {}

    def __call__(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        for _ in range(WARM):
            work(*args, **kwargs)

        def several() -> Any:
            for _ in range(COUNTED):
                made = work(*args, **kwargs)
            return made

        return self._count(several, COUNTED)

    def pedantic(
        self,
        target: Callable[..., Any],
        args: Any = (),
        kwargs: dict[str, Any] | None = None,
        setup: Callable[[], Any] | None = None,
        rounds: int = 1,
        warmup_rounds: int = 1,
        iterations: int = 1,
    ) -> Any:
        """One round counts; `setup` gives its arguments anew each time, and does not count."""

        def arguments() -> tuple[Any, dict[str, Any]]:
            return (setup() if setup else None) or (args, kwargs or {})

        for _ in range(max(1, warmup_rounds)):
            words, named = arguments()
            target(*words, **named)
        words, named = arguments()
        return self._count(lambda: target(*words, **named), 1)

    def _count(self, work: Callable[[], Any], times: int) -> Any:
        gc.collect()
        gc.disable()
        try:
            made = self._marks.counted(self._name, work)
        finally:
            gc.enable()
        print(f"\n{self._name}\t{times * self.extra_info.get('units', 1)}")
        return made


_marks: Marks | None = None


def marks() -> Marks | None:
    """None where nothing is counted: benches/rust may not even be built."""
    global _marks
    if _marks is None:
        try:
            _marks = Marks()
        except OSError:
            return None
    return _marks if _marks.possible else None


def figure(request: pytest.FixtureRequest) -> str:
    """A benchmark's name is the first line of its docstring."""
    return "python: " + (request.function.__doc__ or request.node.name).strip().splitlines()[0].rstrip(".")


if marks() is not None:

    @pytest.fixture
    def benchmark(request: pytest.FixtureRequest) -> Counter:
        found = marks()
        assert found is not None
        return Counter(figure(request), found)
