import pytest

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.api.types.rbac_v1 import ClusterRole, ClusterRoleBinding, RoleRef, Subject
from orlop.apiserver.auth import Authorizer, User, impersonate
from orlop.apiserver.auth.policy.build import allow

ROOT = User("root", ("system:masters",))
BOB = User("bob", ("system:authenticated",))


def act(hub, user, *headers):
    scope = {"headers": [(name.lower().encode(), value.encode()) for name, value in headers]}
    return impersonate(user, scope, dict(scope["headers"]), Authorizer(hub))


def test_without_headers_nothing_changes(hub):
    assert act(hub, BOB, ("Accept", "*/*")) is BOB


def test_a_user_with_groups_uid_and_extra(hub):
    user = act(
        hub,
        ROOT,
        ("Impersonate-User", "alice"),
        ("Impersonate-Group", "dev"),
        ("Impersonate-Group", "ops"),
        ("Impersonate-Uid", "7"),
        ("Impersonate-Extra-scopes%2fone", "a"),
        ("Impersonate-Extra-scopes%2fone", "b"),
    )
    assert user == User("alice", ("dev", "ops", "system:authenticated"), "7", (("scopes/one", ("a", "b")),))


def test_a_service_account_has_its_groups(hub):
    user = act(hub, ROOT, ("Impersonate-User", "system:serviceaccount:ns:app"))
    assert user.groups == ("system:serviceaccounts", "system:serviceaccounts:ns", "system:authenticated")


def test_anonymous_stays_unauthenticated(hub):
    assert act(hub, ROOT, ("Impersonate-User", "system:anonymous")).groups == ("system:unauthenticated",)


def test_groups_without_a_user_make_no_sense(hub):
    with pytest.raises(errors.BadRequest, match="without impersonating a user"):
        act(hub, ROOT, ("Impersonate-Group", "dev"))


def test_each_value_needs_a_rule(hub):
    hub.put(
        ClusterRole(
            metadata=meta_v1.ObjectMeta(name="imp"),
            rules=[
                allow("impersonate", "core", "users", names="alice"),
                allow("impersonate", "core", "serviceaccounts"),
                allow("impersonate", "authentication.k8s.io", "userextras/scopes", names="read"),
            ],
        )
    )
    hub.put(
        ClusterRoleBinding(
            metadata=meta_v1.ObjectMeta(name="imp"),
            subjects=[Subject(kind="User", name="bob")],
            role_ref=RoleRef(kind="ClusterRole", name="imp"),
        )
    )
    assert act(hub, BOB, ("Impersonate-User", "alice")).name == "alice"
    assert act(hub, BOB, ("Impersonate-User", "system:serviceaccount:ns:app")).name == "system:serviceaccount:ns:app"
    assert act(hub, BOB, ("Impersonate-User", "alice"), ("Impersonate-Extra-Scopes", "read"))
    with pytest.raises(errors.Forbidden) as caught:
        act(hub, BOB, ("Impersonate-User", "carol"))
    assert caught.value.message == (
        'users "carol" is forbidden: User "bob" cannot impersonate resource "users" in API group "" '
        "at the cluster scope"
    )
    with pytest.raises(errors.Forbidden, match='"system:masters" is forbidden'):
        act(hub, BOB, ("Impersonate-User", "alice"), ("Impersonate-Group", "system:masters"))
    with pytest.raises(errors.Forbidden, match="userextras/scopes"):
        act(hub, BOB, ("Impersonate-User", "alice"), ("Impersonate-Extra-Scopes", "write"))
