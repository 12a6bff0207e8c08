"""Lists: pages of one moment, selectors, revisions."""

import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Any

import yaml
from tests.apiserver.conftest import MAPS, PODS, Api, config_map, pod


async def names_of_pages(api: Api, query: str, between: bool = False) -> list[list[str]]:
    pages: list[list[str]] = []
    token = ""
    while True:
        answer = await api("GET", f"{MAPS}?limit=2{query}" + (f"&continue={token}" if token else ""))
        assert answer.status == 200, answer.body
        pages.append([item["metadata"]["name"] for item in answer.body["items"]])
        if between:
            await api("POST", MAPS, config_map(f"between-{len(pages)}"))
            await api("DELETE", f"{MAPS}/m4")
        token = answer.body["metadata"].get("continue", "")
        if not token:
            return pages


async def test_pages_show_one_moment(api: Api) -> None:
    for i in range(5):
        await api.made(MAPS, config_map(f"m{i}"))
    assert await names_of_pages(api, "", between=True) == [["m0", "m1"], ["m2", "m3"], ["m4"]]


async def test_pages_of_a_selection(api: Api) -> None:
    for i in range(6):
        body = config_map(f"m{i}")
        body["metadata"]["labels"] = {"even": str(i % 2 == 0).lower()}
        await api.made(MAPS, body)
    assert await names_of_pages(api, "&labelSelector=even%3Dtrue") == [["m0", "m2"], ["m4"]]
    first = (await api("GET", f"{MAPS}?limit=2&labelSelector=even%3Dtrue")).body["metadata"]
    assert "remainingItemCount" not in first
    assert (await api("GET", f"{MAPS}?limit=2")).body["metadata"]["remainingItemCount"] == 4


async def test_a_page_of_a_past_that_is_gone_offers_to_go_on(api: Api) -> None:
    for i in range(4):
        await api.made(MAPS, config_map(f"m{i}"))
    token = (await api("GET", f"{MAPS}?limit=2")).body["metadata"]["continue"]
    await api.made(MAPS, config_map("m9"))
    store = api.server.core.store
    await store.compact(store.revision)
    answer = await api("GET", f"{MAPS}?limit=2&continue={token}")
    assert (answer.status, answer.body["reason"]) == (410, "Expired")
    fresh = answer.body["metadata"]["continue"]
    rest = await api("GET", f"{MAPS}?limit=9&continue={fresh}")
    assert [i["metadata"]["name"] for i in rest.body["items"]] == ["m2", "m3", "m9"]


async def test_every_list_has_the_order_of_upstreams_keys(api: Api) -> None:
    """By `namespace/name` as one text: `-` comes before `/`, and so the namespace `a-b` before `a`."""
    for space in ("a", "a-b", "a0"):
        await api.made("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": space}})
        for name in ("x", "x-1", "x.y"):
            body = config_map(name)
            body["metadata"]["labels"] = {"test": "order"}
            await api.made(f"/api/v1/namespaces/{space}/configmaps", body)
    expected = [f"{space}/{name}" for space in ("a-b", "a", "a0") for name in ("x", "x-1", "x.y")]

    def places(items: list[Any]) -> list[str]:
        return [f"{item['metadata']['namespace']}/{item['metadata']['name']}" for item in items]

    query = "/api/v1/configmaps?labelSelector=test%3Dorder"
    whole = await api("GET", query)
    exact = f"&resourceVersion={whole.body['metadata']['resourceVersion']}&resourceVersionMatch=Exact"
    for more in ("", "&resourceVersion=0", exact):
        assert places((await api("GET", query + more)).body["items"]) == expected, more
    for plain in ("", "&labelSelector=test%3Dorder"):
        for limit in range(1, 6):
            found, token = [], ""
            while True:
                answer = await api("GET", f"/api/v1/configmaps?limit={limit}{plain}{token}")
                found += places(answer.body["items"])
                if not answer.body["metadata"].get("continue"):
                    break
                token = f"&continue={answer.body['metadata']['continue']}"
            assert [place for place in found if place in expected] == expected
    watch = f"{query}&watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&timeoutSeconds=1"
    events = [json.loads(line) for line in (await api("GET", watch)).raw.splitlines()]
    assert places([event["object"] for event in events if event["type"] == "ADDED"]) == expected


async def test_continue_tokens_stay_below_their_list(api: Api) -> None:
    for start in ("../secrets", "a//b", "a/./b", "a/", "//a", "a/.."):
        text = json.dumps({"v": "meta.k8s.io/v1", "rv": 1, "start": start}).encode()
        answer = await api("GET", f"{MAPS}?limit=1&continue={urlsafe_b64encode(text).rstrip(b'=').decode()}")
        assert (answer.status, answer.message) == (400, f"invalid continue token: continue key is not valid: {start}")


async def test_an_exact_revision(api: Api) -> None:
    made = await api.made(MAPS, config_map("a", data={"k": "1"}))
    await api("PUT", f"{MAPS}/a", config_map("a", data={"k": "2"}))
    revision = made["metadata"]["resourceVersion"]
    old = await api("GET", f"{MAPS}?resourceVersion={revision}&resourceVersionMatch=Exact")
    assert old.body["items"][0]["data"] == {"k": "1"}
    assert old.body["metadata"]["resourceVersion"] == revision


async def test_options_are_checked_exactly(api: Api) -> None:
    cases = {
        "resourceVersionMatch=Exact": "resourceVersionMatch is forbidden unless resourceVersion is provided",
        "resourceVersion=0&resourceVersionMatch=Exact": (
            'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
        ),
        "sendInitialEvents=true": "sendInitialEvents is forbidden for list",
        "watch=1&sendInitialEvents=true": "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        "watch=1&resourceVersion=1&resourceVersionMatch=NotOlderThan": (
            "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        ),
    }
    for query, message in cases.items():
        answer = await api("GET", f"{PODS}?{query}")
        assert answer.status == 422
        assert message in answer.message
    bad = await api("GET", f"{PODS}?continue=x")
    assert bad.status == 400
    assert bad.message.startswith("invalid continue token: continue key is not valid: illegal base64 data")


async def test_a_revision_from_the_future_times_out(api: Api) -> None:
    answer = await api("GET", f"{PODS}?resourceVersion=999999999")
    assert answer.status == 504
    assert answer.message.startswith("Timeout: Too large resource version: 999999999, current: ")
    assert answer.body["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge"


async def test_a_read_waits_for_a_revision_that_comes(api: Api) -> None:
    next_one = api.server.core.hub.revision + 1
    reading = asyncio.ensure_future(api("GET", f"{MAPS}?resourceVersion={next_one}"))
    await api.made(MAPS, config_map("a"))
    assert (await reading).body["items"][0]["metadata"]["name"] == "a"


async def test_field_selectors(api: Api) -> None:
    await api.made(PODS, pod("a"))
    await api.made(PODS, pod("b", nodeName="n"))
    for selector, names in {
        "spec.nodeName%3Dn": ["b"],
        "spec.nodeName%3D": ["a"],
        "metadata.name%3Da": ["a"],
        "spec.nodeName!%3Dn,status.phase%3DPending": ["a"],
        "spec.hostNetwork%3Dfalse": ["a", "b"],
    }.items():
        answer = await api("GET", f"/api/v1/pods?fieldSelector={selector}")
        assert [i["metadata"]["name"] for i in answer.body["items"]] == names, selector


async def test_tables_and_metadata(api: Api) -> None:
    await api.made(PODS, pod("a"))
    table = await api("GET", PODS, accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    assert table.body["kind"] == "Table"
    assert table.body["columnDefinitions"][0]["name"] == "Name"
    assert table.body["rows"][0]["cells"][:3] == ["a", "0/1", "Pending"]
    assert table.body["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    only = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    bare = await api("GET", PODS, accept=only)
    assert bare.body["kind"] == "PartialObjectMetadataList"
    assert "spec" not in bare.body["items"][0]
    assert bare.body["items"][0]["metadata"]["name"] == "a"


async def test_protobuf_and_yaml(api: Api) -> None:
    await api.made(PODS, pod("a"))
    for path in (PODS, f"{PODS}/a"):
        answer = await api("GET", path, accept="application/vnd.kubernetes.protobuf,application/json")
        assert answer.raw.startswith(b"k8s\0")
        assert answer.headers["content-type"] == "application/vnd.kubernetes.protobuf"
    sent = (await api("GET", f"{PODS}/a", accept="application/vnd.kubernetes.protobuf")).raw
    again = await api("PUT", f"{PODS}/a", sent, media="application/vnd.kubernetes.protobuf")
    assert again.status == 200
    made = await api("POST", MAPS, b"kind: ConfigMap\nmetadata: {name: yam}\ndata: {a: b}\n", media="application/yaml")
    assert made.body["data"] == {"a": "b"}
    assert b"name: yam\n" in (await api("GET", f"{MAPS}/yam", accept="application/yaml")).raw


async def test_long_lists_are_compressed_when_asked(api: Api) -> None:
    import gzip

    for i in range(3):
        await api.made(MAPS, config_map(f"m{i}", data={"k": "x" * 60_000}))
    answer = await api("GET", MAPS, accept_encoding="gzip")
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.raw) == (await api("GET", MAPS)).raw


async def test_items_do_not_repeat_what_the_list_names(api: Api) -> None:
    for name in "ab":
        await api.made(MAPS, config_map(name, data={"k": name * 70_000}))
    revision = (await api("GET", MAPS)).body["metadata"]["resourceVersion"]
    queries = (
        "",
        "?limit=1",
        "?fieldSelector=metadata.name=b",
        f"?resourceVersion={revision}&resourceVersionMatch=Exact",
    )
    for query in queries:
        answer = await api("GET", f"{MAPS}{query}")
        assert (answer.body["kind"], answer.body["apiVersion"]) == ("ConfigMapList", "v1")
        assert [sorted(item) for item in answer.body["items"]] == [["data", "metadata"]] * len(answer.body["items"])
        assert [item["data"]["k"][0] for item in answer.body["items"]] == [
            i["metadata"]["name"] for i in answer.body["items"]
        ]
    in_yaml = yaml.safe_load((await api("GET", MAPS, accept="application/yaml")).raw)
    assert [sorted(item) for item in in_yaml["items"]] == [["data", "metadata"]] * 2
    # Another version of what is stored is no different; an object by itself names both.
    event = {"involvedObject": {"namespace": "default"}, "reason": "r", "metadata": {"name": "e"}}
    await api.made("/api/v1/namespaces/default/events", event)
    (listed,) = (await api("GET", "/apis/events.k8s.io/v1/namespaces/default/events")).body["items"]
    assert not {"apiVersion", "kind"} & listed.keys()
    assert (await api("GET", f"{MAPS}/a")).body["kind"] == "ConfigMap"
    gone = await api("DELETE", MAPS)
    assert [sorted(item) for item in gone.body["items"]] == [["data", "metadata"]] * 2


async def test_a_collection_is_deleted_by_selector(api: Api) -> None:
    for name, label in (("a", "x"), ("b", "y"), ("c", "x")):
        body = config_map(name)
        body["metadata"]["labels"] = {"l": label}
        await api.made(MAPS, body)
    answer = await api("DELETE", f"{MAPS}?labelSelector=l%3Dx")
    assert sorted(i["metadata"]["name"] for i in answer.body["items"]) == ["a", "c"]
    assert [i["metadata"]["name"] for i in (await api("GET", MAPS)).body["items"]] == ["b"]
