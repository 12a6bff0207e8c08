"""OpenAPI of custom resources, in the documents of the built-in kinds: apiextensions' pkg/controller/openapi."""

import hashlib
import zlib
from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from orlop.api import scheme
from orlop.apiserver import openapi, openapi_protobuf
from orlop.apiserver.crd.discovery import custom_of
from orlop.apiserver.crd.kind import CustomKind
from orlop.apiserver.crd.served import Served, Swagger
from orlop.apiserver.openapi_operations import types_of
from orlop.apiserver.openapi_paths import JSON, Paths
from orlop.apiserver.openapi_schemas import PATCH, Dialect, Schema, name_of

META_KEY, LIST_META_KEY = "meta/v1.ObjectMeta", "meta/v1.ListMeta"
_API_VERSION = {
    "type": "string",
    "description": "APIVersion defines the versioned schema of this representation of an object.",
}
_KIND = {"type": "string", "description": "Kind is a string value representing the REST resource this object is."}
_METADATA = "Standard object's metadata."
_PATCHES = ["application/json-patch+json", "application/merge-patch+json", "application/apply-patch+yaml"]
_PRODUCES = [JSON, "application/yaml"]
SHARED = ("io.k8s.apimachinery.", "io.k8s.api.")
"""Definitions that every API server has."""
_SCHEMA_LISTS = ("allOf", "anyOf", "oneOf")

Document = tuple[str, bytes]
"""A document's hash, and the document compressed."""


def model_name(kind: CustomKind, suffix: str = "") -> str:
    """`com.example.v1.Widget`: the group's parts turned round."""
    name = kind.list_kind if suffix else kind.kind
    return f"{'.'.join(reversed(kind.group.split('.')))}.{kind.version}.{name}"


class _Dialect(Dialect):
    """Knows the custom kinds' keys besides those of the table."""

    def __init__(self, version: int, kinds: Sequence[CustomKind]) -> None:
        super().__init__(version)
        self._names = {kind.type_key: model_name(kind) for kind in kinds}
        self._names |= {f"{kind.type_key}List": model_name(kind, "List") for kind in kinds}

    def ref(self, key: str) -> Schema:
        name = self._names.get(key)
        return super().ref(key) if name is None else {"$ref": self.prefix + name}


class _Paths(Paths):
    patches: ClassVar[list[str]] = _PATCHES
    produces: ClassVar[list[str]] = _PRODUCES
    watch_produces: ClassVar[list[str]] = [*_PRODUCES, "application/json;stream=watch"]


def _unfolded(schema: Any) -> Any:
    """int-or-string said in OpenAPI's words too."""
    if isinstance(schema, dict):
        out = {name: _unfolded(value) for name, value in schema.items()}
        if out.get("x-kubernetes-int-or-string") is True and isinstance(schema.get("x-kubernetes-int-or-string"), bool):
            either: list[Schema] = [{"type": "integer"}, {"type": "string"}]
            every: list[Any] = out.get("allOf") or [{}]
            first = every[0]
            if out.get("anyOf") != either and first.get("anyOf") != either:
                if "anyOf" not in out:
                    out["anyOf"] = either
                else:
                    out["allOf"] = [{"anyOf": either}, *out.get("allOf", [])]
        return out
    if isinstance(schema, list):
        return [_unfolded(item) for item in schema]
    return schema


def _v2(schema: Schema) -> Schema:
    """What Swagger 2.0, and kubectl's reading of it, has no words for is left out."""
    out = {k: v for k, v in schema.items() if k not in (*_SCHEMA_LISTS, "not", "nullable")}
    preserves = schema.get("x-kubernetes-preserve-unknown-fields") is True
    if schema.get("nullable") or preserves:
        for name in ("items", "properties"):
            out.pop(name, None)
        if schema.get("nullable") or schema.get("type") in ("object", "array"):
            out.pop("type", None)
    if "properties" in out:
        nullable = {n for n, p in out["properties"].items() if p.get("nullable")}
        if required := [n for n in out.get("required", ()) if n not in nullable]:
            out["required"] = required
        else:
            out.pop("required", None)
        out["properties"] = {n: _v2(p) for n, p in out["properties"].items()}
    if isinstance(out.get("items"), dict):
        out["items"] = _v2(out["items"])
    if isinstance(out.get("additionalProperties"), dict):
        out["additionalProperties"] = _v2(out["additionalProperties"])
    return out


def _embedded(schema: Schema, dialect: Dialect) -> None:
    """Resources within resources have what every resource has."""
    for below in (*schema.get("properties", {}).values(), schema.get("items"), schema.get("additionalProperties")):
        if isinstance(below, dict):
            _embedded(below, dialect)
    if schema.get("x-kubernetes-preserve-unknown-fields") and not dialect.v3:
        return
    if schema.get("x-kubernetes-embedded-resource"):
        _typed(schema, dialect)
        schema["required"] = [*schema.get("required", []), *(n for n in ("kind", "apiVersion"))]


def _typed(schema: Schema, dialect: Dialect, metadata: str = META_KEY) -> None:
    ref = dialect.ref(metadata)
    described: Schema = {"allOf": [ref], "description": _METADATA} if dialect.v3 else {**ref, "description": _METADATA}
    if dialect.v3:
        described["default"] = {}
    properties = dict(schema.get("properties", {}))
    properties |= {"apiVersion": dict(_API_VERSION), "kind": dict(_KIND), "metadata": described}
    schema["properties"] = dict(sorted(properties.items()))


def _schema(kind: CustomKind, dialect: Dialect) -> Schema:
    text = kind.definition.schema_json()
    given: Schema = msgspec.json.decode(text) if text is not None else {}
    preserves = given.get("x-kubernetes-preserve-unknown-fields") is True
    if text is None or (preserves and not dialect.v3):
        out: Schema = {"type": "object"}
    else:
        out = _unfolded(given)
        if not dialect.v3:
            out = _v2(out)
        _embedded(out, dialect)
        _typed(out, dialect)
    out["x-kubernetes-group-version-kind"] = [_gvk(kind, kind.kind)]
    _fields(kind, out)
    return out


def _fields(kind: CustomKind, out: Schema) -> None:
    if kind.definition.selectable_fields:
        names = [{"fieldPath": f.json_path.removeprefix(".")} for f in kind.definition.selectable_fields]
        out["x-kubernetes-selectable-fields"] = names


def _list_schema(kind: CustomKind, dialect: Dialect) -> Schema:
    out: Schema = {
        "description": f"{kind.list_kind} is a list of {kind.kind}",
        "type": "object",
        "required": ["items"],
        "properties": {
            "items": {"type": "array", "items": dialect.ref(kind.type_key), "description": f"List of {kind.plural}."}
        },
    }
    _typed(out, dialect, LIST_META_KEY)
    out["x-kubernetes-group-version-kind"] = [_gvk(kind, kind.list_kind)]
    _fields(kind, out)
    return out


def _gvk(kind: CustomKind, name: str) -> dict[str, str]:
    return {"group": kind.group, "kind": name, "version": kind.version}


def _parts(version: int, kinds: Sequence[CustomKind]) -> tuple[dict[str, Any], dict[str, Schema]]:
    """Paths and schemas of custom kinds, and of what their paths speak of besides."""
    dialect = _Dialect(version, kinds)
    writer = _Paths(dialect)
    paths: dict[str, Any] = {}
    schemas: dict[str, Schema] = {}
    keys = {META_KEY, LIST_META_KEY, "meta/v1.WatchEvent"} - {"meta/v1.WatchEvent"}
    for kind in kinds:
        paths |= writer.of(kind)
        schemas[model_name(kind)] = _schema(kind, dialect)
        schemas[model_name(kind, "List")] = _list_schema(kind, dialect)
        keys |= {key for key in types_of(kind) if not key.startswith(kind.type_key)}
    if version == 3:
        for key in dialect.closure(keys):
            schemas[name_of(key)] = dialect.schema(key)
        schemas[PATCH] = {"description": "Patch is a change to an object.", "type": "object"}
    return dict(sorted(paths.items())), dict(sorted(schemas.items()))


def v3(served: Served, group: str, version: str) -> Document | None:
    """The document of a group's version; None if no custom kind is in it."""
    key = ("v3", group, version)
    if key not in served.memo:
        kinds = [k for k in custom_of(served, group, version) if isinstance(k, CustomKind)]
        if not kinds:
            return None
        kept = served.documents.get((group, version))
        if kept is None or kept[0] != [k.key for k in kinds]:
            served.documents[(group, version)] = kept = ([k.key for k in kinds], _v3(group, version, kinds))
        served.memo[key] = kept[1]
    found: Document = served.memo[key]
    return found


def _v3(group: str, version: str, kinds: list[CustomKind]) -> Document:
    with openapi.building():
        paths, schemas = _parts(3, kinds)
        built_in = [k for k in scheme.KINDS if (k.group, k.version) == (group, version)]
        if built_in:
            with_ours = msgspec.json.decode(openapi.document_v3(group, version, built_in))
            paths = with_ours["paths"] | paths
            schemas = with_ours["components"]["schemas"] | schemas
        document = msgspec.json.encode(
            {
                "openapi": "3.0.0",
                "info": openapi.INFO,
                "paths": paths,
                "components": {"schemas": schemas, "securitySchemes": openapi.BEARER},
            }
        )
    return hashlib.sha512(document).hexdigest().upper(), zlib.compress(document, 1)


def root(served: Served, hashes: dict[str, str]) -> bytes:
    """/openapi/v3 with the custom group-versions in it."""
    if "v3 root" not in served.memo:
        place = openapi.place_of
        ours = {place(*gv): found[0] for gv in served.group_versions() if (found := v3(served, *gv)) is not None}
        theirs = {place(*gv): r.documents.hash for gv, r in served.remote.items() if r.documents.hash}
        away = {place(*gv) for gv in served.remote}
        kept = {path: hash_ for path, hash_ in (hashes | ours).items() if path not in away}
        served.memo["v3 root"] = openapi.root_v3(kept | theirs)
    body: bytes = served.memo["v3 root"]
    return body


def _every(served: Served) -> list[CustomKind]:
    return sorted(served.kinds(), key=lambda k: (k.group, k.version, k.plural))


def _swagger(served: Served) -> list[Swagger]:
    """What of /openapi/v2 is not built in: a part for each custom kind, kept while it is served, and others'."""
    kept: dict[str, Swagger] = {}
    with openapi.building():
        for kind in _every(served):
            kept[kind.key] = served.swagger.get(kind.key) or _part(*_parts(2, [kind]))
    served.swagger = kept
    parts = list(kept.values())
    ours = {name_of(key) for kind in scheme.KINDS for key in (kind.type_key, f"{kind.type_key}List")}
    for remote in served.remote.values():
        if remote.documents.paths:
            paths: dict[str, Any] = msgspec.json.decode(zlib.decompress(remote.documents.paths))
            theirs: dict[str, Schema] = msgspec.json.decode(zlib.decompress(remote.documents.definitions))
            # What a server says of types that are everybody's is said here already.
            own = {n: s for n, s in theirs.items() if not n.startswith(SHARED) and n not in ours}
            parts.append(_part(paths, own))
    return parts


def _part(paths: dict[str, Any], schemas: dict[str, Schema]) -> Swagger:
    try:
        said = zlib.compress(openapi_protobuf.more(paths, schemas), 1)
    except (KeyError, TypeError, AttributeError):
        said = zlib.compress(b"")  # another server's document, with forms that this encoder does not know: JSON has it
    return Swagger(zlib.compress(_further(paths), 1), zlib.compress(_further(schemas), 1), said)


def _further(members: dict[str, Any]) -> bytes:
    """Members of an object that has some already."""
    return b"," + msgspec.json.encode(members)[1:-1] if members else b""


def v2(served: Served, built_in: bytes) -> bytes:
    """/openapi/v2 with the custom kinds in it."""
    if not served.group_versions() and not served.remote:
        return built_in
    # No path has a key "definitions", but a definition has; what stands behind the definitions is known.
    ends = built_in.index(b'},"definitions":{'), built_in.rindex(b'},"securityDefinitions":{')
    parts = _swagger(served)
    return b"".join(
        (
            built_in[: ends[0]],
            *(zlib.decompress(part.paths) for part in parts),
            built_in[ends[0] : ends[1]],
            *(zlib.decompress(part.schemas) for part in parts),
            built_in[ends[1] :],
        )
    )


def v2_protobuf(served: Served, built_in: bytes) -> bytes:
    """The same in protobuf: a message said twice is one with the fields of both."""
    if not served.group_versions() and not served.remote:
        return built_in
    return b"".join((built_in, *(zlib.decompress(part.protobuf) for part in _swagger(served))))
