"""Definitions and servers: those that start later, those beside it, and clients as they are."""

import asyncio
import json
from pathlib import Path
from typing import Any

from tests.apiserver.conftest import Api
from tests.apiserver.crd.conftest import DEFINITIONS, WIDGETS, define, definition, until, version, widget
from tests.apiserver.test_kubectl import KUBECTL, Kubectl, kubectl, pytestmark, served  # noqa: F401  # fixtures

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer


async def test_a_server_that_starts_again_serves_them_at_once(tmp_path: Path) -> None:
    config = Config(data_dir=tmp_path, store="lmdb", secure_port=None)
    async with ApiServer(config) as first:
        api = Api(first)
        await define(api, definition())
        await api.made(WIDGETS.replace("default", "kube-system"), widget())
        await api.transport.close()
    async with ApiServer(config) as second:
        api = Api(second)
        found = await api("GET", f"{WIDGETS.replace('default', 'kube-system')}/w")
        assert (found.status, found.body["spec"]["color"]) == (200, "red")
        await api.transport.close()


async def test_an_update_of_a_definition_under_load_loses_no_write(api: Api) -> None:
    await define(api, definition())
    merge = "application/merge-patch+json"
    done = asyncio.Event()

    async def write(worker: int) -> list[str]:
        names = []
        while not done.is_set() or len(names) < 20:
            name = f"w{worker}-{len(names)}"
            answer = await api("POST", WIDGETS, widget(name, size="1"))
            assert answer.status == 201, answer.raw
            assert answer.body["spec"].get("mode") in (None, *(f"m{i}" for i in range(10)))
            names.append(name)
        return names

    async def change() -> None:
        for i in range(10):
            newer = version()
            spec = newer["schema"]["openAPIV3Schema"]["properties"]["spec"]
            spec["properties"]["mode"] = {"type": "string", "default": f"m{i}"}
            body = {"spec": {"versions": [newer]}}
            answer = await api("PATCH", f"{DEFINITIONS}/widgets.example.com", body, merge)
            assert answer.status == 200, answer.raw
        done.set()

    *written, _ = await asyncio.gather(*(write(i) for i in range(4)), change())
    there = {item["metadata"]["name"] for item in (await api("GET", WIDGETS)).body["items"]}
    assert there == {name for names in written if names for name in names}


async def test_kubectl(kubectl: Kubectl, tmp_path: Path) -> None:  # noqa: F811
    body = definition(names={"shortNames": ["wd"], "categories": ["all"]})
    await kubectl("apply", "-f", "-", stdin=json.dumps(body))
    await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    assert "widgets" in await kubectl("api-resources", "--api-group=example.com")
    await kubectl("apply", "-f", "-", stdin=json.dumps(widget(replicas=2)))
    assert "red" in await kubectl("get", "wd")
    assert "widget.example.com/w" in await kubectl("get", "all")
    explained = await kubectl("explain", "widget.spec.color")
    assert "red" in explained
    await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=json.dumps(widget(replicas=3)))
    await kubectl("scale", "widget/w", "--replicas=5")
    assert (await kubectl("get", "widget", "w", "-o", "jsonpath={.spec.replicas}")) == "5"
    await kubectl("patch", "widget", "w", "--type=merge", "--subresource=status", "-p", '{"status":{"phase":"Ready"}}')
    assert (await kubectl("get", "widget", "w", "-o", "jsonpath={.status.phase}")) == "Ready"
    wrong = await kubectl("apply", "-f", "-", stdin=json.dumps(widget("x", bogus=1)), fails=True)
    assert 'unknown field "spec.bogus"' in wrong
    await kubectl("delete", "crd", "widgets.example.com", "--timeout=20s")
    await kubectl("get", "widgets", fails=True)


async def test_many_definitions(api: Api) -> None:
    async def one(i: int) -> None:
        body: dict[str, Any] = definition(plural=f"things{i}", kind=f"Thing{i}")
        await api.made(DEFINITIONS, body)

    await asyncio.gather(*(one(i) for i in range(50)))

    async def all_served() -> bool:
        return len((await api("GET", "/apis/example.com/v1")).body.get("resources", ())) == 50 * 3

    await until(all_served)
    document = (await api("GET", "/openapi/v3/apis/example.com/v1")).body
    assert "com.example.v1.Thing49" in document["components"]["schemas"]
