"""Patches that are read no further than they name give byte for byte what the long way gives, its refusals included."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st
from tests.apiserver.conftest import Answer
from tests.apiserver.test_alike import Pair

from orlop.apiserver import patch as patches

NAMESPACE = "/api/v1/namespaces/default"
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "labels": {"a": "1"}, "annotations": {"n": "1"}},
    "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]},
}
LEASE = {
    "apiVersion": "coordination.k8s.io/v1",
    "kind": "Lease",
    "metadata": {"name": "l", "labels": {"a": "1"}},
    "spec": {"holderIdentity": "n", "leaseDurationSeconds": 40},
}
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "d"},
    "spec": {
        "selector": {"matchLabels": {"a": "1"}},
        "template": {"metadata": {"labels": {"a": "1"}}, "spec": POD["spec"]},
    },
}
EVENT = {
    "apiVersion": "v1",
    "kind": "Event",
    "metadata": {"name": "e"},
    "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": "p", "namespace": "default"},
    "reason": "R",
    "count": 1,
}
OBJECTS = (
    (f"{NAMESPACE}/pods", POD),
    ("/apis/coordination.k8s.io/v1/namespaces/default/leases", LEASE),
    ("/apis/apps/v1/namespaces/default/deployments", DEPLOYMENT),
    (f"{NAMESPACE}/events", EVENT),
)


class Ways(Pair):
    """Two servers, of which the second takes the long way."""

    quick: int = 0

    async def both(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        found: list[Answer] = []
        plain = patches.plain

        def counted(*args: Any) -> Any:
            got = plain(*args)
            self.quick += got is not None
            return got

        for api, way in zip(self.apis, (counted, lambda *_: None), strict=True):
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(patches, "plain", way)
                found.append(await api(method, path, body, **headers))
        first, second = found
        assert first.status == second.status, (first.raw, second.raw)
        assert first.raw == second.raw
        assert list(first.headers.items()) == list(second.headers.items())
        return first


@pytest.fixture(scope="module")
def ways(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ways]:
    ways = Ways(tmp_path_factory.mktemp("ways"))
    ways.runner.run(ways.start())
    yield ways
    ways.runner.run(ways.stop())
    ways.runner.close()


TIMES = st.sampled_from(["2026-01-01T00:00:01Z", "2026-01-01T00:00:02Z", "yesterday", None])
WORDS = st.sampled_from(["", "a", "b", "Running", "10.0.0.1", "010.0.0.1", "fd00::1", "é\u2028", 7, None])
LABELS = st.dictionaries(st.sampled_from(["a", "b", "c/d", "-", "$patch"]), WORDS, max_size=3)
CONDITION = st.fixed_dictionaries(
    {"type": st.sampled_from(["Ready", "PodScheduled", "mine/x", "-"])},
    optional={
        "status": st.sampled_from(["True", "False"]),
        "lastTransitionTime": TIMES,
        "reason": WORDS,
        "$patch": st.sampled_from(["delete", "replace", "merge"]),
    },
)
ADDRESS = st.one_of(
    st.fixed_dictionaries({"ip": st.sampled_from(["10.0.0.1", "10.0.0.2", "fd00::1", "010.0.0.1", "256.0.0.1"])}),
    st.just({"$patch": "replace"}),
)
STATE = st.sampled_from(
    [
        {"running": {"startedAt": "2026-01-01T00:00:01Z"}},
        {"running": None, "terminated": {"exitCode": 1}},
        {"waiting": {"reason": "R"}},
        {"$retainKeys": ["waiting"], "waiting": {}},
    ]
)
CONTAINER = st.fixed_dictionaries(
    {"name": st.sampled_from(["c", "d"])},
    optional={"state": STATE, "restartCount": st.integers(-1, 3), "ready": st.booleans(), "image": WORDS},
)
STATUS = st.fixed_dictionaries(
    {},
    optional={
        "phase": WORDS,
        "podIP": WORDS,
        "podIPs": st.lists(ADDRESS, max_size=3),
        "hostIP": st.sampled_from(["10.0.0.1", "10.0.0.2"]),
        "hostIPs": st.lists(ADDRESS, max_size=2),
        "startTime": TIMES,
        "qosClass": st.sampled_from(["BestEffort", "Guaranteed", None]),
        "conditions": st.one_of(st.lists(CONDITION, max_size=4), st.none()),
        "$setElementOrder/conditions": st.lists(
            st.sampled_from(["Ready", "PodScheduled", "mine/x", "-", "gone"]).map(lambda type_: {"type": type_}),
            max_size=5,
            unique_by=lambda one: one["type"],
        ),
        "$setElementOrder/podIPs": st.sampled_from([[{"ip": "10.0.0.2"}, {"ip": "10.0.0.1"}], [{"ip": "fd00::1"}]]),
        "containerStatuses": st.lists(CONTAINER, max_size=3),
        "replicas": st.integers(-1, 5),
        "unknown": WORDS,
    },
)
METADATA = st.fixed_dictionaries(
    {},
    optional={
        "labels": st.one_of(LABELS, st.none()),
        "annotations": LABELS,
        "uid": st.sampled_from(["wrong", ""]),
        "name": st.sampled_from(["other", None]),
        "finalizers": st.sampled_from([["a/b"], ["x"], []]),
        "$deleteFromPrimitiveList/finalizers": st.just(["a/b"]),
        "managedFields": st.sampled_from([[], [{}], None]),
        "resourceVersion": st.sampled_from(["1", "x"]),
    },
)
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "holderIdentity": WORDS,
        "leaseDurationSeconds": st.integers(-1, 60),
        "renewTime": st.sampled_from(["2026-01-01T00:00:01.000001Z", "x", None]),
        "replicas": st.integers(-1, 5),
        "activeDeadlineSeconds": st.integers(-1, 5),
        "containers": st.lists(
            st.fixed_dictionaries({"name": st.sampled_from(["c", "d"])}, optional={"image": WORDS}), max_size=2
        ),
    },
)
PATCHES = st.fixed_dictionaries(
    {},
    optional={
        "metadata": METADATA,
        "status": st.one_of(STATUS, st.none()),
        "spec": SPEC,
        "count": st.integers(1, 9),
        "message": WORDS,
        "lastTimestamp": TIMES,
        "kind": WORDS,
        "$patch": st.just("replace"),
    },
)
KINDS = st.sampled_from(["strategic-merge-patch+json", "merge-patch+json"])
VALIDATION = st.sampled_from(["", "?fieldValidation=Strict", "?fieldValidation=Ignore", "?dryRun=All"])


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    where=st.sampled_from(OBJECTS),
    subresource=st.sampled_from(["", "/status", "/status"]),
    bodies=st.lists(st.tuples(KINDS, PATCHES, VALIDATION), min_size=1, max_size=4),
    double=st.booleans(),
)
def test_a_patch_gives_what_the_long_way_gives(
    ways: Ways, where: tuple[str, dict[str, Any]], subresource: str, bodies: list[Any], double: bool
) -> None:
    path, obj = where

    async def run() -> None:
        await ways.both("POST", path, obj)
        name = f"{path}/{obj['metadata']['name']}"
        for media, patch, query in bodies:
            text = json.dumps(patch).encode()
            if double and text.startswith(b'{"'):
                text = text[:-1] + b", " + text[1:]
            await ways.both("PATCH", f"{name}{subresource}{query}", text, media=f"application/{media}")
        await ways.both("DELETE", name, {"gracePeriodSeconds": 0})
        await ways.both("PATCH", name, b"{}", media="application/merge-patch+json")

    ways.runner.run(run())


def test_what_kubelets_send_is_read_no_further_than_it_names(ways: Ways) -> None:
    async def run() -> int:
        await ways.both("POST", f"{NAMESPACE}/pods", POD)
        before = ways.quick
        status = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
        answer = await ways.both(
            "PATCH",
            f"{NAMESPACE}/pods/p/status",
            json.dumps(status).encode(),
            media="application/strategic-merge-patch+json",
        )
        assert answer.status == 200
        assert answer.body["status"]["phase"] == "Running"
        assert answer.body["spec"]["containers"][0]["image"] == "i"
        await ways.both("DELETE", f"{NAMESPACE}/pods/p", {"gracePeriodSeconds": 0})
        return ways.quick - before

    assert ways.runner.run(run()) == 1
