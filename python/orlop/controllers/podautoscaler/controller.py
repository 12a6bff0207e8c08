"""Looks at each autoscaler every quarter of a minute."""

from typing import NamedTuple, NoReturn

from orlop.api import errors, quantity, selectors
from orlop.api.selectors import LabelSelector
from orlop.api.types import autoscaling_v1, autoscaling_v2
from orlop.client import copy
from orlop.clock import rfc3339
from orlop.control import Builder, Controller, Key, Result
from orlop.controllers.podautoscaler import behavior
from orlop.controllers.podautoscaler.behavior import History, Said
from orlop.controllers.podautoscaler.calculator import TOLERANCE, LoadedPod, Tolerance
from orlop.controllers.podautoscaler.metrics import MetricsClient
from orlop.controllers.podautoscaler.proposals import Failed, Proposal, Proposals, Target
from orlop.controllers.podautoscaler.scales import Scales

SYNC_PERIOD = 15.0
"""Seconds between two looks."""

Autoscaler = autoscaling_v2.HorizontalPodAutoscaler


class Stop(Exception):
    """This look is over; conditions and events have said why."""


class Wanted(NamedTuple):
    """What the metrics ask for."""

    replicas: int
    words: str
    statuses: list[autoscaling_v2.MetricStatus]


class HorizontalPodAutoscalerController(Controller):
    """Sets the replicas of its target so that metrics come near to their targets."""

    name = "horizontal-pod-autoscaler-controller"
    account = "horizontal-pod-autoscaler"
    component = "horizontal-pod-autoscaler"

    def setup(self, builder: Builder) -> None:
        self.autoscalers = builder.for_(Autoscaler, changed=lambda old, new: old.spec != new.spec)
        self._histories: dict[Key, History] = {}
        self._selectors: dict[Key, LabelSelector] = {}
        self._scales = Scales(self.context.client)
        self._proposals = Proposals(MetricsClient(self.context.client))

    async def reconcile(self, key: Key) -> Result | None:
        cached = self.autoscalers.get(*key)
        if cached is None:
            self._histories.pop(key, None)
            self._selectors.pop(key, None)
            return None
        autoscaler = copy(cached)
        try:
            await self._look(key, autoscaler)
        except Stop as stop:
            self.context.log.info("not scaled", extra={"key": str(key), "why": str(stop)})
        if autoscaler.status != cached.status:
            await self.context.client.update_status(autoscaler)
        return Result(requeue_after=SYNC_PERIOD)

    async def _look(self, key: Key, autoscaler: Autoscaler) -> None:
        """One look: the target's scale, what it should be, and the change. Raises Stop."""
        spec, status = autoscaler.spec, autoscaler.status
        ref = spec.scale_target_ref
        status.observed_generation = autoscaler.metadata.generation or None
        try:
            resource = await self._scales.resource(ref)
            scale = await self._scales.get(resource, key.namespace, ref.name)
        except errors.ApiError as error:
            self._warn(autoscaler, "FailedGetScale", str(error))
            words = f"the HPA controller was unable to get the target's current scale: {error}"
            self._say(autoscaler, "AbleToScale", Said("False", "FailedGetScale", words))
            raise Stop(str(error)) from error
        words = "the HPA controller was able to get the target's current scale"
        self._say(autoscaler, "AbleToScale", Said("True", "SucceededGetScale", words))
        now = self.context.clock.now()
        current = scale.spec.replicas
        history = self._histories.setdefault(key, History())
        history.begin(current, now)
        least = 1 if spec.min_replicas is None else spec.min_replicas
        wanted = Wanted(current, "", [])
        if current == 0 and least != 0:
            words = "scaling is disabled since the replica count of the target is zero"
            self._say(autoscaler, "ScalingActive", Said("False", "ScalingDisabled", words))
            desired, why = 0, ""
        elif current > spec.max_replicas:
            desired, why = spec.max_replicas, "Current number of replicas above Spec.MaxReplicas"
        elif current < least:
            desired, why = least, "Current number of replicas below Spec.MinReplicas"
        else:
            wanted = await self._wanted(key, autoscaler, scale)
            why = f"{wanted.words} above target" if wanted.replicas > current else "All metrics below target"
            steady = behavior.steady(spec, history, current, wanted.replicas, now)
            self._say(autoscaler, "AbleToScale", steady.able)
            self._say(autoscaler, "ScalingLimited", steady.limited)
            desired = steady.replicas
        if desired != current:
            scale.spec.replicas = desired
            try:
                await self._scales.put(resource, scale)
            except errors.ApiError as error:
                self._warn(autoscaler, "FailedRescale", f"New size: {desired}; reason: {why}; error: {error}")
                words = f"the HPA controller was unable to update the target scale: {error}"
                self._say(autoscaler, "AbleToScale", Said("False", "FailedUpdateScale", words))
                self._report(autoscaler, current, status.desired_replicas, wanted.statuses)
                raise Stop(str(error)) from error
            words = f"the HPA controller was able to update the target scale to {desired}"
            self._say(autoscaler, "AbleToScale", Said("True", "SucceededRescale", words))
            told = f"New size: {desired}; reason: {why}"
            self.context.recorder.event(autoscaler, "Normal", "SuccessfulRescale", told)
            history.scaled(spec.behavior, current, desired, now)
            status.last_scale_time = rfc3339(now)
        self._report(autoscaler, current, desired, wanted.statuses)

    def _report(
        self, autoscaler: Autoscaler, current: int, desired: int, statuses: list[autoscaling_v2.MetricStatus]
    ) -> None:
        autoscaler.status.current_replicas = current
        autoscaler.status.desired_replicas = desired
        autoscaler.status.current_metrics = statuses

    # --- metrics

    async def _wanted(self, key: Key, autoscaler: Autoscaler, scale: autoscaling_v1.Scale) -> Wanted:
        """The most that any metric asks for. Raises Stop if none can be had, or some and the others ask for less."""
        target = await self._target(key, autoscaler, scale)
        now = self.context.clock.now()
        tolerance = _tolerance(autoscaler.spec.behavior)
        best: Proposal | None = None
        failures: list[Failed] = []
        statuses = []
        for spec in autoscaler.spec.metrics:
            try:
                proposal = await self._proposals.of(spec, target, tolerance, now)
            except Failed as failure:
                self._warn(autoscaler, failure.reason, failure.why)
                failures.append(failure)
                statuses.append(autoscaling_v2.MetricStatus())
                continue
            statuses.append(proposal.status)
            if best is None or proposal.replicas > best.replicas:
                best = proposal
        count = len(autoscaler.spec.metrics)
        if best is None or (failures and best.replicas < target.replicas):
            words = f"the HPA was unable to compute the replica count: {failures[0].why}"
            self._say(autoscaler, "ScalingActive", Said("False", failures[0].reason, words))
            told = f"invalid metrics ({len(failures)} invalid out of {count}), first error is: {failures[0]}"
            self._report(autoscaler, target.replicas, autoscaler.status.desired_replicas, statuses)
            self._warn(autoscaler, "FailedComputeMetricsReplicas", told)
            raise Stop(told)
        words = f"the HPA was able to successfully calculate a replica count from {best.words}"
        self._say(autoscaler, "ScalingActive", Said("True", "ValidMetricFound", words))
        return Wanted(best.replicas, best.words, statuses)

    async def _target(self, key: Key, autoscaler: Autoscaler, scale: autoscaling_v1.Scale) -> Target:
        """The pods of the target. They are asked for when needed: few controllers look at what they request."""
        text = scale.status.selector
        if not text:
            words = "the HPA target's scale is missing a selector"
            self._invalid(autoscaler, scale, "SelectorRequired", "selector is required", "InvalidSelector", words)
        try:
            selector = selectors.parse_labels(text)
        except ValueError as error:
            words = f"couldn't convert selector into a corresponding internal selector object: {error}"
            self._invalid(autoscaler, scale, "InvalidSelector", words, "InvalidSelector", words)
        self._selectors[key] = selector
        pods = (await self.context.client.list(LoadedPod, key.namespace, labels=text)).items
        rivals = [
            other
            for other, theirs in self._selectors.items()
            if other == key
            or (other.namespace == key.namespace and any(theirs.matches(pod.metadata.labels) for pod in pods))
        ]
        if len(rivals) > 1:
            names = " ".join(sorted(map(str, rivals)))
            words = f"pods by selector {text} are controlled by multiple HPAs: [{names}]"
            self._invalid(autoscaler, scale, "AmbiguousSelector", words, "AmbiguousSelector", words)
        return Target(key.namespace, text, pods, scale.spec.replicas, scale.status.replicas)

    def _invalid(
        self, autoscaler: Autoscaler, scale: autoscaling_v1.Scale, reason: str, told: str, why: str, words: str
    ) -> NoReturn:
        """Says that the target cannot be looked at. Raises Stop."""
        self._warn(autoscaler, reason, told)
        self._say(autoscaler, "ScalingActive", Said("False", why, words))
        self._report(autoscaler, scale.spec.replicas, autoscaler.status.desired_replicas, [])
        self._warn(autoscaler, "FailedComputeMetricsReplicas", told)
        raise Stop(told)

    # --- saying it

    def _warn(self, autoscaler: Autoscaler, reason: str, words: str) -> None:
        self.context.recorder.event(autoscaler, "Warning", reason, words)

    def _say(self, autoscaler: Autoscaler, type_: str, said: Said) -> None:
        """Sets a condition; its time is that of the last change of its status."""
        conditions = autoscaler.status.conditions
        found = next((c for c in conditions if c.type == type_), None)
        if found is None:
            found = autoscaling_v2.HorizontalPodAutoscalerCondition(type=type_)
            conditions.append(found)
        if found.status != said.status:
            found.last_transition_time = rfc3339(self.context.clock.now())
        found.status, found.reason, found.message = said


def _tolerance(rules: autoscaling_v2.HorizontalPodAutoscalerBehavior | None) -> Tolerance:
    def one(side: autoscaling_v2.HPAScalingRules | None) -> float:
        return float(quantity.parse(side.tolerance)) if side is not None and side.tolerance is not None else TOLERANCE

    return Tolerance(one(rules.scale_down), one(rules.scale_up)) if rules is not None else Tolerance()
