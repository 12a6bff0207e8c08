"""Random roles, bindings and changes: the authorizer with its memory says what the plain model says."""

import os
import random

import pytest
from tests.apiserver.auth.conftest import Objects
from tests.model.rbac import Model

from orlop.api.types import meta_v1
from orlop.api.types.rbac_v1 import (
    ClusterRole,
    ClusterRoleBinding,
    PolicyRule,
    Role,
    RoleBinding,
    RoleRef,
    Subject,
)
from orlop.apiserver.auth import Access, Authorizer, User

ROUNDS = int(os.environ.get("ORLOP_RBAC_ROUNDS", "400"))
"""Changes in one history; each is followed by some questions."""
QUESTIONS = 12

NAMES = ["a", "b"]
NAMESPACES = ["n1", "n2"]
USERS = [
    User("alice", ("dev", "system:authenticated")),
    User("bob", ("ops",)),
    User("dev"),
    User("system:serviceaccount:n1:a", ("system:serviceaccounts",)),
]
PLURALS = {
    ClusterRole: "clusterroles",
    ClusterRoleBinding: "clusterrolebindings",
    Role: "roles",
    RoleBinding: "rolebindings",
}


def some(chance: random.Random, values: list[str], *rare: str) -> list[str]:
    picked = chance.sample(values, min(len(values), chance.randint(1, 3)))
    return [*picked, *rare] if chance.random() < 0.15 else picked


def a_rule(chance: random.Random, namespaced: bool) -> PolicyRule:
    verbs = some(chance, ["get", "list", "create"], "*")
    if not namespaced and chance.random() < 0.2:
        return PolicyRule(verbs=verbs, non_resource_urls=some(chance, ["/healthz", "/healthz/*", "/version"], "*"))
    return PolicyRule(
        verbs=verbs,
        api_groups=some(chance, ["", "apps"], "*"),
        resources=some(chance, ["pods", "pods/log", "deployments", "*/scale"], "*"),
        resource_names=some(chance, NAMES) if chance.random() < 0.3 else [],
    )


def a_subject(chance: random.Random) -> Subject:
    kind = chance.choice(["User", "Group", "ServiceAccount"])
    if kind == "ServiceAccount":
        return Subject(kind=kind, name=chance.choice(NAMES), namespace=chance.choice([*NAMESPACES, ""]))
    return Subject(kind=kind, name=chance.choice(["alice", "bob", "dev", "ops", "system:authenticated"]))


def an_object(chance: random.Random) -> ClusterRole | ClusterRoleBinding | Role | RoleBinding:
    kind = chance.choice([ClusterRole, ClusterRoleBinding, Role, RoleBinding])
    namespace = chance.choice(NAMESPACES) if kind in (Role, RoleBinding) else ""
    metadata = meta_v1.ObjectMeta(name=chance.choice(NAMES), namespace=namespace)
    if kind in (ClusterRole, Role):
        rules = [a_rule(chance, kind is Role) for _ in range(chance.randint(1, 5))]
        return kind(metadata=metadata, rules=rules)
    ref = RoleRef(
        api_group="rbac.authorization.k8s.io",
        kind=chance.choice(["Role", "ClusterRole"]) if kind is RoleBinding else "ClusterRole",
        name=chance.choice(NAMES),
    )
    subjects = [a_subject(chance) for _ in range(chance.randint(1, 5))]
    return kind(metadata=metadata, subjects=subjects, role_ref=ref)


def a_question(chance: random.Random) -> Access:
    verb = chance.choice(["get", "list", "create", "delete"])
    if chance.random() < 0.2:
        return Access(verb, path=chance.choice(["/healthz", "/healthz/ping", "/version", "/metrics"]))
    return Access(
        verb,
        chance.choice(["pods", "deployments", "secrets"]),
        chance.choice(["", "apps"]),
        chance.choice([*NAMESPACES, ""]),
        chance.choice([*NAMES, ""]),
        chance.choice(["", "", "log", "scale"]),
    )


@pytest.mark.parametrize("seed", range(3))
def test_random_histories(seed: int) -> None:
    chance = random.Random(seed)
    hub = Objects(ring=8)
    access = Authorizer(hub)
    model = Model()
    granted = 0
    for _ in range(ROUNDS):
        for _ in range(chance.choice([1, 1, 1, 20])):  # at times more than the hub's ring holds
            change(chance, hub, model)
        for _ in range(QUESTIONS):
            user, asked = chance.choice(USERS), a_question(chance)
            expected = model.allowed(user, asked)
            assert access.authorize(user, asked).allowed is expected, (user, asked, list(model.objects.values()))
            granted += expected
    assert ROUNDS * QUESTIONS * 0.05 < granted < ROUNDS * QUESTIONS * 0.95, "the histories say too little"


def change(chance: random.Random, hub: Objects, model: Model) -> None:
    if model.objects and chance.random() < 0.3:
        key = chance.choice(sorted(model.objects))
        gone = model.objects.pop(key)
        hub.remove(f"rbac.authorization.k8s.io/{PLURALS[type(gone)]}", key[1], key[2])
    else:
        made = an_object(chance)
        model.objects[made.kind, made.metadata.namespace, made.metadata.name] = made
        hub.put(made)
