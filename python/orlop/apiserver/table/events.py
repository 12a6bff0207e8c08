"""Events: what happened to whom, the latest first where kubectl sorts them."""

from typing import Any

import msgspec

from orlop.apiserver.table.duration import since
from orlop.apiserver.table.printer import Column, Fields, Metadata, Object, Printer, wide


class _Involved(Fields):
    kind: str = ""
    name: str = ""
    field_path: str = ""


class _Source(Fields):
    component: str = ""
    host: str = ""


class _Series(Fields):
    count: int = 0
    last_observed_time: str | None = None


class _Event(Object):
    involved_object: _Involved = msgspec.field(default_factory=_Involved)
    reason: str = ""
    message: str = ""
    source: _Source = msgspec.field(default_factory=_Source)
    first_timestamp: str | None = None
    last_timestamp: str | None = None
    event_time: str | None = None
    count: int = 0
    type: str = ""
    series: _Series | None = None
    reporting_component: str = ""
    reporting_instance: str = ""


def _source(event: _Event) -> str:
    component = event.source.component or event.reporting_component
    instance = event.source.host or event.reporting_instance
    return f"{component}, {instance}" if instance else component


def _event(obj: _Event, metadata: Metadata, now: float) -> list[Any]:
    first = since(obj.first_timestamp or obj.event_time, now)
    last = since(obj.last_timestamp, now) if obj.last_timestamp else first
    count = obj.count or 1
    if obj.series is not None:
        last = since(obj.series.last_observed_time, now)
        count = obj.series.count
    involved = obj.involved_object
    kind = involved.kind.lower()
    return [
        last,
        obj.type,
        obj.reason,
        f"{kind}/{involved.name}" if involved.name else kind,
        involved.field_path,
        _source(obj),
        obj.message.strip(),
        first,
        count,
        metadata.name,
    ]


EVENT = Printer(
    _Event,
    _event,
    Column("Last Seen", description="Time since it happened last."),
    Column("Type", description="Normal or Warning."),
    Column("Reason", description="Why, in one word for machines."),
    Column("Object", description="What it is about."),
    wide("Subobject", "The part of the object that it is about."),
    wide("Source", "Who tells of it."),
    Column("Message", description="What happened, for people."),
    wide("First Seen", "Time since it happened first."),
    wide("Count", "How often it has happened."),
    Column("Name", format="name", description="Name of the event.", priority=1),
)
