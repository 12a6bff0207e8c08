"""What the benchmarks of `orlop bench` wait for, and how they tell a difference from noise."""

import asyncio

import pytest

from orlop.bench.beside import compared
from orlop.bench.progress import progressing


async def test_what_stands_still_is_given_up() -> None:
    with pytest.raises(TimeoutError):
        async with progressing(lambda: 7, stall=0.05):
            await asyncio.Event().wait()


async def test_what_comes_on_is_waited_for() -> None:
    looks = 0

    def more() -> int:
        nonlocal looks
        looks += 1
        return looks

    async with progressing(more, stall=0.2):  # seen to come on ten times, which takes longer than it may stand still
        while looks < 10:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


def test_a_machine_that_becomes_slower_is_no_difference() -> None:
    times, noise = compared([1.0, 2.0, 4.0, 8.0], [1.5, 3.0, 6.0])
    assert times == 1.0
    assert noise == 2.0


def test_what_is_dearer_in_every_turn_is_seen() -> None:
    assert compared([1.0, 1.1, 1.0, 1.1], [2.1, 2.1, 2.1]) == (pytest.approx(2.0), pytest.approx(1.1))
