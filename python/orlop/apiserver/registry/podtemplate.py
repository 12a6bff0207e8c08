"""What workloads share: a pod template that fits its selector."""

from orlop.api import selectors
from orlop.api.errors import FieldError, forbidden_field, invalid_value, not_supported
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import meta, podannotations, podvalidation
from orlop.apiserver.registry.labelselectors import validate_selector

__all__ = [
    "is_empty",
    "is_unreadable",
    "validate_running",
    "validate_selected",
    "validate_selector",
    "validate_template",
]


def validate_template(template: core_v1.PodTemplateSpec, path: str) -> list[FieldError]:
    """What is wrong with a template wherever it stands: ValidatePodTemplateSpec."""
    metadata, spec = template.metadata, template.spec
    # Upstream's path leaves `metadata` out here.
    errors = meta.validate_labels(metadata.labels, f"{path}.labels")
    if metadata.annotations:
        errors += meta.validate_annotations(metadata.annotations, f"{path}.annotations")
        errors += podannotations.validate(metadata.annotations, spec, f"{path}.annotations")
    errors += podvalidation.validate_spec(spec, f"{path}.spec")
    errors += podannotations.validate_match(metadata, spec, f"{path}.spec")
    if spec.ephemeral_containers:
        words = "ephemeral containers not allowed in pod template"
        errors.append(forbidden_field(f"{path}.spec.ephemeralContainers", words))
    return errors


def validate_running(template: core_v1.PodTemplateSpec, path: str, owner: str) -> list[FieldError]:
    """What a template of pods that run for ever may not say. `owner` is the kind that messages name."""
    errors: list[FieldError] = []
    if template.spec.restart_policy != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", template.spec.restart_policy, ["Always"]))
    if template.spec.active_deadline_seconds is not None:
        words = f"activeDeadlineSeconds in {owner} is not Supported"
        errors.append(forbidden_field(f"{path}.spec.activeDeadlineSeconds", words))
    return errors


def validate_selected(
    template: core_v1.PodTemplateSpec, selector: meta_v1.LabelSelector | None, path: str
) -> list[FieldError]:
    """Whether the selector finds the pods that the template makes. None finds nothing; one that cannot be read is told
    of by itself."""
    labels = template.metadata.labels
    if selector is not None:
        if is_empty(selector) or is_unreadable(selector):
            return []
        if selectors.from_struct(selector).matches(labels):
            return []
    shown = dict(sorted(labels.items())) or None
    return [invalid_value(f"{path}.metadata.labels", shown, "`selector` does not match template `labels`")]


def is_empty(selector: meta_v1.LabelSelector) -> bool:
    """Whether it says nothing, and so selects everything."""
    return not selector.match_labels and not selector.match_expressions


def is_unreadable(selector: meta_v1.LabelSelector) -> bool:
    """Whether it is no selector at all: what stands in it is wrong, or does not fit its operator."""
    return bool(validate_selector(selector, ""))
