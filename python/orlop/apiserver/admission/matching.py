"""Which writes a webhook or a policy is for: rules and selectors.

As k8s.io/apiserver's pkg/admission/plugin/webhook/predicates and pkg/admission/plugin/policy/matching.
"""

from collections.abc import Sequence
from typing import Literal, NamedTuple

from orlop.api import selectors
from orlop.api.types import admissionregistration_v1 as types, meta_v1
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.admission.shown import Shown, Version

GROUP = "admissionregistration.k8s.io"
NEVER_SHOWN = frozenset(
    f"{GROUP}/{plural}"
    for plural in (
        "mutatingwebhookconfigurations",
        "validatingwebhookconfigurations",
        "mutatingadmissionpolicies",
        "mutatingadmissionpolicybindings",
        "validatingadmissionpolicies",
        "validatingadmissionpolicybindings",
    )
)
"""What says what is admitted is shown to none of it: else nobody could take back a mistake."""


class Rule(NamedTuple):
    """One rule, split for looking it up."""

    operations: frozenset[str]
    groups: frozenset[str]
    versions: frozenset[str]
    resources: tuple[tuple[str, str], ...]
    """Each and its subresource; `*` is any."""
    scope: Literal["*", "Cluster", "Namespaced"]
    names: frozenset[str]
    """Of the objects; none: any."""

    def matches(self, a: Attributes, resource: tuple[str, str, str], *, named: bool = True) -> bool:
        """Whether it speaks of this write, taken for one of this group, version and resource."""
        group, version, plural = resource
        return (
            ("*" in self.operations or a.operation in self.operations)
            and ("*" in self.groups or group in self.groups)
            and ("*" in self.versions or version in self.versions)
            and any(r in ("*", plural) and s in ("*", a.subresource) for r, s in self.resources)
            and (self.scope == "*" or (self.scope == "Namespaced") == a.kind.namespaced)
            and (not named or not self.names or a.given in self.names)
        )


def rule_of(rule: types.RuleWithOperations | types.NamedRuleWithOperations) -> Rule:
    """A rule of a configuration."""
    parts = [resource.partition("/") for resource in rule.resources]
    scope = rule.scope if rule.scope in ("Cluster", "Namespaced") else "*"
    return Rule(
        frozenset(rule.operations),
        frozenset(rule.api_groups),
        frozenset(rule.api_versions),
        tuple((resource, subresource) for resource, _, subresource in parts),
        scope,  # type: ignore[arg-type]
        frozenset(getattr(rule, "resource_names", ())),
    )


class Matcher(NamedTuple):
    """The rules and selectors of one webhook, policy or binding."""

    rules: tuple[Rule, ...]
    exclude: tuple[Rule, ...]
    equivalent: bool
    namespaces: selectors.LabelSelector
    objects: selectors.LabelSelector
    anything: bool = False
    """Without rules it is for every resource (bindings)."""

    def may_match(self, a: Attributes, resources: Sequence[tuple[str, str, str]]) -> bool:
        """Whether writes like this may concern it, whatever labels and names there are."""
        return any(rule.matches(a, resource, named=False) for rule in self.rules for resource in resources)

    def version(self, shown: Shown) -> Version | None:
        """In which version it wants to see the write; None: it does not. Raises NotFound for a missing namespace."""
        found = shown.version if self.anything and not self.rules else self._by_rules(self.rules, shown)
        if found is None or (self.exclude and self._by_rules(self.exclude, shown) is not None):
            return None
        if not self.objects.empty and not any(self.objects.matches(labels) for labels in shown.labels()):
            return None
        if not self.namespaces.empty:
            labels = shown.namespace_labels()
            if labels is not None and not self.namespaces.matches(labels):
                return None
        return found

    def _by_rules(self, rules: tuple[Rule, ...], shown: Shown) -> Version | None:
        if any(rule.matches(shown.a, shown.version.resource) for rule in rules):
            return shown.version
        if not self.equivalent:
            return None
        others = list(shown.others())
        for rule in rules:
            for other in others:
                if rule.matches(shown.a, other.resource):
                    return other
        return None


def selector_of(selector: meta_v1.LabelSelector | None) -> selectors.LabelSelector:
    """None matches everything here."""
    return selectors.EVERYTHING if selector is None else selectors.from_struct(selector)


def of_webhook(hook: types.MutatingWebhook | types.ValidatingWebhook) -> Matcher:
    """What a webhook is for."""
    return Matcher(
        tuple(rule_of(rule) for rule in hook.rules),
        (),
        hook.match_policy != "Exact",
        selector_of(hook.namespace_selector),
        selector_of(hook.object_selector),
    )


def of_resources(match: types.MatchResources) -> Matcher:
    """What a policy is for."""
    return Matcher(
        tuple(rule_of(rule) for rule in match.resource_rules),
        tuple(rule_of(rule) for rule in match.exclude_resource_rules),
        match.match_policy != "Exact",
        selector_of(match.namespace_selector),
        selector_of(match.object_selector),
    )


def of_binding(match: types.MatchResources | None) -> Matcher:
    """What of its policy's writes a binding is for."""
    return of_resources(match or types.MatchResources())._replace(anything=True)
