"""The seeded world with everything in it: whatever gets lost, certain things never are, and in the end all is at rest.

The seed also says how rough it is: how late and how often things get lost, how long watches, processes and the API
server live. A failing seed fails again, as the same test. A campaign's seed alone, which is longer than one of
`make test`: `ORLOP_SEED=17 .venv/bin/python -m pytest tests/testing/test_histories.py -k one_seed`.
"""

import os
from random import Random

import pytest

from orlop.testing import Faults, World, simulate
from tests.support.campaign import CAMPAIGN, campaign, times
from tests.testing.history import History

SEED = os.environ.get("ORLOP_SEED")
STEPS = 25 if CAMPAIGN or SEED else 12
"""What happens in one history: a short one fails at other seeds than a long one."""
SMALL = 6
"""The same of a small world, of which many can be looked at."""


def rough(seed: int) -> Faults:
    chance = Random(seed)
    return Faults(
        delay=chance.choice([0.01, 0.05, 0.3]),
        lost=chance.choice([0, 0.02, 0.1]),
        unanswered=chance.choice([0, 0.02, 0.1]),
        held=chance.choice([0, 0.02, 0.1]),
        watch=chance.choice([20, 60]),
        life=chance.choice([0, 30, 120]),
        server_life=chance.choice([0, 30, 120]),
    )


async def history(world: World) -> None:
    one = History(world)
    await one.play(STEPS)
    await one.end()


@campaign(seconds=120)
@pytest.mark.parametrize("seed", range(times(short=3, long=25)))
def test_a_random_history(seed: int) -> None:
    simulate(history, seed, faults=rough(seed))


async def small_history(world: World) -> None:
    one = History(world, most=4)
    await one.play(SMALL)
    await one.end()


@campaign(seconds=60)
@pytest.mark.parametrize("seed", range(10_000, 10_000 + times(short=5, long=200)))
def test_a_small_history(seed: int) -> None:
    simulate(small_history, seed, nodes=2, faults=rough(seed))


if SEED:

    def test_one_seed() -> None:
        simulate(history, int(SEED), faults=rough(int(SEED)))
