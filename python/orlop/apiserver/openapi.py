"""The OpenAPI documents that `kubectl apply`, `explain`, `diff` and `create --validate` read.

They are built from the rows of the scheme and the wire's field table at the first request and never change afterwards.
The shape is upstream's: https://kubernetes.io/docs/concepts/overview/kubernetes-api/#openapi-interface-definition
"""

import base64
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import msgspec

from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.apiserver import openapi_protobuf
from orlop.apiserver.discovery import SUBRESOURCE_KINDS
from orlop.apiserver.openapi_operations import EVENT_KEY, OPTIONS_KEY, STATUS_KEY, SUBRESOURCE_KEYS, types_of
from orlop.apiserver.openapi_paths import JSON, PRODUCES, Paths, camel, tag
from orlop.apiserver.openapi_schemas import PATCH, Dialect, Schema, described, name_of, words

INFO = {"title": "Kubernetes", "version": "1.37"}
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


def _schemas(dialect: Dialect, kinds: Sequence[Kind], more: Iterable[str] = ()) -> dict[str, Schema]:
    keys: set[str] = set(more)
    tagged = {SUBRESOURCE_KEYS[name]: [_gvk(*SUBRESOURCE_KINDS[name])] for name in SUBRESOURCE_KEYS}
    for kind in kinds:
        keys |= types_of(kind)
    for kind in scheme.KINDS:
        if kind.type_key in tagged:
            continue  # served as what another's subresource is
        tagged.setdefault(kind.type_key, []).append(_gvk(kind.group, kind.version, kind.kind))
        if "list" in kind.verbs:
            tagged.setdefault(f"{kind.type_key}List", []).append(_gvk(kind.group, kind.version, kind.list_kind))
    tagged[STATUS_KEY] = [_gvk("", "v1", "Status")]
    for name, of in META_KINDS.items():
        tagged[name] = [_gvk("", "v1", of)]
    versions = {("", "v1")} | {(kind.group, kind.version) for kind in kinds}
    if not dialect.v3:
        versions |= {(kind.group, kind.version) for kind in scheme.OPTIONAL} | OLD_VERSIONS
    for key, name in ((OPTIONS_KEY, "DeleteOptions"), (EVENT_KEY, "WatchEvent")):
        tagged[key] = [_gvk(group, version, name) for group, version in sorted(versions)]
    out: dict[str, Schema] = {}
    for key in dialect.closure(keys):
        schema = dialect.schema(key)
        if key in tagged:
            schema = schema | {"x-kubernetes-group-version-kind": tagged[key]}
        out[name_of(key)] = schema
    if any("patch" in kind.verbs for kind in kinds):
        out[PATCH] = {"description": words()["meta/v1.Patch"], "type": "object"}
    return dict(sorted(out.items()))


OLD_VERSIONS = frozenset(
    (f"{group}{'.k8s.io' if full else ''}", version)
    for group, full, versions in (
        ("admission", True, "v1 v1beta1"),
        ("apiextensions", True, "v1beta1"),
        ("apiregistration", True, "v1beta1"),
        ("apps", False, "v1beta1 v1beta2"),
        ("authentication", True, "v1alpha1 v1beta1"),
        ("authorization", True, "v1beta1"),
        ("batch", False, "v1beta1"),
        ("certificates", True, "v1alpha1 v1beta1"),
        ("discovery", True, "v1beta1"),
        ("events", True, "v1beta1"),
        ("extensions", False, "v1beta1"),
        ("flowcontrol.apiserver", True, "v1beta1 v1beta2 v1beta3"),
        ("imagepolicy", True, "v1alpha1"),
        ("node", True, "v1alpha1 v1beta1"),
        ("policy", False, "v1beta1"),
        ("rbac.authorization", True, "v1alpha1 v1beta1"),
        ("storage", True, "v1alpha1 v1beta1"),
    )
    for version in versions.split()
)
"""What upstream's documents name among the group-versions of DeleteOptions though nobody serves it any more."""
META_KINDS = {
    "meta/v1.APIGroup": "APIGroup",
    "meta/v1.APIGroupList": "APIGroupList",
    "meta/v1.APIResourceList": "APIResourceList",
    "meta/v1.APIVersions": "APIVersions",
}
VERSION_INFO = "io.k8s.apimachinery.pkg.version.Info"


def _version_info(dialect: Dialect) -> Schema:
    """What /version answers: no type of the wire's table."""
    names = (
        *("major", "minor", "emulationMajor", "emulationMinor", "minCompatibilityMajor", "minCompatibilityMinor"),
        *("gitVersion", "gitCommit", "gitTreeState", "buildDate", "goVersion", "compiler", "platform"),
    )
    optional = names[2:6]
    said = words()
    properties: dict[str, Schema] = {}
    for name in names:
        about = said.get(f"version.Info.{name}")
        default = {"default": ""} if dialect.v3 and name not in optional else {}
        properties[name] = ({"description": about} if about else {}) | {"type": "string"} | default
    return {
        "description": said["version.Info"],
        "type": "object",
        "properties": properties,
        "required": [name for name in names if name not in optional],
    }


def _versions_path(paths: Paths, group: str, version: str) -> dict[str, Any]:
    name = f"get{camel(group)}{version.title()}APIResources"
    path = f"/apis/{group}/{version}/" if group else f"/api/{version}/"
    about = "get available resources"
    return {path: paths.simple(about, name, tag(group, version), "meta/v1.APIResourceList", PRODUCES)}


def _group_path(paths: Paths, group: str) -> dict[str, Any]:
    name = f"get{camel(group)}APIGroup"
    return {f"/apis/{group}/": paths.simple("get information of a group", name, tag(group), GROUP_KEY, PRODUCES)}


GROUP_KEY = "meta/v1.APIGroup"


def _single_paths(paths: Paths) -> dict[str, dict[str, Any]]:
    """Document → its one path: what belongs to no group."""
    version = paths.simple("get the version information for this server", "getCodeVersion", "version", "", [JSON])
    shown = {"$ref": paths.dialect.prefix + VERSION_INFO}
    answer = version["get"]["responses"]["200"]
    if paths.dialect.v3:
        answer["content"][JSON]["schema"] = shown
    else:
        answer["schema"] = shown
    about = "get available API versions"
    issuer = "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'"
    keys = "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)"
    name = "getServiceAccountIssuerOpenID"
    return {
        "api": {"/api/": paths.simple(about, "getCoreAPIVersions", "core", "meta/v1.APIVersions", PRODUCES)},
        "apis": {"/apis/": paths.simple(about, "getAPIVersions", "apis", "meta/v1.APIGroupList", PRODUCES)},
        "version": {"/version/": version},
        ".well-known/openid-configuration": {
            "/.well-known/openid-configuration/": paths.simple(issuer, f"{name}Configuration", "WellKnown", "", [JSON])
        },
        "openid/v1/jwks": {
            "/openid/v1/jwks/": paths.simple(keys, f"{name}Keyset", "openid", "", ["application/jwk-set+json"])
        },
    }


def _paths(dialect: Dialect, kinds: Sequence[Kind]) -> dict[str, Any]:
    paths = Paths(dialect)
    out: dict[str, Any] = {}
    for kind in kinds:
        out |= paths.of(kind)
    for group, version in {(kind.group, kind.version) for kind in kinds}:
        out |= _versions_path(paths, group, version)
    return dict(sorted(out.items()))


def _v3(paths: dict[str, Any], schemas: dict[str, Schema]) -> bytes:
    components: dict[str, Any] = {"securitySchemes": BEARER}
    if schemas:
        components["schemas"] = schemas
    return msgspec.json.encode({"openapi": "3.0.0", "info": INFO, "paths": paths, "components": components})


def document_v3(group: str, version: str, kinds: Sequence[Kind]) -> bytes:
    """/openapi/v3/apis/GROUP/VERSION as JSON: the paths and schemas of the kinds served there."""
    dialect = _dialect(3)
    return _v3(_paths(dialect, kinds), _schemas(dialect, kinds, ("meta/v1.APIResourceList",)))


def documents_v3(groups: Iterable[str]) -> dict[str, bytes]:
    """The documents of what is no group-version: the groups themselves, discovery, version and the issuer's keys."""
    dialect = _dialect(3)
    paths = Paths(dialect)
    answers = {"api": "meta/v1.APIVersions", "apis": "meta/v1.APIGroupList"}
    out: dict[str, bytes] = {}
    for place, item in _single_paths(paths).items():
        schemas = _schemas(dialect, (), [answers[place]] if place in answers else ())
        out[place] = _v3(item, schemas | ({VERSION_INFO: _version_info(dialect)} if place == "version" else {}))
    for group in groups:
        out[f"apis/{group}"] = _v3(_group_path(paths, group), _schemas(dialect, (), [GROUP_KEY]))
    return out


def _swagger(kinds: Sequence[Kind]) -> dict[str, Any]:
    dialect = _dialect(2)
    builder = Paths(dialect)
    paths = _paths(dialect, kinds)
    for item in _single_paths(builder).values():
        paths |= item
    for group in {kind.group for kind in kinds if kind.group}:
        paths |= _group_path(builder, group)
    more = ("meta/v1.APIResourceList", "meta/v1.APIGroupList", "meta/v1.APIVersions")
    parameters = _shared(paths)
    definitions = _schemas(dialect, kinds, more) | {VERSION_INFO: _version_info(dialect)}
    return {
        "swagger": "2.0",
        "info": INFO,
        "parameters": parameters,
        "paths": dict(sorted(paths.items())),
        "definitions": dict(sorted(definitions.items())),
        "securityDefinitions": BEARER,
        "security": [{"BearerToken": []}],
    }


_INLINE = {"name", "dryRun", "fieldValidation"}
"""Parameters that stay where they are: kubectl before 1.27 looks for them there, and follows no reference."""


def _shared(paths: dict[str, Any]) -> dict[str, Any]:
    """Takes parameters that stand in many places out of them, and gives them names of their own."""
    shared: dict[str, Any] = {}
    for item in paths.values():
        for place in (item, *item.values()):
            parameters: list[Any] = place.get("parameters", []) if isinstance(place, dict) else []
            for i, said in enumerate(parameters):
                if said["name"] in _INLINE or (said["name"] == "body" and not _is_shared_body(said)):
                    continue
                digest = base64.urlsafe_b64encode(hashlib.sha256(msgspec.json.encode(said, order="sorted")).digest())
                name = f"{said['name']}-{digest[:8].decode()}"
                shared[name] = said
                parameters[i] = {"$ref": f"#/parameters/{name}"}
    return dict(sorted(shared.items()))


def _is_shared_body(said: dict[str, Any]) -> bool:
    """Whether a body is one that all kinds have: a patch, or how to delete."""
    return bool(said["schema"].get("$ref", "").endswith((".Patch", ".DeleteOptions")))


def document_v2(kinds: Sequence[Kind]) -> bytes:
    """/openapi/v2 as JSON (Swagger 2.0): every kind that is served."""
    return msgspec.json.encode(_swagger(kinds))


def document_v2_protobuf(kinds: Sequence[Kind]) -> bytes:
    """/openapi/v2 as gnostic's protobuf."""
    return openapi_protobuf.document(_swagger(kinds))


def root_v3(hashes: Mapping[str, str]) -> bytes:
    """/openapi/v3: where each document is. The hash makes its address change with its content."""
    paths = {
        path: {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"} for path, digest in sorted(hashes.items())
    }
    return msgspec.json.encode({"paths": paths})


def place_of(group: str, version: str) -> str:
    """Where a group-version's document is, below /openapi/v3/."""
    return f"apis/{group}/{version}" if group else f"api/{version}"
