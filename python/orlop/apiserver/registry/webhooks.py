"""Rules of webhook configurations: pkg/apis/admissionregistration/v1/defaults.go and validation."""

from collections.abc import Sequence
from typing import NamedTuple
from urllib.parse import urlsplit

from orlop.api.errors import FieldError, duplicate, invalid_value, required, too_many
from orlop.api.types import admissionregistration_v1 as types, meta_v1
from orlop.apiserver.registry import expressions, meta, names, podtemplate
from orlop.apiserver.registry.common import duplicates
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

HTTPS = 443
TIMEOUT = 10
MAX_TIMEOUT = 30
MAX_CONDITIONS = 64
REVIEWS = ("v1", "v1beta1")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
SIDE_EFFECT_FREE = ("None", "NoneOnDryRun")
SIDE_EFFECTS = ("None", "NoneOnDryRun", "Some", "Unknown")
FAILURE_POLICIES = ("Fail", "Ignore")
MATCH_POLICIES = ("Equivalent", "Exact")
REINVOCATIONS = ("IfNeeded", "Never")

Webhook = types.MutatingWebhook | types.ValidatingWebhook


class WebhookConfigurations(Strategy):
    """Which requests are shown to which servers before they are carried out."""

    unconditional_update = False
    generation = True

    def changes_generation(
        self,
        new: types.MutatingWebhookConfiguration | types.ValidatingWebhookConfiguration,
        old: types.MutatingWebhookConfiguration | types.ValidatingWebhookConfiguration,
    ) -> bool:
        return bool(new.webhooks != old.webhooks)

    def default(self, obj: types.MutatingWebhookConfiguration | types.ValidatingWebhookConfiguration) -> None:
        for hook in obj.webhooks:
            hook.failure_policy = hook.failure_policy or "Fail"
            hook.match_policy = hook.match_policy or "Equivalent"
            if hook.namespace_selector is None:
                hook.namespace_selector = meta_v1.LabelSelector()
            if hook.object_selector is None:
                hook.object_selector = meta_v1.LabelSelector()
            if hook.timeout_seconds is None:
                hook.timeout_seconds = TIMEOUT
            if isinstance(hook, types.MutatingWebhook):
                hook.reinvocation_policy = hook.reinvocation_policy or "Never"
            if hook.client_config.service is not None and hook.client_config.service.port is None:
                hook.client_config.service.port = HTTPS
            for rule in hook.rules:
                rule.scope = rule.scope or "*"

    def validate(
        self, obj: types.MutatingWebhookConfiguration | types.ValidatingWebhookConfiguration
    ) -> list[FieldError]:
        return _validate(obj.webhooks, Leniency())

    def validate_update(
        self,
        new: types.MutatingWebhookConfiguration | types.ValidatingWebhookConfiguration,
        old: types.MutatingWebhookConfiguration | types.ValidatingWebhookConfiguration,
    ) -> list[FieldError]:
        return _validate(new.webhooks, Leniency.of(new.webhooks, old.webhooks))


class Leniency(NamedTuple):
    """What an update may keep because the configuration had it before."""

    side_effects: bool = False
    reviews: bool = False
    names: bool = False
    selector_values: bool = False
    conditions: bool = False
    """Match conditions are not looked at: none of them changes."""

    @classmethod
    def of(cls, new: Sequence[Webhook], old: Sequence[Webhook]) -> "Leniency":
        """What the old webhooks let pass."""
        selectors = [s for hook in old for s in (hook.namespace_selector, hook.object_selector) if s is not None]
        return cls(
            any(hook.side_effects not in SIDE_EFFECT_FREE for hook in old),
            any(h.admission_review_versions and not _spoken(h.admission_review_versions) for h in old),
            bool(duplicates(hook.name for hook in old)),
            any(podtemplate.validate_selector(selector, "") for selector in selectors),
            [hook.match_conditions for hook in new] == [hook.match_conditions for hook in old],
        )


def _spoken(versions: Sequence[str]) -> bool:
    return not set(REVIEWS).isdisjoint(versions)


def _validate(hooks: Sequence[Webhook], lenient: Leniency) -> list[FieldError]:
    errors: list[FieldError] = []
    known: set[str] = set()
    for i, hook in enumerate(hooks):
        path = f"webhooks[{i}]"
        errors += _webhook(hook, path, lenient)
        where = f"{path}.admissionReviewVersions"
        words = f"must specify one of {', '.join(REVIEWS)}"
        errors += review_versions(hook.admission_review_versions, where, words, known=not lenient.reviews)
        if hook.name in known and not lenient.names:
            errors.append(duplicate(f"{path}.name", hook.name))
        if hook.name:
            known.add(hook.name)
    return errors


def _webhook(hook: Webhook, path: str, lenient: Leniency) -> list[FieldError]:
    errors = _qualified(hook.name, f"{path}.name")
    for i, rule in enumerate(hook.rules):
        errors += validate_rule(rule, f"{path}.rules[{i}]")
    if hook.failure_policy not in FAILURE_POLICIES:
        errors.append(unsupported(f"{path}.failurePolicy", hook.failure_policy, FAILURE_POLICIES))
    if hook.match_policy not in MATCH_POLICIES:
        errors.append(unsupported(f"{path}.matchPolicy", hook.match_policy, MATCH_POLICIES))
    effects = SIDE_EFFECTS if lenient.side_effects else SIDE_EFFECT_FREE
    if hook.side_effects is None:
        errors.append(required(f"{path}.sideEffects", f"must specify one of {', '.join(effects)}"))
    elif hook.side_effects not in effects:
        errors.append(unsupported(f"{path}.sideEffects", hook.side_effects, effects))
    if hook.timeout_seconds is not None and not 1 <= hook.timeout_seconds <= MAX_TIMEOUT:
        words = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid_value(f"{path}.timeoutSeconds", hook.timeout_seconds, words))
    for name, selector in (("namespaceSelector", hook.namespace_selector), ("objectSelector", hook.object_selector)):
        if selector is not None:
            where = f"{path}.{name}"
            errors += podtemplate.validate_selector(selector, where, values=not lenient.selector_values)
    if isinstance(hook, types.MutatingWebhook) and hook.reinvocation_policy not in (None, *REINVOCATIONS):
        errors.append(unsupported(f"{path}.reinvocationPolicy", hook.reinvocation_policy, REINVOCATIONS))
    errors += client_config(hook.client_config.url, hook.client_config.service, f"{path}.clientConfig")
    if not lenient.conditions:
        errors += match_conditions(hook.match_conditions, f"{path}.matchConditions")
    return errors


def _qualified(name: str, path: str) -> list[FieldError]:
    """apimachinery's IsFullyQualifiedName."""
    if not name:
        return [required(path)]
    if wrong := names.subdomain(name):
        return [invalid_value(path, name, ",".join(wrong))]
    if name.count(".") < 2:
        words = "should be a domain with at least three segments separated by dots"
        return [invalid_value(path, name, words)]
    return []


def review_versions(versions: Sequence[str], path: str, missing: str, *, known: bool = True) -> list[FieldError]:
    """What is wrong with the versions of reviews that a webhook speaks; `known`: one must be this server's too."""
    if not versions:
        return [required(path, missing)]
    errors: list[FieldError] = []
    for i, version in enumerate(versions):
        if version in versions[:i]:
            errors.append(invalid_value(f"{path}[{i}]", version, "duplicate version"))
        else:
            errors += [invalid_value(f"{path}[{i}]", version, m) for m in names.label_1035(version)]
    if known and not _spoken(versions):
        errors.append(invalid_value(path, versions, f"must include at least one of {', '.join(REVIEWS)}"))
    return errors


def match_conditions(conditions: list[types.MatchCondition], path: str, *, params: bool = False) -> list[FieldError]:
    """What is wrong with match conditions; `params`: they may speak of parameters."""
    errors: list[FieldError] = []
    if len(conditions) > MAX_CONDITIONS:
        errors.append(too_many(path, len(conditions), MAX_CONDITIONS))
    again = set(duplicates(c.name for c in conditions if c.name))
    for i, condition in enumerate(conditions):
        where, expression = f"{path}[{i}]", condition.expression.strip()
        if not expression:
            errors.append(required(f"{where}.expression"))
        errors += expressions.check(expression, f"{where}.expression", "bool", params=params)
        if not condition.name:
            errors.append(required(f"{where}.name"))
        errors += [invalid_value(f"{where}.name", condition.name, m) for m in _qualified_name(condition.name)]
        if i in again:
            errors.append(duplicate(f"{where}.name", condition.name))
    return errors


def _qualified_name(name: str) -> list[str]:
    return list(meta.key_errors(name)) if name else []


def validate_rule(rule: types.RuleWithOperations | types.NamedRuleWithOperations, path: str) -> list[FieldError]:
    """What is wrong with a rule of a webhook or a policy."""
    errors: list[FieldError] = []
    if not rule.operations:
        errors.append(required(f"{path}.operations"))
    if len(rule.operations) > 1 and "*" in rule.operations:
        words = "if '*' is present, must not specify other operations"
        errors.append(invalid_value(f"{path}.operations", rule.operations, words))
    for i, operation in enumerate(rule.operations):
        if operation not in OPERATIONS:
            errors.append(unsupported(f"{path}.operations[{i}]", operation, OPERATIONS))
    for name, what, values in (
        ("apiGroups", "API groups", rule.api_groups),
        ("apiVersions", "API versions", rule.api_versions),
    ):
        if not values:
            errors.append(required(f"{path}.{name}"))
        if len(values) > 1 and "*" in values:
            errors.append(invalid_value(f"{path}.{name}", values, f"if '*' is present, must not specify other {what}"))
    errors += [required(f"{path}.apiVersions[{i}]") for i, version in enumerate(rule.api_versions) if not version]
    errors += _resources(rule.resources, f"{path}.resources")
    if rule.scope is not None and rule.scope not in SCOPES:
        errors.append(unsupported(f"{path}.scope", rule.scope, SCOPES))
    return errors


def _resources(resources: Sequence[str], path: str) -> list[FieldError]:
    """Each resource at most once: none beside a wildcard that takes it in."""
    errors: list[FieldError] = []
    if not resources:
        errors.append(required(path))
    every_subresource: set[str] = set()
    every_resource: set[str] = set()
    plain = False
    for i, name in enumerate(resources):
        where = f"{path}[{i}]"
        if not name:
            errors.append(required(where))
            continue
        resource, slash, subresource = name.partition("/")
        if not slash:
            plain = name != "*"  # of the last one, as upstream
            continue
        if resource in every_subresource:
            errors.append(invalid_value(where, name, f"if '{resource}/*' is present, must not specify {name}"))
        if subresource in every_resource:
            errors.append(invalid_value(where, name, f"if '*/{subresource}' is present, must not specify {name}"))
        if subresource == "*":
            every_subresource.add(resource)
        if resource == "*":
            every_resource.add(subresource)
    if len(resources) > 1 and "*/*" in resources:
        errors.append(invalid_value(path, resources, "if '*/*' is present, must not specify other resources"))
    if "*" in resources and plain:
        words = "if '*' is present, must not specify other resources without subresources"
        errors.append(invalid_value(path, resources, words))
    return errors


def client_config(url: str | None, service: types.ServiceReference | None, path: str) -> list[FieldError]:
    """What is wrong with where a webhook is: exactly one of an https URL and a service."""
    if (url is None) == (service is None):
        return [required(path, "exactly one of url or service is required")]
    if url is not None:
        return _url(url, f"{path}.url")
    assert service is not None
    errors: list[FieldError] = []
    if not service.name:
        errors.append(required(f"{path}.service.name", "service name is required"))
    if not service.namespace:
        errors.append(required(f"{path}.service.namespace", "service namespace is required"))
    if service.port is not None and (wrong := names.port_number(service.port)):
        errors.append(invalid_value(f"{path}.service.port", service.port, f"port is not valid: {wrong[0]}"))
    return errors + _path(service.path or "", f"{path}.service.path")


def _path(given: str, path: str) -> list[FieldError]:
    """What is wrong with a URL's path."""
    if given in ("", "/"):
        return []
    if given == "//":
        return [invalid_value(path, given, "segment[0] may not be empty")]
    errors: list[FieldError] = []
    if not given.startswith("/"):
        errors.append(invalid_value(path, given, "must start with a '/'"))
    for i, step in enumerate(given[1:].removesuffix("/").split("/")):
        if not step:
            errors.append(invalid_value(path, given, f"segment[{i}] may not be empty"))
        else:
            errors += [invalid_value(path, given, f"segment[{i}]: {m}") for m in names.subdomain(step)]
    return errors


def _url(url: str, path: str) -> list[FieldError]:
    form = "; desired format: https://host[/path]"
    try:
        parts = urlsplit(url)
    except ValueError as error:
        return [required(path, f"url must be a valid URL: {error}{form}")]
    errors: list[FieldError] = []
    if parts.scheme != "https":
        errors.append(invalid_value(path, parts.scheme, f"'https' is the only allowed URL scheme{form}"))
    if not parts.netloc:
        errors.append(invalid_value(path, parts.netloc, f"host must be specified{form}"))
    if parts.username is not None:
        errors.append(
            invalid_value(path, parts.netloc.rpartition("@")[0], "user information is not permitted in the URL")
        )
    if parts.fragment:
        errors.append(invalid_value(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        errors.append(invalid_value(path, parts.query, "query parameters are not permitted in the URL"))
    return errors
