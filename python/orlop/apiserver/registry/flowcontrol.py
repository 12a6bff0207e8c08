"""Rules of flowcontrol.apiserver.k8s.io: pkg/apis/flowcontrol/v1/defaults.go and validation."""

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import flowcontrol_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import not_negative, one_of
from orlop.apiserver.registry.strategy import Strategy

MAX_PRECEDENCE = 10_000
SHARES, QUEUES, HAND_SIZE, QUEUE_LENGTH = 30, 64, 8, 50
MAX_QUEUES = 10_000_000
EXEMPT = "exempt"
KINDS = ("Group", "ServiceAccount", "User")
VERBS = frozenset({"get", "list", "create", "update", "delete", "deletecollection", "patch", "watch", "proxy", "*"})


class FlowSchemas(Strategy):
    """Which requests belong to which priority level."""

    generation = True

    def default(self, obj: flowcontrol_v1.FlowSchema) -> None:
        if not obj.spec.matching_precedence:
            obj.spec.matching_precedence = 1000

    def validate(self, obj: flowcontrol_v1.FlowSchema) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        least = 1
        if not least <= spec.matching_precedence <= MAX_PRECEDENCE:
            words = (
                "must be a positive value"
                if spec.matching_precedence <= 0
                else (f"must not be greater than {MAX_PRECEDENCE}")
            )
            errors.append(invalid_value("spec.matchingPrecedence", spec.matching_precedence, words))
        if spec.matching_precedence == 1 and obj.metadata.name != EXEMPT:
            words = "only the schema named 'exempt' may have matchingPrecedence 1"
            errors.append(invalid_value("spec.matchingPrecedence", spec.matching_precedence, words))
        if spec.distinguisher_method is not None:
            errors += one_of(spec.distinguisher_method.type, ("ByNamespace", "ByUser"), "spec.distinguisherMethod.type")
        level = spec.priority_level_configuration.name
        if not level:
            errors.append(required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
        else:
            path = "spec.priorityLevelConfiguration.name"
            errors += [invalid_value(path, level, m) for m in names.subdomain(level)]
        for i, rule in enumerate(spec.rules):
            errors += _rule(rule, f"spec.rules[{i}]")
        return errors


def _rule(rule: flowcontrol_v1.PolicyRulesWithSubjects, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not rule.subjects:
        errors.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for i, subject in enumerate(rule.subjects):
        where = f"{path}.subjects[{i}]"
        parts = {"User": subject.user, "Group": subject.group, "ServiceAccount": subject.service_account}
        errors += one_of(subject.kind, KINDS, f"{where}.kind")
        for kind, part in parts.items():
            name = kind[0].lower() + kind[1:]
            if kind == subject.kind and part is None:
                errors.append(required(f"{where}.{name}", f"{name} is required when subject kind is '{kind}'"))
            elif kind != subject.kind and part is not None:
                errors.append(
                    forbidden_field(f"{where}.{name}", f"{name} is forbidden when subject kind is not '{kind}'")
                )
            elif part is not None and not part.name:
                errors.append(required(f"{where}.{name}.name"))
    if not rule.resource_rules and not rule.non_resource_rules:
        words = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.append(required(path, words))
    for i, resource in enumerate(rule.resource_rules):
        where = f"{path}.resourceRules[{i}]"
        errors += _verbs(resource.verbs, f"{where}.verbs")
        if not resource.api_groups:
            errors.append(required(f"{where}.apiGroups", "resource rules must supply at least one api group"))
        if not resource.resources:
            errors.append(required(f"{where}.resources", "resource rules must supply at least one resource"))
        if not resource.namespaces and not resource.cluster_scope:
            words = "resource rules that are not cluster scoped must supply at least one namespace"
            errors.append(required(f"{where}.namespaces", words))
    for i, other in enumerate(rule.non_resource_rules):
        where = f"{path}.nonResourceRules[{i}]"
        errors += _verbs(other.verbs, f"{where}.verbs")
        if not other.non_resource_urls:
            errors.append(required(f"{where}.nonResourceURLs", "nonResourceURLs must contain at least one value"))
    return errors


def _verbs(verbs: list[str], path: str) -> list[FieldError]:
    if not verbs:
        return [required(path, "verbs must contain at least one value")]
    if "*" in verbs and len(verbs) > 1:
        return [invalid_value(path, verbs, "if '*' is present, must not specify other verbs")]
    return []


class PriorityLevels(Strategy):
    """How many requests of a level run at once, and how many wait."""

    generation = True

    def default(self, obj: flowcontrol_v1.PriorityLevelConfiguration) -> None:
        spec = obj.spec
        if spec.exempt is not None:
            if spec.exempt.nominal_concurrency_shares is None:
                spec.exempt.nominal_concurrency_shares = 0
            if spec.exempt.lendable_percent is None:
                spec.exempt.lendable_percent = 0
        elif spec.type == "Exempt":
            spec.exempt = flowcontrol_v1.ExemptPriorityLevelConfiguration(
                nominal_concurrency_shares=0, lendable_percent=0
            )
        limited = spec.limited
        if limited is None:
            return
        if limited.nominal_concurrency_shares is None:
            limited.nominal_concurrency_shares = SHARES
        if limited.lendable_percent is None:
            limited.lendable_percent = 0
        if (queuing := limited.limit_response.queuing) is not None:
            queuing.queues = queuing.queues or QUEUES
            queuing.hand_size = queuing.hand_size or HAND_SIZE
            queuing.queue_length_limit = queuing.queue_length_limit or QUEUE_LENGTH

    def validate(self, obj: flowcontrol_v1.PriorityLevelConfiguration) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if (obj.metadata.name == EXEMPT) != (spec.type == "Exempt"):
            words = "type must be 'Exempt' if and only if name is 'exempt'"
            errors.append(invalid_value("spec.type", spec.type, words))
        if spec.type == "Exempt":
            if spec.limited is not None:
                errors.append(forbidden_field("spec.limited", "must be nil if the type is not Limited"))
        elif spec.type == "Limited":
            if spec.exempt is not None:
                errors.append(forbidden_field("spec.exempt", "must be nil if the type is Limited"))
            if spec.limited is None:
                errors.append(required("spec.limited", "must not be empty when type is Limited"))
            else:
                errors += _limited(spec.limited, "spec.limited")
        else:
            errors += one_of(spec.type, ("Exempt", "Limited"), "spec.type")
        return errors


def _limited(limited: flowcontrol_v1.LimitedPriorityLevelConfiguration, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    errors += not_negative(limited.nominal_concurrency_shares, f"{path}.nominalConcurrencyShares")
    for name, value, most in (
        ("lendablePercent", limited.lendable_percent, 100),
        ("borrowingLimitPercent", limited.borrowing_limit_percent, None),
    ):
        if value is not None and (value < 0 or (most is not None and value > most)):
            words = "must be between 0 and 100, inclusive" if most else "if specified, must be a non-negative integer"
            errors.append(invalid_value(f"{path}.{name}", value, words))
    response, where = limited.limit_response, f"{path}.limitResponse"
    errors += one_of(response.type, ("Queue", "Reject"), f"{where}.type")
    if response.type == "Reject" and response.queuing is not None:
        errors.append(forbidden_field(f"{where}.queuing", "must be nil if limited.limitResponse.type is not Limited"))
    if response.type == "Queue":
        queuing = response.queuing
        if queuing is None:
            return [*errors, required(f"{where}.queuing", "must not be empty if limited.limitResponse.type is Limited")]
        for name, value in (
            ("queueLengthLimit", queuing.queue_length_limit),
            ("queues", queuing.queues),
            ("handSize", queuing.hand_size),
        ):
            if value <= 0:
                errors.append(invalid_value(f"{where}.queuing.{name}", value, "must be positive"))
        if queuing.queues > MAX_QUEUES:
            errors.append(
                invalid_value(f"{where}.queuing.queues", queuing.queues, f"must not be greater than {MAX_QUEUES}")
            )
        if queuing.hand_size > queuing.queues > 0:
            words = f"should not be greater than queues ({queuing.queues})"
            errors.append(invalid_value(f"{where}.queuing.handSize", queuing.hand_size, words))
    return errors
