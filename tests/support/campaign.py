"""Tests that look for rare faults: a short look in every test run, a long one in `make campaign`."""

import os
from collections.abc import Callable
from typing import Any

import pytest

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "0"))
"""How many times as long; 0 outside of a campaign."""


def campaign(seconds: int) -> Callable[[Any], Any]:
    """Marks a test that takes up to so many seconds, and in a campaign so many times as long."""

    def mark(test: Any) -> Any:
        test = pytest.mark.timeout(seconds * max(1, CAMPAIGN))(test)
        return pytest.mark.campaign(test) if CAMPAIGN else test

    return mark


def times(short: int, long: int) -> int:
    """How often: `short` in every test run, `long` times its length in a campaign."""
    return long * CAMPAIGN if CAMPAIGN else short
