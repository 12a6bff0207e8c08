"""Rules of PodDisruptionBudgets: pkg/apis/policy/validation, pkg/registry/policy/poddisruptionbudget."""

from orlop.api.errors import FieldError, invalid_value
from orlop.api.types import policy_v1
from orlop.apiserver.registry import conditions, names
from orlop.apiserver.registry.common import at_most_100, int_or_percent, not_negative
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.labelselectors import validate_selector
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

EVICTIONS = ("AlwaysAllow", "IfHealthyBudget")


class PodDisruptionBudgets(Strategy):
    """How many pods must stay, or may go, at once."""

    unconditional_update = False
    generation = True

    def name_rule(self, name: str) -> list[str]:
        return names.path_segment(name)

    def validate(self, obj: policy_v1.PodDisruptionBudget) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if spec.min_available is not None and spec.max_unavailable is not None:
            errors.append(invalid_value("spec", go_form(spec), "minAvailable and maxUnavailable cannot be both set"))
        for name, value in (("minAvailable", spec.min_available), ("maxUnavailable", spec.max_unavailable)):
            if value is not None:
                errors += int_or_percent(value, f"spec.{name}") + at_most_100(value, f"spec.{name}")
        if spec.selector is not None:
            errors += validate_selector(spec.selector, "spec.selector")
        policy = spec.unhealthy_pod_eviction_policy
        if policy is not None and policy not in EVICTIONS:
            errors.append(unsupported("spec.unhealthyPodEvictionPolicy", policy, EVICTIONS))
        return errors

    def validate_status(
        self, new: policy_v1.PodDisruptionBudget, old: policy_v1.PodDisruptionBudget
    ) -> list[FieldError]:
        status = new.status
        errors = conditions.validate(status.conditions, "status.conditions")
        for name, value in (
            ("disruptionsAllowed", status.disruptions_allowed),
            ("currentHealthy", status.current_healthy),
            ("desiredHealthy", status.desired_healthy),
            ("expectedPods", status.expected_pods),
        ):
            errors += not_negative(value, f"status.{name}")
        return errors
