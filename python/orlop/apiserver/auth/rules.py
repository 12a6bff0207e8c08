"""Whether one set of rules covers another: nobody may grant what they do not hold.

As k8s.io/component-helpers' auth/rbac/validation.Covers: wanted rules are broken into single permissions (one verb,
group, resource and name each), and each must be within one owned rule.
"""

from collections.abc import Iterable, Iterator

from orlop.api.types.rbac_v1 import PolicyRule
from orlop.apiserver.auth.attributes import quote


def breakdown(rule: PolicyRule) -> Iterator[PolicyRule]:
    """The rule's single permissions."""
    for group in rule.api_groups:
        for resource in rule.resources:
            for verb in rule.verbs:
                if rule.resource_names:
                    for name in rule.resource_names:
                        yield PolicyRule(verbs=[verb], api_groups=[group], resources=[resource], resource_names=[name])
                else:
                    yield PolicyRule(verbs=[verb], api_groups=[group], resources=[resource])
    for url in rule.non_resource_urls:
        for verb in rule.verbs:
            yield PolicyRule(verbs=[verb], non_resource_urls=[url])


def uncovered(owned: Iterable[PolicyRule], wanted: Iterable[PolicyRule]) -> list[PolicyRule]:
    """The single permissions of `wanted` that no rule of `owned` grants."""
    owned = list(owned)
    return [single for rule in wanted for single in breakdown(rule) if not any(_covers(own, single) for own in owned)]


def _covers(own: PolicyRule, single: PolicyRule) -> bool:
    if not _has(own.verbs, single.verbs[0]):
        return False
    if single.non_resource_urls:
        url = single.non_resource_urls[0]
        return any(
            mine in ("*", url) or (mine.endswith("*") and url.startswith(mine.rstrip("*")))
            for mine in own.non_resource_urls
        )
    resource = single.resources[0]
    _, separator, subresource = resource.partition("/")
    return (
        _has(own.api_groups, single.api_groups[0])
        and (_has(own.resources, resource) or (bool(separator) and f"*/{subresource}" in own.resources))
        and (not own.resource_names or (bool(single.resource_names) and single.resource_names[0] in own.resource_names))
    )


def _has(values: list[str], value: str) -> bool:
    return value in values or "*" in values


def compact(rules: Iterable[PolicyRule]) -> list[PolicyRule]:
    """Joins rules that differ only in their verbs, as upstream does before it shows them."""
    joined: dict[tuple[tuple[str, ...], ...], PolicyRule] = {}
    for rule in rules:
        key = (
            tuple(rule.api_groups),
            tuple(rule.resources),
            tuple(rule.resource_names),
            tuple(rule.non_resource_urls),
        )
        known = joined.get(key)
        if known is None:
            joined[key] = PolicyRule(
                verbs=list(rule.verbs),
                api_groups=rule.api_groups,
                resources=rule.resources,
                resource_names=rule.resource_names,
                non_resource_urls=rule.non_resource_urls,
            )
        else:
            known.verbs.extend(verb for verb in rule.verbs if verb not in known.verbs)
    return list(joined.values())


def shown(rule: PolicyRule) -> str:
    """A rule in one line: `{APIGroups:["apps"], Resources:["deployments"], Verbs:["get" "list"]}`."""
    parts = [
        f"{label}:[{' '.join(quote(value) for value in values)}]"
        for label, values in (
            ("APIGroups", rule.api_groups),
            ("Resources", rule.resources),
            ("NonResourceURLs", rule.non_resource_urls),
            ("ResourceNames", rule.resource_names),
            ("Verbs", rule.verbs),
        )
        if values
    ]
    return "{" + ", ".join(parts) + "}"
