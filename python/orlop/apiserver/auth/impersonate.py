"""Acting as someone else: the Impersonate-* headers, each value allowed by a rule for the verb `impersonate`.

As k8s.io/apiserver's pkg/endpoints/filters/impersonation.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from orlop.api import errors
from orlop.apiserver.auth.attributes import Access, quote
from orlop.apiserver.auth.authorizer import Authorizer
from orlop.apiserver.auth.user import (
    ALL_AUTHENTICATED,
    ALL_UNAUTHENTICATED,
    ANONYMOUS,
    User,
    extra,
    service_account_groups,
    split_service_account,
)

AUTHENTICATION = "authentication.k8s.io"
_USER, _GROUP, _UID = b"impersonate-user", b"impersonate-group", b"impersonate-uid"
_EXTRA = b"impersonate-extra-"


def _shown(uid: str, groups: list[str], more: Mapping[str, list[str]]) -> str:
    """A user as Go's %#v shows it."""

    def listed(values: list[str]) -> str:
        return f"[]string{{{', '.join(map(quote, values))}}}" if values else "[]string(nil)"

    pairs = ", ".join(f"{quote(key)}:{listed(more[key])}" for key in sorted(more))
    extra = f"map[string][]string{{{pairs}}}" if more else "map[string][]string(nil)"
    return f'&user.DefaultInfo{{Name:"", UID:{quote(uid)}, Groups:{listed(groups)}, Extra:{extra}}}'


def impersonate(user: User, scope: Mapping[str, Any], headers: Mapping[bytes, bytes], authorizer: Authorizer) -> User:
    """Whom the request is to be treated as coming from: `user` itself without Impersonate headers.

    Raises Forbidden where `user` may not impersonate one of the values, BadRequest for headers without a user.
    """
    name = headers.get(_USER, b"").decode("latin-1")
    uid = ""
    groups: list[str] = []
    more: dict[str, list[str]] = {}
    for field, raw in scope["headers"]:
        value = raw.decode("latin-1")
        if field == _GROUP:
            groups.append(value)
        elif field == _UID:
            uid = value
        elif field.startswith(_EXTRA):
            more.setdefault(unquote(field[len(_EXTRA) :].decode("latin-1").lower()), []).append(value)

    if not name:
        if groups or uid or more:
            raise errors.BadRequest(f"requested {_shown(uid, groups, more)} without impersonating a user name")
        return user

    def ask(resource: str, value: str, group: str = "", namespace: str = "", subresource: str = "") -> None:
        access = Access("impersonate", resource, group, namespace, value, subresource, "v1" if group else "")
        authorizer.require(user, access)

    account = split_service_account(name)
    if account:
        ask("serviceaccounts", account[1], namespace=account[0])
    else:
        ask("users", name)
    for group in groups:
        ask("groups", group)
    if uid:
        ask("uids", uid, AUTHENTICATION)
    for key, values in more.items():
        for value in values:
            ask("userextras", value, AUTHENTICATION, subresource=key)

    if account and not groups:
        groups.extend(service_account_groups(account[0]))
    if name == ANONYMOUS.name:
        if ALL_UNAUTHENTICATED not in groups:
            groups.append(ALL_UNAUTHENTICATED)
    elif ALL_AUTHENTICATED not in groups and ALL_UNAUTHENTICATED not in groups:
        groups.append(ALL_AUTHENTICATED)
    return User(name, tuple(groups), uid, extra(more))
