"""Rules of what steers a pod to a node: selectors, affinity, tolerations, spread."""

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, names, podtemplate
from orlop.apiserver.registry.resources import unsupported

EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"


def validate(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """Everything of a pod's spec that concerns its place."""
    errors = meta.validate_labels(spec.node_selector, f"{path}.nodeSelector")
    if spec.affinity is not None:
        errors += affinity(spec.affinity, f"{path}.affinity")
    errors += tolerations(spec.tolerations, f"{path}.tolerations")
    errors += _spread(spec.topology_spread_constraints, f"{path}.topologySpreadConstraints")
    for i, gate in enumerate(spec.scheduling_gates):
        errors += [invalid_value(f"{path}.schedulingGates[{i}]", gate.name, m) for m in meta.key_errors(gate.name)]
        if any(g.name == gate.name for g in spec.scheduling_gates[:i]):
            errors.append(duplicate(f"{path}.schedulingGates[{i}]", gate.name))
    return errors


def tolerations(listed: list[core_v1.Toleration], path: str) -> list[FieldError]:
    """What is wrong with tolerations."""
    errors: list[FieldError] = []
    for i, toleration in enumerate(listed):
        where = f"{path}[{i}]"
        if toleration.key:
            errors += [invalid_value(f"{where}.key", toleration.key, m) for m in meta.key_errors(toleration.key)]
        elif toleration.operator != "Exists":
            errors.append(
                invalid_value(
                    f"{where}.operator",
                    toleration.operator,
                    'operator must be Exists when `key` is empty, which means "match all values and all keys"',
                )
            )
        if toleration.toleration_seconds is not None and toleration.effect != "NoExecute":
            errors.append(
                invalid_value(
                    f"{where}.effect",
                    toleration.effect,
                    "effect must be 'NoExecute' when `tolerationSeconds` is set",
                )
            )
        if toleration.operator in ("Equal", ""):
            wrong = meta.value_errors(toleration.value)
            if wrong:
                errors.append(invalid_value(f"{where}.operator", toleration.value, ";".join(wrong)))
        elif toleration.operator == "Exists":
            if toleration.value:
                errors.append(
                    invalid_value(f"{where}.operator", toleration, "value must be empty when `operator` is 'Exists'")
                )
        elif toleration.operator not in ("Lt", "Gt"):
            errors.append(unsupported(f"{where}.operator", toleration.operator, ("Equal", "Exists")))
        if toleration.effect and toleration.effect not in EFFECTS:
            errors.append(unsupported(f"{where}.effect", toleration.effect, EFFECTS))
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
            errors += node_term(preferred.preference, f"{at}.preference")
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


def node_term(term: core_v1.NodeSelectorTerm, path: str) -> list[FieldError]:
    """One term of a node selector."""
    errors: list[FieldError] = []
    for i, requirement in enumerate(term.match_expressions):
        errors += _requirement(requirement, f"{path}.matchExpressions[{i}]")
    for i, requirement in enumerate(term.match_fields):
        where = f"{path}.matchFields[{i}]"
        if requirement.operator not in ("In", "NotIn"):
            errors.append(invalid_value(f"{where}.operator", requirement.operator, "not a valid selector operator"))
        elif len(requirement.values) != 1:
            errors.append(
                required(
                    f"{where}.values",
                    "must be only one value when `operator` is 'In' or 'NotIn' for node field selector",
                )
            )
        if requirement.key != "metadata.name":
            errors.append(invalid_value(f"{where}.key", requirement.key, "not a valid field selector key"))
        else:
            for j, value in enumerate(requirement.values):
                errors += [invalid_value(f"{where}.values[{j}]", value, m) for m in names.subdomain(value)]
    return errors


def _requirement(requirement: core_v1.NodeSelectorRequirement, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    operator, values = requirement.operator, requirement.values
    if operator in ("In", "NotIn"):
        if not values:
            errors.append(required(f"{path}.values", "must be specified when `operator` is 'In' or 'NotIn'"))
    elif operator in ("Exists", "DoesNotExist"):
        if values:
            errors.append(
                forbidden_field(f"{path}.values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'")
            )
    elif operator in ("Gt", "Lt"):
        if len(values) != 1:
            errors.append(required(f"{path}.values", "must be specified single value when `operator` is 'Lt' or 'Gt'"))
    else:
        errors.append(invalid_value(f"{path}.operator", operator, "not a valid selector operator"))
    errors += [invalid_value(f"{path}.key", requirement.key, m) for m in meta.key_errors(requirement.key)]
    for i, value in enumerate(values):
        errors += [invalid_value(f"{path}.values[{i}]", value, m) for m in meta.value_errors(value)]
    return errors


def _topology_key(key: str, path: str) -> list[FieldError]:
    errors = [] if key else [required(path, "can not be empty")]
    return errors + [invalid_value(path, key, m) for m in meta.key_errors(key)]


def _pod_term(term: core_v1.PodAffinityTerm, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if term.label_selector is not None:
        errors += podtemplate.validate_selector(term.label_selector, f"{path}.labelSelector")
    if term.namespace_selector is not None:
        errors += podtemplate.validate_selector(term.namespace_selector, f"{path}.namespaceSelector")
    for i, namespace in enumerate(term.namespaces):
        errors += [invalid_value(f"{path}.namespaces[{i}]", namespace, m) for m in names.label(namespace)]
    return errors + _topology_key(term.topology_key, f"{path}.topologyKey")


def _spread(constraints: list[core_v1.TopologySpreadConstraint], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, constraint in enumerate(constraints):
        where = f"{path}[{i}]"
        if constraint.max_skew <= 0:
            errors.append(invalid_value(f"{where}.maxSkew", constraint.max_skew, "must be greater than zero"))
        if not constraint.topology_key:
            errors.append(required(f"{where}.topologyKey", "can not be empty"))
        else:
            errors += [
                invalid_value(f"{where}.topologyKey", constraint.topology_key, m)
                for m in meta.key_errors(constraint.topology_key)
            ]
        if constraint.when_unsatisfiable not in ("DoNotSchedule", "ScheduleAnyway"):
            errors.append(
                unsupported(
                    f"{where}.whenUnsatisfiable", constraint.when_unsatisfiable, ("DoNotSchedule", "ScheduleAnyway")
                )
            )
        pair = (constraint.topology_key, constraint.when_unsatisfiable)
        if pair in seen:
            errors.append(duplicate(f"{where}.{{topologyKey, whenUnsatisfiable}}", f"{{{pair[0]}, {pair[1]}}}"))
        seen.add(pair)
        if constraint.min_domains is not None:
            if constraint.min_domains <= 0:
                errors.append(invalid_value(f"{where}.minDomains", constraint.min_domains, "must be greater than zero"))
            if constraint.when_unsatisfiable != "DoNotSchedule":
                why = f"can only use minDomains if whenUnsatisfiable=DoNotSchedule, not {constraint.when_unsatisfiable}"
                errors.append(invalid_value(f"{where}.minDomains", constraint.min_domains, why))
        for json, policy in (
            ("nodeAffinityPolicy", constraint.node_affinity_policy),
            ("nodeTaintsPolicy", constraint.node_taints_policy),
        ):
            if policy not in (None, "Honor", "Ignore"):
                errors.append(unsupported(f"{where}.{json}", policy, ("Honor", "Ignore")))
        if constraint.label_selector is not None:
            errors += podtemplate.validate_selector(constraint.label_selector, f"{where}.labelSelector")
    return errors
