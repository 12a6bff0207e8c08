"""What is known of one group-version that another API server serves."""

import zlib
from typing import Any, NamedTuple

import msgspec

from orlop.apiserver.aggregate.backends import Backend, Backends

DISCOVERY = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
"""Aggregated where it is known, plain else."""


class Documents(NamedTuple):
    """What an extension server says of itself."""

    resources: tuple[Any, ...] = ()
    """APIResourceDiscovery of each resource, as JSON has it."""
    hash: str = ""
    """Of its OpenAPI v3 document; "" if it has none."""
    paths: bytes = b""
    """Of its OpenAPI v2 document, compressed JSON."""
    definitions: bytes = b""


class Remote(NamedTuple):
    """A group-version with the server behind it."""

    name: str
    """Of the APIService."""
    group: str
    version: str
    backend: Backend
    group_priority: int
    version_priority: int
    available: bool = False
    documents: Documents = Documents()


class DiscoveryFailed(Exception):
    """An extension server that does not say what it serves."""


async def discover(backends: Backends, backend: Backend, group: str, version: str) -> tuple[Any, ...]:
    """The resources that a server says it has. Raises DiscoveryFailed, ApiError, aiohttp.ClientError, OSError."""
    found = await backends.get(backend, "/apis", DISCOVERY)
    if found.status == 200 and "apidiscovery" in found.media:
        tree = msgspec.json.decode(found.body)
        for item in tree.get("items", ()):
            if item.get("metadata", {}).get("name") != group:
                continue
            for one in item.get("versions", ()):
                if one.get("version") == version:
                    return tuple(one.get("resources", ()))
    plain = await backends.get(backend, f"/apis/{group}/{version}", "application/json")
    if plain.status != 200:
        raise DiscoveryFailed(f"bad status from /apis/{group}/{version}: {plain.status}")
    listed = msgspec.json.decode(plain.body).get("resources") or []
    return tuple(_aggregated(listed, group, version))


def _aggregated(listed: list[dict[str, Any]], group: str, version: str) -> list[dict[str, Any]]:
    """A plain list of resources in the form of aggregated discovery."""
    out: dict[str, dict[str, Any]] = {}
    for one in sorted(listed, key=lambda r: "/" in r["name"]):
        name, _, sub = one["name"].partition("/")
        kind = {
            "group": one.get("group") or group,
            "version": one.get("version") or version,
            "kind": one.get("kind", ""),
        }
        if sub and name in out:
            part = {"subresource": sub, "responseKind": kind, "verbs": one.get("verbs", [])}
            out[name].setdefault("subresources", []).append(part)
        elif not sub:
            out[name] = {
                "resource": name,
                "responseKind": kind,
                "scope": "Namespaced" if one.get("namespaced") else "Cluster",
                "singularResource": one.get("singularName", ""),
                "verbs": one.get("verbs", []),
                **{key: one[key] for key in ("shortNames", "categories") if one.get(key)},
            }
    return list(out.values())


async def describe(backends: Backends, backend: Backend, group: str, version: str) -> tuple[str, bytes, bytes]:
    """The hash of the OpenAPI v3 document, and paths and definitions of v2; empty where there is none."""
    place = f"apis/{group}/{version}"
    digest, paths, definitions = "", b"", b""
    found = await backends.get(backend, "/openapi/v3", "application/json")
    if found.status == 200:
        where = msgspec.json.decode(found.body).get("paths", {}).get(place, {}).get("serverRelativeURL", "")
        digest = where.partition("hash=")[2]
    found = await backends.get(backend, "/openapi/v2", "application/json")
    if found.status == 200:
        tree = msgspec.json.decode(found.body)
        ours = {p: v for p, v in tree.get("paths", {}).items() if p.startswith(f"/{place}/")}
        paths = zlib.compress(msgspec.json.encode(ours), 1)
        definitions = zlib.compress(msgspec.json.encode(_led_to(ours, tree.get("definitions", {}))), 1)
    return digest, paths, definitions


def _led_to(paths: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The definitions that paths refer to, and those that these do."""
    todo = list(_references(paths))
    out: dict[str, Any] = {}
    while todo:
        name = todo.pop()
        if name in out or name not in definitions:
            continue
        out[name] = definitions[name]
        todo += _references(definitions[name])
    return out


def _references(tree: Any) -> set[str]:
    found: set[str] = set()
    todo = [tree]
    while todo:
        node = todo.pop()
        if isinstance(node, dict):
            ref = node.get("$ref")
            if isinstance(ref, str):
                found.add(ref.rpartition("/")[2])
            todo += node.values()
        elif isinstance(node, list):
            todo += node
    return found
