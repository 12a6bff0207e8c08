"""Rules of what steers a pod to a node: selectors, affinity, tolerations, spread."""

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import meta, names
from orlop.apiserver.registry.common import POSITIVE_QUANTITY
from orlop.apiserver.registry.labelselectors import validate_selector
from orlop.apiserver.registry.resources import unsupported

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
OPERATORS = ("Equal", "Exists")
COMPARISONS = ("Lt", "Gt")
"""Operators that upstream knows but does not allow by default (KEP-5471, alpha)."""
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"
ACTIONS = ("DoNotSchedule", "ScheduleAnyway")
POLICIES = ("Honor", "Ignore")


def gates(listed: list[core_v1.PodSchedulingGate], path: str) -> list[FieldError]:
    """What keeps a pod from being scheduled: qualified names, each once."""
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, gate in enumerate(listed):
        errors += [invalid_value(f"{path}[{i}]", gate.name, m) for m in meta.key_errors(gate.name)]
        if gate.name in seen:
            errors.append(duplicate(f"{path}[{i}]", gate.name))
        seen.add(gate.name)
    return errors


def tolerations(listed: list[core_v1.Toleration], path: str) -> list[FieldError]:
    """What is wrong with tolerations."""
    errors: list[FieldError] = []
    for i, toleration in enumerate(listed):
        key, operator, effect = toleration.key, toleration.operator, toleration.effect
        if operator == "Exists" and effect == "NoExecute" and not toleration.value and not meta.key_errors(key):
            # What the server itself gives to nearly every pod.
            continue
        where = f"{path}[{i}]"
        if key:
            errors += [invalid_value(f"{where}.key", key, m) for m in meta.key_errors(key)]
        elif operator != "Exists":
            words = 'operator must be Exists when `key` is empty, which means "match all values and all keys"'
            errors.append(invalid_value(f"{where}.operator", operator, words))
        if toleration.toleration_seconds is not None and effect != "NoExecute":
            words = "effect must be 'NoExecute' when `tolerationSeconds` is set"
            errors.append(invalid_value(f"{where}.effect", effect, words))
        if operator in ("Equal", ""):
            wrong = meta.value_errors(toleration.value)
            if wrong:
                errors.append(invalid_value(f"{where}.operator", toleration.value, ";".join(wrong)))
        elif operator == "Exists":
            if toleration.value:
                words = "value must be empty when `operator` is 'Exists'"
                errors.append(invalid_value(f"{where}.operator", toleration.value, words))
        else:
            known = OPERATORS + COMPARISONS if operator in COMPARISONS else OPERATORS
            errors.append(unsupported(f"{where}.operator", operator, known))
        if effect and effect not in EFFECTS:
            errors.append(unsupported(f"{where}.effect", effect, EFFECTS))
    return errors


def affinity(value: core_v1.Affinity, path: str) -> list[FieldError]:
    """What is wrong with node and pod affinity."""
    errors: list[FieldError] = []
    node = value.node_affinity
    if node is not None:
        wanted = node.required_during_scheduling_ignored_during_execution
        where = f"{path}.nodeAffinity"
        if wanted is not None:
            terms = f"{where}.{REQUIRED}.nodeSelectorTerms"
            if not wanted.node_selector_terms:
                errors.append(required(terms, "must have at least one node selector term"))
            for i, term in enumerate(wanted.node_selector_terms):
                errors += node_term(term, f"{terms}[{i}]")
        for i, preferred in enumerate(node.preferred_during_scheduling_ignored_during_execution):
            at = f"{where}.{PREFERRED}[{i}]"
            errors += _weight(preferred.weight, f"{at}.weight")
            # A preference that no node can meet does no harm: its values are not looked at.
            errors += node_term(preferred.preference, f"{at}.preference", values=False)
    for json, pods in (("podAffinity", value.pod_affinity), ("podAntiAffinity", value.pod_anti_affinity)):
        if pods is None:
            continue
        where = f"{path}.{json}"
        for i, pod_term in enumerate(pods.required_during_scheduling_ignored_during_execution):
            errors += _pod_term(pod_term, f"{where}.{REQUIRED}[{i}]")
        for i, weighted in enumerate(pods.preferred_during_scheduling_ignored_during_execution):
            at = f"{where}.{PREFERRED}[{i}]"
            errors += _weight(weighted.weight, f"{at}.weight")
            errors += _pod_term(weighted.pod_affinity_term, f"{at}.podAffinityTerm")
    return errors


def _weight(weight: int, path: str) -> list[FieldError]:
    return [] if 1 <= weight <= 100 else [invalid_value(path, weight, "must be in the range 1-100")]


def node_term(term: core_v1.NodeSelectorTerm, path: str, *, values: bool = True) -> list[FieldError]:
    """One term of a node selector; with `values` the label values in it too."""
    errors: list[FieldError] = []
    for i, requirement in enumerate(term.match_expressions):
        errors += _requirement(requirement, f"{path}.matchExpressions[{i}]", values)
    for i, requirement in enumerate(term.match_fields):
        where = f"{path}.matchFields[{i}]"
        if requirement.operator not in ("In", "NotIn"):
            errors.append(invalid_value(f"{where}.operator", requirement.operator, "not a valid selector operator"))
        elif len(requirement.values) != 1:
            words = "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"
            errors.append(required(f"{where}.values", words))
        if requirement.key != "metadata.name":
            errors.append(invalid_value(f"{where}.key", requirement.key, "not a valid field selector key"))
        else:
            for j, value in enumerate(requirement.values):
                errors += [invalid_value(f"{where}.values[{j}]", value, m) for m in names.subdomain(value)]
    return errors


def _requirement(requirement: core_v1.NodeSelectorRequirement, path: str, values_too: bool) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = requirement.operator, requirement.values
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            words = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"
            errors.append(forbidden_field(f"{path}.values", words))
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errors.append(invalid_value(f"{path}.operator", operator, "not a valid selector operator"))
    errors += [invalid_value(f"{path}.key", requirement.key, m) for m in meta.key_errors(requirement.key)]
    for i, value in enumerate(values if values_too else ()):
        errors += [invalid_value(f"{path}.values[{i}]", value, m) for m in meta.value_errors(value)]
    return errors


def _pod_term(term: core_v1.PodAffinityTerm, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if term.label_selector is not None:
        errors += validate_selector(term.label_selector, f"{path}.labelSelector")
    if term.namespace_selector is not None:
        errors += validate_selector(term.namespace_selector, f"{path}.namespaceSelector")
    for namespace in term.namespaces:
        errors += [invalid_value(f"{path}.namespace", namespace, m) for m in names.label(namespace)]
    if term.match_label_keys or term.mismatch_label_keys:
        errors += _label_keys(path, term.match_label_keys, term.mismatch_label_keys, term.label_selector)
    where = f"{path}.topologyKey"
    if not term.topology_key:
        errors.append(required(where, "can not be empty"))
    return errors + [invalid_value(where, term.topology_key, m) for m in meta.key_errors(term.topology_key)]


def _label_keys(
    path: str, keys: list[str], not_keys: list[str], selector: meta_v1.LabelSelector | None
) -> list[FieldError]:
    """Keys of the pod's own labels that go into the selector (KEP-3633): by now the server has put them there, so a
    key that stands there once more was the client's."""
    errors: list[FieldError] = []
    for json, listed in (("matchLabelKeys", keys), ("mismatchLabelKeys", not_keys)):
        where = f"{path}.{json}"
        if listed and selector is None:
            errors.append(forbidden_field(where, "must not be specified when labelSelector is not set"))
            continue
        for i, key in enumerate(listed):
            errors += [invalid_value(f"{where}[{i}]", key, m) for m in meta.key_errors(key)]
    if selector is not None:
        seen = set(selector.match_labels)
        for expression in selector.match_expressions:
            key = expression.key
            if key in keys and key in seen:
                at = len(keys) - 1 - keys[::-1].index(key)
                errors.append(invalid_value(f"{path}[{at}]", key, "exists in both matchLabelKeys and labelSelector"))
            seen.add(key)
    errors += [
        invalid_value(f"{path}.matchLabelKeys[{i}]", key, "exists in both matchLabelKeys and mismatchLabelKeys")
        for i, key in enumerate(keys)
        if key in not_keys
    ]
    return errors


def spread(constraints: list[core_v1.TopologySpreadConstraint], path: str) -> list[FieldError]:
    """What is wrong with how pods are spread."""
    errors: list[FieldError] = []
    pairs = [(c.topology_key, c.when_unsatisfiable) for c in constraints]
    for i, constraint in enumerate(constraints):
        where = f"{path}[{i}]"
        action = constraint.when_unsatisfiable
        if constraint.max_skew <= 0:
            errors.append(invalid_value(f"{where}.maxSkew", constraint.max_skew, POSITIVE_QUANTITY))
        if not constraint.topology_key:
            errors.append(required(f"{where}.topologyKey", "can not be empty"))
        if action not in ACTIONS:
            errors.append(unsupported(f"{where}.whenUnsatisfiable", action, ACTIONS))
        if pairs[i] in pairs[i + 1 :]:
            errors.append(duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{pairs[i][0]}, {action}}}"))
        if constraint.min_domains is not None:
            if constraint.min_domains <= 0:
                errors.append(invalid_value(f"{where}.minDomains", constraint.min_domains, POSITIVE_QUANTITY))
            if action != "DoNotSchedule":
                words = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {action}"
                errors.append(invalid_value(f"{where}.minDomains", constraint.min_domains, words))
        for json, policy in (
            ("nodeAffinityPolicy", constraint.node_affinity_policy),
            ("nodeTaintsPolicy", constraint.node_taints_policy),
        ):
            if policy is not None and policy not in POLICIES:
                errors.append(unsupported(f"{where}.{json}", policy, POLICIES))
        if constraint.match_label_keys:
            errors += _label_keys(where, constraint.match_label_keys, [], constraint.label_selector)
        if constraint.label_selector is not None:
            errors += validate_selector(constraint.label_selector, f"{where}.labelSelector")
    return errors


def fill_label_keys(spec: core_v1.PodSpec, labels: dict[str, str]) -> None:
    """Puts what a new pod's `matchLabelKeys` and `mismatchLabelKeys` mean into its selectors (KEP-3633, KEP-3243)."""
    if spec.affinity is not None:
        for pods in (spec.affinity.pod_affinity, spec.affinity.pod_anti_affinity):
            if pods is None:
                continue
            for weighted in pods.preferred_during_scheduling_ignored_during_execution:
                _fill(weighted.pod_affinity_term, labels)
            for term in pods.required_during_scheduling_ignored_during_execution:
                _fill(term, labels)
    for constraint in spec.topology_spread_constraints:
        if constraint.match_label_keys and constraint.label_selector is not None:
            _require(constraint.label_selector, constraint.match_label_keys, "In", labels)


def _fill(term: core_v1.PodAffinityTerm, labels: dict[str, str]) -> None:
    if term.label_selector is not None:
        _require(term.label_selector, term.match_label_keys, "In", labels)
        _require(term.label_selector, term.mismatch_label_keys, "NotIn", labels)


def _require(selector: meta_v1.LabelSelector, keys: list[str], operator: str, labels: dict[str, str]) -> None:
    selector.match_expressions += [
        meta_v1.LabelSelectorRequirement(key=key, operator=operator, values=[labels[key]])
        for key in keys
        if key in labels
    ]
