"""Rules of Namespaces: they end in two steps, the content first."""

from typing import Any

from orlop.api.errors import FieldError, invalid_value
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, names
from orlop.apiserver.registry.strategy import Strategy

FINALIZER = "kubernetes"
NAME_LABEL = "kubernetes.io/metadata.name"


class Namespaces(Strategy):
    """`spec.finalizers` holds a namespace until its content is gone; /finalize takes them away."""

    returns_deleted = True
    deletion_grace = None
    fields = (("status.phase", "status.phase"),)

    def name_rule(self, name: str) -> list[str]:
        return names.label(name)

    def default(self, obj: core_v1.Namespace) -> None:
        if obj.metadata.name:
            obj.metadata.labels[NAME_LABEL] = obj.metadata.name
        if not obj.status.phase:
            obj.status.phase = "Active"

    def prepare_create(self, obj: core_v1.Namespace) -> None:
        obj.status = core_v1.NamespaceStatus(phase="Active")
        if FINALIZER not in obj.spec.finalizers:
            obj.spec.finalizers.append(FINALIZER)

    def canonicalize(self, obj: core_v1.Namespace) -> None:
        obj.metadata.labels[NAME_LABEL] = obj.metadata.name

    def holds(self, obj: core_v1.Namespace) -> bool:
        return bool(obj.spec.finalizers)

    def mark_deleting(self, obj: core_v1.Namespace) -> None:
        obj.status.phase = "Terminating"

    def validate(self, obj: core_v1.Namespace) -> list[FieldError]:
        return [e for name in obj.spec.finalizers for e in meta.finalizer(name, "spec.finalizers")]

    def validate_update(self, new: core_v1.Namespace, old: core_v1.Namespace) -> list[FieldError]:
        return []

    def prepare_update(self, new: core_v1.Namespace, old: core_v1.Namespace) -> None:
        new.spec.finalizers = old.spec.finalizers

    def validate_status(self, new: core_v1.Namespace, old: core_v1.Namespace) -> list[FieldError]:
        phase = new.status.phase
        if new.metadata.deletion_timestamp is None:
            if phase != "Active":
                return [invalid_value("status.Phase", phase, "may only be 'Active' if `deletionTimestamp` is empty")]
        elif phase != "Terminating":
            return [
                invalid_value("status.Phase", phase, "may only be 'Terminating' if `deletionTimestamp` is not empty")
            ]
        return []

    def before_finalize(self, new: Any, old: Any) -> list[FieldError]:
        self.carry(new, old)
        new.status = old.status
        errors = meta.validate_update(new.metadata, old.metadata)
        for i, name in enumerate(new.spec.finalizers):
            errors += meta.finalizer(name, f"spec.finalizers[{i}]")
        return errors
