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


async def test_no_object_is_of_half_a_schema(api: Api) -> None:
    """Each version of the schema knows one field more: what is made meanwhile has those of one of them, and no later
    object of one writer has fewer."""
    await define(api, definition())
    merge, last = "application/merge-patch+json", 8
    fields = {f"f{i}": "x" for i in range(last)}
    done = asyncio.Event()

    def known(spec: dict[str, object]) -> int:
        found = [name for name in fields if name in spec]
        assert found == [f"f{i}" for i in range(len(found))], spec
        return len(found)

    async def write(worker: int) -> dict[str, int]:
        made: dict[str, int] = {}
        while not done.is_set() or max(made.values(), default=0) < last:
            name = f"w{worker}-{len(made)}"
            answer = await api("POST", WIDGETS, widget(name, **fields))
            assert answer.status == 201, answer.raw
            size = known(answer.body["spec"])
            assert size >= max(made.values(), default=0)
            made[name] = size
        return made

    async def change() -> None:
        for i in range(1, last + 1):
            newer = version()
            spec = newer["schema"]["openAPIV3Schema"]["properties"]["spec"]
            spec["properties"] |= {f"f{j}": {"type": "string"} for j in range(i)}
            body = {"spec": {"versions": [newer]}}
            assert (await api("PATCH", f"{DEFINITIONS}/widgets.example.com", body, merge)).status == 200
        done.set()

    async with asyncio.timeout(60):
        *written, _ = await asyncio.gather(*(write(i) for i in range(3)), change())
    made = {name: fields for each in written for name, fields in each.items()}
    there = (await api("GET", WIDGETS)).body["items"]
    assert {item["metadata"]["name"]: known(item["spec"]) for item in there} == made


async def test_a_schema_of_a_megabyte(api: Api) -> None:
    """It is served, explained and applied; so is a change of it."""
    words = "Says what it is for, at length. " * 20
    text = {"type": "string", "description": words, "maxLength": 20}
    many = {f"field{i:04}": dict(text) for i in range(1500)}
    body = definition(version())
    spec = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["many"] = {"type": "object", "properties": many}
    assert len(json.dumps(body)) > 1_000_000
    await define(api, body)
    made = await api.made(WIDGETS, widget(many={"field0001": "x", "unknown": 1}))
    assert made["spec"]["many"] == {"field0001": "x"}
    refused = await api("POST", WIDGETS, widget("long", many={"field1499": "x" * 21}))
    assert refused.status == 422
    assert "spec.many.field1499" in refused.message
    document = (await api("GET", "/openapi/v3/apis/example.com/v1")).body
    schema = document["components"]["schemas"]["com.example.v1.Widget"]
    assert len(schema["properties"]["spec"]["properties"]["many"]["properties"]) == 1500


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
        answer = await api("GET", "/apis/example.com/v1")
        return answer.status == 200 and len(answer.body["resources"]) == 50 * 3

    await until(all_served)
    document = (await api("GET", "/openapi/v3/apis/example.com/v1")).body
    assert "com.example.v1.Thing49" in document["components"]["schemas"]
