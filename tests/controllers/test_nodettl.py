"""Sizes of clusters and the seconds that go with them."""

from orlop.controllers.nodettl import STEPS, step_for


def test_steps_up_and_down_overlap() -> None:
    def walk(sizes: range) -> dict[int, int]:
        """The size at which each number of seconds began."""
        nonlocal step
        began: dict[int, int] = {}
        for nodes in sizes:
            step = step_for(nodes, step)
            began.setdefault(STEPS[step].seconds, nodes)
        return began

    step = 0
    assert walk(range(3001)) == {0: 0, 15: 101, 30: 501, 60: 1001, 300: 2001}
    assert walk(range(3000, -1, -1)) == {300: 3000, 60: 1799, 30: 899, 15: 449, 0: 89}


def test_many_nodes_at_once() -> None:
    assert step_for(5000, 0) == 4
    assert step_for(0, 4) == 0
