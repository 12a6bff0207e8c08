"""Exported and imported: what comes back is what was there, but for what only one cluster can have."""

import copy
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from orlop.apiserver.auth.user import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport
from orlop.client.client import Client
from orlop.clock import SystemClock
from orlop.store.exporting import export
from orlop.store.importing import MANAGER, Importer

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
OWN = ("uid", "resourceVersion", "creationTimestamp", "generation")
"""Metadata that each cluster gives by itself."""

MAPS = "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
REPLICASETS = "/apis/apps/v1/namespaces/default/replicasets"
KEPT = {"configmaps", "apps/deployments", "apps/replicasets"}


@asynccontextmanager
async def serving(folder: Path, agent: str = "kubectl-create") -> AsyncIterator[Client]:
    async with ApiServer(Config(data_dir=folder, secure_port=None), SystemClock()) as api:
        yield Client(ASGITransport(api.app, ADMIN), clock=SystemClock(), user_agent=agent)


async def ask(client: Client, method: str, path: str, body: Any = None, media: str = "application/json") -> Any:
    data = msgspec.json.encode(body) if body is not None else b""
    answer = await client.request(method, path, body=data, headers={"content-type": media})
    assert answer.status < 300, answer.body
    return json.loads(answer.body)


def template() -> dict[str, Any]:
    return {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "c", "image": "web:1"}]}}


async def fill(client: Client) -> None:
    """A deployment with status and finalizers, what it owns, a map that two managers apply, one that is to go."""
    selector = {"matchLabels": {"app": "web"}}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {
            "name": "web",
            "labels": {"app": "web"},
            "annotations": {"a.example/b": "c"},
            "finalizers": ["example.com/hold"],
        },
        "spec": {"replicas": 3, "selector": selector, "template": template()},
    }
    made = await ask(client, "POST", DEPLOYMENTS, deployment)
    made["status"] = {"replicas": 3, "readyReplicas": 2, "observedGeneration": 1}
    made = await ask(client, "PUT", f"{DEPLOYMENTS}/web/status", made)
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": made["metadata"]["uid"]}
    owner |= {"controller": True, "blockOwnerDeletion": True}
    owned = {"selector": selector, "replicas": 3, "template": template()}
    await ask(
        client,
        "POST",
        REPLICASETS,
        {
            "apiVersion": "apps/v1",
            "kind": "ReplicaSet",
            "metadata": {"name": "web-1", "ownerReferences": [owner]},
            "spec": owned,
        },
    )
    for manager, data in (("one", {"a": "1"}), ("two", {"b": "2"})):
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": data}
        path = f"{MAPS}/shared?fieldManager={manager}"
        await ask(client, "PATCH", path, config, "application/apply-patch+yaml")
    binary = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "held", "finalizers": ["example.com/hold"]}}
    await ask(client, "POST", MAPS, binary | {"binaryData": {"x": "AAEC"}, "immutable": True})
    await ask(client, "DELETE", f"{MAPS}/held")  # it waits for its finalizer


def objects(folder: Path) -> list[dict[str, Any]]:
    found = [json.loads(r.value) for r in export(str(folder / "store"), KEPT, "default", None, lambda finding: None)]
    return sorted(found, key=lambda one: (one["kind"], one["metadata"]["name"]))


def comparable(obj: dict[str, Any]) -> dict[str, Any]:
    """Without what each cluster gives by itself."""
    obj = copy.deepcopy(obj)
    metadata = obj["metadata"]
    for name in OWN:
        metadata.pop(name, None)
    for owner in metadata.get("ownerReferences", ()):
        owner.pop("uid")
    return obj


async def imported(tmp_path: Path, **how: bool) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    async with serving(tmp_path / "old") as client:
        await fill(client)
    before = objects(tmp_path / "old")
    async with serving(tmp_path / "new", MANAGER) as client:
        outcomes = [one async for one in Importer(client, **how).run(copy.deepcopy(before))]
    assert [one.why for one in outcomes if one.what != "created"] == []
    return before, objects(tmp_path / "new")


async def test_everything_comes_back(tmp_path: Path) -> None:
    before, after = await imported(tmp_path, status=True)
    held = next(one for one in before if one["metadata"]["name"] == "held")
    for name in ("deletionTimestamp", "deletionGracePeriodSeconds"):
        assert name in held["metadata"]
        del held["metadata"][name]  # a deletion under way stays behind: it may be asked for again
    assert [comparable(one) for one in after] == [comparable(one) for one in before]
    deployment, owned = after[2], after[3]
    assert deployment["status"]["readyReplicas"] == 2
    assert owned["metadata"]["ownerReferences"][0]["uid"] == deployment["metadata"]["uid"]
    assert deployment["metadata"]["uid"] != before[2]["metadata"]["uid"]


async def test_who_owned_fields_may_go_on_applying(tmp_path: Path) -> None:
    await imported(tmp_path)
    async with serving(tmp_path / "new") as client:
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"a": "new"}}
        path = f"{MAPS}/shared?fieldManager=one"
        made = await ask(client, "PATCH", path, config, "application/apply-patch+yaml")  # no conflict with an importer
        assert made["data"] == {"a": "new", "b": "2"}
        made = await ask(client, "PATCH", path, {**config, "data": {}}, "application/apply-patch+yaml")
        assert made["data"] == {"b": "2"}, "what its owner no longer names goes"


async def test_status_is_left_to_controllers_unless_asked_for(tmp_path: Path) -> None:
    _, after = await imported(tmp_path)
    assert "readyReplicas" not in after[2].get("status", {})
