"""What is asked for, as access rules see it, and the words in which it is refused."""

from typing import NamedTuple, Protocol

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.apiserver.auth.user import User


class Attributes(Protocol):
    """A request's verb and object; `RequestInfo` is one. Without `is_resource` only `verb` and `path` count."""

    @property
    def is_resource(self) -> bool: ...
    @property
    def path(self) -> str: ...
    @property
    def verb(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def namespace(self) -> str: ...
    @property
    def resource(self) -> str: ...
    @property
    def subresource(self) -> str: ...
    @property
    def name(self) -> str: ...


class Access(NamedTuple):
    """Attributes that come from elsewhere than a request's path: reviews, impersonation, escalation."""

    verb: str
    resource: str = ""
    group: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    version: str = ""
    path: str = ""

    @property
    def is_resource(self) -> bool:
        return not self.path


class Decision(NamedTuple):
    """`reason` says why a request is allowed, or what hindered the decision where it is not."""

    allowed: bool
    reason: str = ""


NO_OPINION = Decision(False)


def quote(text: str) -> str:
    """A string in double quotes as Go's %q shows it."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def refusal(user: User, asked: Attributes) -> str:
    """`User "x" cannot list resource "pods" in API group "" in the namespace "default"`."""
    name = quote(user.name)
    if not asked.is_resource:
        return f"User {name} cannot {asked.verb} path {quote(asked.path)}"
    resource = f"{asked.resource}/{asked.subresource}" if asked.subresource else asked.resource
    where = f"in the namespace {quote(asked.namespace)}" if asked.namespace else "at the cluster scope"
    return f"User {name} cannot {asked.verb} resource {quote(resource)} in API group {quote(asked.group)} {where}"


def forbidden(user: User, asked: Attributes, reason: str = "") -> errors.Forbidden:
    """The 403 for `asked`."""
    why = refusal(user, asked)
    if reason:
        why = f"{why}: {reason}"
    if not asked.is_resource:
        return errors.Forbidden(f"forbidden: {why}", details=meta_v1.StatusDetails())
    return errors.forbidden(asked.resource, asked.group, asked.name, why)
