"""Rules of ReplicationControllers and PodTemplates: pkg/apis/core/validation, pkg/registry/core."""

from orlop.api.errors import FieldError, required
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import poddefaults, podfields, podtemplate, podwarnings
from orlop.apiserver.registry.common import not_negative
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.registry.workloads import replica_status


class ReplicationControllers(Strategy):
    """A count of pods, the first way."""

    generation = True
    garbage_collected = "orphan"
    fields = (("status.replicas", "status.replicas=0"),)

    def default(self, obj: core_v1.ReplicationController) -> None:
        spec = obj.spec
        if spec.template is not None:
            poddefaults.pod_spec(spec.template.spec)
            labels = spec.template.metadata.labels
            if labels and not spec.selector:
                spec.selector = dict(labels)
            if labels and not obj.metadata.labels:
                obj.metadata.labels = dict(labels)
        if spec.replicas is None:
            spec.replicas = 1

    def prepare_create(self, obj: core_v1.ReplicationController) -> None:
        if obj.spec.template is not None:
            podfields.drop(obj.spec.template.spec)

    def prepare_update(self, new: core_v1.ReplicationController, old: core_v1.ReplicationController) -> None:
        if new.spec.template is not None:
            podfields.drop(new.spec.template.spec, old.spec.template.spec if old.spec.template is not None else None)

    def validate(self, obj: core_v1.ReplicationController) -> list[FieldError]:
        spec = obj.spec
        errors = not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        if not spec.selector:
            errors.append(required("spec.selector"))
        errors += not_negative(spec.replicas, "spec.replicas")
        template, path = spec.template, "spec.template"
        if template is None:
            return [*errors, required(path)]
        if spec.selector:
            selector = meta_v1.LabelSelector(match_labels=spec.selector)
            errors += podtemplate.validate_selected(template, selector, path)
        errors += podtemplate.validate_template(template, path)
        return errors + podtemplate.validate_running(template, path, "ReplicationController")

    def validate_status(
        self, new: core_v1.ReplicationController, old: core_v1.ReplicationController
    ) -> list[FieldError]:
        return replica_status(new.status)

    def warnings(
        self, new: core_v1.ReplicationController, old: core_v1.ReplicationController | None = None
    ) -> list[str]:
        template = new.spec.template
        if template is None or podwarnings.seen(new, old):
            return []
        found = podwarnings.owner_name(new.metadata) if old is None else []
        return found + podwarnings.warnings(template.spec, template.metadata, "spec.template.")


class PodTemplates(Strategy):
    """A template by itself."""

    returns_deleted = True
    generation = True

    def changes_generation(self, new: core_v1.PodTemplate, old: core_v1.PodTemplate) -> bool:
        return new.template != old.template

    def default(self, obj: core_v1.PodTemplate) -> None:
        poddefaults.pod_spec(obj.template.spec)

    def prepare_create(self, obj: core_v1.PodTemplate) -> None:
        podfields.drop(obj.template.spec)

    def prepare_update(self, new: core_v1.PodTemplate, old: core_v1.PodTemplate) -> None:
        podfields.drop(new.template.spec, old.template.spec)

    def validate(self, obj: core_v1.PodTemplate) -> list[FieldError]:
        return podtemplate.validate_template(obj.template, "template")

    def warnings(self, new: core_v1.PodTemplate, old: core_v1.PodTemplate | None = None) -> list[str]:
        if podwarnings.seen(new, old):
            return []
        return podwarnings.warnings(new.template.spec, new.template.metadata, "template.")
