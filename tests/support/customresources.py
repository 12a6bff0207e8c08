"""An API server that serves one custom resource more: as much of it as a controller asks for.

The API server stores CustomResourceDefinitions and does not serve what they define yet. Everything else goes to it.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs

from orlop.api.kind import Kind
from orlop.client.asgi import App, Message

END = {"k8s.io/initial-events-end": "true"}


class CustomResource:
    """An ASGI app: list, watch, get, create, merge patches (of status too) and delete of one namespaced kind."""

    def __init__(self, app: App, kind: Kind) -> None:
        self._app = app
        self._kind = kind
        self._root = f"/apis/{kind.group}/{kind.version}/"
        self._objects: dict[tuple[str, str], dict[str, Any]] = {}
        self._revision = 0
        self._watchers: set[asyncio.Queue[bytes]] = set()

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if not str(scope["path"]).startswith(self._root):
            await self._app(scope, receive, send)
            return
        parts = scope["path"].removeprefix(self._root).split("/")
        namespace, parts = (parts[1], parts[2:]) if parts[0] == "namespaces" else ("", parts)
        assert parts[0] == self._kind.plural
        query = parse_qs(scope["query_string"].decode())
        if query.get("watch") == ["true"]:
            await self._watch(query, receive, send)
            return
        body = json.loads((await receive()).get("body") or b"{}")
        status, answer = self._answer(scope["method"], namespace, parts[1:], body)
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    def _answer(self, method: str, namespace: str, name: list[str], body: dict[str, Any]) -> tuple[int, Any]:
        if not name and method == "GET":
            meta = {"resourceVersion": str(self._revision)}
            items = [o for (n, _), o in self._objects.items() if namespace in ("", n)]
            return 200, {"kind": self._kind.list_kind, "metadata": meta, "items": items}
        if method == "POST":
            body["metadata"] |= {"namespace": namespace, "uid": f"uid-{self._revision}"}
            return 201, self._store("ADDED", body)
        found = self._objects.get((namespace, name[0]))
        if found is None:
            return 404, {"kind": "Status", "status": "Failure", "reason": "NotFound", "code": 404, "message": name[0]}
        if method == "PATCH":
            return 200, self._store("MODIFIED", merged(found, body))
        if method == "DELETE":
            self._store("DELETED", found)
            del self._objects[namespace, name[0]]
        return 200, found

    def _store(self, event: str, obj: dict[str, Any]) -> dict[str, Any]:
        meta = obj["metadata"]
        key = (meta["namespace"], meta["name"])
        if event == "MODIFIED" and self._objects[key] == obj:
            return obj
        self._revision += 1
        meta["resourceVersion"] = str(self._revision)
        self._objects[key] = obj
        for watcher in self._watchers:
            watcher.put_nowait(self._frame(event, obj))
        return obj

    def _frame(self, event: str, obj: dict[str, Any]) -> bytes:
        return json.dumps({"type": event, "object": obj}).encode() + b"\n"

    async def _watch(self, query: Mapping[str, list[str]], receive: Any, send: Any) -> None:
        assert query.get("sendInitialEvents") == ["true"], "a controller's first watch brings what is there"
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        for obj in self._objects.values():
            queue.put_nowait(self._frame("ADDED", obj))
        meta = {"resourceVersion": str(self._revision), "annotations": END}
        queue.put_nowait(self._frame("BOOKMARK", {"kind": self._kind.kind, "metadata": meta}))
        self._watchers.add(queue)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
        try:
            while True:
                body = await queue.get()
                await send({"type": "http.response.body", "body": body, "more_body": True})
        finally:
            self._watchers.discard(queue)


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict) or not isinstance(target, dict):
        return patch
    result = {k: v for k, v in target.items() if not (k in patch and patch[k] is None)}
    return result | {k: merged(target.get(k), v) for k, v in patch.items() if v is not None}
