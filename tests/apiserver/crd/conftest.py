"""A server, and definitions that are served before a test goes on."""

import asyncio
from collections.abc import Awaitable, Callable
from copy import deepcopy
from typing import Any

import pytest
from tests.apiserver.conftest import Api

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"

SPEC: dict[str, Any] = {
    "type": "object",
    "required": ["color"],
    "properties": {
        "replicas": {"type": "integer", "minimum": 0, "default": 1},
        "color": {"type": "string", "enum": ["red", "blue"]},
        "port": {"x-kubernetes-int-or-string": True},
        "size": {"type": "string", "maxLength": 5, "pattern": "^[0-9]+$"},
        "items": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["name"],
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {"name": {"type": "string"}, "value": {"type": "string"}},
            },
        },
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "labels": {"type": "object", "additionalProperties": {"type": "string"}},
        "template": {
            "type": "object",
            "x-kubernetes-embedded-resource": True,
            "x-kubernetes-preserve-unknown-fields": True,
        },
    },
}
STATUS: dict[str, Any] = {
    "type": "object",
    "properties": {"replicas": {"type": "integer"}, "selector": {"type": "string"}, "phase": {"type": "string"}},
}


def version(name: str = "v1", storage: bool = True, **spec: Any) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"spec": deepcopy(SPEC) | spec, "status": deepcopy(STATUS)}}
    return {
        "name": name,
        "served": True,
        "storage": storage,
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": [
            {"name": "Color", "type": "string", "jsonPath": ".spec.color"},
            {"name": "Replicas", "type": "integer", "jsonPath": ".spec.replicas", "priority": 1},
            {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
        ],
        "selectableFields": [{"jsonPath": ".spec.color"}],
        "schema": {"openAPIV3Schema": schema},
    }


def definition(*versions: dict[str, Any], plural: str = "widgets", kind: str = "Widget", **more: Any) -> dict[str, Any]:
    names = {"plural": plural, "kind": kind, **more.pop("names", {})}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": "Namespaced",
            "names": names,
            "versions": list(versions) or [version()],
            **more,
        },
    }


def widget(name: str = "w", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": name},
        "spec": {"color": "red", **spec},
    }


async def condition(api: Api, name: str, type_: str, status: str = "True") -> dict[str, Any]:
    """The definition once a condition of it is so."""
    async with asyncio.timeout(10):
        while True:
            body = (await api("GET", f"{DEFINITIONS}/{name}")).body
            conditions = {c["type"]: c["status"] for c in body.get("status", {}).get("conditions", [])}
            if conditions.get(type_) == status:
                return dict(body)
            await asyncio.sleep(0.005)


async def define(api: Api, body: dict[str, Any]) -> dict[str, Any]:
    """Creates a definition; returns it once its resource is served."""
    await api.made(DEFINITIONS, body)
    found = await condition(api, body["metadata"]["name"], "Established")
    served = next(v["name"] for v in body["spec"]["versions"] if v["served"])
    await until_status(api, f"/apis/{body['spec']['group']}/{served}/{body['spec']['names']['plural']}", 200)
    return found


async def until(met: Callable[[], Awaitable[bool]]) -> None:
    """Returns when it is so."""
    async with asyncio.timeout(10):
        for _ in iter(int, 1):
            if await met():
                return
            await asyncio.sleep(0.005)


async def until_status(api: Api, path: str, status: int) -> None:
    """Returns when a path answers so."""

    async def met() -> bool:
        return (await api("GET", path)).status == status

    await until(met)


@pytest.fixture
async def widgets(api: Api) -> Api:
    """An API that serves widgets."""
    await define(api, definition())
    return api
