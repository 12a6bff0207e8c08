"""What clients learn before they begin: groups, versions, resources, health, version, documents."""

import json

from tests.apiserver.conftest import Api

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"


async def test_groups_and_resources(api: Api) -> None:
    assert (await api("GET", "/api")).body["versions"] == ["v1"]
    groups = {g["name"]: g for g in (await api("GET", "/apis")).body["groups"]}
    assert groups["apps"]["preferredVersion"] == {"groupVersion": "apps/v1", "version": "v1"}
    assert (await api("GET", "/apis/apps")).body["kind"] == "APIGroup"
    resources = {r["name"]: r for r in (await api("GET", "/api/v1")).body["resources"]}
    assert resources["pods"]["shortNames"] == ["po"]
    assert resources["pods"]["categories"] == ["all"]
    assert resources["pods/eviction"]["group"] == "policy"
    assert resources["nodes"]["namespaced"] is False
    scale = {r["name"]: r for r in (await api("GET", "/apis/apps/v1")).body["resources"]}["deployments/scale"]
    assert (scale["group"], scale["kind"], scale["verbs"]) == ("autoscaling", "Scale", ["get", "patch", "update"])
    assert (await api("GET", "/apis/nope")).status == 404


async def test_aggregated_discovery_and_its_etag(api: Api) -> None:
    answer = await api("GET", "/apis", accept=AGGREGATED)
    assert answer.headers["content-type"] == "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    assert answer.body["kind"] == "APIGroupDiscoveryList"
    apps = next(g for g in answer.body["items"] if g["metadata"]["name"] == "apps")
    (version,) = apps["versions"]
    deployments = next(r for r in version["resources"] if r["resource"] == "deployments")
    assert deployments["scope"] == "Namespaced"
    assert {s["subresource"] for s in deployments["subresources"]} == {"scale", "status"}
    again = await api("GET", "/apis", accept=AGGREGATED, if_none_match=answer.headers["etag"])
    assert (again.status, again.raw) == (304, b"")
    core = await api("GET", "/api", accept=AGGREGATED)
    assert core.body["items"][0]["versions"][0]["version"] == "v1"


async def test_every_listed_verb_is_served(api: Api) -> None:
    """No resource is announced that answers 404 or 405."""
    for path in (
        "/api/v1",
        *(f"/apis/{g['preferredVersion']['groupVersion']}" for g in (await api("GET", "/apis")).body["groups"]),
    ):
        for resource in (await api("GET", path)).body["resources"]:
            name, _, sub = resource["name"].partition("/")
            if sub:
                continue
            place = f"{path}/namespaces/default/{name}" if resource["namespaced"] else f"{path}/{name}"
            if "list" in resource["verbs"]:
                listed = await api("GET", place)
                assert listed.status == 200, place
                assert listed.body["kind"] == f"{resource['kind']}List"
            else:
                assert (await api("GET", place)).status == 405


async def test_version_and_health(api: Api) -> None:
    version = (await api("GET", "/version")).body
    assert (version["major"], version["minor"]) == ("1", "37")
    assert version["gitVersion"].startswith("v1.37.0+orlop")
    assert (await api("GET", "/livez")).raw == b"ok"
    verbose = (await api("GET", "/readyz?verbose")).raw.decode()
    assert verbose.startswith("[+]ping ok\n")
    assert verbose.endswith("readyz check passed\n")
    assert (await api("GET", "/readyz/ping")).raw == b"ok"
    api.server.core.stopping = True
    failed = await api("GET", "/readyz")
    assert failed.status == 500
    assert b"[-]shutdown failed" in failed.raw


async def test_metrics_carry_upstreams_names(api: Api) -> None:
    await api("GET", "/api/v1/namespaces/default/pods")
    text = (await api("GET", "/metrics")).raw.decode()
    lines = [li for li in text.splitlines() if li.startswith("apiserver_request_total") and 'resource="pods"' in li]
    assert any('verb="LIST"' in li and 'scope="namespace"' in li and 'code="200"' in li for li in lines)
    assert "apiserver_request_duration_seconds_bucket" in text


async def test_documents(api: Api) -> None:
    root = (await api("GET", "/openapi/v3")).body["paths"]
    url = root["apis/apps/v1"]["serverRelativeURL"]
    document = await api("GET", url)
    assert document.headers["cache-control"] == "public, immutable"
    assert any("Deployment" in name for name in document.body["components"]["schemas"])
    v2 = await api("GET", "/openapi/v2")
    assert v2.body["swagger"] == "2.0"
    assert (await api("GET", "/openapi/v2", if_none_match=v2.headers["etag"])).status == 304
    assert (await api("GET", "/openapi/v3/apis/nope/v1")).status == 404


async def test_the_index_and_unknown_paths(api: Api) -> None:
    paths = (await api("GET", "/")).body["paths"]
    assert "/apis/apps/v1" in paths
    for unknown in ("/foo", "/apis/foo.io/v1/foos"):
        answer = await api("GET", unknown)
        assert (answer.status, answer.raw) == (404, b"404 page not found\n")
    for version in ("/api/v2/pods", "/apis/apps/v2/deployments"):
        assert (await api("GET", version)).message == "the server could not find the requested resource"
    assert json.loads((await api("GET", "/openid/v1/jwks")).raw)["keys"]
