"""HorizontalPodAutoscalers (as they are stored: autoscaling/v2)."""

from typing import Any

import msgspec

from orlop.api.types import autoscaling_v2
from orlop.apiserver.table.printer import (
    AGE,
    NAME,
    NONE,
    UNSET,
    Column,
    Fields,
    Metadata,
    Object,
    Printer,
    age,
)

SHOWN = 2
"""Metrics that are shown before `+ N more...`."""
UNKNOWN = "<unknown>"


class _Status(Fields):
    current_replicas: int = 0
    current_metrics: list[autoscaling_v2.MetricStatus] | None = None


class _Autoscaler(Object):
    spec: autoscaling_v2.HorizontalPodAutoscalerSpec = msgspec.field(
        default_factory=autoscaling_v2.HorizontalPodAutoscalerSpec
    )
    status: _Status = msgspec.field(default_factory=_Status)


def _metric(spec: autoscaling_v2.MetricSpec, status: autoscaling_v2.MetricStatus | None) -> str:
    kind = spec.type
    if kind == "Pods" and spec.pods is not None:
        current = status.pods.current.average_value if status is not None and status.pods is not None else None
        return f"{current or UNKNOWN}/{spec.pods.target.average_value}"
    if kind == "Object" and spec.object is not None:
        found = status.object.current if status is not None and status.object is not None else None
        return _either(spec.object.target, found)
    if kind == "External" and spec.external is not None:
        found = status.external.current if status is not None and status.external is not None else None
        return _either(spec.external.target, found)
    source = spec.resource if kind == "Resource" else spec.container_resource if kind == "ContainerResource" else None
    if source is None:
        return "<unknown type>"
    got = None
    if status is not None:
        got = status.resource if kind == "Resource" else status.container_resource
    target = source.target
    if target.average_value is not None:
        now = got.current.average_value if got is not None else None
        return f"{source.name}: {now or UNKNOWN}/{target.average_value}"
    percent = got.current.average_utilization if got is not None else None
    current = UNKNOWN if percent is None else f"{percent}%"
    wanted = "<auto>" if target.average_utilization is None else f"{target.average_utilization}%"
    return f"{source.name}: {current}/{wanted}"


def _either(target: autoscaling_v2.MetricTarget, current: autoscaling_v2.MetricValueStatus | None) -> str:
    if target.average_value is not None:
        now = current.average_value if current is not None else None
        return f"{now or UNKNOWN}/{target.average_value} (avg)"
    now = current.value if current is not None else None
    return f"{now or UNKNOWN}/{target.value}"


def _targets(obj: _Autoscaler) -> str:
    metrics = obj.spec.metrics
    if not metrics:
        return NONE
    current = obj.status.current_metrics or []
    shown = [_metric(m, current[i] if i < len(current) else None) for i, m in enumerate(metrics)]
    more = len(shown) - SHOWN
    return ", ".join(shown) if more <= 0 else f"{', '.join(shown[:SHOWN])} + {more} more..."


def _autoscaler(obj: _Autoscaler, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    return [
        metadata.name,
        f"{spec.scale_target_ref.kind}/{spec.scale_target_ref.name}",
        _targets(obj),
        UNSET if spec.min_replicas is None else str(spec.min_replicas),
        spec.max_replicas,
        obj.status.current_replicas,
        age(metadata, now),
    ]


AUTOSCALER = Printer(
    _Autoscaler,
    _autoscaler,
    NAME,
    Column("Reference", description="What is scaled."),
    Column("Targets", description="Each metric's value now and as it should be."),
    Column("MinPods", description="The fewest replicas."),
    Column("MaxPods", description="The most replicas."),
    Column("Replicas", description="Replicas that there are."),
    AGE,
)
