"""How fast replicas may change: stabilization windows, policies, limits (KEP-853).

Upstream: pkg/controller/podautoscaler/horizontal.go.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil
from typing import NamedTuple

from orlop.api.types import autoscaling_v2

DOWN_WINDOW = 300
"""Seconds for which the highest recommendation holds against scaling down, where the autoscaler says nothing."""
UP_FACTOR = 2
UP_LEAST = 4
"""Without a behaviour, replicas at most double at a time, but may always grow to the second."""


class Change(NamedTuple):
    replicas: int
    at: float


@dataclass
class History:
    """What was recommended and done, as long as a window or a policy needs it. Kept in memory, as upstream does."""

    recommendations: list[Change] = field(default_factory=list)
    ups: list[Change] = field(default_factory=list)
    downs: list[Change] = field(default_factory=list)

    def begin(self, current: int, now: float) -> None:
        """The first recommendation is what there is: a restart does not scale down at once."""
        if not self.recommendations:
            self.recommendations.append(Change(current, now))

    def scaled(
        self, behavior: autoscaling_v2.HorizontalPodAutoscalerBehavior | None, before: int, after: int, now: float
    ) -> None:
        """Remembers a change for the policies."""
        if behavior is None:
            return
        rules, events = (behavior.scale_up, self.ups) if after > before else (behavior.scale_down, self.downs)
        longest = max((policy.period_seconds for policy in rules.policies), default=0) if rules is not None else 0
        events[:] = [*(event for event in events if event.at >= now - longest), Change(abs(after - before), now)]


class Said(NamedTuple):
    """A condition without its type."""

    status: str
    reason: str
    message: str


class Steady(NamedTuple):
    """The replicas to have, and why."""

    replicas: int
    able: Said
    limited: Said


READY = Said("True", "ReadyForNewScale", "recommended size matches current size")
UP_STABILIZED = Said(
    "True",
    "ScaleUpStabilized",
    "recent recommendations were lower than current one, applying the lowest recent recommendation",
)
DOWN_STABILIZED = Said(
    "True",
    "ScaleDownStabilized",
    "recent recommendations were higher than current one, applying the highest recent recommendation",
)
WITHIN = Said("False", "DesiredWithinRange", "the desired count is within the acceptable range")
TOO_FAST_UP = Said("True", "ScaleUpLimit", "the desired replica count is increasing faster than the maximum scale rate")
TOO_FAST_DOWN = Said(
    "True", "ScaleDownLimit", "the desired replica count is decreasing faster than the maximum scale rate"
)
TOO_MANY = Said("True", "TooManyReplicas", "the desired replica count is more than the maximum replica count")
TOO_FEW = Said("True", "TooFewReplicas", "the desired replica count is less than the minimum replica count")


def steady(
    spec: autoscaling_v2.HorizontalPodAutoscalerSpec, history: History, current: int, wanted: int, now: float
) -> Steady:
    """The wanted replicas, within what windows, policies and limits allow."""
    least = 1 if spec.min_replicas is None else spec.min_replicas
    if spec.behavior is None:
        return _plain(history, current, wanted, least, spec.max_replicas, now)
    up = spec.behavior.scale_up or autoscaling_v2.HPAScalingRules()
    down = spec.behavior.scale_down or autoscaling_v2.HPAScalingRules()
    held, able = _stabilized(history, current, wanted, _window(up, 0), _window(down, DOWN_WINDOW), now)
    if held > current:
        most = max(_up_limit(current, history, up, now), current)
        allowed, why = (spec.max_replicas, TOO_MANY) if spec.max_replicas <= most else (most, TOO_FAST_UP)
        if held > allowed:
            return Steady(allowed, able, why)
    elif held < current:
        fewest = min(_down_limit(current, history, down, now), current)
        allowed, why = (fewest, TOO_FAST_DOWN) if least < fewest else (least, TOO_FEW)
        if held < allowed:
            return Steady(allowed, able, why)
    return Steady(held, able, WITHIN)


def _plain(history: History, current: int, wanted: int, least: int, most: int, now: float) -> Steady:
    """Without a behaviour."""
    recent = [change for change in history.recommendations if change.at >= now - DOWN_WINDOW]
    held = max([wanted, *(change.replicas for change in recent)])
    history.recommendations[:] = [*recent, Change(wanted, now)]
    able = DOWN_STABILIZED if held != wanted else READY
    fastest = max(UP_FACTOR * current, UP_LEAST)
    if held < least:
        return Steady(least, able, TOO_FEW)
    if held > min(most, fastest):
        return Steady(min(most, fastest), able, TOO_FAST_UP if most > fastest else TOO_MANY)
    return Steady(held, able, WITHIN)


def _window(rules: autoscaling_v2.HPAScalingRules, default: int) -> int:
    seconds = rules.stabilization_window_seconds
    return default if seconds is None else seconds


def _stabilized(
    history: History, current: int, wanted: int, up_window: int, down_window: int, now: float
) -> tuple[int, Said]:
    """Grows to the lowest, shrinks to the highest of what was recommended within the windows."""
    recent = history.recommendations
    lowest = min([wanted, *(change.replicas for change in recent if change.at > now - up_window)])
    highest = max([wanted, *(change.replicas for change in recent if change.at > now - down_window)])
    kept = [change for change in recent if change.at >= now - max(up_window, down_window)]
    history.recommendations[:] = [*kept, Change(wanted, now)]
    held = min(max(current, lowest), highest)
    if held == wanted:
        return held, READY
    return held, UP_STABILIZED if wanted >= current else DOWN_STABILIZED


def _changed(events: Sequence[Change], seconds: int, now: float) -> int:
    return sum(event.replicas for event in events if event.at > now - seconds)


def _up_limit(current: int, history: History, rules: autoscaling_v2.HPAScalingRules, now: float) -> int:
    if rules.select_policy == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = _at_start(current, history, policy.period_seconds, now)
        # rounded up: a few percent of a few replicas would never be one
        more = policy.value if policy.type == "Pods" else ceil(start * policy.value / 100)
        limits.append(start + more)
    return (min if rules.select_policy == "Min" else max)(limits, default=current)


def _down_limit(current: int, history: History, rules: autoscaling_v2.HPAScalingRules, now: float) -> int:
    if rules.select_policy == "Disabled":
        return current
    limits = []
    for policy in rules.policies:
        start = _at_start(current, history, policy.period_seconds, now)
        limits.append(start - policy.value if policy.type == "Pods" else start * (100 - policy.value) // 100)
    return (max if rules.select_policy == "Min" else min)(limits, default=current)


def _at_start(current: int, history: History, seconds: int, now: float) -> int:
    """The replicas at the beginning of the period."""
    return current - _changed(history.ups, seconds, now) + _changed(history.downs, seconds, now)
