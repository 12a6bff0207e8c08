"""What workloads share: a selector and a pod template."""

from orlop.api import selectors
from orlop.api.errors import FieldError, invalid_value, not_supported
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import meta, podvalidation


def validate_selector(selector: meta_v1.LabelSelector, path: str) -> list[FieldError]:
    """What is wrong with a label selector: metav1's ValidateLabelSelector."""
    errors = meta.validate_labels(selector.match_labels, f"{path}.matchLabels")
    for i, expression in enumerate(selector.match_expressions):
        where = f"{path}.matchExpressions[{i}]"
        if expression.operator in ("In", "NotIn"):
            if not expression.values:
                errors.append(
                    FieldError(
                        "FieldValueRequired",
                        f"{where}.values",
                        None,
                        "must be specified when `operator` is 'In' or 'NotIn'",
                    )
                )
        elif expression.operator in ("Exists", "DoesNotExist"):
            if expression.values:
                errors.append(
                    FieldError(
                        "FieldValueForbidden",
                        f"{where}.values",
                        None,
                        "may not be specified when `operator` is 'Exists' or 'DoesNotExist'",
                    )
                )
        else:
            errors.append(invalid_value(f"{where}.operator", expression.operator, "not a valid selector operator"))
        errors += [invalid_value(f"{where}.key", expression.key, m) for m in selectors.key_errors(expression.key)]
        for j, value in enumerate(expression.values):
            errors += [invalid_value(f"{where}.values[{j}]", value, m) for m in selectors.value_errors(value)]
    return errors


def validate_template(
    template: core_v1.PodTemplateSpec,
    selector: meta_v1.LabelSelector | None,
    path: str,
    *,
    owner: str = "ReplicaSet",
) -> list[FieldError]:
    """What is wrong with the template of a workload that runs for ever: its labels, its pod, its restart policy."""
    errors: list[FieldError] = []
    if selector is not None:
        try:
            if not selectors.from_struct(selector).matches(template.metadata.labels):
                errors.append(_no_match(template.metadata.labels, path))
        except ValueError:
            pass
    else:
        errors.append(_no_match(template.metadata.labels, path))
    errors += meta.validate_labels(template.metadata.labels, f"{path}.metadata.labels")
    errors += meta.validate_annotations(template.metadata.annotations, f"{path}.metadata.annotations")
    errors += podvalidation.validate_spec(template.spec, f"{path}.spec", template.metadata)
    if template.spec.ephemeral_containers:
        errors.append(
            FieldError(
                "FieldValueForbidden",
                f"{path}.spec.ephemeralContainers",
                None,
                "ephemeral containers not allowed in pod template",
            )
        )
    if template.spec.restart_policy != "Always":
        errors.append(not_supported(f"{path}.spec.restartPolicy", template.spec.restart_policy, ["Always"]))
    if template.spec.active_deadline_seconds is not None:
        errors.append(
            FieldError(
                "FieldValueForbidden",
                f"{path}.spec.activeDeadlineSeconds",
                None,
                f"activeDeadlineSeconds in {owner} is not Supported",
            )
        )
    return errors


def _no_match(labels: dict[str, str], path: str) -> FieldError:
    return invalid_value(f"{path}.metadata.labels", labels, "`selector` does not match template `labels`")
