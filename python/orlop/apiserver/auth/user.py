"""Who a request comes from. Names and groups are those of k8s.io/apiserver's pkg/authentication/user."""

from collections.abc import Mapping
from typing import NewType

import msgspec

from orlop.api.types import authentication_v1

ALL_AUTHENTICATED = "system:authenticated"
ALL_UNAUTHENTICATED = "system:unauthenticated"
MASTERS = "system:masters"
NODES = "system:nodes"
NODE_PREFIX = "system:node:"
SERVICE_ACCOUNT_PREFIX = "system:serviceaccount:"
SERVICE_ACCOUNTS = "system:serviceaccounts"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

Extra = NewType("Extra", tuple[tuple[str, tuple[str, ...]], ...])
"""What else is known of a user, ordered by key."""
NO_EXTRA = Extra(())


def extra(values: Mapping[str, list[str] | tuple[str, ...]]) -> Extra:
    return Extra(tuple((key, tuple(values[key])) for key in sorted(values)))


class User(msgspec.Struct, frozen=True, cache_hash=True, gc=False):
    """A request's identity. Equal users have equal rights, so decisions are remembered by user."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Extra = NO_EXTRA

    def info(self) -> authentication_v1.UserInfo:
        """As reviews show it."""
        return authentication_v1.UserInfo(
            username=self.name,
            uid=self.uid,
            groups=list(self.groups),
            extra={key: list(values) for key, values in self.extra},
        )


ANONYMOUS = User("system:anonymous", (ALL_UNAUTHENTICATED,))


def authenticated(user: User) -> User:
    """The user as a member of system:authenticated, which everyone with a proven name is."""
    if ALL_AUTHENTICATED in user.groups or user.name == ANONYMOUS.name:
        return user
    return msgspec.structs.replace(user, groups=(*user.groups, ALL_AUTHENTICATED))


def service_account_name(namespace: str, name: str) -> str:
    return f"{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"


def service_account_groups(namespace: str) -> tuple[str, ...]:
    return SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}"


def split_service_account(username: str) -> tuple[str, str] | None:
    """Namespace and name of a service account's user name; None for any other user."""
    if not username.startswith(SERVICE_ACCOUNT_PREFIX):
        return None
    namespace, separator, name = username[len(SERVICE_ACCOUNT_PREFIX) :].partition(":")
    return (namespace, name) if separator and namespace and name and ":" not in name else None


def node_of(user: User) -> str:
    """The node whose kubelet this is; "" for anyone else."""
    return user.name[len(NODE_PREFIX) :] if user.name.startswith(NODE_PREFIX) and NODES in user.groups else ""
