"""The OpenAPI documents that `kubectl apply`, `explain`, `diff` and `create --validate` read.

They are built from the rows of the scheme and the wire's field table at the first request and never change afterwards.
The shape is upstream's: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec

from orlop.api.scheme import Kind
from orlop.apiserver import openapi_protobuf
from orlop.apiserver.openapi_paths import STATUS_KEY, Paths, types_of
from orlop.apiserver.openapi_schemas import PATCH, Dialect, Schema, described, name_of, words

INFO = {"title": "Kubernetes", "version": "v1.37.0"}
BEARER = {
    "BearerToken": {
        "description": "Bearer Token authentication",
        "in": "header",
        "name": "authorization",
        "type": "apiKey",
    }
}


@contextmanager
def building() -> Iterator[None]:
    """Within it, documents are built; then what they share is forgotten."""
    try:
        yield
    finally:
        for made in (_dialect, words, described):
            made.cache_clear()


@lru_cache(2)
def _dialect(version: int) -> Dialect:
    """Schemas are built once for all documents of a version."""
    return Dialect(version)


def _gvk(group: str, version: str, kind: str) -> dict[str, str]:
    return {"group": group, "kind": kind, "version": version}


def _schemas(dialect: Dialect, kinds: Sequence[Kind]) -> dict[str, Schema]:
    keys: set[str] = {STATUS_KEY}
    tagged: dict[str, list[dict[str, str]]] = {}
    for kind in kinds:
        keys |= types_of(kind)
        tagged.setdefault(kind.type_key, []).append(_gvk(kind.group, kind.version, kind.kind))
        if "list" in kind.verbs:
            tagged.setdefault(f"{kind.type_key}List", []).append(_gvk(kind.group, kind.version, kind.list_kind))
    tagged["meta/v1.DeleteOptions"] = [
        _gvk(g, v, "DeleteOptions") for g, v in sorted({(k.group, k.version) for k in kinds})
    ]
    tagged[STATUS_KEY] = [_gvk("", "v1", "Status")]
    out: dict[str, Schema] = {}
    for key in dialect.closure(keys):
        schema = dialect.schema(key)
        if key in tagged:
            schema = schema | {"x-kubernetes-group-version-kind": tagged[key]}
        out[name_of(key)] = schema
    out[PATCH] = {
        "description": "Patch is a change to an object, in the form that the content type names.",
        "type": "object",
    }
    return dict(sorted(out.items()))


def _paths(dialect: Dialect, kinds: Sequence[Kind]) -> dict[str, Any]:
    paths = Paths(dialect)
    out: dict[str, Any] = {}
    for kind in kinds:
        out |= paths.of(kind)
    return dict(sorted(out.items()))


def document_v3(group: str, version: str, kinds: Sequence[Kind]) -> bytes:
    """/openapi/v3/apis/GROUP/VERSION as JSON: the paths and schemas of the kinds served there."""
    dialect = _dialect(3)
    document = {
        "openapi": "3.0.0",
        "info": INFO,
        "paths": _paths(dialect, kinds),
        "components": {"schemas": _schemas(dialect, kinds), "securitySchemes": BEARER},
    }
    return msgspec.json.encode(document)


def _swagger(kinds: Sequence[Kind]) -> dict[str, Any]:
    dialect = _dialect(2)
    return {
        "swagger": "2.0",
        "info": INFO,
        "paths": _paths(dialect, kinds),
        "definitions": _schemas(dialect, kinds),
        "securityDefinitions": BEARER,
        "security": [{"BearerToken": []}],
    }


def document_v2(kinds: Sequence[Kind]) -> bytes:
    """/openapi/v2 as JSON (Swagger 2.0): every kind that is served."""
    return msgspec.json.encode(_swagger(kinds))


def document_v2_protobuf(kinds: Sequence[Kind]) -> bytes:
    """/openapi/v2 as gnostic's protobuf."""
    return openapi_protobuf.document(_swagger(kinds))


def root_v3(hashes: Mapping[tuple[str, str], str]) -> bytes:
    """/openapi/v3: where each group-version's document is. The hash makes its address change with its content."""
    paths = {}
    for (group, version), digest in sorted(hashes.items()):
        path = f"apis/{group}/{version}" if group else f"api/{version}"
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return msgspec.json.encode({"paths": paths})
