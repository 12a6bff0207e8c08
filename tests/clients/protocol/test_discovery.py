"""How clients learn what is served: discovery, OpenAPI, version, health, media types."""

import contextlib

import httpx

from tests.clients.protocol.api import PROTOBUF, TABLE, Api, Namespace, config_map, deployment, pod

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
OPENAPI_V2 = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"


def test_aggregated_discovery_says_what_it_is_and_is_asked_for_once(api: Api) -> None:
    for path, group, resource in (("/api", "", "pods"), ("/apis", "apps", "deployments")):
        answer = api("GET", path, accept=AGGREGATED)
        assert answer.headers["content-type"] == (
            "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
        )
        groups = {g["metadata"].get("name", ""): g for g in answer.json()["items"]}
        named = {r["resource"]: r for r in groups[group]["versions"][0]["resources"]}
        assert named[resource]["responseKind"]["kind"]
        assert "status" in {s["subresource"] for s in named[resource]["subresources"]}
        again = api("GET", path, accept=AGGREGATED, if_none_match=answer.headers["etag"])
        assert (again.status_code, again.content) == (304, b"")


def test_openapi_v3_is_found_by_hash_and_may_be_kept(api: Api) -> None:
    paths = api.get("/openapi/v3")["paths"]
    for version in ("api/v1", "apis/apps/v1", "apis/batch/v1"):
        url = paths[version]["serverRelativeURL"]
        assert url.startswith(f"/openapi/v3/{version}?hash=")
        answer = api("GET", url)
        assert answer.json()["openapi"].startswith("3.0")
        assert "immutable" in answer.headers["cache-control"]
        again = api("GET", url, if_none_match=answer.headers["etag"])
        assert again.status_code == 304
    moved = api("GET", "/openapi/v3/apis/apps/v1?hash=OLD")
    assert moved.status_code == 301
    assert moved.headers["location"] == paths["apis/apps/v1"]["serverRelativeURL"]


def test_openapi_v2_in_protobuf(api: Api) -> None:
    answer = api("GET", "/openapi/v2", accept=OPENAPI_V2)
    assert answer.headers["content-type"] == OPENAPI_V2.replace("@", ".")
    assert b"io.k8s.api.apps.v1.Deployment" in answer.content


def test_version_and_health(api: Api) -> None:
    version = api.get("/version")
    assert (version["major"], version["minor"]) == ("1", "37")
    assert version["gitVersion"].startswith("v1.37.")
    for path in ("/livez", "/readyz", "/healthz"):
        assert api("GET", path).text == "ok"
    verbose = api("GET", "/readyz?verbose").text
    assert "[+]ping ok" in verbose
    assert verbose.endswith("readyz check passed\n")
    assert "apiserver_request_total" in api("GET", "/metrics").text


def test_tables_of_lists_and_watches(api: Api, ns: Namespace) -> None:
    api.post(ns.pods, pod("a"))
    table = api.get(f"{ns.pods}?limit=500", accept=TABLE)
    assert (table["kind"], table["apiVersion"]) == ("Table", "meta.k8s.io/v1")
    wide = {c["name"] for c in table["columnDefinitions"] if c["priority"] > 0}
    assert {"IP", "Node"} <= wide
    assert {c["name"]: c["format"] for c in table["columnDefinitions"]}["Name"] == "name"
    assert table["rows"][0]["object"]["kind"] == "PartialObjectMetadata"
    for asked, kind in (("None", None), ("Object", "Pod")):
        row = api.get(f"{ns.pods}?includeObject={asked}", accept=TABLE)["rows"][0]
        assert (row["object"] or {}).get("kind") == kind
    with api.watch(ns.pods, accept=TABLE, resourceVersion="0") as events:
        first = next(events)
        assert (first["type"], first["object"]["kind"]) == ("ADDED", "Table")
        assert first["object"]["columnDefinitions"]
        api.post(ns.pods, pod("b"))
        second = next(events)
        assert second["object"]["rows"][0]["cells"][0] == "b"
        assert not second["object"].get("columnDefinitions")


def test_metadata_alone(api: Api, ns: Namespace) -> None:
    api.post(ns.maps, config_map("a", data={"k": "v"}))
    accept = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
    one = api.get(f"{ns.maps}/a", accept=accept)
    assert (one["kind"], one["apiVersion"], "data" in one) == ("PartialObjectMetadata", "meta.k8s.io/v1", False)
    listed = api.get(ns.maps, accept=accept.replace("Metadata;", "MetadataList;"))
    assert listed["kind"] == "PartialObjectMetadataList"
    with api.watch(ns.maps, accept=accept, resourceVersion="0", fieldSelector="metadata.name=a") as events:
        assert next(events)["object"]["kind"] == "PartialObjectMetadata"
    proto = api("GET", ns.maps, accept=f"{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert proto.content.startswith(b"k8s\0")
    assert b"PartialObjectMetadataList" in proto.content[:80]


def test_protobuf_both_ways(api: Api, ns: Namespace) -> None:
    """What is read in the envelope can be sent back in it; without an Accept the answer is JSON all the same."""
    template = deployment("web")["spec"]["template"]
    api.post(f"/api/v1/namespaces/{ns.name}/podtemplates", {"metadata": {"name": "t"}, "template": template})
    path = f"/api/v1/namespaces/{ns.name}/podtemplates/t"
    answer = api("GET", path, accept=f"{PROTOBUF},application/json")
    assert answer.headers["content-type"] == PROTOBUF
    assert answer.content[:4] == b"k8s\0"
    sent = answer.content.replace(b"img", b"new")
    updated = api("PUT", path, sent, PROTOBUF)
    assert updated.json()["template"]["spec"]["containers"][0]["image"] == "new"
    status = api("GET", f"{ns.deployments}/none", accept=PROTOBUF)
    assert (status.status_code, status.content[:4]) == (404, b"k8s\0")


def test_protobuf_watch_frames_have_lengths(api: Api, ns: Namespace) -> None:
    api.post(ns.maps, config_map("a"))
    query = "watch=1&resourceVersion=0&timeoutSeconds=1&fieldSelector=metadata.name%3Da"
    answer = api("GET", f"{ns.maps}?{query}", accept=f"{PROTOBUF};stream=watch")
    assert answer.headers["content-type"] == f"{PROTOBUF};stream=watch"
    length = int.from_bytes(answer.content[:4], "big")
    assert len(answer.content) == 4 + length
    assert b"ADDED" in answer.content[:20]


def test_bodies_in_yaml_and_media_types_that_nobody_speaks(api: Api, ns: Namespace) -> None:
    made = api("POST", ns.maps, b"kind: ConfigMap\napiVersion: v1\nmetadata:\n  name: m\n", "application/yaml")
    assert made.status_code == 201, made.text
    assert api.refused(415, "POST", ns.maps, b"<a/>", "text/xml")["reason"] == "UnsupportedMediaType"
    refused = api("GET", ns.maps, accept="text/html")
    assert (refused.status_code, refused.json()["reason"]) == (406, "NotAcceptable")


def test_long_answers_are_compressed_when_asked(api: Api, ns: Namespace) -> None:
    with httpx.Client(base_url=api.server, verify=api.tls) as bare:
        for i in range(2):
            api.post(ns.maps, config_map(f"m{i}", data={"k": "x" * 50_000}))
        assert "content-encoding" not in bare.get(ns.maps).headers  # below 128 KiB
        api.post(ns.maps, config_map("m2", data={"k": "x" * 50_000}))
        assert bare.get(ns.maps, headers={"accept-encoding": "gzip"}).headers["content-encoding"] == "gzip"
        assert "content-encoding" not in bare.get(ns.maps, headers={"accept-encoding": "identity"}).headers


def test_many_watches_share_one_http2_connection(api: Api, ns: Namespace) -> None:
    limits = httpx.Limits(max_connections=1)
    with (
        httpx.Client(base_url=api.server, verify=api.tls, http2=True, limits=limits, timeout=30) as one,
        contextlib.ExitStack() as stack,
    ):
        streams = []
        for i in range(100):
            query = {"watch": "true", "fieldSelector": f"metadata.name=m{i}", "timeoutSeconds": "30"}
            answer = stack.enter_context(one.stream("GET", ns.maps, params=query))
            assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)
            streams.append(answer.iter_lines())
        api.post(ns.maps, config_map("m0"))
        api.post(ns.maps, config_map("m99"))
        assert '"ADDED"' in next(streams[0])
        assert '"ADDED"' in next(streams[99])
