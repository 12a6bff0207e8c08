"""Another API server behind this one: who it is told asks, its condition, its discovery and OpenAPI."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver.conftest import Api
from tests.apiserver.crd.conftest import DEFINITIONS, define, definition, until_status
from tests.support import webhooks

from orlop.apiserver.auth import User
from orlop.apiserver.server import ApiServer

APISERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
GROUP = "/apis/things.example.com/v1"
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


class Extension:
    """Serves `things`: lists tell who asked, watches send what `events` brings."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.events: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.broken = False

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        if self.broken:
            return web.Response(status=500)
        if request.path == "/apis":
            raise web.HTTPNotFound  # an old server
        if request.path == GROUP:
            resource = {"name": "things", "singularName": "thing", "namespaced": True, "kind": "Thing"}
            resource |= {"verbs": ["get", "list", "watch"], "shortNames": ["th"]}
            return web.json_response({"kind": "APIResourceList", "resources": [resource]})
        if request.path == "/openapi/v3":
            where = {"serverRelativeURL": f"/openapi/v3{GROUP}?hash=ABC"}
            return web.json_response({"paths": {GROUP[1:]: where, "version": {"serverRelativeURL": "/x"}}})
        if request.path == "/openapi/v2":
            ref = {"schema": {"$ref": "#/definitions/com.example.things.v1.Thing"}}
            paths = {f"{GROUP}/things": {"get": {"responses": {"200": ref}}}, "/version": {}}
            definitions = {"com.example.things.v1.Thing": {"type": "object"}, "com.example.other": {}}
            return web.json_response({"swagger": "2.0", "paths": paths, "definitions": definitions})
        if request.path.startswith("/openapi/v3/"):
            return web.json_response({"openapi": "3.0.0", "paths": {}})
        if "watch" in request.query:
            stream = web.StreamResponse()
            await stream.prepare(request)
            while (event := await self.events.get()) is not None:
                await stream.write(event)
            return stream
        said = {"user": request.headers["X-Remote-User"], "groups": request.headers.getall("X-Remote-Group", [])}
        said["extra"] = request.headers.getall("X-Remote-Extra-acme.com%2Fx", [])
        return web.json_response(said | {"path": request.path_qs, "body": (await request.read()).decode()})


@pytest.fixture
async def extension() -> Extension:
    return Extension()


@pytest.fixture
def authority() -> webhooks.Authorities:
    return webhooks.Authorities()


@pytest.fixture
async def port(
    extension: Extension, authority: webhooks.Authorities, server: ApiServer, tmp_path: Path
) -> AsyncIterator[int]:
    """The extension server, which lets nobody speak to it who does not show the front proxy's certificate."""
    tls = authority.serving(tmp_path, "things.default.svc")
    tls.verify_mode = ssl.CERT_REQUIRED
    tls.load_verify_locations(cadata=server._front_proxy.ca().decode())
    async with webhooks.serving(extension.answer, tls) as port:
        yield port


def api_service(bundle: str = "", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": "v1.things.example.com"},
        "spec": {
            "group": "things.example.com",
            "version": "v1",
            "groupPriorityMinimum": 2000,
            "versionPriority": 10,
            "service": {"namespace": "default", "name": "things"},
            "caBundle": bundle,
            **spec,
        },
    }


async def condition(api: Api, reason: str, name: str = "v1.things.example.com") -> dict[str, Any]:
    """The condition Available once its reason is this one."""
    async with asyncio.timeout(10):
        while True:
            answer = await api("GET", f"{APISERVICES}/{name}")
            status = answer.body.get("status", {}) if answer.status == 200 else {}
            for one in status.get("conditions", []):
                if one["type"] == "Available" and one["reason"] == reason:
                    return dict(one)
            await asyncio.sleep(0.005)


@pytest.fixture
async def things(api: Api, port: int, authority: webhooks.Authorities) -> Api:
    """An API that the extension server is behind."""
    await webhooks.service(api.made, "things", port)
    await api.made(APISERVICES, api_service(authority.bundle))
    assert (await condition(api, "Passed"))["status"] == "True"
    return api


async def test_the_extension_server_is_told_who_asks(things: Api, extension: Extension, server: ApiServer) -> None:
    user = User("jane", ("system:masters", "a b"), extra=(("acme.com/x", ("1", "2")),))
    api = Api(server, user)
    answer = await api(
        "POST", f"{GROUP}/namespaces/default/things?a=%2F", {"x": 1}, x_remote_user="root", authorization="Bearer t"
    )
    assert answer.status == 200, answer.raw
    assert answer.body == {
        "user": "jane",
        "groups": ["system:masters", "a b"],
        "extra": ["1", "2"],
        "path": f"{GROUP}/namespaces/default/things?a=%2F",
        "body": '{"x": 1}',
    }
    request = extension.asked[-1]
    assert request.headers.getall("X-Remote-User") == ["jane"]
    assert "Authorization" not in request.headers
    await api.transport.close()


async def test_access_is_decided_here(things: Api, extension: Extension, server: ApiServer) -> None:
    api = Api(server, User("joe", ("system:authenticated",)))
    before = len(extension.asked)
    answer = await api("GET", f"{GROUP}/namespaces/default/things")
    assert answer.status == 403
    assert answer.message == (
        'things.things.example.com is forbidden: User "joe" cannot list resource "things" in API group '
        '"things.example.com" in the namespace "default"'
    )
    assert len(extension.asked) == before
    await api.transport.close()


async def test_a_watch_comes_as_it_goes(things: Api, extension: Extension) -> None:
    async with things.stream(f"{GROUP}/things?watch=true") as answer:
        chunks = answer.chunks()
        for event in (b'{"type":"ADDED"}\n', b'{"type":"DELETED"}\n'):
            extension.events.put_nowait(event)
            assert await anext(chunks) == event
        extension.events.put_nowait(None)
        assert [chunk async for chunk in chunks] == []


async def test_discovery_and_openapi_have_it(things: Api) -> None:
    groups = [g["name"] for g in (await things("GET", "/apis")).body["groups"]]
    assert groups.index("things.example.com") > groups.index("flowcontrol.apiserver.k8s.io")
    assert groups.index("things.example.com") < groups.index("metrics.k8s.io")
    group = (await things("GET", "/apis/things.example.com")).body
    assert group["preferredVersion"] == {"groupVersion": "things.example.com/v1", "version": "v1"}
    assert (await things("GET", GROUP)).body["resources"][0]["name"] == "things"
    items = (await things("GET", "/apis", accept=AGGREGATED)).body["items"]
    version = next(i for i in items if i["metadata"]["name"] == "things.example.com")["versions"][0]
    assert version["freshness"] == "Current"
    assert version["resources"] == [
        {
            "resource": "things",
            "responseKind": {"group": "things.example.com", "version": "v1", "kind": "Thing"},
            "scope": "Namespaced",
            "singularResource": "thing",
            "verbs": ["get", "list", "watch"],
            "shortNames": ["th"],
        }
    ]
    root = (await things("GET", "/openapi/v3")).body["paths"]
    assert root[GROUP[1:]] == {"serverRelativeURL": f"/openapi/v3{GROUP}?hash=ABC"}
    assert "apis/apps/v1" in root
    assert (await things("GET", f"/openapi/v3{GROUP}?hash=ABC")).body == {"openapi": "3.0.0", "paths": {}}
    swagger = (await things("GET", "/openapi/v2")).body
    assert f"{GROUP}/things" in swagger["paths"]
    assert "com.example.things.v1.Thing" in swagger["definitions"]
    assert "com.example.other" not in swagger["definitions"]


async def test_when_it_goes_and_comes(things: Api, extension: Extension, port: int) -> None:
    await things("DELETE", f"{SLICES}/things-1")
    gone = await condition(things, "EndpointsNotFound")
    assert gone["message"] == 'cannot find endpointslices for service/things in "default"'
    answer = await things("GET", f"{GROUP}/things")
    assert (answer.status, answer.raw) == (503, b"service unavailable\n")
    items = (await things("GET", "/apis", accept=AGGREGATED)).body["items"]
    version = next(i for i in items if i["metadata"]["name"] == "things.example.com")["versions"][0]
    assert (version["freshness"], version["resources"][0]["resource"]) == ("Stale", "things")
    extension.broken = True
    await things.made(SLICES, webhooks.endpoints("things", port))
    failed = await condition(things, "FailedDiscoveryCheck")
    where = f"https://{webhooks.own_address()}:{port}{GROUP}"
    assert failed["message"] == f"failing or missing response from {where}: bad status from {where}: 500"
    extension.broken = False
    assert (await condition(things, "Passed"))["message"] == "all checks passed"
    assert (await things("GET", f"{GROUP}/things")).status == 200
    await things("DELETE", "/api/v1/namespaces/default/services/things")
    missing = await condition(things, "ServiceNotFound")
    assert missing["message"] == 'service/things in "default" is not present'


async def test_ports_that_nobody_listens_at(api: Api, port: int, authority: webhooks.Authorities) -> None:
    await webhooks.service(api.made, "things", port)
    other = api_service(authority.bundle)
    other["spec"]["service"]["port"] = 444
    await api.made(APISERVICES, other)
    wrong = await condition(api, "ServicePortError")
    assert wrong["message"] == 'service/things in "default" is not listening on port 444'
    one = (await api("GET", f"{SLICES}/things-1")).body
    one["endpoints"][0]["conditions"]["ready"] = False
    assert (await api("PUT", f"{SLICES}/things-1", one)).status == 200
    other["spec"]["service"]["port"] = 443
    merge = "application/merge-patch+json"
    await api("PATCH", f"{APISERVICES}/v1.things.example.com", {"spec": other["spec"]}, merge)
    missing = await condition(api, "MissingEndpoints")
    assert (
        missing["message"] == 'endpointslices for service/things in "default" have no addresses with port name "https"'
    )


async def test_an_authority_that_is_not_the_servers(api: Api, port: int) -> None:
    await webhooks.service(api.made, "things", port)
    await api.made(APISERVICES, api_service(webhooks.Authorities().bundle))
    failed = await condition(api, "FailedDiscoveryCheck")
    assert "x509: certificate signed by unknown authority" in failed["message"]
    merge = "application/merge-patch+json"
    spec = {"caBundle": None, "insecureSkipTLSVerify": True}
    await api("PATCH", f"{APISERVICES}/v1.things.example.com", {"spec": spec}, merge)
    await condition(api, "Passed")
    assert (await api("GET", f"{GROUP}/things")).status == 200


async def test_when_it_is_registered_no_longer(things: Api) -> None:
    assert (await things("DELETE", f"{APISERVICES}/v1.things.example.com")).status == 200
    await until_status(things, GROUP, 404)
    assert "things.example.com" not in json.dumps((await things("GET", "/apis")).body)


async def test_what_is_served_here_is_registered(api: Api) -> None:
    local = await condition(api, "Local", "v1.apps")
    assert (local["status"], local["message"]) == ("True", "Local APIServices are always available")
    found = {i["metadata"]["name"]: i for i in (await api("GET", APISERVICES)).body["items"]}
    assert found["v1."]["spec"] == {"version": "v1", "groupPriorityMinimum": 18000, "versionPriority": 1}
    assert found["v1.apps"]["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "onstart"}
    assert found["v2.autoscaling"]["spec"]["versionPriority"] == 30
    assert (await api("DELETE", f"{APISERVICES}/v1.apps")).status == 200
    await condition(api, "Local", "v1.apps")


async def test_custom_resources_are_registered(api: Api) -> None:
    await define(api, definition())
    await condition(api, "Local", "v1.example.com")
    found = (await api("GET", f"{APISERVICES}/v1.example.com")).body
    assert found["metadata"]["labels"] == {"kube-aggregator.kubernetes.io/automanaged": "true"}
    assert (found["spec"]["groupPriorityMinimum"], found["spec"]["versionPriority"]) == (1000, 100)
    await api("DELETE", f"{DEFINITIONS}/widgets.example.com")
    await until_status(api, f"{APISERVICES}/v1.example.com", 404)


async def test_metrics_may_be_another_servers(api: Api, port: int, authority: webhooks.Authorities) -> None:
    await condition(api, "Local", "v1beta1.metrics.k8s.io")
    await webhooks.service(api.made, "things", port)
    spec = {"service": {"namespace": "default", "name": "nobody"}, "insecureSkipTLSVerify": True}
    merge = "application/merge-patch+json"
    answer = await api("PATCH", f"{APISERVICES}/v1beta1.metrics.k8s.io", {"spec": spec}, merge)
    assert answer.status == 200, answer.raw
    await condition(api, "ServiceNotFound", "v1beta1.metrics.k8s.io")
    assert (await api("GET", "/apis/metrics.k8s.io/v1beta1/nodes")).status == 503
    await api("DELETE", f"{APISERVICES}/v1beta1.metrics.k8s.io")
    await condition(api, "Local", "v1beta1.metrics.k8s.io")
