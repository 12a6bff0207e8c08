"""Creates that are like one before give byte for byte what they would have given by themselves."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.apiserver.conftest import PODS, Answer, Api, pod

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import alike, bootstrap
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.metrics import CREATES
from orlop.apiserver.server import ApiServer
from orlop.clock import FakeClock

NODE = User("system:node:n", ("system:nodes", "system:authenticated"))
QUOTA = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"}, "spec": {"hard": {"pods": "5"}}}
RANGE = {
    "apiVersion": "v1",
    "kind": "LimitRange",
    "metadata": {"name": "r"},
    "spec": {"limits": [{"type": "Container", "default": {"cpu": "1"}}]},
}
PRIORITY = {
    "apiVersion": "scheduling.k8s.io/v1",
    "kind": "PriorityClass",
    "metadata": {"name": "p"},
    "value": 7,
    "globalDefault": True,
}


class Pair:
    """Two servers with the same time and the same chance, one of which decides every create by itself."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.clocks = [FakeClock(seed=7), FakeClock(seed=7)]
        self.servers = [
            ApiServer(Config(data_dir=folder / str(i), store="memory", secure_port=None), clock)
            for i, clock in enumerate(self.clocks)
        ]

    async def start(self) -> None:
        for server in self.servers:
            await server.__aenter__()
            account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
            await bootstrap.create(server.core, account)
        for clock in self.clocks:
            clock.random.seed(7)
        self.servers[1].core.strategies["core/v1.Pod"].alike = False
        self.apis = [Api(server) for server in self.servers]

    async def stop(self) -> None:
        for api, server in zip(self.apis, self.servers, strict=True):
            await api.transport.close()
            await server.__aexit__(None, None, None)

    async def both(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        """The answer that both give. Audit IDs are drawn from the same chance: they are equal too."""
        first, second = [await api(method, path, body, **headers) for api in self.apis]
        assert first.status == second.status
        assert first.raw == second.raw
        assert list(first.headers.items()) == list(second.headers.items())
        return first


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    pair = Pair(tmp_path_factory.mktemp("alike"))
    pair.runner.run(pair.start())
    yield pair
    pair.runner.run(pair.stop())
    pair.runner.close()


TEXTS = st.sampled_from(["a", "web", "%s%%(name)b", "ü", "kube-api-access-bbbbb", "2023-11-14T22:13:20Z", '"', "\\"])
MAPS = st.dictionaries(st.sampled_from(["a", "app", "bad key", "x.io/y"]), TEXTS, max_size=2)
NAMES = st.sampled_from(["a", "a-b", "a.b", "-", "", "x" * 64, "q\\", 'q"', "kube-api-access-bbbbb", "ü"])
CONTAINERS = st.fixed_dictionaries(
    {"name": st.sampled_from(["c", "", "d"])},
    optional={
        "image": TEXTS,
        "args": st.lists(TEXTS, max_size=2),
        "unknown": st.just(1),
        "volumeMounts": st.just([{"name": "v", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]),
        "resources": st.just({"limits": {"cpu": "1"}}),
    },
)
SPECS = st.fixed_dictionaries(
    {"containers": st.lists(CONTAINERS, min_size=0, max_size=2)},
    optional={
        "volumes": st.just([{"name": "v", "emptyDir": {}}]),
        "priorityClassName": st.sampled_from(["p", "none"]),
        "serviceAccountName": st.sampled_from(["default", "none"]),
        "nodeName": st.just("n"),
        "hostNetwork": st.booleans(),
        "schedulingGates": st.just([{"name": "g"}]),
    },
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "labels": MAPS,
        "annotations": MAPS,
        "generateName": st.sampled_from(["g-", "G-", "x" * 70]),
        "namespace": st.sampled_from(["default", "other"]),
        "uid": st.just("u"),
        "resourceVersion": st.just("1"),
        "finalizers": st.sampled_from([["orphan"], ["x.io/y"], ["z"]]),
        "managedFields": st.just([{}]),
    },
)
TEMPLATES = st.fixed_dictionaries({"metadata": METADATA, "spec": SPECS}).map(
    lambda tree: {"apiVersion": "v1", "kind": "Pod", **tree}
)


QUERIES = st.sampled_from(["", "?dryRun=All", "?fieldManager=m", "?fieldValidation=Strict"])


def named(template: dict[str, Any], name: str) -> dict[str, Any]:
    return {**template, "metadata": {**template["metadata"], **({"name": name} if name else {})}}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    template=TEMPLATES,
    some=st.lists(NAMES, min_size=2, max_size=5),
    query=QUERIES,
)
def test_every_answer_is_what_a_create_by_itself_gives(
    pair: Pair, template: dict[str, Any], some: list[str], query: str
) -> None:
    async def run() -> None:
        for i, name in enumerate(["one", "two", *some, "three"]):
            await pair.both("POST", PODS + query, named(template, name))
            if i % 2:
                for clock in pair.clocks:
                    clock._elapsed += 0.7  # no sleeper is to be woken
        await pair.both("DELETE", f"{PODS}?gracePeriodSeconds=0")

    pair.runner.run(run())


WORDS = st.sampled_from(["a", "b", "8080", "", "-", "ü", "a\\b", "$(A)", "%(name)b", "x" * 64, "<&>"])
NUMBERS = st.sampled_from([1, 80, 8080, 8081, 65535, 65536, 0])
VALUES = st.tuples(WORDS, WORDS, WORDS, WORDS, NUMBERS, NUMBERS)
WITH = st.sets(
    st.sampled_from(
        ["host network", "host port", "spread", "two ports", "other container", "source", "init", "applied", "mirror"]
    ),
    max_size=3,
)


def valued(name: str, parts: set[str], values: tuple[str, str, str, str, int, int]) -> dict[str, Any]:
    """A pod whose values are these; `parts` are what may make one of them count elsewhere."""
    label, argument, variable, note, port, probe = values
    container: dict[str, Any] = {
        "name": "c",
        "image": "i:1",
        "args": [argument, f"--port={port}"],
        "env": [{"name": "A", "value": variable}],
        "ports": [{"containerPort": port}],
        "readinessProbe": {"httpGet": {"port": probe}},
    }
    spec: dict[str, Any] = {"containers": [container]}
    metadata: dict[str, Any] = {"name": name, "labels": {"l": label}, "annotations": {"n": note}}
    if "host network" in parts:
        spec["hostNetwork"] = True
    if "host port" in parts:
        container["ports"][0]["hostPort"] = 8080
    if "spread" in parts:
        selector = {"matchLabels": {"x": "y"}}
        one = {"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": selector}
        spec["topologySpreadConstraints"] = [{**one, "matchLabelKeys": ["l"]}]
    if "two ports" in parts:
        container["ports"].append({"containerPort": probe})
    if "other container" in parts:
        spec["containers"].append({"name": "d", "image": "i:1", "ports": [{"containerPort": probe}]})
    if "source" in parts:
        container["env"][0]["valueFrom"] = {"fieldRef": {"fieldPath": "metadata.name"}}
    if "init" in parts:
        spec["initContainers"] = [{"name": "e", "image": "i:1", "command": [argument]}]
    if "applied" in parts:
        metadata["annotations"]["kubectl.kubernetes.io/last-applied-configuration"] = '{"containerPort":80,"a":"b"}'
    if "mirror" in parts:
        metadata["annotations"]["kubernetes.io/config.mirror"] = note
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(parts=WITH, some=st.lists(VALUES, min_size=4, max_size=8))
def test_values_stand_where_they_would_stand(
    pair: Pair, parts: set[str], some: list[tuple[str, str, str, str, int, int]]
) -> None:
    async def run() -> None:
        for i, values in enumerate(some):
            await pair.both("POST", PODS, valued(f"p-{i}", parts, values))
        await pair.both("DELETE", f"{PODS}?gracePeriodSeconds=0")

    pair.runner.run(run())


def test_pods_of_one_shape_are_alike_when_two_have_shown_it(pair: Pair) -> None:
    async def run() -> list[int]:
        counts = []
        for i in range(6):
            before = CREATES.alike
            values = (f"l-{i}", f"a-{i}", f"e-{i}", f"n-{i}", 1000 + i, 2000 + i)
            assert (await pair.both("POST", PODS, valued(f"v-{i}", {"init"}, values))).status == 201
            counts.append(CREATES.alike - before)
        before = CREATES.alike
        values = ("l", "a", "e", "n", 7, 7)
        assert (await pair.both("POST", PODS, valued("v-equal", {"init"}, values))).status == 201
        return [*counts, CREATES.alike - before]

    # The first is remembered, the second makes a mould of its values, the third shows that others may stand there. One
    # whose ports are equal is of another shape.
    assert pair.runner.run(run()) == [0, 0, 0, 1, 1, 1, 0]


def test_a_value_that_counts_elsewhere_is_none(pair: Pair) -> None:
    async def run() -> None:
        for i in range(6):
            values = (f"l-{i // 2}", "a", "e", "n", 80, 80)
            assert (await pair.both("POST", PODS, valued(f"s-{i}", {"spread"}, values))).status == 201

    pair.runner.run(run())
    assert pair.servers[0].core.alike._rigid


def test_moulds_are_what_is_compared(pair: Pair) -> None:
    async def run() -> None:
        for name in ("w", "x", "y", "z"):
            assert (await pair.both("POST", PODS, pod(name, nodeName="moulded"))).status == 201

    before = CREATES.alike
    pair.runner.run(run())
    assert CREATES.alike - before == 2


async def test_the_third_of_a_template_is_like_the_second(api: Api) -> None:
    before = CREATES.alike
    made = [await api.made(PODS, pod(f"p-{i}")) for i in range(4)]
    assert CREATES.alike - before == 2
    uids = {one["metadata"]["uid"] for one in made}
    volumes = {one["spec"]["volumes"][0]["name"] for one in made}
    assert len(uids) == len(volumes) == 4
    assert [one["metadata"]["name"] for one in made] == ["p-0", "p-1", "p-2", "p-3"]
    assert (await api("GET", f"{PODS}/p-3")).body == made[3]


async def test_generated_names(api: Api) -> None:
    body = pod()
    body["metadata"] = {"generateName": "g-"}
    before = CREATES.alike
    names = {(await api.made(PODS, body))["metadata"]["name"] for _ in range(6)}
    assert len(names) == 6
    assert all(name.startswith("g-") and len(name) == 7 for name in names)
    assert CREATES.alike - before == 4


async def test_a_name_that_is_taken(api: Api) -> None:
    for name in "abc":
        await api.made(PODS, pod(name))
    answer = await api("POST", PODS, pod("c"))
    assert (answer.status, answer.body["reason"]) == (409, "AlreadyExists")


async def alike_pods(api: Api, first: int) -> None:
    for i in range(first, first + 3):
        await api.made(PODS, pod(f"p-{i}"))


async def test_what_admission_looks_at_ends_what_was_decided(api: Api) -> None:
    await alike_pods(api, 0)
    await api.made("/api/v1/namespaces/default/limitranges", RANGE)
    assert (await api.made(PODS, pod("limited")))["spec"]["containers"][0]["resources"]["limits"] == {"cpu": "1"}
    await alike_pods(api, 10)
    await api.made("/apis/scheduling.k8s.io/v1/priorityclasses", PRIORITY)
    assert (await api.made(PODS, pod("first")))["spec"]["priority"] == 7
    await alike_pods(api, 20)
    await api("DELETE", "/api/v1/namespaces/default/serviceaccounts/default")
    other = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await api.made("/api/v1/namespaces/default/serviceaccounts", {**other, "automountServiceAccountToken": False})
    assert "volumes" not in (await api.made(PODS, pod("bare")))["spec"]


async def test_quotas_are_charged(api: Api) -> None:
    await alike_pods(api, 0)
    quotas = "/api/v1/namespaces/default/resourcequotas"
    quota = await api.made(quotas, QUOTA)
    quota["status"] = {"hard": {"pods": "5"}, "used": {"pods": "3"}}
    assert (await api("PUT", f"{quotas}/q/status", quota)).status == 200
    statuses = [(await api("POST", PODS, pod(f"q-{i}"))).status for i in range(4)]
    assert statuses == [201, 201, 403, 403]
    assert (await api("GET", f"{quotas}/q")).body["status"]["used"] == {"pods": "5"}


async def test_an_ending_namespace_takes_nothing(api: Api) -> None:
    made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n"}}
    await api.made("/api/v1/namespaces", made)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}
    await api.made("/api/v1/namespaces/n/serviceaccounts", account)
    pods = "/api/v1/namespaces/n/pods"
    for name in "abc":
        await api.made(pods, pod(name))
    await api("DELETE", "/api/v1/namespaces/n")
    assert (await api("POST", pods, pod("d"))).status == 403


async def test_what_a_kubelet_makes_is_looked_at_each_time(api: Api) -> None:
    await alike_pods(api, 0)
    kubelet = Api(api.server, NODE)
    before = CREATES.alike
    for i in range(3):
        assert (await kubelet("POST", PODS, pod(f"k-{i}"))).status == 403
    assert CREATES.alike == before
    await kubelet.transport.close()


async def test_templates_that_come_once_are_not_kept(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alike, "MOULDS", 2)
    monkeypatch.setattr(alike, "SEEN", 3)
    kept = api.server.core.alike
    for i in range(8):
        await api.made(PODS, pod(f"p-{i}", hostname=f"h-{i}"))
    assert not kept._moulds
    assert len(kept._once) == 3
    for i in range(4):
        for name in "abc":
            await api.made(PODS, pod(f"{name}-{i}", subdomain=f"s-{i}"))
    assert len(kept._moulds) == 2
