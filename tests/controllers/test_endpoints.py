"""Endpoints: at most so many addresses, ready ones first."""

import itertools

import pytest

from orlop.api.types import core_v1
from orlop.controllers.endpoints import CAPACITY, fit


def subset(ready: int, not_ready: int, port: int) -> core_v1.EndpointSubset:
    numbers = itertools.count()
    make = lambda count: [core_v1.EndpointAddress(ip=f"10.{port}.0.{next(numbers)}") for _ in range(count)]  # noqa: E731
    return core_v1.EndpointSubset(
        addresses=make(ready), not_ready_addresses=make(not_ready), ports=[core_v1.EndpointPort(port=port)]
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([(CAPACITY, 0)], [(1000, 0)]),
        ([(1200, 300)], [(1000, 0)]),
        ([(1200, 5), (600, 5)], [(667, 0), (333, 0)]),
        ([(700, 900)], [(700, 300)]),
        ([(400, 900), (100, 300)], [(400, 375), (100, 125)]),
    ],
)
def test_shares(given: list[tuple[int, int]], expected: list[tuple[int, int]]) -> None:
    subsets = [subset(ready, not_ready, port) for port, (ready, not_ready) in enumerate(given, 1)]
    kept, truncated = fit(subsets)
    assert [(len(s.addresses), len(s.not_ready_addresses)) for s in kept] == expected
    assert truncated == (given != expected)
