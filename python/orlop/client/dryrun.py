"""A transport that changes nothing: every write is sent as a dry run, and told.

The server does all that it would do for the write but store it (admission, defaults, validation; KEP-576), so what is
told is what would be stored, and what would be refused is refused.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec

from orlop.client.transport import Response, Stream, Transport, WebSocket

Tell = Callable[[str], None]

READS = frozenset({"GET", "HEAD", "OPTIONS"})
QUESTIONS = ("/apis/authorization.k8s.io/", "/apis/authentication.k8s.io/")
"""What is posted to these is a question: nothing is stored, and nothing is told."""
SILENT = ("resourceVersion", "managedFields", "generation")
"""Metadata that says nothing of what was changed."""


class DryRun:
    """`tell` gets a line for each write: `create pods/default/a`, `update deployments/default/web {"spec": …}`."""

    def __init__(self, transport: Transport, tell: Tell) -> None:
        self._transport = transport
        self._tell = tell

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        if method in READS or target.startswith(QUESTIONS):
            return await self._transport.request(method, target, headers, body)
        path, _, query = target.partition("?")
        before: Any = None
        if method in ("PUT", "PATCH"):
            plain = path.removesuffix("/status").removesuffix("/finalize")
            present = await self._transport.request("GET", plain, {"accept": "application/json"}, b"")
            before = _decoded(present.body) if present.status == 200 else None
        if method == "DELETE":
            # A server that finds options in the body does not look at the query.
            body = msgspec.json.encode({**(_decoded(body) or {}), "dryRun": ["All"]})
            headers = {**headers, "content-type": "application/json"}
        dry = "&".join(part for part in (query, "dryRun=All") if part)
        response = await self._transport.request(method, f"{path}?{dry}", headers, body)
        if line := told(method, path, body, response, before):
            self._tell(line)
        return response

    def stream(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> AbstractAsyncContextManager[Stream]:
        return self._transport.stream(method, target, headers, body)

    def websocket(
        self, target: str, headers: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AbstractAsyncContextManager[WebSocket]:
        return self._transport.websocket(target, headers, protocols)

    async def close(self) -> None:
        await self._transport.close()


def told(method: str, path: str, body: bytes, response: Response, before: Any) -> str:
    """The line about a write and its answer; "" where it changes nothing."""
    answer = _decoded(response.body) or {}
    what = short(path)
    verb = {"POST": "create", "DELETE": "delete"}.get(method, "update")
    if response.status >= 400:
        return f"refused: {verb} {what}: {answer.get('message', response.status)}"
    if answer.get("kind") == "Event":
        about = answer["involvedObject"]
        named = "/".join(part for part in (about["kind"], about.get("namespace"), about["name"]) if part)
        return f"event {answer['type']} {answer['reason']} {named}: {answer['message']}"
    if method == "POST":
        name = answer.get("metadata", {}).get("name", "")
        return f"create {what}/{name}" if name and _is_collection(path) else f"create {what}"
    if method == "DELETE":
        return f"delete {what}/*" if answer.get("kind", "").endswith("List") else f"delete {what}"
    change = difference(_without(before or {}), _without(answer))
    return f"update {what} {msgspec.json.encode(change).decode()}" if change else ""


def short(path: str) -> str:
    """`/apis/apps/v1/namespaces/default/deployments/web/status` → `deployments/default/web/status`."""
    parts = _parts(path)
    if parts[0] == "namespaces" and len(parts) > 2 and parts[2] not in ("status", "finalize"):
        namespace, resource, *rest = parts[1:]
        return "/".join([resource, namespace, *rest])
    return "/".join(parts)


def _parts(path: str) -> list[str]:
    """The path within its group and version."""
    parts = path.strip("/").split("/")
    return parts[2:] if parts[0] == "api" else parts[3:]


def _is_collection(path: str) -> bool:
    """False for a subresource that is a verb (an eviction): its path has the object's name already."""
    parts = _parts(path)
    return len(parts) == (3 if parts[0] == "namespaces" and len(parts) > 1 else 1)


def difference(before: Any, after: Any) -> Any:
    """What of `after` is not in `before`; what is gone is null."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return after
    change = {k: difference(before.get(k), v) for k, v in after.items() if before.get(k) != v}
    change.update({k: None for k in before if k not in after})
    return change


def _without(obj: dict[str, Any]) -> dict[str, Any]:
    metadata = {name: value for name, value in obj.get("metadata", {}).items() if name not in SILENT}
    return {**obj, "metadata": metadata}


def _decoded(body: bytes) -> Any:
    try:
        return msgspec.json.decode(body) if body else None
    except msgspec.DecodeError:
        return None
