"""Access control and the printers."""

from typing import Any

import msgspec
import pytest

from benches.micro.objects import pod
from orlop.api import scheme
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import table
from orlop.apiserver.auth import Access, Authorizer, ServiceAccountTokens, User
from orlop.apiserver.auth.policy import bootstrap_policy
from orlop.clock import SystemClock
from orlop.native import Hub
from orlop.pki.authority import new_key, signing_key_pem

MANAGER = User("system:kube-controller-manager", ("system:authenticated",))
ASKED = Access("update", "deployments", "apps", "default", "web", "status")
DECISIONS = 50
"""So many that what happens beside them once (some 8,000 instructions) is little."""
TOKENS = 10


@pytest.fixture(scope="module")
def hub() -> Hub:
    """With the rules of a new cluster, and a hundred pods of a node."""
    hub = Hub(1024)
    for kind in scheme.KINDS:
        fields = [("spec.nodeName", "spec.nodeName")] if kind.plural == "pods" else []
        hub.declare(kind.resource, fields, kind.namespaced, kind.api_version, kind.kind)
    for obj in bootstrap_policy():
        kind = scheme.of(type(obj))
        hub.load(kind.resource, [(obj.metadata.namespace, obj.metadata.name, 1, msgspec.json.encode(obj))])
    hub.start(1)
    for index in range(100):
        put(hub, pod(index))
    return hub


def put(hub: Hub, obj: core_v1.Pod | core_v1.ServiceAccount | core_v1.ConfigMap) -> None:
    kind = scheme.of(type(obj))
    where = kind.resource, obj.metadata.namespace, obj.metadata.name
    hub.apply([(*where, hub.revision + 1, 2 if hub.get(*where) else 1, msgspec.json.encode(obj))])


def test_remembered(benchmark: Any, hub: Hub) -> None:
    """A decision that is remembered."""
    access = Authorizer(hub)
    benchmark.extra_info["units"] = DECISIONS
    assert benchmark(lambda: [access.authorize(MANAGER, ASKED) for _ in range(DECISIONS)])[-1].allowed


def test_after_a_write(benchmark: Any, hub: Hub) -> None:
    """A write to the hub and the decision after it."""
    access = Authorizer(hub)
    other = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="c", namespace="default"))

    def decide() -> Any:
        put(hub, other)
        return access.authorize(MANAGER, ASKED)

    assert benchmark(decide).allowed


def test_node(benchmark: Any, hub: Hub) -> None:
    """A kubelet refused a secret that none of its hundred pods mounts."""
    access = Authorizer(hub)
    kubelet = User("system:node:n1", ("system:nodes",))
    assert access.authorize(kubelet, Access("get", "secrets", "", "default", "files")).allowed
    assert not benchmark(lambda: access.authorize(kubelet, Access("get", "secrets", "", "default", "none"))).allowed


@pytest.fixture(scope="module")
def tokens(hub: Hub) -> ServiceAccountTokens:
    put(hub, core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="app", namespace="default", uid="sa")))
    return ServiceAccountTokens(signing_key_pem(new_key()), hub, SystemClock())


def sign(tokens: ServiceAccountTokens) -> str:
    bound = {"pod": ("p1", "uid-1")}
    return tokens.sign("default", ("app", "sa"), audiences=[tokens.issuer], seconds=3600, bound=bound)[0]


def test_token_seen_first(benchmark: Any, tokens: ServiceAccountTokens) -> None:
    """A token that is seen for the first time."""
    benchmark.extra_info["units"] = TOKENS

    def fresh() -> tuple[list[list[str]], dict[str, Any]]:
        return [[sign(tokens) for _ in range(TOKENS)]], {}

    def seen(some: list[str]) -> bool:
        return all(tokens.authenticate(token) is not None for token in some)

    assert benchmark.pedantic(seen, setup=fresh, rounds=5)


def test_token_remembered(benchmark: Any, tokens: ServiceAccountTokens) -> None:
    """A token that is remembered."""
    token = sign(tokens)
    assert benchmark(lambda: tokens.authenticate(token)) is not None


def test_table(benchmark: Any) -> None:
    """A row of a table of 500 pods."""
    kind = scheme.by_resource("", "v1", "pods")
    assert kind is not None
    values = [msgspec.json.encode(pod(index)) for index in range(500)]
    now = SystemClock().now()
    benchmark.extra_info["units"] = 500
    answer = benchmark.pedantic(lambda: table.rows(kind, values, now), rounds=5)
    assert len(msgspec.json.decode(answer)["rows"]) == 500
