"""Kinds that are served under one name and stored under another: the bytes are turned on their way in and out.

Events are stored as core/v1, HorizontalPodAutoscalers as autoscaling/v2; events.k8s.io/v1 and autoscaling/v1 show the
same objects with the same uid and revision.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from orlop.api import scheme, selectors
from orlop.api.errors import FieldError
from orlop.api.scheme import Kind
from orlop.api.types import core_v1
from orlop.apiserver import autoscalers
from orlop.apiserver.registry import events


class Conversion(NamedTuple):
    """How one served kind and its stored one become each other."""

    served: Kind
    stored: Kind
    to_stored: Callable[[bytes], bytes]
    to_served: Callable[[bytes], bytes]
    fields: Mapping[str, str]
    """Selectable fields of the served kind and what they are called in the stored one."""
    validate_create: Callable[[Any], list[FieldError]]
    """What the served version asks for more."""
    tables: bool = False
    """Whether tables show the served form (custom resources: each version has columns of its own)."""

    def selector(self, text: str) -> str:
        """A field selector of the served kind in the stored one's words. Raises ValueError."""
        terms = selectors.parse_fields(text).terms
        hidden = set(self.fields.values()) - set(self.fields)
        for field, _, _ in terms:
            if field in hidden:
                raise ValueError(f"field label not supported: {field}")
        return str(selectors.FieldSelector(tuple((self.fields.get(f, f), equal, v) for f, equal, v in terms)))


def _renaming(names: Mapping[str, str], api_version: str) -> Callable[[bytes], bytes]:
    """Renames an object's own fields; those that both have keep their place and form."""

    def convert(value: bytes) -> bytes:
        fields: dict[str, msgspec.Raw] = msgspec.json.decode(value, type=dict[str, msgspec.Raw])
        renamed = {names.get(name, name): raw for name, raw in fields.items()}
        renamed["apiVersion"] = msgspec.Raw(msgspec.json.encode(api_version))
        return msgspec.json.encode(renamed)

    return convert


_EVENT_NAMES = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
"""core/v1's names and events.k8s.io/v1's."""
_INVOLVED = ("kind", "namespace", "name", "uid", "apiVersion", "resourceVersion", "fieldPath")


def _validate_event(event: core_v1.Event) -> list[FieldError]:
    """What is asked of a new event in events.k8s.io/v1: core's rules first."""
    core = scheme.by_resource("", "v1", "events")
    assert core is not None
    return events.Events(core).validate(event) + events.strict(event)


def _events() -> Conversion:
    served = scheme.by_resource("events.k8s.io", "v1", "events")
    stored = scheme.by_resource("", "v1", "events")
    assert served is not None
    assert stored is not None
    return Conversion(
        served,
        stored,
        _renaming({theirs: ours for ours, theirs in _EVENT_NAMES.items()}, stored.api_version),
        _renaming(_EVENT_NAMES, served.api_version),
        {**{f"regarding.{f}": f"involvedObject.{f}" for f in _INVOLVED}, "reportingController": "reportingComponent"},
        _validate_event,
    )


def _autoscalers() -> Conversion:
    served = scheme.by_resource("autoscaling", "v1", "horizontalpodautoscalers")
    stored = scheme.by_resource("autoscaling", "v2", "horizontalpodautoscalers")
    assert served is not None
    assert stored is not None
    return Conversion(served, stored, autoscalers.to_v2, autoscalers.to_v1, {}, lambda _: [])


def _same(served: Kind) -> Conversion:
    """Another version of the same form."""
    stored = next(k for k in scheme.KINDS if k.resource == served.storage and not k.storage)
    to_stored, to_served = _renaming({}, stored.api_version), _renaming({}, served.api_version)
    return Conversion(served, stored, to_stored, to_served, {}, lambda _: [])


def conversion_of(kind: Kind) -> Conversion:
    """How a kind that is stored as another becomes it."""
    found = CONVERSIONS.get(kind.type_key)
    if found is None:
        found = CONVERSIONS[kind.type_key] = _same(kind)
    return found


CONVERSIONS: dict[str, Conversion] = {
    "events/v1.Event": _events(),
    "autoscaling/v1.HorizontalPodAutoscaler": _autoscalers(),
}
"""By the served kind's type key."""
