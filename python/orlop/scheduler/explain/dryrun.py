"""Objects as the API server would store them: it defaults and checks them, and writes nothing (dryRun=All)."""

from typing import Any

import msgspec

from orlop.api import errors, scheme
from orlop.client import Client
from orlop.client.decode import error_of
from orlop.scheduler.explain.atoms import Object

STAND_IN = "default"
"""The namespace in which objects of a namespace that is yet to be made are checked."""


class DryRun:
    """Dry runs of one manifest's objects."""

    def __init__(self, client: Client, planned: list[Object]) -> None:
        """`planned`: all objects of the manifest, of which some need others."""
        self._client = client
        self._new = {o["metadata"]["name"] for o in planned if o["kind"] == "Namespace"}
        self._accounts = {o["metadata"]["name"] for o in planned if o["kind"] == "ServiceAccount"}
        self._classes = {o["metadata"]["name"]: o for o in planned if o["kind"] == "PriorityClass"}

    async def get(self, obj: Object) -> Object | None:
        """The object as it is now; None where there is none."""
        answer = await self._client.request("GET", _path(obj, named=True))
        if answer.status == errors.NotFound.code:
            return None
        if answer.status >= 400:
            raise error_of(answer)
        found: Object = msgspec.json.decode(answer.body)
        return found

    async def stored(self, obj: Object) -> Object:
        """The object as it would be once applied. Raises ApiError: it would be refused."""
        if await self.get(obj) is not None:
            return await self._send("PATCH", obj, "application/strategic-merge-patch+json")
        return await self._send("POST", obj)

    async def pod(self, pod: Object, name: str) -> Object:
        """A new pod. Raises ApiError: it would be refused."""
        pod = {**pod, "metadata": {**pod["metadata"], "name": name}, "spec": dict(pod["spec"])}
        priority = self._classes.get(pod["spec"].get("priorityClassName", ""))
        if priority is not None:  # it comes with the manifest
            del pod["spec"]["priorityClassName"]
        if pod["spec"].get("serviceAccountName") in self._accounts:
            pod["spec"].pop("serviceAccountName")
        stored = await self._send("POST", pod)
        if priority is not None:
            stored["spec"] |= {"priority": priority["value"], "priorityClassName": priority["metadata"]["name"]}
            stored["spec"] |= {k: v for k, v in priority.items() if k == "preemptionPolicy"}
        stored["spec"].pop("nodeName", None) if not pod["spec"].get("nodeName") else None
        return stored

    async def _send(self, method: str, obj: Object, media: str = "application/json") -> Object:
        where = obj["metadata"].get("namespace")
        sent = obj
        if where in self._new and method == "POST" and not await self._is_there(where):
            sent = {**obj, "metadata": {**obj["metadata"], "namespace": STAND_IN}}
        query: dict[str, Any] = {"dryRun": "All"}
        path = _path(sent, named=method == "PATCH")
        answer = await self._client.request(
            method, path, query=query, body=msgspec.json.encode(sent), headers={"content-type": media}
        )
        if answer.status >= 400:
            raise error_of(answer)
        stored: Object = msgspec.json.decode(answer.body)
        if where is not None:
            stored["metadata"]["namespace"] = where
        return stored

    async def _is_there(self, namespace: str) -> bool:
        answer = await self._client.request("GET", f"/api/v1/namespaces/{namespace}")
        return answer.status < 400


def _path(obj: Object, *, named: bool) -> str:
    kind = scheme.by_kind(obj["apiVersion"], obj["kind"])
    if kind is None:
        raise errors.BadRequest(f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"')
    namespace = obj["metadata"].get("namespace") if kind.namespaced else None
    return kind.path(namespace, obj["metadata"]["name"]) if named else kind.path(namespace)
