"""Rules of PriorityClasses: pkg/apis/scheduling/v1 and its validation."""

from orlop.api.errors import FieldError, forbidden_field, required
from orlop.api.types import scheduling_v1
from orlop.apiserver.registry.common import immutable
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

HIGHEST = 1_000_000_000
"""HighestUserDefinablePriority."""
SYSTEM_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
"""The names with the reserved prefix that may be, and the values that they then have."""
POLICIES = ("PreemptLowerPriority", "Never")


class PriorityClasses(Strategy):
    """A name for a number."""

    generation = True

    def changes_generation(self, new: scheduling_v1.PriorityClass, old: scheduling_v1.PriorityClass) -> bool:
        return False

    def default(self, obj: scheduling_v1.PriorityClass) -> None:
        if obj.preemption_policy is None:
            obj.preemption_policy = "PreemptLowerPriority"

    def validate(self, obj: scheduling_v1.PriorityClass) -> list[FieldError]:
        errors: list[FieldError] = []
        if obj.metadata.name.startswith("system-"):
            if wrong := _unlike_system(obj):
                words = f"priority class names with 'system-' prefix are reserved for system use only. error: {wrong}"
                errors.append(forbidden_field("metadata.name", words))
        elif obj.value > HIGHEST:
            errors.append(forbidden_field("value", f"maximum allowed value of a user defined priority is {HIGHEST}"))
        policy = obj.preemption_policy
        if policy is not None and policy not in POLICIES:
            path = "preemptionPolicy"
            errors.append(unsupported(path, policy, POLICIES) if policy else required(path))
        return errors

    def validate_update(self, new: scheduling_v1.PriorityClass, old: scheduling_v1.PriorityClass) -> list[FieldError]:
        errors: list[FieldError] = []
        if new.value != old.value:
            errors.append(forbidden_field("value", "may not be changed in an update."))
        return errors + immutable(new.preemption_policy, old.preemption_policy, "preemptionPolicy")


def _unlike_system(obj: scheduling_v1.PriorityClass) -> str:
    """How it differs from the system's class of that name."""
    name = obj.metadata.name
    value = SYSTEM_CLASSES.get(name)
    if value is None:
        return f"{name} is not a known system priority class"
    if obj.value != value:
        return f"value of {name} PriorityClass must be {value}"
    return f"globalDefault of {name} PriorityClass must be false" if obj.global_default else ""
