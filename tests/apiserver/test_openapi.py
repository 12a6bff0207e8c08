"""The OpenAPI documents hold together, say what clients look for, and serve the real kubectl."""

import json
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.test_kubectl import Kubectl

from orlop.api import scheme
from orlop.apiserver import openapi, openapi_schemas
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer


def document(group: str, version: str) -> Any:
    kinds = [k for k in scheme.KINDS if (k.group, k.version) == (group, version)]
    return json.loads(openapi.document_v3(group, version, kinds))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "$ref" and isinstance(inner, str):
                yield inner
            else:
                yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


@pytest.fixture(scope="module")
def documents() -> dict[tuple[str, str], Any]:
    return {gv: document(*gv) for gv in scheme.group_versions()}


def test_every_reference_leads_somewhere(documents: dict[tuple[str, str], Any]) -> None:
    for value in documents.values():
        names = {f"#/components/schemas/{name}" for name in value["components"]["schemas"]}
        assert set(references(value["paths"])) | set(references(value["components"])) - {"string"} <= names
    v2 = json.loads(openapi.document_v2(scheme.KINDS))
    names = {f"#/definitions/{name}" for name in v2["definitions"]}
    assert set(references(v2)) <= names | {f"#/parameters/{name}" for name in v2["parameters"]}


def test_each_kind_is_found_by_its_group_version_kind(documents: dict[tuple[str, str], Any]) -> None:
    for kind in scheme.KINDS:
        schemas = documents[kind.group, kind.version]["components"]["schemas"]
        wanted = {"group": kind.group, "version": kind.version, "kind": kind.kind}
        found = [name for name, s in schemas.items() if wanted in s.get("x-kubernetes-group-version-kind", [])]
        assert found == [openapi_schemas.name_of(kind.type_key)]


def test_field_validation_is_offered_where_objects_are_written(documents: dict[tuple[str, str], Any]) -> None:
    item = documents["apps", "v1"]["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]
    for method in ("put", "patch"):
        assert "fieldValidation" in {p["name"] for p in item[method]["parameters"]}
    assert item["patch"]["x-kubernetes-group-version-kind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}


def test_a_schema_says_how_its_lists_are_merged(documents: dict[tuple[str, str], Any]) -> None:
    schemas = documents["", "v1"]["components"]["schemas"]
    spec = schemas["io.k8s.api.core.v1.PodSpec"]
    containers = {k: v for k, v in spec["properties"]["containers"].items() if k != "description"}
    assert containers == {
        "type": "array",
        "items": {"$ref": "#/components/schemas/io.k8s.api.core.v1.Container"},
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["name"],
        "x-kubernetes-patch-merge-key": "name",
        "x-kubernetes-patch-strategy": "merge",
    }
    assert spec["required"] == ["containers"]
    assert schemas["io.k8s.api.core.v1.NodeSelector"]["x-kubernetes-map-type"] == "atomic"
    assert schemas["io.k8s.apimachinery.pkg.api.resource.Quantity"]["oneOf"] == [{"type": "string"}, {"type": "number"}]


def test_every_description_has_its_field() -> None:
    for key in openapi_schemas.words():
        if key.startswith(("*.", "?", "version.Info")) or key == "meta/v1.Patch":
            continue  # no type or field of the wire's table
        try:
            openapi_schemas.described(key)
        except LookupError:
            owner, _, field = key.rpartition(".")
            assert field in {f["name"] for f in openapi_schemas.described(owner)["fields"]}, key


@pytest.fixture
async def kubectl(tmp_path: Path) -> AsyncIterator[Kubectl]:
    if not (Path(sys.executable).parent / "kubectl").exists():
        pytest.skip("kubectl is not in the environment")
    kubeconfig = tmp_path / "kubeconfig"
    config = Config(data_dir=tmp_path, store="memory", secure_port=0, write_kubeconfig=kubeconfig)
    async with ApiServer(config):
        yield Kubectl(kubeconfig)


MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - {name: web, image: nginx}
"""


async def test_kubectl_validates_applies_and_explains_with_it(kubectl: Kubectl) -> None:
    wrong = MANIFEST.replace("replicas", "replicsa")
    assert 'unknown field "spec.replicsa"' in await kubectl(
        "create", "--validate=strict", "-f", "-", stdin=wrong, fails=True
    )
    await kubectl("apply", "-f", "-", stdin=MANIFEST)
    await kubectl("apply", "-f", "-", stdin=MANIFEST.replace("image: nginx", "image: httpd"))
    got = json.loads(await kubectl("get", "deployment", "web", "-o", "json"))
    assert [c["image"] for c in got["spec"]["template"]["spec"]["containers"]] == ["httpd"]
    await kubectl("diff", "-f", "-", stdin=MANIFEST.replace("image: nginx", "image: httpd"))
    assert "What runs in the pod" in await kubectl("explain", "pod.spec.containers")
    assert "terminationGracePeriodSeconds\t<integer>" in await kubectl("explain", "pods", "--recursive")
    assert "maxSurge" in await kubectl("explain", "deployment.spec.strategy.rollingUpdate")
    # This one reads v2, in protobuf.
    old = await kubectl("explain", "service.spec.ports", "--output=plaintext-openapiv2")
    assert "targetPort\t<string>" in old
    assert "The port of the Service" in old


def test_paths_are_told_as_upstream_tells_them(documents: dict[tuple[str, str], Any]) -> None:
    """Watches, connections and what belongs to no kind are there; parameters of all methods stand with the path."""
    paths = documents["", "v1"]["paths"]
    watch = paths["/api/v1/watch/namespaces/{namespace}/pods/{name}"]
    assert watch["get"]["operationId"] == "watchCoreV1NamespacedPod"
    assert {p["name"] for p in watch["parameters"]} >= {"name", "namespace", "allowWatchBookmarks", "shardSelector"}
    assert "parameters" not in watch["get"]
    proxy = paths["/api/v1/namespaces/{namespace}/pods/{name}/proxy/{path}"]
    assert set(proxy) == {"delete", "get", "head", "options", "parameters", "patch", "post", "put"}
    assert proxy["put"]["operationId"] == "connectCoreV1PutNamespacedPodProxyWithPath"
    assert [(p["name"], p["in"]) for p in proxy["parameters"]][2:] == [("path", "path"), ("path", "query")]
    assert paths["/api/v1/"]["get"]["operationId"] == "getCoreV1APIResources"
    csr = documents["certificates.k8s.io", "v1"]["paths"]
    assert "/apis/certificates.k8s.io/v1/certificatesigningrequests/{name}/approval" in csr
    role = documents["rbac.authorization.k8s.io", "v1"]["paths"]["/apis/rbac.authorization.k8s.io/v1/clusterroles"]
    assert role["get"]["tags"] == ["rbacAuthorization_v1"]


def test_what_is_no_group_version_has_a_document(documents: dict[tuple[str, str], Any]) -> None:
    found = {place: json.loads(body) for place, body in openapi.documents_v3(["apps"]).items()}
    assert {place: list(body["paths"]) for place, body in found.items()} == {
        "api": ["/api/"],
        "apis": ["/apis/"],
        "version": ["/version/"],
        ".well-known/openid-configuration": ["/.well-known/openid-configuration/"],
        "openid/v1/jwks": ["/openid/v1/jwks/"],
        "apis/apps": ["/apis/apps/"],
    }
    for body in found.values():
        names = {f"#/components/schemas/{name}" for name in body["components"].get("schemas", {})}
        assert set(references(body)) <= names
