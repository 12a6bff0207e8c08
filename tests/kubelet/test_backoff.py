"""Pauses between restarts."""

from orlop.clock import FakeClock
from orlop.kubelet.backoff import Backoff


async def test_the_first_restart_is_at_once_then_10_20_40_to_300_seconds() -> None:
    clock = FakeClock()
    backoff = Backoff(clock)
    pauses = []
    for _ in range(7):
        ended = clock.now()
        pauses.append(backoff.remaining("k", ended))
        await clock.advance(pauses[-1])
        backoff.next("k", ended)
    assert pauses == [0, 10, 20, 40, 80, 160, 300]


async def test_a_container_that_ran_ten_minutes_starts_anew() -> None:
    clock = FakeClock()
    backoff = Backoff(clock)
    for _ in range(3):
        backoff.next("k", clock.now())
    await clock.advance(601)
    assert backoff.remaining("k", clock.now()) == 0
    backoff.next("k", clock.now())
    assert backoff.pause("k") == 10
