"""Every kind that is stored lives its whole life: made, read in all forms, listed, watched, changed, deleted."""

import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.apiserver.conftest import Api
from tests.apiserver.test_rules import holds
from tests.apiserver.test_watch import events

from orlop import native
from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.apiserver import nulls
from orlop.apiserver.registry import strategy_of
from orlop.apiserver.server import ApiServer
from orlop.pki.authority import new_key

DOCUMENTS = yaml.safe_load(Path(__file__).with_name("every_kind.yaml").read_text())
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"
SHOWN = frozenset(
    (
        *("CSIDriver", "CSINode", "DeviceClass", "Namespace", "PersistentVolume", "PersistentVolumeClaim", "Pod"),
        *("PodTemplate", "ResourceClaim", "ResourceClaimTemplate", "ResourceQuota", "ResourceSlice", "Service"),
        *("ServiceAccount", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"),
    )
)
"""Kinds whose deletion answers with the object as it was, not with a Status."""


def kind_of(document: dict[str, Any]) -> Kind:
    kind = scheme.by_kind(document["apiVersion"], document["kind"])
    assert kind is not None
    return kind


CASES = [pytest.param(d["object"], d.get("becomes", {}), id=kind_of(d["object"]).type_key) for d in DOCUMENTS]


def signing_request() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(new_key(), hashes.SHA256())
    return base64.b64encode(request.public_bytes(Encoding.PEM)).decode()


def settled(document: dict[str, Any], server: ApiServer) -> dict[str, Any]:
    """A document with a name, and with the certificates that it needs."""
    document = {**document, "metadata": {"name": "x", **document.get("metadata", {})}}
    if document.get("spec", {}).get("request") == "CSR":
        document["spec"] = {**document["spec"], "request": signing_request()}
    if document.get("spec", {}).get("trustBundle") == "CA":
        document["spec"] = {"trustBundle": server.ca.decode()}
    return document


def test_no_kind_is_left_out() -> None:
    shown = {kind_of(d["object"]).type_key for d in DOCUMENTS}
    assert shown == {kind.type_key for kind in scheme.KINDS if kind.stored}


@pytest.mark.parametrize(("document", "becomes"), CASES)
async def test_life(api: Api, server: ApiServer, document: dict[str, Any], becomes: dict[str, Any]) -> None:
    kind = kind_of(document)
    document = settled(document, server)
    name = document["metadata"]["name"]
    path, one = kind.path("default"), kind.path("default", name)

    made = await api.made(f"{path}?fieldValidation=Strict", document)
    holds(becomes, made)
    assert (made["apiVersion"], made["kind"]) == (kind.api_version, kind.kind)
    assert (await api("GET", one)).body == made
    assert (await api("POST", path, document)).body["reason"] == "AlreadyExists"

    await reads(api, kind, made, path, one)

    labelled = await api("PATCH", one, {"metadata": {"labels": {"l": "v"}}}, "application/merge-patch+json")
    assert labelled.status == 200, labelled.body
    found = (await api("GET", f"{path}?labelSelector=l%3Dv&fieldSelector=metadata.name%3D{name}")).body["items"]
    assert [item["metadata"]["name"] for item in found] == [name]
    # A write that changes nothing is none.
    same = await api("PUT", one, labelled.body)
    assert (same.status, same.body) == (200, labelled.body)
    stale = await api("PUT", one, made)
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")

    if "status" in kind.subresources:
        await status(api, kind, one, labelled.body)

    gone = await api("DELETE", f"{one}?gracePeriodSeconds=0")
    assert gone.status == 200, gone.body
    if "finalizers" not in gone.body["metadata"]:
        assert gone.body["kind"] == (kind.kind if kind.kind in SHOWN else "Status")
    else:  # storage that is protected
        assert (await api("GET", one)).body["metadata"]["deletionTimestamp"]
        await api("PATCH", one, {"metadata": {"finalizers": None}}, "application/merge-patch+json")
    if kind.kind != "Namespace":
        assert (await api("GET", one)).status == 404


async def reads(api: Api, kind: Kind, made: dict[str, Any], path: str, one: str) -> None:
    """A table, protobuf there and back, metadata alone."""
    table = (await api("GET", path, accept=TABLE)).body
    assert table["kind"] == "Table"
    row = next(r for r in table["rows"] if r["object"]["metadata"]["name"] == made["metadata"]["name"])
    assert len(row["cells"]) == len(table["columnDefinitions"])
    binary = await api("GET", one, accept=PROTOBUF)
    assert binary.headers["content-type"] == PROTOBUF
    back, unknown, duplicate = native.wire_decode(kind.type_key, "protobuf", binary.raw)
    assert (unknown, duplicate) == ([], [])
    plain = json.loads((await api("GET", one)).raw)
    for claim in plain.get("spec", {}).get("volumeClaimTemplates", ()):
        # Protobuf names the kind of the outermost object alone.
        del claim["kind"], claim["apiVersion"]
    # Protobuf knows no empty list, which JSON shows as null.
    assert json.loads(nulls.written(kind.struct, back)) == plain
    partial = (await api("GET", one, accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")).body
    assert partial["metadata"] == made["metadata"]


@pytest.mark.parametrize(("document", "becomes"), CASES)
async def test_forms(api: Api, server: ApiServer, document: dict[str, Any], becomes: dict[str, Any]) -> None:
    """Dry runs, strictness, apply, watches, selectors and pages, of every kind."""
    kind = kind_of(document)
    document = settled(document, server)
    name = document["metadata"]["name"]
    path, one = kind.path("default"), kind.path("default", name)

    tried = await api("POST", f"{path}?dryRun=All&fieldValidation=Strict", document)
    assert tried.status == 201, tried.body
    assert (await api("GET", one)).status == 404
    strict = await api("POST", f"{path}?fieldValidation=Strict", {**document, "metadata": {"name": name, "nope": 1}})
    assert strict.status == 400
    assert strict.message.endswith('strict decoding error: unknown field "metadata.nope"')

    before = (await api("GET", f"{path}?limit=1")).body["metadata"]["resourceVersion"]
    applied = await api("PATCH", f"{one}?fieldManager=me", document, "application/apply-patch+yaml")
    assert applied.status == 201, applied.body
    holds(becomes, applied.body)
    # Who has applied no field owns nothing, and is not noted.
    owners = [
        (e["manager"], e["operation"], e["apiVersion"]) for e in applied.body["metadata"].get("managedFields", [])
    ]
    empty = not document.keys() - {"apiVersion", "kind", "metadata"} and document["metadata"].keys() <= {
        "name",
        "namespace",
    }
    assert owners == ([] if empty else [("me", "Apply", kind.api_version)])
    if not empty:
        again = await api("PATCH", f"{one}?fieldManager=me", document, "application/apply-patch+yaml")
        assert (again.status, again.body) == (200, applied.body)

    query = f"watch=true&resourceVersion={before}&fieldSelector=metadata.name%3D{name}"
    async with api.stream(f"{path}?{query}") as exchange:
        event = await anext(events(exchange))
    assert (event["type"], event["object"]) == ("ADDED", applied.body)

    if not kind.storage:
        for field, place in strategy_of(kind).fields:
            await selected(api, path, field, at(applied.body, place), name)
    unknown = await api("GET", f"{path}?fieldSelector=nope%3Dx")
    assert (unknown.status, unknown.body["reason"]) == (400, "BadRequest")

    listed, token = [], ""
    while True:
        page = (await api("GET", f"{path}?limit=1&continue={token}")).body
        listed += [item["metadata"]["name"] for item in page["items"]]
        if not (token := page["metadata"].get("continue", "")):
            break
    whole = (await api("GET", path)).body
    assert listed == [item["metadata"]["name"] for item in whole["items"]]
    assert name in listed
    await lists(api, kind, path, whole)
    await collection(api, kind, path, applied.body)


async def lists(api: Api, kind: Kind, path: str, whole: dict[str, Any]) -> None:
    """No item of a list says what it is, in JSON or in protobuf."""
    assert (whole["kind"], whole["apiVersion"]) == (f"{kind.kind}List", kind.api_version)
    assert not any({"kind", "apiVersion"} & item.keys() for item in whole["items"])
    binary = await api("GET", path, accept=PROTOBUF)
    back, unknown, _ = native.wire_decode(f"{kind.type_key}List", "protobuf", binary.raw)
    assert unknown == []
    named = [(i["metadata"]["name"], i.keys() & {"kind", "apiVersion"}) for i in json.loads(back)["items"]]
    assert named == [(item["metadata"]["name"], set()) for item in whole["items"]]


async def collection(api: Api, kind: Kind, path: str, made: dict[str, Any]) -> None:
    """A collection is deleted as a rehearsal, then in earnest, and a watch tells of it."""
    name, version = made["metadata"]["name"], made["metadata"]["resourceVersion"]
    query = f"{path}?fieldSelector=metadata.name%3D{name}&gracePeriodSeconds=0"
    if "deletecollection" not in kind.verbs:
        assert (await api("DELETE", query)).status == 405
        return
    tried = await api("DELETE", f"{query}&dryRun=All")
    assert tried.status == 200, tried.body
    gone = await api("DELETE", query)
    assert (gone.status, gone.body["kind"]) == (200, f"{kind.kind}List"), gone.body
    assert [item["metadata"]["name"] for item in gone.body["items"]] == [name]
    watch = f"watch=true&resourceVersion={version}&fieldSelector=metadata.name%3D{name}"
    async with api.stream(f"{path}?{watch}") as exchange:
        told = events(exchange)
        event = await anext(told)
        while event["type"] == "MODIFIED" and not event["object"]["metadata"].get("deletionTimestamp"):
            event = await anext(told)
    # Storage that is protected waits for who protects it.
    wanted = "MODIFIED" if event["object"]["metadata"].get("finalizers") else "DELETED"
    assert (event["type"], event["object"]["metadata"]["name"]) == (wanted, name)


async def selected(api: Api, path: str, field: str, value: str, name: str) -> None:
    """An object is found by a field's value, and by no other."""
    for operator, there in (("%3D", True), ("!%3D", False)):
        found = (await api("GET", f"{path}?fieldSelector={quote(field)}{operator}{quote(value, safe='')}")).body[
            "items"
        ]
        assert (name in [item["metadata"]["name"] for item in found]) == there, (field, operator, value)


def at(tree: Any, place: str) -> str:
    """What a field selector sees at a path: `a.b`, with `|` another path for nothing, with `=` what nothing means."""
    for path in place.split("|"):
        path, _, nothing = path.partition("=")
        value = tree
        for part in path.split("."):
            value = value.get(part) if isinstance(value, dict) else None
        if value is not None:
            return str(value).lower() if isinstance(value, bool) else str(value)
    return nothing


async def status(api: Api, kind: Kind, one: str, before: dict[str, Any]) -> None:
    """The status endpoint changes no spec, the main one no status."""
    got = await api("GET", f"{one}/status")
    assert got.body == before
    changed = {**before, "metadata": {**before["metadata"], "finalizers": None}}
    answer = await api("PUT", f"{one}/status", changed)
    assert answer.status == 200, answer.body
    assert answer.body.get("spec") == before.get("spec")
    assert answer.body["metadata"].get("generation") == before["metadata"].get("generation")
