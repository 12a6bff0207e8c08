"""The seeded world with everything in it: whatever gets lost, certain things never are, and in the end all is at rest.

A failing seed fails again, as the same test. A campaign's seed alone, which sails farther than one of `make test`:
`ORLOP_SEED=17 .venv/bin/python -m pytest tests/testing/test_voyages.py -k one_seed`.
"""

import os

import pytest

from orlop.testing import World, simulate
from tests.support.campaign import CAMPAIGN, campaign, times
from tests.testing.voyage import Voyage

SEED = os.environ.get("ORLOP_SEED")
STEPS = 25 if CAMPAIGN or SEED else 12
"""What happens in one voyage: a short one fails at other seeds than a long one."""


async def voyage(world: World) -> None:
    one = Voyage(world)
    await one.sail(STEPS)
    await one.land()


@campaign(seconds=120)
@pytest.mark.parametrize("seed", range(times(short=3, long=25)))
def test_a_voyage(seed: int) -> None:
    simulate(voyage, seed)


if SEED:

    def test_one_seed() -> None:
        simulate(voyage, int(SEED))
