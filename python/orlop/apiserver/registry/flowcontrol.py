"""Rules of flowcontrol.apiserver.k8s.io: pkg/apis/flowcontrol/v1/defaults.go and validation."""

import math
from collections.abc import Sequence

from msgspec.structs import replace

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, not_supported, required
from orlop.api.types import flowcontrol_v1
from orlop.apiserver.registry import flowdefaults, names
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.strategy import Strategy

MAX_PRECEDENCE = 10_000
SHARES, QUEUES, HAND_SIZE, QUEUE_LENGTH = 30, 64, 8, 50
MAX_QUEUES = 10_000_000
EXEMPT = "exempt"
KINDS = ("Group", "ServiceAccount", "User")
METHODS = ("ByNamespace", "ByUser")
MAX_HASH_BITS = 60
"""Bits of a flow's hash from which a hand of queues is dealt."""
VERBS = frozenset({"get", "list", "create", "update", "delete", "deletecollection", "patch", "watch", "proxy"})
ALL = "*"


class FlowSchemas(Strategy):
    """Which requests belong to which priority level."""

    status_keeps_metadata = True
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
            method = spec.distinguisher_method
            if method.type not in METHODS:
                errors.append(not_supported("spec.distinguisherMethod.type", go_form(method), METHODS))
        level = spec.priority_level_configuration.name
        if not level:
            errors.append(required("spec.priorityLevelConfiguration.name", "must reference a priority level"))
        else:
            path = "spec.priorityLevelConfiguration.name"
            errors += [invalid_value(path, level, m) for m in names.subdomain(level)]
        for i, rule in enumerate(spec.rules):
            errors += _rule(rule, f"spec.rules[{i}]")
        if obj.metadata.name in flowdefaults.MANDATORY:
            fixed = next(s for s in flowdefaults.schemas() if s.metadata.name == obj.metadata.name)
            if spec != fixed.spec:
                words = f"spec of '{obj.metadata.name}' must equal the fixed value"
                errors.append(invalid_value("spec", go_form(spec), words))
        return errors + _conditions(obj.status.conditions)

    def validate_status(self, new: flowcontrol_v1.FlowSchema, old: flowcontrol_v1.FlowSchema) -> list[FieldError]:
        return _conditions(new.status.conditions)


def _conditions(
    conditions: Sequence[flowcontrol_v1.FlowSchemaCondition | flowcontrol_v1.PriorityLevelConfigurationCondition],
) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        path = f"status.conditions[{i}].type"
        if condition.type in seen:
            errors.append(duplicate(path, condition.type))
        seen.add(condition.type)
        if not condition.type:
            errors.append(required(path))
    return errors


def _rule(rule: flowcontrol_v1.PolicyRulesWithSubjects, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not rule.subjects:
        errors.append(required(f"{path}.subjects", "subjects must contain at least one value"))
    for i, subject in enumerate(rule.subjects):
        errors += _subject(subject, f"{path}.subjects[{i}]")
    if not rule.resource_rules and not rule.non_resource_rules:
        words = "at least one of resourceRules and nonResourceRules has to be non-empty"
        errors.append(required(path, words))
    for i, resource in enumerate(rule.resource_rules):
        where = f"{path}.resourceRules[{i}]"
        errors += _verbs(resource.verbs, f"{where}.verbs")
        words = "resource rules must supply at least one api group"
        errors += _some(resource.api_groups, f"{where}.apiGroups", words, "api groups")
        words = "resource rules must supply at least one resource"
        errors += _some(resource.resources, f"{where}.resources", words, "resources")
        errors += _namespaces(resource, f"{where}.namespaces")
    for i, other in enumerate(rule.non_resource_rules):
        where = f"{path}.nonResourceRules[{i}]"
        errors += _verbs(other.verbs, f"{where}.verbs")
        words = "nonResourceURLs must contain at least one value"
        where, urls = f"{where}.nonResourceURLs", other.non_resource_urls
        errors += _some(urls, where, words, "non-resource URLs")
        if ALL not in urls:
            errors += [invalid_value(f"{where}[{j}]", url, m) for j, url in enumerate(urls) if (m := _url(url))]
    return errors


def _subject(subject: flowcontrol_v1.Subject, path: str) -> list[FieldError]:
    """Exactly the part that the kind names."""
    if subject.kind not in KINDS:
        return [not_supported(f"{path}.kind", subject.kind, KINDS)]
    parts = {"ServiceAccount": subject.service_account, "User": subject.user, "Group": subject.group}
    mine = parts.pop(subject.kind)
    name = subject.kind[0].lower() + subject.kind[1:]
    errors: list[FieldError] = []
    if mine is None:
        errors.append(required(f"{path}.{name}", f"{name} is required when subject kind is '{subject.kind}'"))
    else:
        if not mine.name:
            errors.append(required(f"{path}.{name}.name"))
        if isinstance(mine, flowcontrol_v1.ServiceAccountSubject):
            errors += _account(mine, f"{path}.{name}")
    for kind, part in parts.items():
        name = kind[0].lower() + kind[1:]
        if part is not None:
            words = f"{name} is forbidden when subject kind is not '{kind}'"
            errors.append(forbidden_field(f"{path}.{name}", words))
    return errors


def _account(account: flowcontrol_v1.ServiceAccountSubject, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if account.name not in ("", ALL):
        errors += [invalid_value(f"{path}.name", account.name, m) for m in names.subdomain(account.name)]
    if not account.namespace:
        return [*errors, required(f"{path}.namespace", "must specify namespace for service account")]
    return errors + [invalid_value(f"{path}.namespace", account.namespace, m) for m in names.label(account.namespace)]


def _some(values: list[str], path: str, none: str, others: str) -> list[FieldError]:
    """At least one value, and nothing beside `*`."""
    if not values:
        return [required(path, none)]
    if ALL in values and len(values) > 1:
        return [invalid_value(path, values, f"if '*' is present, must not specify other {others}")]
    return []


def _namespaces(rule: flowcontrol_v1.ResourcePolicyRule, path: str) -> list[FieldError]:
    if not rule.namespaces and rule.cluster_scope:
        return []
    words = "resource rules that are not cluster scoped must supply at least one namespace"
    errors = _some(rule.namespaces, path, words, "namespaces")
    if ALL not in rule.namespaces:
        words = "each member of this list must be '*' or a DNS-1123 label; "
        for i, name in enumerate(rule.namespaces):
            errors += [invalid_value(f"{path}[{i}]", name, words + m) for m in names.label(name)]
    return errors


def _url(path: str) -> str:
    """What is wrong with a path that is no resource's."""
    if not path:
        return "must not be empty"
    if path == "/":
        return ""
    if not path.startswith("/"):
        return "must start with slash"
    if " " in path:
        return "must not contain white-space"
    if "//" in path:
        return "must not contain double slash"
    if ALL in path and (path.count(ALL) > 1 or not path.endswith("/*")):
        return "wildcard can only do suffix matching"
    return ""


def _verbs(verbs: list[str], path: str) -> list[FieldError]:
    errors = _some(verbs, path, "verbs must contain at least one value", "verbs")
    if not errors and ALL not in verbs and not VERBS.issuperset(verbs):
        errors.append(not_supported(path, verbs, sorted(VERBS)))
    return errors


class PriorityLevels(Strategy):
    """How many requests of a level run at once, and how many wait."""

    status_keeps_metadata = True
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
            words = "must be 'Exempt' if and only if `name` is 'exempt'"
            errors.append(invalid_value("spec.type", spec.type, words))
        if spec.type == "Exempt":
            if spec.limited is not None:
                errors.append(forbidden_field("spec.limited", "must be nil if the type is not Limited"))
            if spec.exempt is not None:
                path, exempt = "spec.exempt", spec.exempt
                errors += _shares(exempt.nominal_concurrency_shares, path) + _lendable(exempt.lendable_percent, path)
        elif spec.type == "Limited":
            if spec.exempt is not None:
                errors.append(forbidden_field("spec.exempt", "must be nil if the type is Limited"))
            if spec.limited is None:
                errors.append(required("spec.limited", "must not be empty when type is Limited"))
            else:
                errors += _limited(spec.limited, "spec.limited")
        elif spec.type:
            errors.append(not_supported("spec.type", spec.type, ("Exempt", "Limited")))
        if obj.metadata.name in flowdefaults.MANDATORY:
            fixed = next(level for level in flowdefaults.levels() if level.metadata.name == obj.metadata.name)
            # How much of the rest an exempt level may take is free.
            if replace(spec, exempt=None) != replace(fixed.spec, exempt=None):
                more = " except the 'spec.exempt' field" if obj.metadata.name == EXEMPT else ""
                words = f"spec of '{obj.metadata.name}'{more} must equal the fixed value"
                errors.append(invalid_value("spec", go_form(spec), words))
        return errors + _conditions(obj.status.conditions)

    def validate_status(
        self,
        new: flowcontrol_v1.PriorityLevelConfiguration,
        old: flowcontrol_v1.PriorityLevelConfiguration,
    ) -> list[FieldError]:
        return _conditions(new.status.conditions)


def _shares(shares: int | None, path: str) -> list[FieldError]:
    if shares is None or shares >= 0:
        return []
    return [invalid_value(f"{path}.nominalConcurrencyShares", shares, "must be a non-negative integer")]


def _lendable(percent: int | None, path: str) -> list[FieldError]:
    if percent is None or 0 <= percent <= 100:
        return []
    return [invalid_value(f"{path}.lendablePercent", percent, "must be between 0 and 100, inclusive")]


def _limited(limited: flowcontrol_v1.LimitedPriorityLevelConfiguration, path: str) -> list[FieldError]:
    errors = _shares(limited.nominal_concurrency_shares, path)
    response, where = limited.limit_response, f"{path}.limitResponse"
    if response.type == "Reject":
        if response.queuing is not None:
            words = "must be nil if limited.limitResponse.type is not Limited"
            errors.append(forbidden_field(f"{where}.queuing", words))
    elif response.type == "Queue":
        if response.queuing is None:
            words = "must not be empty if limited.limitResponse.type is Limited"
            errors.append(required(f"{where}.queuing", words))
        else:
            errors += _queuing(response.queuing, f"{where}.queuing")
    elif response.type:
        errors.append(not_supported(f"{where}.type", response.type, ("Queue", "Reject")))
    errors += _lendable(limited.lendable_percent, path)
    most = limited.borrowing_limit_percent
    if most is not None and most < 0:
        words = "if specified, must be a non-negative integer"
        errors.append(invalid_value(f"{path}.borrowingLimitPercent", most, words))
    return errors


def _queuing(queuing: flowcontrol_v1.QueuingConfiguration, path: str) -> list[FieldError]:
    queues, hand = queuing.queues, queuing.hand_size
    errors: list[FieldError] = []
    if queuing.queue_length_limit <= 0:
        errors.append(invalid_value(f"{path}.queueLengthLimit", queuing.queue_length_limit, "must be positive"))
    if queues <= 0:
        errors.append(invalid_value(f"{path}.queues", queues, "must be positive"))
    elif queues > MAX_QUEUES:
        errors.append(invalid_value(f"{path}.queues", queues, f"must not be greater than {MAX_QUEUES}"))
    if hand <= 0:
        errors.append(invalid_value(f"{path}.handSize", hand, "must be positive"))
    elif hand > queues:
        errors.append(invalid_value(f"{path}.handSize", hand, f"should not be greater than queues ({queues})"))
    elif math.ceil(math.log2(queues) * hand) > MAX_HASH_BITS:
        words = (
            f"required entropy bits of deckSize {queues} and handSize {hand} should not be greater than {MAX_HASH_BITS}"
        )
        errors.append(invalid_value(f"{path}.handSize", hand, words))
    return errors
