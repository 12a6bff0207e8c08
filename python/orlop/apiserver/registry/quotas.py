"""Rules of ResourceQuotas and LimitRanges: pkg/apis/core/validation, pkg/apis/core/v1/defaults.go."""

from orlop.api import selectors
from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import core_v1
from orlop.apiserver.registry import resources
from orlop.apiserver.registry.common import immutable
from orlop.apiserver.registry.strategy import Strategy

QUOTA = frozenset(
    {
        "cpu",
        "memory",
        "ephemeral-storage",
        "requests.cpu",
        "requests.memory",
        "requests.storage",
        "requests.ephemeral-storage",
        "limits.cpu",
        "limits.memory",
        "limits.ephemeral-storage",
        "pods",
        "resourcequotas",
        "services",
        "replicationcontrollers",
        "secrets",
        "persistentvolumeclaims",
        "configmaps",
        "services.nodeports",
        "services.loadbalancers",
    }
)
POD_COMPUTE = frozenset({"pods", "cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
SCOPES: dict[str, frozenset[str]] = {
    "BestEffort": frozenset({"pods"}),
    "NotBestEffort": POD_COMPUTE,
    "NotTerminating": POD_COMPUTE,
    "Terminating": POD_COMPUTE,
    "PriorityClass": POD_COMPUTE,
    "CrossNamespacePodAffinity": POD_COMPUTE,
    "VolumeAttributesClass": frozenset({"persistentvolumeclaims", "requests.storage"}),
}
"""The scopes, and what may be limited in each."""
EXISTS_ONLY = frozenset({"BestEffort", "NotBestEffort", "Terminating", "NotTerminating", "CrossNamespacePodAffinity"})
EXISTS_WORDS = (
    "must be 'Exists' when scope is any of ResourceQuotaScopeTerminating, ResourceQuotaScopeNotTerminating, "
    "ResourceQuotaScopeBestEffort, ResourceQuotaScopeNotBestEffort or ResourceQuotaScopeCrossNamespacePodAffinity"
)


class ResourceQuotas(Strategy):
    """How much a namespace may use."""

    returns_deleted = True

    def validate(self, obj: core_v1.ResourceQuota) -> list[FieldError]:
        errors = _amounts(obj.spec.hard, "spec.hard")
        errors += _scopes(obj.spec)
        return errors + _selector(obj.spec)

    def validate_update(self, new: core_v1.ResourceQuota, old: core_v1.ResourceQuota) -> list[FieldError]:
        errors = self.validate(new)
        if set(new.spec.scopes) != set(old.spec.scopes):
            errors += immutable(new.spec.scopes, old.spec.scopes, "spec.scopes")
        return errors

    def validate_status(self, new: core_v1.ResourceQuota, old: core_v1.ResourceQuota) -> list[FieldError]:
        return _amounts(new.status.hard, "status.hard") + _amounts(new.status.used, "status.used")


def _amounts(amounts: dict[str, str], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for name, value in sorted(amounts.items()):
        where = f"{path}[{name}]"
        errors += resources.validate_name(name, where)
        if "/" not in name and name not in QUOTA and not name.startswith(("hugepages-", "requests.hugepages-")):
            errors.append(invalid_value(where, name, "must be a standard resource for quota"))
        errors += resources.validate_amount(name, value, where)
    return errors


def _scopes(spec: core_v1.ResourceQuotaSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    for scope in spec.scopes:
        if scope not in SCOPES:
            errors.append(invalid_value("spec.scopes", spec.scopes, "unsupported scope"))
        unfit = _unfit(scope, spec.hard)
        errors += [invalid_value("spec.scopes", spec.scopes, "unsupported scope applied to resource")] * unfit
    given = set(spec.scopes)
    for pair in ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}):
        if pair <= given:
            errors.append(invalid_value("spec.scopes", spec.scopes, "conflicting scopes"))
    return errors


def _selector(spec: core_v1.ResourceQuotaSpec) -> list[FieldError]:
    errors: list[FieldError] = []
    if spec.scope_selector is None:
        return errors
    path = "spec.scopeSelector.matchExpressions"
    terms = spec.scope_selector.match_expressions
    for term in terms:
        if term.scope_name not in SCOPES:
            errors.append(invalid_value(f"{path}.scopeName", term.scope_name, "unsupported scope"))
        shown = {
            "MatchExpressions": [
                {"ScopeName": t.scope_name, "Operator": t.operator, "Values": t.values or None} for t in terms
            ]
        }
        unfit = _unfit(term.scope_name, spec.hard)
        errors += [invalid_value(path, shown, "unsupported scope applied to resource")] * unfit
        if term.scope_name in EXISTS_ONLY and term.operator != "Exists":
            errors.append(invalid_value(f"{path}.operator", term.operator, EXISTS_WORDS))
        if term.operator in ("In", "NotIn"):
            if not term.values:
                words = "must be at least one value when `operator` is 'In' or 'NotIn' for scope selector"
                errors.append(required(f"{path}.values", words))
        elif term.operator in ("Exists", "DoesNotExist"):
            if term.values:
                words = "must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector"
                errors.append(invalid_value(f"{path}.values", term.values, words))
        else:
            errors.append(invalid_value(f"{path}.operator", term.operator, "not a valid selector operator"))
    given = {term.scope_name for term in terms}
    for pair in ({"BestEffort", "NotBestEffort"}, {"Terminating", "NotTerminating"}):
        if pair <= given:
            errors.append(invalid_value(path, spec.scopes or None, "conflicting scopes"))
    return errors


def _unfit(scope: str, hard: dict[str, str]) -> int:
    """How many of the limited resources a scope says nothing about."""
    allowed = SCOPES.get(scope, QUOTA)
    return sum(name in QUOTA and name not in allowed for name in hard)


class LimitRanges(Strategy):
    """What a container, pod or claim gets where it does not say, and how far it may go."""

    create_on_update = True

    def prepare_create(self, obj: core_v1.LimitRange) -> None:
        if not obj.metadata.name:
            obj.metadata.name = obj.metadata.uid

    def default(self, obj: core_v1.LimitRange) -> None:
        for item in obj.spec.limits:
            if item.type != "Container":
                continue
            for name, value in item.max.items():
                item.default.setdefault(name, value)
            for name, value in item.default.items():
                item.default_request.setdefault(name, value)
            for name, value in item.min.items():
                item.default_request.setdefault(name, value)

    def validate(self, obj: core_v1.LimitRange) -> list[FieldError]:
        errors: list[FieldError] = []
        seen: set[str] = set()
        for i, item in enumerate(obj.spec.limits):
            errors += _limit(item, f"spec.limits[{i}]", seen)
        return errors


def _limit(item: core_v1.LimitRangeItem, path: str, seen: set[str]) -> list[FieldError]:
    errors: list[FieldError] = []
    wrong = selectors.key_errors(item.type)
    errors += [invalid_value(f"{path}.type", item.type, m) for m in wrong]
    if not wrong and item.type not in ("Container", "Pod", "PersistentVolumeClaim") and "/" not in item.type:
        words = "must be a standard limit type or fully qualified"
        errors.append(invalid_value(f"{path}.type", item.type, words))
    if item.type in seen:
        errors.append(FieldError("FieldValueDuplicate", f"{path}.type", item.type, ""))
    seen.add(item.type)
    names: set[str] = set()
    for field, amounts in (("max", item.max), ("min", item.min)):
        for name in sorted(amounts):
            errors += _name(name, item.type, f"{path}.{field}[{name}]")
            names.add(name)
    if item.type == "Pod":
        for field, amounts in (("default", item.default), ("defaultRequest", item.default_request)):
            if amounts:
                words = "may not be specified when `type` is 'Pod'"
                errors.append(forbidden_field(f"{path}.{field}", words))
    else:
        for field, amounts in (("default", item.default), ("defaultRequest", item.default_request)):
            for name in sorted(amounts):
                errors += _name(name, item.type, f"{path}.{field}[{name}]")
                names.add(name)
    if item.type == "PersistentVolumeClaim" and "storage" not in item.min and "storage" not in item.max:
        errors.append(
            required(f"{path}.limits", "either minimum or maximum storage value is required, but neither was provided")
        )
    for name in sorted(item.max_limit_request_ratio):
        errors += _name(name, item.type, f"{path}.maxLimitRequestRatio[{name}]")
        names.add(name)
    for name in sorted(names):
        errors += _bounds(item, name, path)
    return errors


def _name(name: str, type_: str, path: str) -> list[FieldError]:
    return (
        resources.validate_container_name(name, path)
        if type_ in ("Pod", "Container")
        else resources.validate_name(name, path)
    )


def _bounds(item: core_v1.LimitRangeItem, name: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []

    def too(field: str, shown: str, low: tuple[str, str], high: tuple[str, str]) -> None:
        if parse(low[1]) > parse(high[1]):
            words = f"{low[0]} value {low[1]} is greater than {high[0]} value {high[1]}"
            errors.append(invalid_value(f"{path}.{field}[{name}]", shown, words))

    least, most = item.min.get(name), item.max.get(name)
    asked, given = item.default_request.get(name), item.default.get(name)
    if least is not None and most is not None:
        too("min", least, ("min", least), ("max", most))
    if asked is not None and least is not None:
        too("defaultRequest", asked, ("min", least), ("default request", asked))
    if asked is not None and most is not None:
        too("defaultRequest", asked, ("default request", asked), ("max", most))
    if asked is not None and given is not None:
        too("defaultRequest", asked, ("default request", asked), ("default limit", given))
    if given is not None and least is not None:
        too("default", least, ("min", least), ("default", given))
    if given is not None and most is not None:
        too("default", most, ("default", given), ("max", most))
    ratio = item.max_limit_request_ratio.get(name)
    if ratio is not None:
        if parse(ratio) < 1:
            where = f"{path}.maxLimitRequestRatio[{name}]"
            errors.append(invalid_value(where, ratio, f"ratio {ratio} is less than 1"))
        if least is not None and most is not None and parse(least) > 0:
            widest = parse(most) / parse(least)
            if parse(ratio) > widest:
                words = f"ratio {ratio} is greater than max/min = {float(widest):f}"
                errors.append(invalid_value(f"{path}.maxLimitRequestRatio[{name}]", ratio, words))
    if asked is not None and given is not None and not resources.overcommits(name) and parse(asked) != parse(given):
        words = f"default value {given} must equal to defaultRequest value {asked} in {name}"
        errors.append(invalid_value(f"{path}.defaultRequest[{name}]", asked, words))
    return errors
