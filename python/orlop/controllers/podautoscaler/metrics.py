"""What the metrics APIs say, as milli-units: upstream's pkg/controller/podautoscaler/metrics/client.go."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import field

from orlop.api import errors, quantity
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct
from orlop.api.types.metrics_v1beta1 import PodMetrics
from orlop.client import Client
from orlop.client.decode import error_of
from orlop.client.transport import Unreachable
from orlop.clock import parse_time

RESOURCE, CUSTOM, EXTERNAL = "metrics.k8s.io", "custom.metrics.k8s.io", "external.metrics.k8s.io"
WINDOW = 60.0
"""Seconds that a custom metric covers where it does not say."""


class MetricsError(Exception):
    """There is no value to work with; the text is upstream's."""


class Sample(NamedTuple):
    """One pod's value."""

    milli: int
    timestamp: float
    window: float
    """Seconds before the timestamp over which it was measured."""


class _Metric(ApiStruct):
    name: str = ""


class _Described(ApiStruct):
    name: str = ""


class _Value(ApiStruct):
    described_object: _Described = field(default_factory=_Described)
    timestamp: str = ""
    window_seconds: int | None = None
    value: str = ""


class _Values(ApiStruct):
    items: list[_Value] | None = None


class _PodMetricsList(ApiStruct):
    items: list[PodMetrics] | None = None


class MetricsClient:
    """The three APIs, of which the last two are there only if somebody serves them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def resource(self, name: str, namespace: str, selector: str, container: str = "") -> dict[str, Sample]:
        """What each pod uses of a resource, or one of its containers. Raises MetricsError."""
        path = f"/apis/{RESOURCE}/v1beta1/namespaces/{namespace}/pods"
        listed = await self._get("resource", f"pods.{RESOURCE}", path, {"labelSelector": selector}, _PodMetricsList)
        if not listed.items:
            raise MetricsError("no metrics returned from resource metrics API")
        found = {}
        for pod in listed.items:
            usage = [c.usage.get(name) for c in pod.containers if container in ("", c.name)]
            if container and not usage:
                where = f"{namespace}/{pod.metadata.name}"
                raise MetricsError(f"container {container} not present in metrics for pod {where}")
            if all(text is not None for text in usage) and usage:
                milli = sum(quantity.milli(text) for text in usage if text is not None)
                found[pod.metadata.name] = Sample(milli, parse_time(pod.timestamp), _seconds(pod.window))
        if not found:
            raise MetricsError("no metrics returned from resource metrics API")
        return found

    async def pods(self, metric: str, namespace: str, selector: str, metric_selector: str) -> dict[str, Sample]:
        """A custom metric of each pod. Raises MetricsError."""
        items = await self._custom(f"namespaces/{namespace}/pods/*/{quote(metric)}", selector, metric_selector)
        return {
            item.described_object.name: Sample(
                quantity.milli(item.value),
                parse_time(item.timestamp) if item.timestamp else 0.0,
                float(item.window_seconds) if item.window_seconds is not None else WINDOW,
            )
            for item in items
        }

    async def object(self, metric: str, path: str, metric_selector: str) -> int:
        """A custom metric of one object; `path` is `custom_path`'s. Raises MetricsError."""
        items = await self._custom(f"{path}/{quote(metric)}", "", metric_selector)
        return quantity.milli(items[0].value)

    async def external(self, metric: str, namespace: str, selector: str) -> list[int]:
        """A metric of something outside: one value for each series that matches. Raises MetricsError."""
        path = f"/apis/{EXTERNAL}/v1beta1/namespaces/{namespace}/{quote(metric)}"
        query = {"labelSelector": selector or None}
        listed = await self._get("external", f"{metric}.{EXTERNAL}", path, query, _Values)
        if not listed.items:
            raise MetricsError("no metrics returned from external metrics API")
        return [quantity.milli(item.value) for item in listed.items]

    async def _custom(self, path: str, selector: str, metric_selector: str) -> list[_Value]:
        group = await self._get("custom", "", f"/apis/{CUSTOM}", {}, meta_v1.APIGroup)
        versions = {v.version for v in group.versions}
        version = next((v for v in ("v1beta2", "v1beta1") if v in versions), None)
        if version is None:
            raise MetricsError("no known available metric versions found")
        query = {"labelSelector": selector or None, "metricLabelSelector": metric_selector or None}
        what = f"{path.split('/')[2 if path.startswith('namespaces/') else 0]}.{CUSTOM}"
        listed: _Values = await self._get("custom", what, f"/apis/{CUSTOM}/{version}/{path}", query, _Values)
        if not listed.items:
            raise MetricsError("no metrics returned from custom metrics API")
        return listed.items

    async def _get(self, api: str, what: str, path: str, query: Mapping[str, str | None], kind: type[Any]) -> Any:
        """`what` is asked for; "" asks whether anybody serves the API."""
        try:
            response = await self._client.request("GET", path, query=query)
            if response.status == 404 and not what:
                raise errors.NotFound(f"no custom metrics API ({CUSTOM}) registered")
            if response.status == 404 and not _told(response.body):
                raise errors.NotFound(f"the server could not find the requested resource (get {what})")
            if response.status != 200:
                raise error_of(response)
            return msgspec.json.decode(response.body, type=kind)
        except (errors.ApiError, Unreachable, msgspec.MsgspecError) as error:
            raise MetricsError(f"unable to fetch metrics from {api} metrics API: {error}") from error


def _told(body: bytes) -> bool:
    """Whether an error came with words of its own; without any, they are client-go's."""
    try:
        return bool(msgspec.json.decode(body, type=meta_v1.Status).message)
    except msgspec.MsgspecError:
        return False


def custom_path(resource: str, group: str, namespace: str, name: str, namespaced: bool) -> str:
    """Where the metrics of an object are, below the API's version."""
    if resource == "namespaces" and not group:
        return f"namespaces/{name}/metrics"
    where = f"{resource}.{group}" if group else resource
    return f"namespaces/{namespace}/{where}/{name}" if namespaced else f"{where}/{name}"


_UNITS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


def _seconds(text: str) -> float:
    """A Go duration: `1m0s`, `10.5s`."""
    total, number, unit = 0.0, "", ""
    for char in f"{text}0":
        if char.isdigit() or char == ".":
            if unit:
                total += float(number) * _UNITS.get(unit, 0.0)
                number = unit = ""
            number += char
        else:
            unit += char
    return total
