"""events.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class EventSeries(ApiStruct):
    count: int = _f(default_factory=int)
    last_observed_time: str | None = _f(default_factory=_none)


class Event(ApiStruct):
    api_version: str = _f(default_factory=lambda: "events.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "Event")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    event_time: str | None = _f(default_factory=_none)
    series: EventSeries | None = None
    reporting_controller: str = ""
    reporting_instance: str = ""
    action: str = ""
    reason: str = ""
    regarding: core_v1.ObjectReference = _f(default_factory=lambda: core_v1.ObjectReference())
    related: core_v1.ObjectReference | None = None
    note: str = ""
    type: str = ""
    deprecated_source: core_v1.EventSource = _f(default_factory=lambda: core_v1.EventSource())
    deprecated_first_timestamp: str | None = _f(default_factory=_none)
    deprecated_last_timestamp: str | None = _f(default_factory=_none)
    deprecated_count: int = 0


class EventList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "events.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "EventList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Event] = _f(default_factory=lambda: list())
