"""Every kind that is stored lives its whole life: made, read in all forms, listed, watched, changed, deleted."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from tests.apiserver.conftest import Api
from tests.apiserver.test_rules import holds

from orlop import native
from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.apiserver.server import ApiServer
from orlop.pki.authority import new_key

DOCUMENTS = yaml.safe_load(Path(__file__).with_name("every_kind.yaml").read_text())
TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def kind_of(document: dict[str, Any]) -> Kind:
    kind = scheme.by_kind(document["apiVersion"], document["kind"])
    assert kind is not None
    return kind


CASES = [pytest.param(d["object"], d.get("becomes", {}), id=kind_of(d["object"]).type_key) for d in DOCUMENTS]


def signing_request() -> str:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(new_key(), hashes.SHA256())
    return base64.b64encode(request.public_bytes(Encoding.PEM)).decode()


def test_no_kind_is_left_out() -> None:
    shown = {kind_of(d["object"]).type_key for d in DOCUMENTS}
    assert shown == {kind.type_key for kind in scheme.KINDS if kind.stored}


@pytest.mark.parametrize(("document", "becomes"), CASES)
async def test_life(api: Api, server: ApiServer, document: dict[str, Any], becomes: dict[str, Any]) -> None:
    kind = kind_of(document)
    document = {**document, "metadata": {"name": "x", **document.get("metadata", {})}}
    if document.get("spec", {}).get("request") == "CSR":
        document["spec"] = {**document["spec"], "request": signing_request()}
    if document.get("spec", {}).get("trustBundle") == "CA":
        document["spec"] = {"trustBundle": server.ca.decode()}
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
    if "finalizers" in gone.body["metadata"]:  # storage that is protected
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
    assert json.loads(back) == plain
    partial = (await api("GET", one, accept="application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")).body
    assert partial["metadata"] == made["metadata"]


async def status(api: Api, kind: Kind, one: str, before: dict[str, Any]) -> None:
    """The status endpoint changes no spec, the main one no status."""
    got = await api("GET", f"{one}/status")
    assert got.body == before
    changed = {**before, "metadata": {**before["metadata"], "finalizers": None}}
    answer = await api("PUT", f"{one}/status", changed)
    assert answer.status == 200, answer.body
    assert answer.body.get("spec") == before.get("spec")
    assert answer.body["metadata"].get("generation") == before["metadata"].get("generation")
