"""From observations to conditions."""

from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.pressure import Pressure
from orlop.kubelet.eviction.signals import Observation
from orlop.kubelet.eviction.thresholds import Threshold, Value, parse

SHORT = {signals.MEMORY: Observation(5, 1000)}
ENOUGH = {signals.MEMORY: Observation(500, 1000)}
BOTH = {**SHORT, signals.NODEFS: Observation(5, 1000)}
HARD = Threshold(signals.MEMORY, Value(10))
SOFT = Threshold(signals.MEMORY, Value(100), grace_period=60.0)


def test_a_hard_threshold_acts_at_once() -> None:
    pressure = Pressure([HARD], 300.0)
    assert pressure.observe(ENOUGH, 0.0) == []
    assert pressure.conditions == ()
    assert pressure.observe(SHORT, 10.0) == [HARD]
    assert pressure.conditions == ("MemoryPressure",)


def test_a_soft_one_tells_at_once_and_acts_after_its_grace_period() -> None:
    pressure = Pressure([SOFT], 300.0)
    assert pressure.observe(SHORT, 0.0) == []
    assert pressure.conditions == ("MemoryPressure",)
    assert pressure.observe(SHORT, 59.0) == []
    assert pressure.observe(SHORT, 60.0) == [SOFT]
    assert pressure.observe(ENOUGH, 70.0) == []
    assert pressure.observe(SHORT, 80.0) == [], "the time begins anew"


def test_the_condition_stays_for_the_transition_period() -> None:
    pressure = Pressure([HARD], 300.0)
    pressure.observe(SHORT, 0.0)
    for now in (10.0, 299.0):
        assert pressure.observe(ENOUGH, now) == []
        assert pressure.conditions == ("MemoryPressure",)
    pressure.observe(ENOUGH, 300.0)
    assert pressure.conditions == ()


def test_without_a_transition_period_it_goes_with_the_shortage() -> None:
    pressure = Pressure([HARD], 0.0)
    pressure.observe(SHORT, 0.0)
    assert pressure.conditions == ("MemoryPressure",)
    pressure.observe(ENOUGH, 10.0)
    assert pressure.conditions == ()


def test_minimum_reclaim_keeps_it_going() -> None:
    greedy = Threshold(signals.MEMORY, Value(10), min_reclaim=Value(100))
    pressure = Pressure([greedy], 0.0)
    between = {signals.MEMORY: Observation(50, 1000)}
    assert pressure.observe(between, 0.0) == [], "it was never met"
    assert pressure.observe(SHORT, 10.0) == [greedy]
    assert pressure.observe(between, 20.0) == [greedy]
    assert pressure.conditions == ("MemoryPressure",)
    assert not pressure.is_relieved(between)
    assert pressure.is_relieved(ENOUGH)
    assert pressure.observe(ENOUGH, 30.0) == []
    assert pressure.observe(between, 40.0) == []


def test_memory_goes_before_disk() -> None:
    thresholds = parse({"nodefs.available": "10", "memory.available": "10"})
    urgent = Pressure(thresholds, 0.0).observe(BOTH, 0.0)
    assert [t.signal for t in urgent] == [signals.MEMORY, signals.NODEFS]
