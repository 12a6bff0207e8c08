"""Rules of Events: pkg/apis/core/validation/events.go."""

from orlop.api import selectors
from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.strategy import Strategy

NOTE_MAX = 1024
"""Bytes of a note; of action, reason and reportingInstance 128."""
SHORT_MAX = 128


class Events(Strategy):
    """What happened to something, for a while."""

    create_on_update = True
    fields = (
        ("involvedObject.kind", "involvedObject.kind"),
        ("involvedObject.namespace", "involvedObject.namespace"),
        ("involvedObject.name", "involvedObject.name"),
        ("involvedObject.uid", "involvedObject.uid"),
        ("involvedObject.apiVersion", "involvedObject.apiVersion"),
        ("involvedObject.resourceVersion", "involvedObject.resourceVersion"),
        ("involvedObject.fieldPath", "involvedObject.fieldPath"),
        ("reason", "reason"),
        ("reportingComponent", "reportingComponent"),
        ("source", "source.component|reportingComponent"),
        ("type", "type"),
    )

    def name_rule(self, name: str) -> list[str]:
        return names.path_segment(name)

    def validate(self, obj: core_v1.Event) -> list[FieldError]:
        namespace, about = obj.metadata.namespace, obj.involved_object.namespace
        errors: list[FieldError] = []
        if obj.event_time is None:
            matches = namespace == about if about else namespace in ("", "default")
        else:
            matches = bool(about) or namespace in ("default", "kube-system")
        if not matches:
            errors.append(invalid_value("involvedObject.namespace", about, "does not match event.namespace"))
        if obj.event_time is not None:
            errors += _timed(obj)
        return errors + [invalid_value("namespace", namespace, m) for m in names.subdomain(namespace)]


def _timed(event: core_v1.Event) -> list[FieldError]:
    """What an event with a time of its own, the newer kind, must say."""
    errors: list[FieldError] = []
    if not event.reporting_component:
        errors.append(required("reportingComponent"))
    wrong = selectors.key_errors(event.reporting_component)
    errors += [invalid_value("reportingComponent", event.reporting_component, m) for m in wrong]
    for path, value in (
        ("reportingInstance", event.reporting_instance),
        ("action", event.action),
        ("reason", event.reason),
    ):
        if not value:
            errors.append(required(path))
        if len(value.encode()) > SHORT_MAX:
            errors.append(invalid_value(path, "", f"can have at most {SHORT_MAX} characters"))
    if len(event.message.encode()) > NOTE_MAX:
        errors.append(invalid_value("message", "", f"can have at most {NOTE_MAX} characters"))
    return errors


def strict(event: core_v1.Event) -> list[FieldError]:
    """What events.k8s.io/v1 asks of a new event besides: nothing of the older kind."""
    errors = [invalid_value("metadata.name", event.metadata.name, m) for m in names.subdomain(event.metadata.name)]
    errors += _series(event)
    if event.event_time is None:
        errors.append(required("eventTime"))
    if event.type not in ("Normal", "Warning"):
        errors.append(invalid_value("type", "", f"has invalid value: {event.type}"))
    for path, value in (
        ("firstTimestamp", event.first_timestamp),
        ("lastTimestamp", event.last_timestamp),
        ("count", event.count),
        ("source", event.source.component or event.source.host),
    ):
        if value:
            errors.append(invalid_value(path, "", "needs to be unset"))
    return errors


def _series(event: core_v1.Event) -> list[FieldError]:
    if event.series is None:
        return []
    few = event.series.count < 2
    errors = [invalid_value("series.count", "", "should be at least 2")] if few else []
    return errors + ([required("series.lastObservedTime")] if event.series.last_observed_time is None else [])
