"""Conversion by webhook: one object in two versions, through every door."""

import json
from collections.abc import AsyncIterator, Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver.conftest import Api
from tests.apiserver.crd.conftest import DEFINITIONS, define, until
from tests.support import webhooks

V1 = "/apis/example.com/v1/namespaces/default/links"
V2 = "/apis/example.com/v2/namespaces/default/links"
MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"


def version(name: str, storage: bool, **spec: Any) -> dict[str, Any]:
    spec = {"type": "object", "properties": spec}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "subresources": {"status": {}},
        "additionalPrinterColumns": [{"name": name.upper(), "type": "string", "jsonPath": f".spec.{next(iter(spec))}"}],
        "schema": {
            "openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": spec, "status": {"type": "object", "properties": {"up": {"type": "boolean"}}}},
            }
        },
    }


def definition(conversion: dict[str, Any], storage: str = "v1") -> dict[str, Any]:
    text = {"type": "string"}
    one = version("v1", storage == "v1", address=text)
    two = version("v2", storage == "v2", host=text, port=text)
    one["additionalPrinterColumns"][0]["jsonPath"] = ".spec.address"
    two["additionalPrinterColumns"][0]["jsonPath"] = ".spec.port"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "links.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": {"plural": "links", "kind": "Link"},
            "versions": [one, two],
            "conversion": conversion,
        },
    }


def link(version: str = "v1", name: str = "l", **spec: str) -> dict[str, Any]:
    metadata = {"name": name}
    return {"apiVersion": f"example.com/{version}", "kind": "Link", "metadata": metadata, "spec": spec}


class Hook:
    """Splits addresses into host and port, and joins them; `spoil` changes what it answers."""

    def __init__(self) -> None:
        self.reviews: list[dict[str, Any]] = []
        self.spoil: Callable[[dict[str, Any]], Any] = lambda answer: None

    async def answer(self, request: web.Request) -> web.Response:
        review = await request.json()
        self.reviews.append(review)
        asked = review.pop("request")
        wanted = asked["desiredAPIVersion"]
        made = [self.converted(deepcopy(obj), wanted) for obj in asked["objects"]]
        review["response"] = {"uid": asked["uid"], "result": {"status": "Success"}, "convertedObjects": made}
        self.spoil(review)
        self.reviews[-1] = {**review, "request": asked}
        return web.json_response(review)

    @staticmethod
    def converted(obj: dict[str, Any], wanted: str) -> dict[str, Any]:
        assert obj["apiVersion"] != wanted
        obj["apiVersion"] = wanted
        spec = obj["spec"]
        if wanted.endswith("v2"):
            host, _, port = spec.pop("address").partition(":")
            obj["spec"] = {"port": port, "host": host, **spec}
        else:
            obj["spec"] = {"address": f"{spec.pop('host')}:{spec.pop('port')}", **spec}
        return obj


@pytest.fixture
async def hook(tmp_path: Path, api: Api) -> AsyncIterator[Hook]:
    """The webhook behind a Service, and the definition that names it."""
    hook, authority = Hook(), webhooks.Authorities()
    async with webhooks.serving(hook.answer, authority.serving(tmp_path, "convert.default.svc")) as port:
        await webhooks.service(api.made, "convert", port)
        client = {
            "service": {"namespace": "default", "name": "convert", "path": "/convert"},
            "caBundle": authority.bundle,
        }
        conversion = {
            "strategy": "Webhook",
            "webhook": {"clientConfig": client, "conversionReviewVersions": ["v2", "v1", "v1beta1"]},
        }
        await define(api, definition(conversion))
        yield hook


async def test_an_object_in_both_versions(api: Api, hook: Hook) -> None:
    made = await api.made(V2, link("v2", host="a", port="1"))
    assert (made["apiVersion"], made["spec"]) == ("example.com/v2", {"host": "a", "port": "1"})
    one = (await api("GET", f"{V1}/l")).body
    assert (one["apiVersion"], one["spec"]) == ("example.com/v1", {"address": "a:1"})
    two = (await api("GET", f"{V2}/l")).body
    assert two == made
    assert one["metadata"] == two["metadata"]
    assert hook.reviews[0]["apiVersion"] == "apiextensions.k8s.io/v1"
    assert "resourceVersion" not in hook.reviews[0]["request"]["objects"][0]["metadata"]


async def test_what_is_stored_already_so_is_not_asked_for(api: Api, hook: Hook) -> None:
    await api.made(V1, link(address="a:1"))
    assert (await api("GET", f"{V1}/l")).status == 200
    assert not hook.reviews


async def test_updates_and_patches_in_the_other_version(api: Api, hook: Hook) -> None:
    made = await api.made(V1, link(address="a:1"))
    two = (await api("GET", f"{V2}/l")).body
    two["spec"]["port"] = "2"
    answer = await api("PUT", f"{V2}/l", two)
    assert (answer.status, answer.body["spec"], answer.body["metadata"]["generation"]) == (
        200,
        {"host": "a", "port": "2"},
        2,
    )
    answer = await api("PATCH", f"{V2}/l", {"spec": {"host": "b"}}, MERGE)
    assert (answer.status, answer.body["spec"]) == (200, {"host": "b", "port": "2"})
    answer = await api("PATCH", f"{V2}/l/status", {"status": {"up": True}}, MERGE)
    assert (answer.status, answer.body["status"]) == (200, {"up": True})
    one = (await api("GET", f"{V1}/l")).body
    assert (one["spec"], one["status"], one["metadata"]["uid"]) == (
        {"address": "b:2"},
        {"up": True},
        made["metadata"]["uid"],
    )
    same = await api("PATCH", f"{V2}/l", {"spec": {"host": "b"}}, MERGE)
    assert same.body["metadata"]["resourceVersion"] == one["metadata"]["resourceVersion"], "nothing changed"
    assert (await api("PUT", f"{V2}/l", two)).status == 409


async def test_apply_in_either_version(api: Api, hook: Hook) -> None:
    first = await api("PATCH", f"{V1}/l?fieldManager=one", json.dumps(link(address="a:1")).encode(), APPLY)
    assert first.status == 201, first.raw
    body = json.dumps(link("v2", port="2")).encode()
    second = await api("PATCH", f"{V2}/l?fieldManager=two&force=true", body, APPLY)
    assert second.status == 200, second.raw
    assert second.body["spec"] == {"host": "a", "port": "2"}
    owners = {(e["manager"], e["apiVersion"]) for e in second.body["metadata"]["managedFields"]}
    assert owners == {("one", "example.com/v1"), ("two", "example.com/v2")}
    assert (await api("GET", f"{V1}/l")).body["spec"] == {"address": "a:2"}


async def test_lists_are_asked_for_at_once_and_tables_are_the_versions_own(api: Api, hook: Hook) -> None:
    for i in range(5):
        await api.made(V1, link(name=f"l{i}", address=f"a:{i}"))
    listed = (await api("GET", V2)).body
    assert (listed["apiVersion"], listed["kind"]) == ("example.com/v2", "LinkList")
    assert [item["spec"]["port"] for item in listed["items"]] == [str(i) for i in range(5)]
    assert len(hook.reviews) == 1
    table = (await api("GET", V2, accept="application/json;as=Table;v=v1;g=meta.k8s.io")).body
    assert [c["name"] for c in table["columnDefinitions"]] == ["Name", "V2"]
    assert [r["cells"] for r in table["rows"]] == [[f"l{i}", str(i)] for i in range(5)]
    page = (await api("GET", f"{V2}?limit=2")).body
    rest = (await api("GET", f"{V2}?limit=9&continue={page['metadata']['continue']}")).body
    assert [i["spec"]["port"] for i in page["items"] + rest["items"]] == [str(i) for i in range(5)]
    assert len(hook.reviews) == 1, "what is as it was is not asked for again"
    gone = (await api("DELETE", V2)).body
    assert [i["spec"]["port"] for i in gone["items"]] == [str(i) for i in range(5)]


async def test_watches_in_every_version(api: Api, hook: Hook) -> None:
    events: dict[str, list[Any]] = {}
    revision = (await api("GET", V1)).body["metadata"]["resourceVersion"]
    await api.made(V1, link(address="a:1"))
    await api("PATCH", f"{V2}/l", {"spec": {"host": "b"}}, MERGE)
    await api("DELETE", f"{V2}/l")
    for path in (V1, V2):
        query = f"watch=true&resourceVersion={revision}&allowWatchBookmarks=true&timeoutSeconds=1"
        async with api.stream(f"{path}?{query}") as answer:
            text = b"".join([chunk async for chunk in answer.chunks()])
        events[path] = [json.loads(line) for line in text.splitlines()]
    assert [(e["type"], e["object"].get("spec")) for e in events[V2]][:3] == [
        ("ADDED", {"host": "a", "port": "1"}),
        ("MODIFIED", {"host": "b", "port": "1"}),
        ("DELETED", {"host": "b", "port": "1"}),
    ]
    assert {e["object"]["apiVersion"] for e in events[V2]} == {"example.com/v2"}
    assert [e["object"]["metadata"]["resourceVersion"] for e in events[V1][:3]] == [
        e["object"]["metadata"]["resourceVersion"] for e in events[V2][:3]
    ]


async def test_a_storage_version_that_changes(api: Api, hook: Hook) -> None:
    await api.made(V1, link(name="old", address="a:1"))
    stored = (await api("GET", f"{DEFINITIONS}/links.example.com")).body
    for served in stored["spec"]["versions"]:
        served["storage"] = served["name"] == "v2"
    changed = await api("PUT", f"{DEFINITIONS}/links.example.com", stored)
    assert changed.body["status"]["storedVersions"] == ["v1", "v2"]

    async def v2_stored() -> bool:
        before = len(hook.reviews)
        await api("POST", f"{V2}?dryRun=All", link("v2", name="try", host="a", port="1"))
        return len(hook.reviews) == before

    await until(v2_stored)
    await api.made(V1, link(name="new", address="a:2"))
    assert [i["spec"] for i in (await api("GET", V1)).body["items"]] == [{"address": "a:2"}, {"address": "a:1"}]
    assert [i["spec"]["port"] for i in (await api("GET", V2)).body["items"]] == ["2", "1"]
    before = (await api("GET", f"{V1}/old")).body
    after = (await api("PUT", f"{V1}/old", before)).body
    assert after["metadata"]["resourceVersion"] != before["metadata"]["resourceVersion"], "written in the new version"
    again = (await api("PUT", f"{V1}/old", after)).body
    assert again["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]


SPOILED: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (
        lambda r: r["response"].update(result={"status": "Failure", "message": "no such host"}),
        "conversion webhook for example.com/v1, Kind=Link failed: no such host",
    ),
    (
        lambda r: r["response"].update(result={}),
        "conversion webhook for example.com/v1, Kind=Link failed: response.result.status was '', not 'Success'",
    ),
    (lambda r: r.pop("response"), "conversion webhook for example.com/v1, Kind=Link failed: no response provided"),
    (
        lambda r: r.update(apiVersion="apiextensions.k8s.io/v1beta1"),
        "conversion webhook for example.com/v1, Kind=Link failed: expected webhook response of "
        "apiextensions.k8s.io/v1, Kind=ConversionReview, got apiextensions.k8s.io/v1beta1, Kind=ConversionReview",
    ),
    (
        lambda r: r["response"].update(convertedObjects=[]),
        "conversion webhook for example.com/v1, Kind=Link returned 0 objects, expected 1",
    ),
    (
        lambda r: r["response"]["convertedObjects"][0].update(apiVersion="example.com/v3"),
        "conversion webhook for example.com/v1, Kind=Link returned invalid object at index 0: invalid groupVersion "
        "(expected example.com/v2, received example.com/v3)",
    ),
    (
        lambda r: r["response"]["convertedObjects"][0].update(kind="Chain"),
        "conversion webhook for example.com/v1, Kind=Link returned invalid object at index 0: invalid kind "
        "(expected Link, received Chain)",
    ),
    (
        lambda r: r["response"]["convertedObjects"][0]["metadata"].update(name="m"),
        "conversion webhook for example.com/v1, Kind=Link returned invalid object: must have the same name: l != m",
    ),
    (
        lambda r: r["response"]["convertedObjects"][0]["metadata"].update(labels={"a": 1}),
        "conversion webhook for example.com/v1, Kind=Link returned invalid metadata: metadata.labels[a] must be a "
        "string, but is int64 in converted object",
    ),
    (
        lambda r: r["response"]["convertedObjects"][0]["metadata"].update(labels={"a": "/"}),
        "conversion webhook for example.com/v1, Kind=Link returned invalid metadata: metadata.labels: Invalid value: "
        '"/": ',
    ),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILED)
async def test_answers_that_are_none(
    api: Api, hook: Hook, spoil: Callable[[dict[str, Any]], Any], message: str
) -> None:
    await api.made(V1, link(address="a:1"))
    hook.spoil = spoil
    for path in (f"{V2}/l", V2):
        answer = await api("GET", path)
        assert (answer.status, answer.message[: len(message)]) == (500, message)
    assert (await api("GET", f"{V1}/l")).status == 200, "the stored version needs no webhook"
    async with api.stream(f"{V2}?watch=true") as stream:
        text = b"".join([chunk async for chunk in stream.chunks()])
    error = json.loads(text.splitlines()[0])
    assert (error["type"], error["object"]["message"][: len(message)]) == ("ERROR", message)


async def test_a_webhook_may_change_labels_and_annotations_alone(api: Api, hook: Hook) -> None:
    await api.made(V1, link(address="a:1"))

    def spoil(review: dict[str, Any]) -> None:
        metadata = review["response"]["convertedObjects"][0]["metadata"]
        metadata |= {"labels": {"a": "b"}, "finalizers": ["x.io/y"], "generation": 99, "resourceVersion": "1"}
        del metadata["creationTimestamp"]

    hook.spoil = spoil
    one, two = (await api("GET", f"{V1}/l")).body["metadata"], (await api("GET", f"{V2}/l")).body["metadata"]
    assert two == one | {"labels": {"a": "b"}}


async def test_what_ends_with_its_definition_is_not_converted(api: Api, hook: Hook) -> None:
    await api.made(V2, link("v2", host="a", port="1"))
    hook.spoil = lambda review: review.pop("response")
    assert (await api("DELETE", f"{DEFINITIONS}/links.example.com")).status == 200

    async def gone() -> bool:
        return (await api("GET", f"{DEFINITIONS}/links.example.com")).status == 404

    await until(gone)
