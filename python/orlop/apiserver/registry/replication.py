"""Rules of ReplicationControllers and PodTemplates: pkg/apis/core/validation, pkg/registry/core."""

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import meta, poddefaults, podtemplate, podvalidation, podwarnings
from orlop.apiserver.registry.common import not_negative
from orlop.apiserver.registry.strategy import Strategy


class ReplicationControllers(Strategy):
    """A count of pods, the first way."""

    generation = True
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

    def validate(self, obj: core_v1.ReplicationController) -> list[FieldError]:
        spec = obj.spec
        errors = not_negative(spec.min_ready_seconds, "spec.minReadySeconds")
        if not spec.selector:
            errors.append(required("spec.selector"))
        errors += not_negative(spec.replicas, "spec.replicas")
        if spec.template is None:
            return [*errors, required("spec.template")]
        selector = meta_v1.LabelSelector(match_labels=spec.selector)
        return errors + podtemplate.validate_template(
            spec.template, selector, "spec.template", owner="ReplicationController"
        )

    def validate_status(
        self, new: core_v1.ReplicationController, old: core_v1.ReplicationController
    ) -> list[FieldError]:
        status = new.status
        errors: list[FieldError] = []
        counts = {
            "replicas": status.replicas,
            "fullyLabeledReplicas": status.fully_labeled_replicas,
            "readyReplicas": status.ready_replicas,
            "availableReplicas": status.available_replicas,
            "observedGeneration": status.observed_generation,
        }
        for name, value in counts.items():
            errors += not_negative(value, f"status.{name}")
        for name in ("fullyLabeledReplicas", "readyReplicas", "availableReplicas"):
            if counts[name] > status.replicas:
                errors.append(invalid_value(f"status.{name}", counts[name], "cannot be greater than status.replicas"))
        if status.available_replicas > status.ready_replicas:
            errors.append(
                invalid_value(
                    "status.availableReplicas", status.available_replicas, "cannot be greater than readyReplicas"
                )
            )
        return errors

    def warnings(self, obj: core_v1.ReplicationController) -> list[str]:
        template = obj.spec.template
        return [] if template is None else podwarnings.warnings(template.spec, "spec.template.spec")


class PodTemplates(Strategy):
    """A template by itself."""

    generation = True

    def changes_generation(self, new: core_v1.PodTemplate, old: core_v1.PodTemplate) -> bool:
        return new.template != old.template

    def default(self, obj: core_v1.PodTemplate) -> None:
        poddefaults.pod_spec(obj.template.spec)

    def validate(self, obj: core_v1.PodTemplate) -> list[FieldError]:
        template = obj.template
        errors = meta.validate_labels(template.metadata.labels, "template.metadata.labels")
        errors += meta.validate_annotations(template.metadata.annotations, "template.metadata.annotations")
        return errors + podvalidation.validate_spec(template.spec, "template.spec", template.metadata)

    def warnings(self, obj: core_v1.PodTemplate) -> list[str]:
        return podwarnings.warnings(obj.template.spec, "template.spec")
