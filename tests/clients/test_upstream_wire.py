"""What stands around the objects, against Kubernetes' own kube-apiserver: paths and methods, options of lists, watches
and deletes, media types, headers. Each request goes to both servers, and everything of the answers is compared but what
cannot be the same.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from orlop.client.client import Client
from tests.support import go
from tests.support.bothservers import NAMESPACE, Both

pytestmark = [pytest.mark.campaign, pytest.mark.go, pytest.mark.timeout(2 * go.COMMAND_SECONDS)]

REQUESTS = Path(__file__).with_name("wire.yaml")
OWN = frozenset({"content-length", "transfer-encoding", "connection", "etag", "last-modified", "accept-ranges"})
"""Headers that say how an answer travels, or that are each server's own."""
VARYING = frozenset({"audit-id", "date", "x-kubernetes-pf-flowschema-uid", "x-kubernetes-pf-prioritylevel-uid"})
"""Headers that must be there on both sides or on none, whatever they say."""
UNVERSIONED = ("uid", "resourceVersion", "creationTimestamp", "selfLink")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_AGE = re.compile(r"^(\d+[smhd])+$")
_REVISION = re.compile(r"(current: |record \()\d+")


PARTS: dict[str, Any] = {"methods": "GET", "paths": "/", "queries": "", "headers": {}, "bodies": None}
"""What a group lists, and what it asks with where it does not."""


class Asked(NamedTuple):
    """A request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.target} {self.headers or ''} {self.body.decode(errors='replace')}".strip()


def asked() -> Iterator[Asked]:
    """The requests of wire.yaml: each group is the product of its methods, paths, queries, headers and bodies."""
    for group in yaml.safe_load(REQUESTS.read_text()):
        parts = (group.get(name, [without]) for name, without in PARTS.items())
        for method, path, query, headers, body in product(*parts):
            target = path.replace("{ns}", NAMESPACE) + (f"?{query}" if query else "")
            if body is None:
                yield Asked(method, target, headers, b"")
            else:
                sent = {"content-type": "application/json", **headers}
                yield Asked(method, target, sent, json.dumps(body).encode())


async def test_answers_are_alike_in_everything(servers: Both) -> None:
    maps = f"/api/v1/namespaces/{NAMESPACE}/configmaps"
    for i in range(5):
        await servers.ask("POST", maps, {"metadata": {"name": f"c{i}", "labels": {"a": str(i)}}, "data": {"a": "b"}})
    wrong = []
    for request in asked():
        theirs, ours = await asyncio.gather(*(shown(client, request) for client in servers.clients))
        found = [
            f"  {key}: theirs {theirs.get(key)}\n  {' ' * len(key)}  ours   {ours.get(key)}"
            for key in sorted({*theirs, *ours})
            if theirs.get(key) != ours.get(key)
        ]
        if found:
            wrong.append("\n".join([str(request), *found]))
    assert not wrong, "\n".join([f"{len(wrong)} differ", *wrong])


async def shown(client: Client, request: Asked) -> dict[str, Any]:
    """An answer with all that differs from server to server made the same."""
    sent = {"user-agent": "wire/1", "accept": "application/json", **request.headers}
    answer = await client.transport.request(request.method, request.target, sent, request.body)
    told = {name.lower(): value for name, value in answer.headers.items()}
    out: dict[str, Any] = {"status": answer.status}
    out |= {f"header {k}": "(given)" if k in VARYING else v for k, v in told.items() if k not in OWN}
    body = answer.body if request.method != "HEAD" else b""
    if "protobuf" in told.get("content-type", ""):
        out["body"] = "protobuf" if b"k8s\0" in body[:40] else body[:4].hex()
        return out
    try:
        parsed = yaml.safe_load(body) if "yaml" in told.get("content-type", "") else json.loads(body)
        out["body"] = even(parsed)
    except ValueError:
        out["body"] = lines(body.decode(errors="replace"))
    return out


def lines(text: str) -> Any:
    """The events of a watch, or a text as it is."""
    try:
        return [even(json.loads(line)) for line in text.splitlines()]
    except ValueError:
        return text


def even(value: Any, key: str = "") -> Any:
    if isinstance(value, dict):
        kept = {
            k: v for k, v in value.items() if k not in UNVERSIONED and not (k == "description" and "format" in value)
        }
        if isinstance(kept.get("managedFields"), list):
            kept["managedFields"] = sorted(kept["managedFields"], key=lambda e: (e["manager"], e["operation"]))
        return {k: even(v, k) for k, v in kept.items()}
    if isinstance(value, list):
        return [even(item) for item in value]
    if not isinstance(value, str):
        return str(value) if hasattr(value, "isoformat") else value
    if key == "continue" and value:
        return "(token)"
    return _REVISION.sub(r"\1…", _AGE.sub("AGE", _TIME.sub("TIME", _UID.sub("UID", value))))
