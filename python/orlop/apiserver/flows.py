"""Which FlowSchema a request belongs to, told in the headers of its answer.

As k8s.io/apiserver's pkg/util/flowcontrol: schemas are tried in the order of their precedence, then of their names; one
whose priority level is not there counts for nobody. What is found is remembered until a schema or a level changes.
"""

from collections.abc import Iterator
from typing import Any

from orlop.api.types import flowcontrol_v1 as types
from orlop.apiserver import nulls
from orlop.apiserver.auth.attributes import Attributes
from orlop.apiserver.auth.user import User, service_account_name, split_service_account
from orlop.native import Hub

GROUP = "flowcontrol.apiserver.k8s.io"
SCHEMAS, LEVELS = f"{GROUP}/flowschemas", f"{GROUP}/prioritylevelconfigurations"
BOTH = (SCHEMAS, LEVELS)
ANY = "*"
LONG_RUNNING = frozenset({"attach", "exec", "log", "portforward", "proxy"})
"""Subresources whose requests are not classified: they may last for hours."""
MAX_REMEMBERED = 65536
"""Requests' shapes that are remembered: who probes paths shall not fill the memory."""

Headers = tuple[tuple[bytes, bytes], ...]
NONE: Headers = ()

_schema = nulls.Decoder(types.FlowSchema).decode
_level = nulls.Decoder(types.PriorityLevelConfiguration).decode


class Flows:
    """Classifies by the objects that the hub holds now."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._seen = -1
        self._schemas: list[tuple[types.FlowSchema, Headers]] = []
        self._remembered: dict[tuple[Any, ...], Headers] = {}

    def headers(self, user: User, asked: Attributes) -> Headers:
        """X-Kubernetes-PF-FlowSchema-UID and -PriorityLevel-UID of a request's answer."""
        newest = self._hub.newest_of(BOTH)
        if newest != self._seen:
            self._schemas = list(_read(self._hub))
            self._remembered.clear()
            self._seen = newest
        key: tuple[Any, ...]
        if asked.is_resource:
            if asked.subresource in LONG_RUNNING:
                return NONE
            key = (user.name, user.groups, asked.verb, asked.group, asked.resource, asked.subresource, asked.namespace)
        else:
            key = (user.name, user.groups, asked.verb, asked.path)
        found = self._remembered.get(key)
        if found is None:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            found = next((shown for schema, shown in self._schemas if matches(schema, user, asked)), NONE)
            self._remembered[key] = found
        return found


def _read(hub: Hub) -> Iterator[tuple[types.FlowSchema, Headers]]:
    """The schemas that count, in the order in which they are tried."""
    levels = {level.metadata.name: level.metadata.uid for level in map(_level, hub.list(LEVELS, None).items)}
    schemas = [_schema(value) for value in hub.list(SCHEMAS, None).items]
    for schema in sorted(schemas, key=lambda s: (s.spec.matching_precedence, s.metadata.name)):
        level = levels.get(schema.spec.priority_level_configuration.name)
        if level is not None:
            yield (
                schema,
                (
                    (b"x-kubernetes-pf-flowschema-uid", schema.metadata.uid.encode()),
                    (b"x-kubernetes-pf-prioritylevel-uid", level.encode()),
                ),
            )


def matches(schema: types.FlowSchema, user: User, asked: Attributes) -> bool:
    """Whether one of a schema's rules is for this request."""
    return any(
        any(_is(subject, user) for subject in rule.subjects)
        and (
            any(_resource(r, asked) for r in rule.resource_rules)
            if asked.is_resource
            else any(_path(r, asked) for r in rule.non_resource_rules)
        )
        for rule in schema.spec.rules
    )


def _is(subject: types.Subject, user: User) -> bool:
    if subject.user is not None:
        return subject.user.name in (ANY, user.name)
    if subject.group is not None:
        return subject.group.name == ANY or subject.group.name in user.groups
    account = subject.service_account
    if account is None:
        return False
    if account.name == ANY:
        found = split_service_account(user.name)
        return found is not None and found[0] == account.namespace
    return user.name == service_account_name(account.namespace, account.name)


def _names(listed: list[str], value: str) -> bool:
    return value in listed or ANY in listed


def _resource(rule: types.ResourcePolicyRule, asked: Attributes) -> bool:
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    return (
        _names(rule.verbs, asked.verb)
        and _names(rule.resources, resource)
        and _names(rule.api_groups, asked.group)
        and (_names(rule.namespaces, asked.namespace) if asked.namespace else rule.cluster_scope)
    )


def _path(rule: types.NonResourcePolicyRule, asked: Attributes) -> bool:
    return _names(rule.verbs, asked.verb) and any(
        url in (ANY, asked.path) or (url.endswith(ANY) and asked.path.startswith(url.rstrip(ANY)))
        for url in rule.non_resource_urls
    )
