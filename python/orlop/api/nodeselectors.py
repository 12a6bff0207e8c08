"""Node selectors: which nodes a pod, a volume or a driver's device asks for.

Upstream: k8s.io/component-helpers/scheduling/corev1/nodeaffinity.
"""

from collections.abc import Mapping

from orlop.api.types import core_v1

NODE_FIELD = "metadata.name"
"""The one field that matchFields may name."""


def selects(selector: core_v1.NodeSelector, labels: Mapping[str, str], name: str) -> bool:
    """Whether one of the terms matches the node of that name; a term without requirements matches nothing."""
    return any(
        (term.match_expressions or term.match_fields)
        and all(_requires(r, labels) for r in term.match_expressions)
        and all(_requires(r, {NODE_FIELD: name}) for r in term.match_fields)
        for term in selector.node_selector_terms
    )


def _requires(requirement: core_v1.NodeSelectorRequirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            try:
                have, limit = int(value or ""), int(requirement.values[0])
            except (ValueError, IndexError):
                return False
            return have > limit if requirement.operator == "Gt" else have < limit
    return False
