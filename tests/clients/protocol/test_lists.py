"""Lists: revisions, pages, selectors, options."""

import base64
import json
from pathlib import Path

import pytest

from orlop.apiserver.server import ApiServer
from tests.clients.protocol.api import MERGE_PATCH, Api, Namespace, config_map, pod


def test_revisions_are_growing_decimals(api: Api, ns: Namespace) -> None:
    seen = [int(api.post(ns.maps, config_map(f"m{i}"))["metadata"]["resourceVersion"]) for i in range(3)]
    seen.append(int(api.merge(f"{ns.maps}/m0", {"data": {"a": "b"}})["metadata"]["resourceVersion"]))
    listed = int(api.get(ns.maps)["metadata"]["resourceVersion"])
    assert 0 < seen[0] < seen[1] < seen[2] < seen[3] <= listed


def test_items_do_not_repeat_what_the_list_names(api: Api, ns: Namespace) -> None:
    # Enough for a list that the connection itself writes, and for one of compressed blocks.
    for i in range(130):
        api.post(ns.maps, config_map(f"m{i:03}", data={"k": "v" * 1100}))
    for coding in ("identity", "gzip"):
        answer = api("GET", ns.maps, accept_encoding=coding)
        assert answer.headers.get("content-encoding", "identity") == coding
        listed = answer.json()
        assert (listed["kind"], listed["apiVersion"]) == ("ConfigMapList", "v1")
        maps = [item for item in listed["items"] if item["metadata"]["name"].startswith("m")]
        assert [(sorted(item), item["metadata"]["name"]) for item in maps] == [
            (["data", "metadata"], f"m{i:03}") for i in range(130)
        ]


def test_a_list_is_of_the_revision_that_is_asked_for(api: Api, ns: Namespace) -> None:
    made = api.post(ns.maps, config_map("a", data={"k": "1"}))
    revision = made["metadata"]["resourceVersion"]
    api.merge(f"{ns.maps}/a", {"data": {"k": "2"}})
    for query, value in (
        ("", "2"),
        ("?resourceVersion=0", "2"),
        (f"?resourceVersion={revision}", "2"),
        (f"?resourceVersion={revision}&resourceVersionMatch=NotOlderThan", "2"),
        (f"?resourceVersion={revision}&resourceVersionMatch=Exact", "1"),
    ):
        assert api.get(ns.maps + query)["items"][0]["data"]["k"] == value
    late = api("GET", f"{ns.maps}?resourceVersion=999999999")
    assert (late.status_code, late.headers["retry-after"]) == (504, "1")
    details = late.json()["details"]
    assert late.json()["reason"] == "Timeout"
    assert (details["causes"][0]["reason"], details["retryAfterSeconds"]) == ("ResourceVersionTooLarge", 1)


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("resourceVersionMatch=Exact", "resourceVersionMatch is forbidden unless resourceVersion is provided"),
        ("resourceVersion=0&resourceVersionMatch=Exact", 'resourceVersionMatch "exact" is forbidden for resource'),
        ("resourceVersion=1&resourceVersionMatch=Near", 'supported values: "Exact", "NotOlderThan"'),
        ("sendInitialEvents=true", "sendInitialEvents is forbidden for list"),
        ("resourceVersion=1&resourceVersionMatch=Exact&continue=TOKEN", "resourceVersionMatch is forbidden when conti"),
        ("watch=1&sendInitialEvents=true", "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"),
        ("watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan", "is forbidden for watch unless sendInitialE"),
    ],
)
def test_options_that_exclude_each_other(api: Api, ns: Namespace, query: str, message: str) -> None:
    token = base64.urlsafe_b64encode(json.dumps({"v": "meta.k8s.io/v1", "rv": 1, "start": "a\0"}).encode()).decode()
    status = api.refused(422, "GET", f"{ns.maps}?{query.replace('TOKEN', token.rstrip('='))}")
    assert status["reason"] == "Invalid"
    assert message in status["message"]


def test_pages_are_of_one_moment(api: Api, ns: Namespace) -> None:
    for i in range(5):
        api.post(ns.maps, config_map(f"m{i}"))
    before = api.get(ns.maps)
    first = api.get(f"{ns.maps}?limit=2")
    token = first["metadata"]["continue"]
    read = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    assert (read["v"], read["rv"]) == ("meta.k8s.io/v1", int(first["metadata"]["resourceVersion"]))
    assert read["start"].endswith("\0")
    assert first["metadata"]["remainingItemCount"] == len(before["items"]) - 2
    api.post(ns.maps, config_map("m3-between"))
    api("DELETE", f"{ns.maps}/m4")
    rest = api.get(f"{ns.maps}?limit=9&continue={token}")
    names = [item["metadata"]["name"] for item in first["items"] + rest["items"]]
    assert names == [item["metadata"]["name"] for item in before["items"]]
    assert rest["metadata"]["resourceVersion"] == first["metadata"]["resourceVersion"]
    assert "continue" not in rest["metadata"]


def test_how_many_are_left_is_told_without_a_selector_only(api: Api, ns: Namespace) -> None:
    for i in range(3):
        api.post(ns.maps, config_map(f"m{i}"))
    for selector in ("labelSelector=!x", "fieldSelector=metadata.name!%3Dx"):
        meta = api.get(f"{ns.maps}?limit=1&{selector}")["metadata"]
        assert meta["continue"]
        assert "remainingItemCount" not in meta


async def test_a_token_of_a_forgotten_past_comes_with_one_that_works(served: ApiServer, tmp_path: Path) -> None:
    import asyncio

    assert served.config.write_kubeconfig is not None
    api = Api(served.config.write_kubeconfig, tmp_path)
    maps = "/api/v1/namespaces/default/configmaps"

    def first() -> str:
        for i in range(4):
            api.post(maps, config_map(f"m{i}"))
        token: str = api.get(f"{maps}?limit=2")["metadata"]["continue"]
        api.post(maps, config_map("m9"))
        return token

    def then(token: str) -> None:
        status = api.refused(410, "GET", f"{maps}?limit=2&continue={token}")
        assert status["reason"] == "Expired"
        rest = api.get(f"{maps}?limit=9&continue={status['metadata']['continue']}")
        assert [item["metadata"]["name"] for item in rest["items"]] == ["m2", "m3", "m9"]

    token = await asyncio.to_thread(first)
    await served.core.store.compact(served.core.store.revision)
    await asyncio.to_thread(then, token)
    api.http.close()


PODS_BY = (
    "metadata.name=p",
    "metadata.namespace=NS",
    "spec.nodeName=hollow-0",
    "spec.restartPolicy=Never",
    "spec.schedulerName=nobody",
    "spec.serviceAccountName=default",
    "spec.hostNetwork=true",
    "status.phase=Running",
    "status.podIP=10.1.2.3",
)


def test_pods_are_selected_by_their_fields(api: Api, ns: Namespace) -> None:
    api.post(ns.pods, pod("other"))
    # Bound to no kubelet that would report: its status is the test's.
    api.post("/api/v1/nodes", {"metadata": {"name": f"n-{ns.name}"}})
    wanted = pod("p", restartPolicy="Never", nodeName=f"n-{ns.name}", hostNetwork=True)
    made = api.post(ns.pods, wanted)
    made["status"] |= {"phase": "Running", "podIP": "10.1.2.3", "podIPs": [{"ip": "10.1.2.3"}]}
    api.put(f"{ns.pods}/p/status", made)
    for selector in PODS_BY:
        asked = selector.replace("NS", ns.name).replace("hollow-0", f"n-{ns.name}").replace("=", "%3D")
        names = [item["metadata"]["name"] for item in api.get(f"{ns.pods}?fieldSelector={asked}")["items"]]
        both = ["other", "p"]
        assert names == (
            both if "schedulerName" in selector or "namespace" in selector or "Account" in selector else ["p"]
        )
        unlike = asked.replace("%3D", "!%3D")
        left = [item["metadata"]["name"] for item in api.get(f"{ns.pods}?fieldSelector={unlike}")["items"]]
        assert sorted(left + names) == both
    waits = api.get(f"{ns.pods}/other")
    waits["status"]["nominatedNodeName"] = "hollow-1"
    api.put(f"{ns.pods}/other/status", waits)
    nominated = api.get(f"{ns.pods}?fieldSelector=status.nominatedNodeName%3Dhollow-1")["items"]
    assert [item["metadata"]["name"] for item in nominated] == ["other"]
    status = api.refused(400, "GET", f"{ns.pods}?fieldSelector=spec.hostname%3Dx")
    assert "field label not supported: spec.hostname" in status["message"]
    api("DELETE", f"{ns.pods}/p?gracePeriodSeconds=0")
    api("DELETE", f"/api/v1/nodes/n-{ns.name}")


def test_events_are_selected_by_what_they_are_about(api: Api, ns: Namespace) -> None:
    about = {"kind": "Pod", "namespace": ns.name, "name": "p", "uid": "u-1", "apiVersion": "v1"}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Said", "type": "Normal"}
    path = f"/api/v1/namespaces/{ns.name}/events"
    api.post(path, event)
    query = f"involvedObject.name=p,involvedObject.namespace={ns.name},involvedObject.kind=Pod,involvedObject.uid=u-1"
    assert len(api.get(f"{path}?fieldSelector={query.replace('=', '%3D')}")["items"]) == 1
    assert api.get(f"{path}?fieldSelector=type%3DWarning")["items"] == []


def test_several_versions_are_one_object(api: Api, ns: Namespace) -> None:
    spec = {"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}
    older = api.post(
        f"/apis/autoscaling/v1/namespaces/{ns.name}/horizontalpodautoscalers",
        {"metadata": {"name": "h"}, "spec": {**spec, "targetCPUUtilizationPercentage": 60}},
    )
    newer = api.get(f"/apis/autoscaling/v2/namespaces/{ns.name}/horizontalpodautoscalers/h")
    assert newer["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 60
    about = {"kind": "Pod", "namespace": ns.name, "name": "p"}
    event = api.post(
        f"/api/v1/namespaces/{ns.name}/events",
        {"metadata": {"name": "e"}, "involvedObject": about, "reason": "R", "message": "said", "type": "Normal"},
    )
    same = api.get(f"/apis/events.k8s.io/v1/namespaces/{ns.name}/events/e")
    assert (same["regarding"]["name"], same["note"]) == ("p", "said")
    for one, other in ((older, newer), (event, same)):
        for field in ("uid", "resourceVersion", "creationTimestamp"):
            assert one["metadata"][field] == other["metadata"][field]
    assert api("PATCH", f"{ns.maps}/none", {}, MERGE_PATCH).status_code == 404
