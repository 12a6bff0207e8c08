"""Rules of webhook configurations: pkg/apis/admissionregistration/v1/defaults.go and validation."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import admissionregistration_v1 as types, meta_v1
from orlop.apiserver.registry import expressions, names, podtemplate
from orlop.apiserver.registry.common import duplicates, one_of
from orlop.apiserver.registry.resources import unsupported
from orlop.apiserver.registry.strategy import Strategy

HTTPS = 443
TIMEOUT = 10
MAX_TIMEOUT = 30
MAX_CONDITIONS = 64
REVIEWS = ("v1", "v1beta1")
OPERATIONS = ("*", "CONNECT", "CREATE", "DELETE", "UPDATE")
SCOPES = ("*", "Cluster", "Namespaced")
SIDE_EFFECTS = ("None", "NoneOnDryRun")

Webhook = types.MutatingWebhook | types.ValidatingWebhook


class WebhookConfigurations(Strategy):
    """Which requests are shown to which servers before they are carried out."""

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
        errors: list[FieldError] = []
        hooks: Sequence[Webhook] = obj.webhooks
        for i, hook in enumerate(hooks):
            errors += _webhook(hook, f"webhooks[{i}]")
        again = duplicates(hook.name for hook in hooks)
        return errors + [FieldError("FieldValueDuplicate", f"webhooks[{i}].name", hooks[i].name, "") for i in again]


def _webhook(hook: Webhook, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    wrong = names.subdomain(hook.name)
    errors += [invalid_value(f"{path}.name", hook.name, m) for m in wrong] if hook.name else [required(f"{path}.name")]
    if hook.name and hook.name.count(".") < 2:
        words = "should be a domain with at least three segments separated by dots"
        errors.append(invalid_value(f"{path}.name", hook.name, words))
    where = f"{path}.admissionReviewVersions"
    if not hook.admission_review_versions:
        known = ", ".join(REVIEWS)
        errors.append(required(where, f"must specify one of {known}"))
    else:
        for i, version in enumerate(hook.admission_review_versions):
            if version in hook.admission_review_versions[:i]:
                errors.append(invalid_value(f"{where}[{i}]", version, "duplicate version"))
            errors += [invalid_value(f"{where}[{i}]", version, m) for m in names.label_1035(version)]
        if not set(hook.admission_review_versions) & set(REVIEWS):
            words = f"must include at least one of {', '.join(REVIEWS)}"
            errors.append(invalid_value(where, hook.admission_review_versions, words))
    for i, rule in enumerate(hook.rules):
        errors += validate_rule(rule, f"{path}.rules[{i}]")
    if hook.failure_policy not in ("Fail", "Ignore"):
        errors.append(unsupported(f"{path}.failurePolicy", hook.failure_policy, ("Fail", "Ignore")))
    if hook.match_policy not in ("Equivalent", "Exact"):
        errors.append(unsupported(f"{path}.matchPolicy", hook.match_policy, ("Equivalent", "Exact")))
    errors += one_of(
        hook.side_effects, SIDE_EFFECTS, f"{path}.sideEffects", f"must specify one of {', '.join(SIDE_EFFECTS)}"
    )
    if hook.timeout_seconds is not None and not 1 <= hook.timeout_seconds <= MAX_TIMEOUT:
        words = "the timeout value must be between 1 and 30 seconds"
        errors.append(invalid_value(f"{path}.timeoutSeconds", hook.timeout_seconds, words))
    for name, selector in (("namespaceSelector", hook.namespace_selector), ("objectSelector", hook.object_selector)):
        if selector is not None:
            errors += podtemplate.validate_selector(selector, f"{path}.{name}")
    if isinstance(hook, types.MutatingWebhook) and hook.reinvocation_policy not in (None, "IfNeeded", "Never"):
        errors.append(unsupported(f"{path}.reinvocationPolicy", hook.reinvocation_policy, ("IfNeeded", "Never")))
    errors += client_config(hook.client_config.url, hook.client_config.service, f"{path}.clientConfig")
    return errors + match_conditions(hook.match_conditions, f"{path}.matchConditions")


def match_conditions(conditions: list[types.MatchCondition], path: str, *, params: bool = False) -> list[FieldError]:
    """What is wrong with match conditions; `params`: they may speak of parameters."""
    errors: list[FieldError] = []
    if len(conditions) > MAX_CONDITIONS:
        words = f"must have at most {MAX_CONDITIONS} items"
        errors.append(FieldError("FieldValueTooMany", path, len(conditions), words))
    for i, condition in enumerate(conditions):
        if not condition.name:
            errors.append(required(f"{path}[{i}].name"))
        if not condition.expression.strip():
            errors.append(required(f"{path}[{i}].expression"))
    errors += expressions.check_conditions(conditions, path, params=params)
    again = duplicates(c.name for c in conditions)
    return errors + [FieldError("FieldValueDuplicate", f"{path}[{i}].name", conditions[i].name, "") for i in again]


def validate_rule(rule: types.RuleWithOperations | types.NamedRuleWithOperations, path: str) -> list[FieldError]:
    """What is wrong with a rule of a webhook or a policy."""
    errors: list[FieldError] = []
    for name, values in (
        ("apiGroups", rule.api_groups),
        ("apiVersions", rule.api_versions),
        ("resources", rule.resources),
    ):
        if not values:
            errors.append(required(f"{path}.{name}"))
        if name != "resources" and len(values) > 1 and "*" in values:
            words = "if '*' is present, must not specify other " + (
                "API groups" if name == "apiGroups" else "API versions"
            )
            errors.append(invalid_value(f"{path}.{name}", values, words))
        for i, value in enumerate(values):
            if not value and name != "apiGroups":
                errors.append(required(f"{path}.{name}[{i}]"))
    if not rule.operations:
        errors.append(required(f"{path}.operations"))
    if len(rule.operations) > 1 and "*" in rule.operations:
        words = "if '*' is present, must not specify other operations"
        errors.append(invalid_value(f"{path}.operations", rule.operations, words))
    for i, operation in enumerate(rule.operations):
        if operation not in OPERATIONS:
            errors.append(unsupported(f"{path}.operations[{i}]", operation, OPERATIONS))
    if rule.scope is not None and rule.scope not in SCOPES:
        errors.append(unsupported(f"{path}.scope", rule.scope, SCOPES))
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
    if service.path is not None and not service.path.startswith("/"):
        errors.append(invalid_value(f"{path}.service.path", service.path, "must start with a '/'"))
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
        errors.append(invalid_value(path, parts.username, "user information is not permitted in the URL"))
    if parts.fragment:
        errors.append(invalid_value(path, parts.fragment, "fragments are not permitted in the URL"))
    if parts.query:
        errors.append(invalid_value(path, parts.query, "query parameters are not permitted in the URL"))
    return errors
