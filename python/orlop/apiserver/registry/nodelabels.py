"""Node labels that have newer names, and advice on whoever selects nodes by the old ones: pkg/api/node/util.go."""

from orlop.api.types import core_v1, meta_v1

OLD_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
"""Since when each has a newer name, and which."""


def newer(label: str) -> str:
    """What to use instead of a label of `OLD_LABELS`."""
    since, new = OLD_LABELS[label]
    return f'deprecated since {since}; use "{new}" instead'


def term(selected: core_v1.NodeSelectorTerm, path: str) -> list[str]:
    """Old labels in a term of a node selector."""
    return [
        f"{path}.matchExpressions[{i}].key: {expression.key} is {newer(expression.key)}"
        for i, expression in enumerate(selected.match_expressions)
        if expression.key in OLD_LABELS
    ]


def selector(selected: meta_v1.LabelSelector | None, path: str) -> list[str]:
    """Old labels in a selector of nodes."""
    if selected is None:
        return []
    found = [
        f"{path}.matchExpressions[{i}].key: {expression.key} is {newer(expression.key)}"
        for i, expression in enumerate(selected.match_expressions)
        if expression.key in OLD_LABELS
    ]
    return found + [
        f"{path}.matchLabels.{label}: {newer(label)}" for label in sorted(OLD_LABELS.keys() & selected.match_labels)
    ]
