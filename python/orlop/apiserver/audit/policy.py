"""audit.k8s.io/v1 Policy: which requests are recorded, and how much of each. The first rule that matches decides."""

from pathlib import Path

import msgspec
import yaml

from orlop import logging
from orlop.api.errors import FieldError, invalid_value, not_supported, required
from orlop.apiserver.audit.settings import AuditError
from orlop.apiserver.auth.attributes import Attributes
from orlop.apiserver.auth.user import User
from orlop.apiserver.registry.names import subdomain

API_VERSION = "audit.k8s.io/v1"
LEVELS = ("None", "Metadata", "Request", "RequestResponse")
"""Each records what those before it do, and more."""
NONE, METADATA, REQUEST, REQUEST_RESPONSE = range(4)
RECEIVED, STARTED, COMPLETE, PANIC = STAGES = ("RequestReceived", "ResponseStarted", "ResponseComplete", "Panic")
BOTH = "rules cannot apply to both regular resources and non-resource URLs"

log = logging.get("audit")


class GroupResources(msgspec.Struct, rename="camel"):
    """Resources of one API group."""

    group: str = ""
    resources: list[str] = []
    """`pods`, `pods/log`, `pods/*`, `*/scale`, `*`; none means all."""
    resource_names: list[str] = []

    def match(self, asked: Attributes) -> bool:
        """Whether a request is for one of them."""
        if self.group != asked.group:
            return False
        if not self.resources:
            return True
        if self.resource_names and asked.name not in self.resource_names:
            return False
        sub = asked.subresource
        names = {"*", f"{asked.resource}/*", f"{asked.resource}/{sub}" if sub else asked.resource}
        if sub:
            names.add(f"*/{sub}")
        return not names.isdisjoint(self.resources)


class Rule(msgspec.Struct, rename="camel"):
    """What is recorded of the requests that it matches."""

    level: str = ""
    users: list[str] = []
    user_groups: list[str] = []
    verbs: list[str] = []
    resources: list[GroupResources] = []
    namespaces: list[str] = []
    non_resource_urls: list[str] = msgspec.field(default_factory=list, name="nonResourceURLs")
    omit_stages: list[str] = []
    omit_managed_fields: bool | None = None

    def match(self, user: User | None, asked: Attributes) -> bool:
        """Whether it is about a request; one whose user is not known has no user."""
        if self.users and (user is None or user.name not in self.users):
            return False
        if self.user_groups and (user is None or set(self.user_groups).isdisjoint(user.groups)):
            return False
        if self.verbs and asked.verb not in self.verbs:
            return False
        if self.namespaces or self.resources:
            if not asked.is_resource or (self.namespaces and asked.namespace not in self.namespaces):
                return False
            return not self.resources or any(resources.match(asked) for resources in self.resources)
        if self.non_resource_urls:
            return not asked.is_resource and any(_path(asked.path, url) for url in self.non_resource_urls)
        return True

    def wrong(self, path: str) -> list[FieldError]:
        """What is wrong with it, in upstream's words."""
        found: list[FieldError] = []
        if not self.level:
            found.append(required(f"{path}.level"))
        elif self.level not in LEVELS:
            found.append(not_supported(f"{path}.level", self.level, LEVELS))
        for i, url in enumerate(self.non_resource_urls):
            at = f"{path}.nonResourceURLs[{i}]"
            if url != "*" and not url.startswith("/"):
                found.append(invalid_value(at, url, "non-resource URL rules must begin with a '/' character"))
            if "*" in url[:-1]:
                words = "non-resource URL wildcards '*' must be the final character of the rule"
                found.append(invalid_value(at, url, words))
        for i, resources in enumerate(self.resources):
            at = f"{path}.resources[{i}]"
            if resources.group and (why := subdomain(resources.group)):
                found.append(invalid_value(f"{at}.group", resources.group, ",".join(why)))
            if resources.resource_names and not resources.resources:
                words = "using resourceNames requires at least one resource"
                found.append(invalid_value(f"{at}.resourceNames", resources.resource_names, words))
        found += _wrong_stages(self.omit_stages, path)
        if self.non_resource_urls and (self.resources or self.namespaces):
            found.append(invalid_value(f"{path}.nonResourceURLs", self.non_resource_urls, BOTH))
        return found


class Policy(msgspec.Struct, rename="camel"):
    """The rules, and what counts for all of them."""

    api_version: str = ""
    kind: str = ""
    rules: list[Rule] = []
    omit_stages: list[str] = []
    omit_managed_fields: bool = False

    def of(self, user: User | None, asked: Attributes) -> Rule | None:
        """The rule that decides on a request; None: nothing is recorded of it."""
        for rule in self.rules:
            if rule.match(user, asked):
                return rule if rule.level != "None" else None
        return None

    def omits_managed_fields(self, rule: Rule) -> bool:
        """Whether objects are recorded without metadata.managedFields; a rule's word goes before the policy's."""
        return self.omit_managed_fields if rule.omit_managed_fields is None else rule.omit_managed_fields


def load(path: Path) -> Policy:
    """The policy in a file. Raises AuditError, which names the file and the field."""
    try:
        tree = yaml.safe_load(path.read_text())
    except OSError as error:
        raise AuditError(f"--audit-policy-file: {path} cannot be read: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise AuditError(f"--audit-policy-file: {path} is not valid YAML: {error}") from error
    try:
        policy = msgspec.convert(tree, Policy)
    except msgspec.ValidationError as error:
        raise AuditError(f"--audit-policy-file: {path}: {error}") from error
    if (policy.api_version, policy.kind) != (API_VERSION, "Policy"):
        raise AuditError(
            f"--audit-policy-file: {path}: want apiVersion: {API_VERSION} and kind: Policy, found "
            f"{policy.api_version!r} and {policy.kind!r}"
        )
    wrong = [error for i, rule in enumerate(policy.rules) for error in rule.wrong(f"rules[{i}]")]
    wrong += _wrong_stages(policy.omit_stages, "")
    if wrong:
        raise AuditError(f"--audit-policy-file: {path}: {'; '.join(map(str, wrong))}")
    if not policy.rules:
        raise AuditError(f"--audit-policy-file: {path}: rules: there are none, so that nothing would be recorded")
    for field in _unknown(tree):
        log.warning("%s: the field %s is not known and is left aside", path, field)
    return policy


def _wrong_stages(stages: list[str], path: str) -> list[FieldError]:
    words = f"allowed stages are {','.join(STAGES)}"
    at = f"{path}.omitStages" if path else "omitStages"
    return [invalid_value(f"{at}[{i}]", s, words) for i, s in enumerate(stages) if s not in STAGES]


def _unknown(tree: dict[str, object]) -> list[str]:
    """Fields that no Policy has: a slip of the pen that would make a rule wider than it was meant to be."""
    found = [name for name in tree if name not in {*_names(Policy), "metadata"}]
    rules: list[dict[str, object]] = tree.get("rules") or []  # type: ignore[assignment]
    for i, rule in enumerate(rules):
        found += [f"rules[{i}].{name}" for name in rule if name not in _names(Rule)]
        resources: list[dict[str, object]] = rule.get("resources") or []  # type: ignore[assignment]
        for j, group in enumerate(resources):
            found += [f"rules[{i}].resources[{j}].{name}" for name in group if name not in _names(GroupResources)]
    return found


def _names(type_: type[msgspec.Struct]) -> tuple[str, ...]:
    return type_.__struct_encode_fields__


def _path(path: str, wanted: str) -> bool:
    return wanted in ("*", path) or (wanted.endswith("*") and path.startswith(wanted.rstrip("*")))
