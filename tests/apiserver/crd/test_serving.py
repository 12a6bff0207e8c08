"""Custom resources from end to end: everything a client does with a kind."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from tests.apiserver.conftest import Api
from tests.apiserver.crd.conftest import (
    DEFINITIONS,
    WIDGETS,
    condition,
    define,
    definition,
    until,
    until_status,
    version,
    widget,
)


async def events(exchange: Any) -> AsyncIterator[Any]:
    """What a watch sends, one by one."""
    rest = b""
    async for part in exchange.chunks():
        *lines, rest = (rest + part).split(b"\n")
        for line in lines:
            yield json.loads(line)


TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"


async def test_an_object_is_pruned_and_filled_in_and_its_status_is_the_status_endpoints(widgets: Api) -> None:
    body = widget(bogus=1, free={"any": {"thing": 1}}, port="http") | {"status": {"phase": "mine"}, "more": 1}
    answer = await widgets("POST", WIDGETS, body)
    assert answer.status == 201
    assert answer.body["spec"] == {
        "color": "red",
        "replicas": 1,
        "free": {"any": {"thing": 1}},
        "port": "http",
    }
    assert "status" not in answer.body
    assert "more" not in answer.body
    assert answer.body["metadata"]["generation"] == 1
    assert "unknown field" in str(dict(answer.headers)["warning"])
    assert (await widgets("GET", f"{WIDGETS}/w")).body == answer.body

    change = {"spec": {"color": "blue"}, "status": {"replicas": 2}}
    merge = "application/merge-patch+json"
    patched = (await widgets("PATCH", f"{WIDGETS}/w/status", change, merge)).body
    assert (patched["spec"]["color"], patched["status"]) == ("red", {"replicas": 2})
    assert patched["metadata"]["generation"] == 1
    patched = (await widgets("PATCH", f"{WIDGETS}/w", change | {"status": {"replicas": 9}}, merge)).body
    assert (patched["spec"]["color"], patched["status"]) == ("blue", {"replicas": 2})
    assert patched["metadata"]["generation"] == 2
    patched = (await widgets("PATCH", f"{WIDGETS}/w", {"metadata": {"labels": {"a": "b"}}}, merge)).body
    assert patched["metadata"]["generation"] == 2


async def test_strict_validation_refuses_what_lenient_validation_warns_of(widgets: Api) -> None:
    strict = await widgets("POST", f"{WIDGETS}?fieldValidation=Strict", widget(bogus=1))
    assert strict.status == 400
    assert strict.message == (
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.bogus"'
    )
    twice = (
        b'{"apiVersion":"example.com/v1","kind":"Widget","metadata":{"name":"d"},"spec":{"color":"red","color":"blue"}}'
    )
    strict = await widgets("POST", f"{WIDGETS}?fieldValidation=Strict", twice)
    assert strict.message.endswith('strict decoding error: duplicate field "spec.color"')
    ignored = await widgets("POST", f"{WIDGETS}?fieldValidation=Ignore", widget(bogus=1))
    assert ignored.status == 201
    assert "warning" not in dict(ignored.headers)


async def test_values_are_refused_in_upstreams_words(widgets: Api) -> None:
    answer = await widgets(
        "POST", WIDGETS, widget(color="green", replicas=-1, size="abcdefg", items=[{"name": "a"}, {}])
    )
    assert answer.status == 422
    causes = {c["field"]: (c["reason"], c["message"]) for c in answer.body["details"]["causes"]}
    assert causes == {
        "spec.color": ("FieldValueNotSupported", 'Unsupported value: "green": supported values: "red", "blue"'),
        "spec.replicas": (
            "FieldValueInvalid",
            "Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
        ),
        "spec.size": ("FieldValueTooLong", "Too long: may not be more than 5 bytes"),
        "spec.items[1].name": ("FieldValueRequired", "Required value"),
        ".spec.replicas": ("FieldValueInvalid", "Invalid value: -1: should be a non-negative integer"),
    }
    twice = await widgets("POST", WIDGETS, widget(items=[{"name": "a"}, {"name": "a"}]))
    assert twice.message == 'Widget.example.com "w" is invalid: spec.items[1]: Duplicate value: {"name":"a"}'
    wrong = await widgets("POST", WIDGETS, widget(replicas="1"))
    assert 'spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string"' in (
        wrong.message
    )
    bare = await widgets("POST", WIDGETS, widget(template={"metadata": {"name": "x"}}))
    assert "spec.template.kind: Required value]" in bare.message


async def test_what_was_invalid_before_may_stay(api: Api) -> None:
    await define(api, definition())
    await api.made(WIDGETS, widget(size="12", items=[{"name": "a", "value": "old"}]))
    tighter = version()
    spec = tighter["schema"]["openAPIV3Schema"]["properties"]["spec"]
    spec["properties"]["size"]["maxLength"] = 1
    spec["properties"]["items"]["items"]["properties"]["value"] = {"type": "string", "enum": ["new"]}
    merge = "application/merge-patch+json"
    answer = await api("PATCH", f"{DEFINITIONS}/widgets.example.com", {"spec": {"versions": [tighter]}}, merge)
    assert answer.status == 200

    async def refuses() -> bool:
        return (await api("POST", f"{WIDGETS}?dryRun=All", widget("x", size="12"))).status == 422

    await until(refuses)
    assert (await api("PATCH", f"{WIDGETS}/w", {"spec": {"replicas": 5}}, merge)).status == 200
    items = [{"name": "b", "value": "new"}, {"name": "a", "value": "old"}]
    assert (await api("PATCH", f"{WIDGETS}/w", {"spec": {"items": items}}, merge)).status == 200
    refused = await api("PATCH", f"{WIDGETS}/w", {"spec": {"size": "13"}}, merge)
    assert refused.message == 'Widget.example.com "w" is invalid: spec.size: Too long: may not be more than 1 bytes'


async def test_field_owners_are_told_by_the_schema(widgets: Api) -> None:
    apply = "application/apply-patch+yaml"

    def config(*items: dict[str, str], **spec: Any) -> dict[str, Any]:
        return widget(items=list(items), **spec)

    one = await widgets("PATCH", f"{WIDGETS}/w?fieldManager=one", config({"name": "a", "value": "1"}), apply)
    assert one.status == 201
    fields = one.body["metadata"]["managedFields"][0]["fieldsV1"]
    assert fields == {"f:spec": {"f:color": {}, "f:items": {'k:{"name":"a"}': {".": {}, "f:name": {}, "f:value": {}}}}}
    body = {"apiVersion": "example.com/v1", "kind": "Widget", "spec": {"items": [{"name": "b", "value": "2"}]}}
    two = await widgets("PATCH", f"{WIDGETS}/w?fieldManager=two", body, apply)
    assert two.body["spec"]["items"] == [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    body["spec"]["items"][0] = {"name": "a", "value": "3"}  # type: ignore[index]
    clash = await widgets("PATCH", f"{WIDGETS}/w?fieldManager=two", body, apply)
    assert clash.status == 409
    assert clash.body["details"]["causes"][0]["field"] == '.spec.items[name="a"].value'
    forced = await widgets("PATCH", f"{WIDGETS}/w?fieldManager=two&force=true", body, apply)
    assert forced.body["spec"]["items"] == [{"name": "a", "value": "3"}]
    unknown = await widgets("PATCH", f"{WIDGETS}/w?fieldManager=one", config(bogus=1), apply)
    assert (unknown.status, ".spec.bogus: field not declared in schema" in unknown.message) == (500, True)


async def test_scale(widgets: Api) -> None:
    await widgets.made(WIDGETS, widget(replicas=3))
    merge = "application/merge-patch+json"
    status = {"status": {"replicas": 2, "selector": "a=b"}}
    await widgets("PATCH", f"{WIDGETS}/w/status", status, merge)
    found = (await widgets("GET", f"{WIDGETS}/w/scale")).body
    assert (found["kind"], found["spec"], found["status"]) == (
        "Scale",
        {"replicas": 3},
        {"replicas": 2, "selector": "a=b"},
    )
    found = (await widgets("PATCH", f"{WIDGETS}/w/scale", {"spec": {"replicas": 7}}, merge)).body
    assert found["spec"] == {"replicas": 7}
    assert (await widgets("GET", f"{WIDGETS}/w")).body["spec"]["replicas"] == 7
    put = await widgets("PUT", f"{WIDGETS}/w/scale", found | {"spec": {"replicas": 1}})
    assert put.body["spec"] == {"replicas": 1}


async def test_lists_watches_and_tables(widgets: Api) -> None:
    for name, color in (("a", "red"), ("b", "blue"), ("c", "red")):
        await widgets.made(WIDGETS, widget(name, color=color))
    listed = (await widgets("GET", WIDGETS)).body
    assert (listed["kind"], [i["metadata"]["name"] for i in listed["items"]]) == ("WidgetList", ["a", "b", "c"])
    assert {(i["apiVersion"], i["kind"]) for i in listed["items"]} == {("example.com/v1", "Widget")}
    red = (await widgets("GET", f"{WIDGETS}?fieldSelector=spec.color%3Dred")).body
    assert [i["metadata"]["name"] for i in red["items"]] == ["a", "c"]
    page = (await widgets("GET", f"{WIDGETS}?limit=2")).body
    rest = (await widgets("GET", f"{WIDGETS}?limit=2&continue={page['metadata']['continue']}")).body
    assert [i["metadata"]["name"] for i in rest["items"]] == ["c"]
    table = (await widgets("GET", WIDGETS, accept=TABLE)).body
    assert [(c["name"], c["priority"]) for c in table["columnDefinitions"]] == [
        ("Name", 0),
        ("Color", 0),
        ("Replicas", 1),
        ("Age", 0),
    ]
    assert table["rows"][1]["cells"][:3] == ["b", "blue", 1]
    async with widgets.stream(f"{WIDGETS}?watch=1&resourceVersion={listed['metadata']['resourceVersion']}") as stream:
        await widgets("DELETE", f"{WIDGETS}/b")
        event = await anext(events(stream))
    assert (event["type"], event["object"]["metadata"]["name"]) == ("DELETED", "b")
    gone = await widgets("DELETE", f"{WIDGETS}?labelSelector=")
    assert gone.status == 200
    assert (await widgets("GET", WIDGETS)).body["items"] == []


async def test_what_is_spoken_of_built_in_types_alone(widgets: Api) -> None:
    await widgets.made(WIDGETS, widget())
    strategic = await widgets("PATCH", f"{WIDGETS}/w", {}, "application/strategic-merge-patch+json")
    assert strategic.status == 415
    protobuf = "application/vnd.kubernetes.protobuf"
    assert (await widgets("POST", WIDGETS, b"k8s\0", protobuf)).status == 415
    assert (await widgets("GET", f"{WIDGETS}/w", accept=protobuf)).status == 406
    assert (await widgets("GET", f"{WIDGETS}/w", accept=f"{protobuf}, application/json")).body["kind"] == "Widget"
    unconditional = await widgets("PUT", f"{WIDGETS}/w", widget())
    assert unconditional.status == 422
    assert "must be specified for an update" in unconditional.message


async def test_discovery_and_openapi_follow(widgets: Api) -> None:
    listed = (await widgets("GET", "/apis/example.com/v1")).body
    assert {r["name"] for r in listed["resources"]} == {"widgets", "widgets/status", "widgets/scale"}
    assert "example.com" in {g["name"] for g in (await widgets("GET", "/apis")).body["groups"]}
    aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
    groups = {g["metadata"]["name"]: g for g in (await widgets("GET", "/apis", accept=aggregated)).body["items"]}
    assert groups["example.com"]["versions"][0]["resources"][0]["singularResource"] == "widget"
    root = (await widgets("GET", "/openapi/v3")).body["paths"]["apis/example.com/v1"]["serverRelativeURL"]
    document = (await widgets("GET", root)).body
    schema = document["components"]["schemas"]["com.example.v1.Widget"]
    assert schema["properties"]["spec"]["properties"]["color"]["enum"] == ["red", "blue"]
    assert f"{WIDGETS.replace('default', '{namespace}')}/{{name}}/status" in document["paths"]
    swagger = (await widgets("GET", "/openapi/v2")).body
    assert "/apis/example.com/v1/namespaces/{namespace}/widgets" in swagger["paths"]
    assert "com.example.v1.WidgetList" in swagger["definitions"]
    assert "io.k8s.api.core.v1.Pod" in swagger["definitions"]
    await widgets("DELETE", f"{DEFINITIONS}/widgets.example.com")
    await until_status(widgets, "/apis/example.com/v1", 404)
    assert "apis/example.com/v1" not in (await widgets("GET", "/openapi/v3")).body["paths"]


async def test_a_definition_ends_with_its_instances(widgets: Api) -> None:
    body = widget()
    body["metadata"]["finalizers"] = ["example.com/wait"]
    await widgets.made(WIDGETS, body)
    await widgets.made(WIDGETS, widget("other"))
    await widgets("DELETE", f"{DEFINITIONS}/widgets.example.com")
    ending = await condition(widgets, "widgets.example.com", "Terminating")
    assert ending["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    await until_status(widgets, f"{WIDGETS}/other", 404)
    refused = await widgets("POST", WIDGETS, widget("late"))
    assert (refused.status, "terminating" in refused.message) == (405, True)
    found = (await widgets("GET", f"{WIDGETS}/w")).body
    assert found["metadata"]["deletionTimestamp"]
    await widgets("PATCH", f"{WIDGETS}/w", {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    await until_status(widgets, f"{DEFINITIONS}/widgets.example.com", 404)
    await until_status(widgets, WIDGETS, 404)


async def test_names_are_held_by_who_had_them_first(api: Api) -> None:
    await define(api, definition(names={"shortNames": ["wd"]}))
    await api.made(DEFINITIONS, definition(plural="wheels", kind="Widget", names={"listKind": "WheelList"}))
    refused = await condition(api, "wheels.example.com", "NamesAccepted", "False")
    told = {c["type"]: (c["status"], c["reason"], c["message"]) for c in refused["status"]["conditions"]}
    assert told["NamesAccepted"] == ("False", "KindConflict", '"Widget" is already in use')
    assert told["Established"][0] == "False"
    await api("DELETE", f"{DEFINITIONS}/widgets.example.com")
    await condition(api, "wheels.example.com", "Established")


async def test_two_versions_show_one_object(api: Api) -> None:
    second = version("v2", storage=False)
    second["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["extra"] = {
        "type": "string",
        "default": "e",
    }
    second["additionalPrinterColumns"] = [{"name": "Extra", "type": "string", "jsonPath": ".spec.extra"}]
    await define(api, definition(version(), second))
    other = WIDGETS.replace("v1", "v2")
    made = await api("POST", other, widget(size="1") | {"apiVersion": "example.com/v2"})
    assert (made.status, made.body["apiVersion"], made.body["spec"]["extra"]) == (201, "example.com/v2", "e")
    first = (await api("GET", f"{WIDGETS}/w")).body
    assert (first["apiVersion"], "extra" in first["spec"]) == ("example.com/v1", False)
    assert (await api("GET", f"{other}/w")).body["spec"]["extra"] == "e"
    table = (await api("GET", other, accept=TABLE)).body
    assert table["rows"][0]["cells"] == ["w", "e"]
    merge = "application/merge-patch+json"
    patched = await api("PATCH", f"{other}/w", {"spec": {"replicas": 4}}, merge)
    assert (patched.body["apiVersion"], patched.body["spec"]["replicas"]) == ("example.com/v2", 4)
    assert (await api("GET", f"{WIDGETS}/w")).body["spec"]["replicas"] == 4
    versions = (await api("GET", "/apis/example.com")).body["versions"]
    assert [v["version"] for v in versions] == ["v2", "v1"]
    async with api.stream(f"{other}?watch=1") as stream:
        event = await anext(events(stream))
    assert event["object"]["apiVersion"] == "example.com/v2"


async def test_a_new_default_shows_in_what_is_stored(widgets: Api) -> None:
    await widgets.made(WIDGETS, widget())
    newer = version()
    newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["mode"] = {
        "type": "string",
        "default": "auto",
    }
    merge = "application/merge-patch+json"
    await widgets("PATCH", f"{DEFINITIONS}/widgets.example.com", {"spec": {"versions": [newer]}}, merge)

    async def filled() -> bool:
        return bool((await widgets("GET", f"{WIDGETS}/w")).body["spec"].get("mode") == "auto")

    await until(filled)
    patched = await widgets("PATCH", f"{WIDGETS}/w", {"metadata": {"labels": {"a": "b"}}}, merge)
    assert (patched.body["spec"]["mode"], patched.body["metadata"]["generation"]) == ("auto", 1)
    assert (await widgets("GET", WIDGETS)).body["items"][0]["spec"]["mode"] == "auto"


async def test_watches_end_after_the_last_event(widgets: Api) -> None:
    await widgets.made(WIDGETS, widget())
    async with widgets.stream(f"{WIDGETS}?watch=1") as stream:
        seen = events(stream)
        assert (await anext(seen))["type"] == "ADDED"
        await widgets("DELETE", f"{DEFINITIONS}/widgets.example.com")
        async with asyncio.timeout(10):
            assert [event["type"] async for event in seen] == ["DELETED"]


async def test_watches_end_when_the_schema_changes(widgets: Api) -> None:
    """What they show would be of the schema that was; clients go on where they were."""
    async with widgets.stream(f"{WIDGETS}?watch=1") as stream:
        newer = version()
        newer["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["mode"] = {"type": "string"}
        merge = "application/merge-patch+json"
        await widgets("PATCH", f"{DEFINITIONS}/widgets.example.com", {"spec": {"versions": [newer]}}, merge)
        async with asyncio.timeout(10):
            assert [event async for event in events(stream)] == []
