"""What each metric of an autoscaler asks for, in the words of its conditions and events."""

from collections.abc import Sequence
from typing import NamedTuple

from orlop.api import quantity, scheme, selectors
from orlop.api.types import autoscaling_v2
from orlop.controllers.podautoscaler import calculator
from orlop.controllers.podautoscaler.calculator import LoadedPod, Tolerance, Usage
from orlop.controllers.podautoscaler.metrics import MetricsClient, MetricsError, custom_path


class Target(NamedTuple):
    """What is scaled, as it is."""

    namespace: str
    selector: str
    pods: Sequence[LoadedPod]
    replicas: int
    """Asked for."""
    present: int
    """There are, by the status."""


class Proposal(NamedTuple):
    replicas: int
    words: str
    """The metric, as `SuccessfulRescale` names it."""
    status: autoscaling_v2.MetricStatus


class Failed(Exception):
    """A metric that could not be had."""

    def __init__(self, reason: str, why: str, whole: str) -> None:
        super().__init__(whole)
        self.reason = reason
        self.why = why
        """What the event and the condition of this metric say; the exception's text is for all metrics together."""


class Proposals:
    """Works out proposals of one autoscaler at a time."""

    def __init__(self, metrics: MetricsClient) -> None:
        self._metrics = metrics

    async def of(self, spec: autoscaling_v2.MetricSpec, target: Target, tolerance: Tolerance, now: float) -> Proposal:
        """How many replicas the metric asks for. Raises Failed."""
        if spec.type == "Resource" and spec.resource is not None:
            r = spec.resource
            return await self._resource(r.name, "", r.target, target, tolerance, now)
        if spec.type == "ContainerResource" and spec.container_resource is not None:
            c = spec.container_resource
            return await self._resource(c.name, c.container, c.target, target, tolerance, now)
        if spec.type == "Pods" and spec.pods is not None:
            return await self._pods(spec.pods, target, tolerance, now)
        if spec.type == "Object" and spec.object is not None:
            return await self._object(spec.object, target, tolerance)
        if spec.type == "External" and spec.external is not None:
            return await self._external(spec.external, target, tolerance)
        words = f'unknown metric source type "{spec.type}"'
        raise Failed("InvalidMetricSourceType", words, words)

    async def _resource(
        self,
        name: str,
        container: str,
        wanted: autoscaling_v2.MetricTarget,
        target: Target,
        tolerance: Tolerance,
        now: float,
    ) -> Proposal:
        kind = "container resource" if container else "resource"
        try:
            try:
                samples = await self._metrics.resource(name, target.namespace, target.selector, container)
            except MetricsError as error:
                raise MetricsError(f"unable to get metrics for resource {name}: {error}") from error
            pods, current = target.pods, target.replicas
            if wanted.average_value is not None:
                words = f"{name} {kind}"
                aim = quantity.milli(wanted.average_value)
                usage = calculator.by_average(pods, samples, current, aim, name, tolerance, now)
            elif wanted.average_utilization is not None:
                words = f"{name} {kind} utilization (percentage of request)"
                percent = wanted.average_utilization
                usage = calculator.by_utilization(pods, samples, current, percent, name, container, tolerance, now)
            else:
                raise MetricsError("neither a utilization target nor a value target was set")
        except MetricsError as error:
            why = f"failed to get {name} utilization: {error}"
            reason = "FailedGetContainerResourceMetric" if container else "FailedGetResourceMetric"
            raise Failed(reason, why, f"failed to get {name} {kind} metric value: {why}") from error
        value = autoscaling_v2.MetricValueStatus(
            average_value=quantity.format_milli(usage.average), average_utilization=usage.utilization
        )
        if container:
            held = autoscaling_v2.ContainerResourceMetricStatus(name=name, container=container, current=value)
            status = autoscaling_v2.MetricStatus(type="ContainerResource", container_resource=held)
        else:
            whole = autoscaling_v2.ResourceMetricStatus(name=name, current=value)
            status = autoscaling_v2.MetricStatus(type="Resource", resource=whole)
        return Proposal(usage.replicas, words, status)

    async def _pods(
        self, source: autoscaling_v2.PodsMetricSource, target: Target, tolerance: Tolerance, now: float
    ) -> Proposal:
        name = source.metric.name
        try:
            try:
                samples = await self._metrics.pods(name, target.namespace, target.selector, _selector(source.metric))
            except MetricsError as error:
                raise MetricsError(f"unable to get metric {name}: {error}") from error
            aim = quantity.milli(source.target.average_value or "0")
            usage = calculator.by_average(target.pods, samples, target.replicas, aim, "", tolerance, now)
        except MetricsError as error:
            words = f"failed to get pods metric value: {error}"
            raise Failed("FailedGetPodsMetric", str(error), words) from error
        status = autoscaling_v2.PodsMetricStatus(metric=source.metric, current=_average(usage))
        return Proposal(usage.replicas, f"pods metric {name}", autoscaling_v2.MetricStatus(type="Pods", pods=status))

    async def _object(
        self, source: autoscaling_v2.ObjectMetricSource, target: Target, tolerance: Tolerance
    ) -> Proposal:
        name, about, wanted = source.metric.name, source.described_object, source.target
        try:
            try:
                path = _path(about, target.namespace)
                value = await self._metrics.object(name, path, _selector(source.metric))
            except MetricsError as error:
                where = f"{about.kind} {target.namespace}/{about.name}"
                raise MetricsError(f"unable to get metric {name}: {where} {error}") from error
            usage, words = _whole_or_share(value, wanted, target, tolerance)
        except MetricsError as error:
            whole = f"failed to get object metric value: {error}"
            raise Failed("FailedGetObjectMetric", str(error), whole) from error
        current = _average(usage) if words == "share" else _value(usage)
        status = autoscaling_v2.ObjectMetricStatus(metric=source.metric, current=current, described_object=about)
        label = _outside(source.metric) if words == "share" else f"{about.kind} metric {name}"
        return Proposal(usage.replicas, label, autoscaling_v2.MetricStatus(type="Object", object=status))

    async def _external(
        self, source: autoscaling_v2.ExternalMetricSource, target: Target, tolerance: Tolerance
    ) -> Proposal:
        name = source.metric.name
        try:
            try:
                values = await self._metrics.external(name, target.namespace, _selector(source.metric))
            except MetricsError as error:
                where = f"{target.namespace}/{name}/{selectors.go_text(source.metric.selector)}"
                raise MetricsError(f"unable to get external metric {where}: {error}") from error
            usage, words = _whole_or_share(sum(values), source.target, target, tolerance)
        except MetricsError as error:
            share = source.target.average_value is not None
            why = f"failed to get {name} external metric" if share else f"failed to get external metric {name}"
            why = f"{why}: {error}"
            whole = f"failed to get {name} external metric value: {why}"
            raise Failed("FailedGetExternalMetric", str(error), whole) from error
        current = _average(usage) if words == "share" else _value(usage)
        status = autoscaling_v2.ExternalMetricStatus(metric=source.metric, current=current)
        label = _outside(source.metric)
        return Proposal(usage.replicas, label, autoscaling_v2.MetricStatus(type="External", external=status))


def _whole_or_share(
    value: int, wanted: autoscaling_v2.MetricTarget, target: Target, tolerance: Tolerance
) -> tuple[Usage, str]:
    if wanted.average_value is not None:
        aim = quantity.milli(wanted.average_value)
        return calculator.by_share(value, target.present, aim, tolerance), "share"
    if wanted.value is not None:
        aim = quantity.milli(wanted.value)
        return calculator.by_value(target.pods, value, target.replicas, aim, tolerance), "whole"
    raise MetricsError("neither a value target nor an average value target was set")


def _average(usage: Usage) -> autoscaling_v2.MetricValueStatus:
    return autoscaling_v2.MetricValueStatus(average_value=quantity.format_milli(usage.average))


def _value(usage: Usage) -> autoscaling_v2.MetricValueStatus:
    return autoscaling_v2.MetricValueStatus(value=quantity.format_milli(usage.average))


def _path(about: autoscaling_v2.CrossVersionObjectReference, namespace: str) -> str:
    kind = scheme.by_kind(about.api_version or "v1", about.kind)
    if kind is None:
        # custom metrics of custom kinds: by the usual plural, as nothing else is known without asking
        group = about.api_version.rpartition("/")[0]
        return custom_path(f"{about.kind.lower()}s", group, namespace, about.name, True)
    return custom_path(kind.plural, kind.group, namespace, about.name, kind.namespaced)


def _selector(metric: autoscaling_v2.MetricIdentifier) -> str:
    return str(selectors.from_struct(metric.selector)) if metric.selector is not None else ""


def _outside(metric: autoscaling_v2.MetricIdentifier) -> str:
    return f"external metric {metric.name}({selectors.go_text(metric.selector)})"
