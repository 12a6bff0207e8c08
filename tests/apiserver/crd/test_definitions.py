"""What is said of definitions that are wrong, in upstream's order."""

from typing import Any

import pytest
from tests.apiserver.conftest import Api
from tests.apiserver.crd.conftest import DEFINITIONS, define, definition, version


async def refused(api: Api, body: dict[str, Any]) -> list[tuple[str, str]]:
    answer = await api("POST", DEFINITIONS, body)
    assert answer.status == 422, answer.body
    return [(cause["field"], cause["message"]) for cause in answer.body["details"]["causes"]]


async def test_findings_come_in_order(api: Api) -> None:
    first = {**version("V1", storage=False), "deprecationWarning": "", "schema": None}
    second = version("v2", storage=False) | {"deprecated": True, "deprecationWarning": "a\nb"}
    conversion = {"strategy": "None", "webhook": {"conversionReviewVersions": ["v1"]}}
    body = definition(first, second, conversion=conversion, scope="Nowhere", group="a_b")
    body["spec"]["names"] |= {"shortNames": ["w_"], "categories": ["A"], "singular": "W", "listKind": "Widget"}
    body["metadata"]["name"] = "widgets.a_b"
    assert [field for field, _ in await refused(api, body)] == [
        "metadata.name",
        "spec.group",
        "spec.scope",
        "spec.versions[0].schema.openAPIV3Schema",
        "spec.versions[0].name",
        "spec.versions[0].deprecationWarning",
        "spec.versions[0].deprecationWarning",
        "spec.versions[0].selectableFields[0].jsonPath",
        "spec.versions[1].deprecationWarning",
        "spec.versions",
        "spec.names.singular",
        "spec.names.shortNames[0]",
        "spec.names.listKind",
        "spec.names.categories[0]",
        "spec.conversion.webhookClientConfig",
        "spec.conversion.conversionReviewVersions",
        "status.storedVersions",
    ]


@pytest.mark.parametrize(
    ("name", "path", "words"),
    [
        ("specReplicasPath", "", "Required value"),
        ("specReplicasPath", "spec.a", 'Invalid value: "spec.a": must be a simple json path starting with .'),
        ("specReplicasPath", ".status.a", 'Invalid value: ".status.a": should be a json path under .spec'),
        ("statusReplicasPath", ".spec.a", 'Invalid value: ".spec.a": should be a json path under .status'),
        ("labelSelectorPath", ".a", 'Invalid value: ".a": should be a json path under either .spec or .status'),
    ],
)
async def test_paths_of_scale(api: Api, name: str, path: str, words: str) -> None:
    one = version()
    one["subresources"]["scale"][name] = path
    assert await refused(api, definition(one)) == [(f"spec.subresources.scale.{name}", words)]


TYPES = (
    "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed."
)


@pytest.mark.parametrize(
    ("paths", "found"),
    [
        ([".spec.color", ".spec.replicas", ".spec.labels.one"], []),
        ([""], [("[0].jsonPath", "Required value")]),
        (
            [".spec.nothing"],
            [
                (
                    "[0].jsonPath",
                    'Invalid value: ".spec.nothing": is an invalid path: does not refer to a valid field',
                )
            ],
        ),
        ([".spec.items"], [("[0]", f'Invalid value: ".spec.items": {TYPES}')]),
        ([".spec.port"], [("[0]", f'Invalid value: ".spec.port": {TYPES}')]),
        ([".metadata.name"], [("[0]", 'Invalid value: ".metadata.name": must not point to fields in metadata')]),
        ([".spec.color", ".spec.color"], [("[1]", 'Duplicate value: ".spec.color"')]),
        ([f".spec.labels.l{i}" for i in range(9)], [("", "Too many: 9: must have at most 8 items")]),
    ],
)
async def test_fields_to_select_by(api: Api, paths: list[str], found: list[tuple[str, str]]) -> None:
    body = definition(version() | {"selectableFields": [{"jsonPath": path} for path in paths]})
    if not found:
        assert (await api("POST", DEFINITIONS, body)).status == 201
        return
    assert await refused(api, body) == [(f"spec.selectableFields{at}", words) for at, words in found]


async def test_reviews_of_conversions_are_ones_that_this_server_speaks(api: Api) -> None:
    webhook = {"clientConfig": {"url": "https://127.0.0.1/x"}, "conversionReviewVersions": ["v2", "v2"]}
    assert await refused(api, definition(conversion={"strategy": "Webhook", "webhook": webhook})) == [
        ("spec.conversion.conversionReviewVersions[1]", 'Invalid value: "v2": duplicate version'),
        (
            "spec.conversion.conversionReviewVersions",
            'Invalid value: ["v2","v2"]: must include at least one of v1, v1beta1',
        ),
    ]


async def test_what_stays_as_it_is(api: Api) -> None:
    await define(api, definition())
    path = f"{DEFINITIONS}/widgets.example.com"
    change = {"spec": {"scope": "Cluster", "names": {"kind": "Gadget", "listKind": "GadgetList"}}}
    answer = await api("PATCH", path, change, "application/merge-patch+json")
    assert answer.status == 422
    assert [cause["field"] for cause in answer.body["details"]["causes"]] == ["spec.scope", "spec.names.kind"]
