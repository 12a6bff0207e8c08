"""HorizontalPodAutoscalers as autoscaling/v1 shows them: what v1 has no fields for stands in annotations.

The rules are those of pkg/apis/autoscaling/v1/conversion.go.
"""

from typing import Any

import msgspec

PREFIX = "autoscaling.alpha.kubernetes.io/"
METRICS, CURRENT = PREFIX + "metrics", PREFIX + "current-metrics"
CONDITIONS, BEHAVIOR = PREFIX + "conditions", PREFIX + "behavior"
ANNOTATIONS = (METRICS, CURRENT, CONDITIONS, BEHAVIOR)

_decode, _encode = msgspec.json.decode, msgspec.json.encode
Tree = dict[str, Any]


def to_v1(value: bytes) -> bytes:
    """The autoscaling/v1 form of a stored one."""
    tree: Tree = _decode(value)
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    annotations = {k: v for k, v in (tree["metadata"].get("annotations") or {}).items() if k not in ANNOTATIONS}
    metrics, behavior = spec.pop("metrics", None) or [], spec.pop("behavior", None)
    cpu = next((i for i, m in enumerate(metrics) if _is_cpu(m)), None)
    if cpu is not None:
        spec["targetCPUUtilizationPercentage"] = metrics[cpu]["resource"]["target"]["averageUtilization"]
        metrics = metrics[:cpu] + metrics[cpu + 1 :]
    if metrics:
        annotations[METRICS] = _text([_spec_to_v1(m) for m in metrics])
    if behavior:
        annotations[BEHAVIOR] = _text(behavior)
    current, conditions = status.pop("currentMetrics", None) or [], status.pop("conditions", None) or []
    status.setdefault("currentReplicas", 0)
    for metric in current:
        if metric.get("type") == "Resource" and metric["resource"].get("name") == "cpu":
            percent = metric["resource"].get("current", {}).get("averageUtilization")
            if percent is not None:
                status["currentCPUUtilizationPercentage"] = percent
    if current:
        annotations[CURRENT] = _text([_status_to_v1(m) for m in current])
    if conditions:
        annotations[CONDITIONS] = _text(conditions)
    _annotate(tree, annotations)
    tree["apiVersion"], tree["spec"], tree["status"] = "autoscaling/v1", spec, status
    return _encode(tree)


def to_v2(value: bytes) -> bytes:
    """The stored form of an autoscaling/v1 one."""
    tree: Tree = _decode(value)
    spec, status = tree.get("spec") or {}, tree.get("status") or {}
    annotations = dict(tree["metadata"].get("annotations") or {})
    given = {key: _parsed(annotations.pop(key)) for key in ANNOTATIONS if key in annotations}
    metrics = [_spec_to_v2(m) for m in given.get(METRICS) or []]
    percent = spec.pop("targetCPUUtilizationPercentage", None)
    if percent is not None:
        target = {"type": "Utilization", "averageUtilization": percent}
        metrics.insert(0, {"type": "Resource", "resource": {"name": "cpu", "target": target}})
    if metrics:
        spec["metrics"] = metrics
    if given.get(BEHAVIOR):
        spec["behavior"] = given[BEHAVIOR]
    percent = status.pop("currentCPUUtilizationPercentage", None)
    current = [_status_to_v2(m) for m in given.get(CURRENT) or []]
    if not current and percent is not None:
        now = {"averageUtilization": percent}
        current = [{"type": "Resource", "resource": {"name": "cpu", "current": now}}]
    status["currentMetrics"] = current
    if given.get(CONDITIONS):
        status["conditions"] = given[CONDITIONS]
    _annotate(tree, annotations)
    tree["apiVersion"], tree["spec"], tree["status"] = "autoscaling/v2", spec, status
    return _encode(tree)


def _is_cpu(metric: Tree) -> bool:
    resource = metric.get("resource") or {}
    return (
        metric.get("type") == "Resource"
        and resource.get("name") == "cpu"
        and resource.get("target", {}).get("averageUtilization") is not None
    )


def _annotate(tree: Tree, annotations: Tree) -> None:
    if annotations:
        tree["metadata"]["annotations"] = dict(sorted(annotations.items()))
    else:
        tree["metadata"].pop("annotations", None)


def _text(value: Any) -> str:
    return _encode(value).decode()


def _parsed(text: str) -> Any:
    """An annotation's value; one that cannot be read counts as not there."""
    try:
        found = _decode(text)
    except msgspec.DecodeError:
        return None
    return found


def _some(**fields: Any) -> Tree:
    return {name: value for name, value in fields.items() if value not in (None, {}, "")}


def _spec_to_v1(metric: Tree) -> Tree:
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source = metric.get(name) or {}
    target, named = source.get("target") or {}, source.get("metric") or {}
    out: Tree = {}
    if kind == "Object":
        out = _some(
            target=source.get("describedObject"),
            metricName=named.get("name"),
            targetValue=target.get("value", "0"),
            selector=named.get("selector"),
            averageValue=target.get("averageValue"),
        )
    elif kind == "Pods":
        out = _some(
            metricName=named.get("name"),
            targetAverageValue=target.get("averageValue"),
            selector=named.get("selector"),
        )
    elif kind == "External":
        out = _some(
            metricName=named.get("name"),
            metricSelector=named.get("selector"),
            targetValue=target.get("value"),
            targetAverageValue=target.get("averageValue"),
        )
    else:
        out = _some(
            name=source.get("name"),
            targetAverageUtilization=target.get("averageUtilization"),
            targetAverageValue=target.get("averageValue"),
            container=source.get("container"),
        )
    return {"type": kind, name: out}


def _spec_to_v2(metric: Tree) -> Tree:
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source = metric.get(name) or {}
    named = _some(name=source.get("metricName"), selector=source.get("selector") or source.get("metricSelector"))
    average = source.get("targetAverageValue") or source.get("averageValue")
    percent, value = source.get("targetAverageUtilization"), source.get("targetValue")
    kind_of_target = "Utilization" if percent is not None else "AverageValue" if average is not None else "Value"
    if kind_of_target != "Value":
        value = None
    target = {"type": kind_of_target, **_some(averageUtilization=percent, averageValue=average, value=value)}
    out = {"target": target}
    if kind in ("Object", "Pods", "External"):
        out["metric"] = named
        if kind == "Object":
            out["describedObject"] = source.get("target") or {}
    else:
        out |= _some(name=source.get("name"), container=source.get("container"))
    return {"type": kind, name: out}


def _status_to_v1(metric: Tree) -> Tree:
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source = metric.get(name) or {}
    current, named = source.get("current") or {}, source.get("metric") or {}
    if kind in ("Object", "Pods", "External"):
        out = _some(
            target=source.get("describedObject"),
            metricName=named.get("name"),
            currentValue=current.get("value") if kind != "Pods" else None,
            currentAverageValue=current.get("averageValue"),
            selector=named.get("selector"),
        )
    else:
        out = _some(
            name=source.get("name"),
            currentAverageUtilization=current.get("averageUtilization"),
            currentAverageValue=current.get("averageValue"),
            container=source.get("container"),
        )
    return {"type": kind, name: out}


def _status_to_v2(metric: Tree) -> Tree:
    kind = metric.get("type", "")
    name = kind[:1].lower() + kind[1:]
    source = metric.get(name) or {}
    current = _some(
        value=source.get("currentValue"),
        averageValue=source.get("currentAverageValue"),
        averageUtilization=source.get("currentAverageUtilization"),
    )
    out: Tree = {"current": current}
    if kind in ("Object", "Pods", "External"):
        out["metric"] = _some(name=source.get("metricName"), selector=source.get("selector"))
        if kind == "Object":
            out["describedObject"] = source.get("target") or {}
    else:
        out |= _some(name=source.get("name"), container=source.get("container"))
    return {"type": kind, name: out}
