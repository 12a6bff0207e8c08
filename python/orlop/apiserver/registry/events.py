"""Rules of Events: pkg/apis/core/validation/events.go."""

from orlop.api import scheme
from orlop.api.errors import FieldError, invalid_value
from orlop.api.types import core_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.strategy import Strategy


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

    def validate(self, obj: core_v1.Event) -> list[FieldError]:
        involved = obj.involved_object
        namespace = obj.metadata.namespace
        kind = scheme.by_kind(involved.api_version, involved.kind)
        if not involved.namespace:
            # Events about cluster-scoped objects live in `default`, kubelets' and others' in kube-system.
            if namespace not in ("default", "kube-system"):
                return [invalid_value("involvedObject.namespace", involved.namespace, "does not match event.namespace")]
        elif kind is not None and not kind.namespaced:
            return (
                [invalid_value("involvedObject.namespace", involved.namespace, f"not allowed on type {kind.kind}")]
                if namespace not in ("default", "kube-system")
                else []
            )
        elif namespace != involved.namespace:
            return [invalid_value("involvedObject.namespace", involved.namespace, "does not match event.namespace")]
        return [invalid_value("metadata.namespace", namespace, m) for m in names.label(namespace)]
