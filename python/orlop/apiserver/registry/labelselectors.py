"""Rules of label selectors, the same wherever one stands: apimachinery's ValidateLabelSelector."""

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import meta_v1
from orlop.apiserver.registry import meta


def validate_selector(selector: meta_v1.LabelSelector, path: str, *, values: bool = True) -> list[FieldError]:
    """What is wrong with a label selector; `values`: the form of the values that it lists counts."""
    errors = meta.validate_labels(selector.match_labels, f"{path}.matchLabels")
    for i, expression in enumerate(selector.match_expressions):
        where = f"{path}.matchExpressions[{i}]"
        if expression.operator in ("In", "NotIn"):
            if not expression.values:
                errors.append(required(f"{where}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
        elif expression.operator in ("Exists", "DoesNotExist"):
            if expression.values:
                words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
                errors.append(forbidden_field(f"{where}.values", words))
        else:
            errors.append(invalid_value(f"{where}.operator", expression.operator, "not a valid selector operator"))
        errors += [invalid_value(f"{where}.key", expression.key, m) for m in meta.key_errors(expression.key)]
        for j, value in enumerate(expression.values if values else ()):
            errors += [invalid_value(f"{where}.values[{j}]", value, m) for m in meta.value_errors(value)]
    return errors
