"""The one client of the API: typed where a struct is given, raw where bytes are wanted.

A kind is named by its struct (`core_v1.Pod`) or by a projection: a smaller struct with `__kind__ = core_v1.Pod` that
keeps only the fields its reader needs. Every error raised is an `orlop.api.errors.ApiError`.
"""

import builtins
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.api.types import authentication_v1, meta_v1
from orlop.client.decode import Frame, Listed, RawList, decode, decoder, encode, error_of
from orlop.client.retry import Retry
from orlop.client.transport import Response, Stream, Transport, Unreachable, WebSocket
from orlop.clock import Clock

T = TypeVar("T")
Query = Mapping[str, str | int | bool | None]

PatchType = Literal["merge", "strategic", "json", "apply"]
PATCH_MEDIA: dict[PatchType, str] = {
    "merge": "application/merge-patch+json",
    "strategic": "application/strategic-merge-patch+json",
    "json": "application/json-patch+json",
    "apply": "application/apply-patch+yaml",
}


class Event(NamedTuple):
    """One watch event as it came: ADDED, MODIFIED, DELETED or BOOKMARK, and the object's JSON."""

    type: str
    object: bytes

    def decode(self, kind: builtins.type[T]) -> T:
        """The object as a struct or projection."""
        return decode(kind, self.object)


class Client:
    """One identity's client. Safe to share between tasks."""

    def __init__(self, transport: Transport, *, clock: Clock, user_agent: str) -> None:
        self.transport = transport
        self.clock = clock
        self.user_agent = user_agent
        self._retry = Retry(clock)
        self._read_headers = {"accept": "application/json", "user-agent": user_agent}
        self._write_headers = {**self._read_headers, "content-type": "application/json"}

    # --- objects

    async def get(
        self, kind: type[T], name: str, namespace: str | None = None, *, resource_version: str | None = None
    ) -> T:
        """The object. Raises NotFound."""
        query = {"resourceVersion": resource_version} if resource_version is not None else None
        return decode(kind, await self._body("GET", scheme.of(kind).path(namespace, name), query))

    async def list(
        self,
        kind: type[T],
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        limit: int | None = None,
        continue_: str = "",
        resource_version: str | None = None,
    ) -> Listed[T]:
        """The objects that match, of all namespaces when none is given.

        Without `limit` all of them, as one consistent snapshot; with it one page, and `continue_` for the next.
        """
        query: dict[str, str | int | None] = {
            "labelSelector": labels or None,
            "fieldSelector": fields or None,
            "limit": limit,
            "continue": continue_ or None,
            "resourceVersion": resource_version,
        }
        body = await self._body("GET", scheme.of(kind).path(namespace), query)
        page = decode(RawList, body)
        items = [decode(kind, item) for item in page.items or ()]
        meta = page.metadata
        return Listed(items, meta.resource_version, meta.continue_, meta.remaining_item_count)

    async def create(self, obj: T, *, dry_run: bool = False) -> T:
        """Creates the object in the namespace of its metadata; gives it as stored. Raises AlreadyExists, Invalid, …"""
        kind, meta = _identify(obj)
        body = await self._body("POST", kind.path(meta.namespace), _dry(dry_run), encode(obj))
        return self._wrote(kind, decode(type(obj), body))

    async def update(self, obj: T, *, dry_run: bool = False, subresource: str = "") -> T:
        """Replaces the object. Raises Conflict if it is no longer at the revision it carries."""
        kind, meta = _identify(obj)
        body = await self._body("PUT", kind.path(meta.namespace, meta.name, subresource), _dry(dry_run), encode(obj))
        return self._wrote(kind, decode(type(obj), body))

    async def update_status(self, obj: T) -> T:
        """Replaces the object's status. Raises Conflict."""
        return await self.update(obj, subresource="status")

    async def patch(
        self,
        kind: type[T],
        name: str,
        namespace: str | None,
        patch: dict[str, Any] | Sequence[Any] | msgspec.Struct | bytes,
        *,
        type: PatchType = "merge",
        subresource: str = "",
        manager: str = "",
        force: bool = False,
        dry_run: bool = False,
    ) -> T:
        """Changes the object and gives it as stored. `manager` is the field manager (required by `apply`)."""
        row = scheme.of(kind)
        query: dict[str, str | int | bool | None] = {
            "fieldManager": manager or None,
            "force": True if force else None,
            "dryRun": "All" if dry_run else None,
        }
        body = await self._body(
            "PATCH",
            row.path(namespace, name, subresource),
            query,
            patch if isinstance(patch, bytes) else encode(patch),
            PATCH_MEDIA[type],
        )
        return self._wrote(row, decode(kind, body))

    async def delete(
        self,
        kind: type[Any] | Kind,
        name: str,
        namespace: str | None = None,
        *,
        grace: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
        uid: str | None = None,
        resource_version: str | None = None,
        dry_run: bool = False,
    ) -> None:
        """Deletes the object. `uid` and `resource_version` are preconditions: Conflict if they do not hold."""
        row = scheme.of(kind)
        options = _delete_options(grace, propagation, uid, resource_version, dry_run)
        body = await self._body("DELETE", row.path(namespace, name), None, options)
        self._deleted(row, namespace or "", name, body)

    async def delete_collection(
        self,
        kind: type[Any] | Kind,
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        grace: int | None = None,
        propagation: Literal["Background", "Foreground", "Orphan"] | None = None,
    ) -> None:
        """Deletes every object that matches."""
        query = {"labelSelector": labels or None, "fieldSelector": fields or None}
        options = _delete_options(grace, propagation, None, None, False)
        await self._body("DELETE", scheme.of(kind).path(namespace), query, options)

    # --- subresources that are verbs

    async def bind(self, namespace: str, pod: str, node: str, *, uid: str = "") -> None:
        """Assigns the pod to the node. Raises Conflict if it is assigned already."""
        binding = {
            "apiVersion": "v1",
            "kind": "Binding",
            "metadata": {"namespace": namespace, "name": pod, **({"uid": uid} if uid else {})},
            "target": {"apiVersion": "v1", "kind": "Node", "name": node},
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/binding"
        await self._body("POST", path, None, encode(binding))

    async def evict(self, namespace: str, pod: str, *, grace: int | None = None, uid: str | None = None) -> None:
        """Deletes the pod if its disruption budgets allow. Raises TooManyRequests when they do not."""
        eviction = {
            "apiVersion": "policy/v1",
            "kind": "Eviction",
            "metadata": {"namespace": namespace, "name": pod},
            "deleteOptions": msgspec.to_builtins(_options(grace, None, uid, None, False)),
        }
        path = f"/api/v1/namespaces/{namespace}/pods/{pod}/eviction"
        await self._body("POST", path, None, encode(eviction))

    async def token(
        self, namespace: str, service_account: str, request: authentication_v1.TokenRequest
    ) -> authentication_v1.TokenRequest:
        """A token for the service account, in the answer's `status.token`."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        return decode(authentication_v1.TokenRequest, await self._body("POST", path, None, encode(request)))

    # --- watch

    async def watch(
        self,
        kind: type[Any],
        namespace: str | None = None,
        *,
        labels: str = "",
        fields: str = "",
        resource_version: str = "",
        bookmarks: bool = True,
        initial: bool = False,
        timeout_seconds: int | None = None,
    ) -> AsyncGenerator[Event, None]:
        """Events as they come, until the server ends the watch. An ERROR event is raised (Expired for 410).

        `initial` asks for the present objects first (WatchList). Use `Watcher` to survive disconnects.
        """
        row = scheme.of(kind)
        query = watch_query(labels, fields, resource_version, bookmarks, initial, timeout_seconds)
        async with self.stream("GET", row.path(namespace), query=query) as stream:
            async for events in frames(stream):
                for event in events:
                    yield event

    # --- raw

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Any request, any answer: the caller looks at the status. Raises Unreachable only.

        429 and 503 with Retry-After are tried again as client-go does; requests that got no answer are tried again
        where repeating them is harmless.
        """
        target = _target(path, query)
        sent = self._headers(body, headers)
        return await self._retry.run(method, lambda: self.transport.request(method, target, sent, body))

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        query: Query | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Stream]:
        """An answer read as it comes (watches, logs). An unsuccessful one is raised. Not tried again."""
        async with self.transport.stream(method, _target(path, query), self._headers(body, headers), body) as stream:
            if stream.status >= 400:
                raise error_of(Response(stream.status, stream.headers, await stream.read()))
            yield stream

    def websocket(
        self,
        path: str,
        *,
        query: Query | None = None,
        protocols: tuple[str, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> AbstractAsyncContextManager[WebSocket]:
        """Opens a WebSocket (exec, attach, port-forward). A refusal is raised as an ApiError."""
        return self.transport.websocket(_target(path, query), self._headers(b"", headers), protocols)

    async def close(self) -> None:
        """Closes the transport."""
        await self.transport.close()

    # --- hooks and helpers

    def _wrote(self, kind: Kind, obj: T) -> T:
        """Called with the answer of every write of one object: for clients that remember what they wrote."""
        return obj

    def _deleted(self, kind: Kind, namespace: str, name: str, body: bytes) -> None:
        """Called with the answer of every deletion: the object's last state or a Status."""

    def _headers(self, body: bytes, headers: Mapping[str, str] | None) -> Mapping[str, str]:
        plain = self._write_headers if body else self._read_headers
        return plain if headers is None else {**plain, **{k.lower(): v for k, v in headers.items()}}

    async def _body(
        self, method: str, path: str, query: Query | None, body: bytes = b"", media: str | None = None
    ) -> bytes:
        headers = {"content-type": media} if media else None
        response = await self.request(method, path, query=query, body=body, headers=headers)
        if response.status >= 400:
            raise error_of(response)
        return response.body


async def frames(stream: Stream) -> AsyncGenerator[list[Event], None]:
    """The events of a watch, those of one chunk together. Raises what an ERROR event says."""
    read = decoder(Frame).decode_lines
    rest = b""
    async for chunk in stream.chunks():
        end = chunk.rfind(b"\n")
        if end < 0:
            rest += chunk
            continue
        lines = rest + chunk[: end + 1] if rest else chunk[: end + 1]
        rest = chunk[end + 1 :]
        events: list[Event] = []
        try:
            batch = read(lines)
        except msgspec.DecodeError as error:
            raise Unreachable(f"cannot read a watch event: {error}", sent=True) from error
        for frame in batch:
            if frame.type == "ERROR":
                if events:
                    yield events
                raise error_of(Response(500, {}, bytes(frame.object)))
            events.append(Event(frame.type, bytes(frame.object)))
        yield events


def watch_query(
    labels: str, fields: str, resource_version: str, bookmarks: bool, initial: bool, timeout: int | None
) -> dict[str, str | int | None]:
    """The query of a watch. With `initial`, `resource_version` is the least that the initial state may have."""
    return {
        "watch": "true",
        "labelSelector": labels or None,
        "fieldSelector": fields or None,
        "resourceVersion": resource_version if resource_version or initial else None,
        "allowWatchBookmarks": "true" if bookmarks or initial else None,
        "sendInitialEvents": "true" if initial else None,
        "resourceVersionMatch": "NotOlderThan" if initial else None,
        "timeoutSeconds": timeout,
    }


def _target(path: str, query: Query | None) -> str:
    if not path.isascii() or " " in path:
        path = quote(path, safe="/%:@!$&'()*+,;=~-._")
    if not query:
        return path
    pairs = [(k, v if isinstance(v, str) else _text(v)) for k, v in query.items() if v is not None]
    return f"{path}?{urlencode(pairs)}" if pairs else path


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _dry(dry_run: bool) -> Query | None:
    return {"dryRun": "All"} if dry_run else None


def _identify(obj: Any) -> tuple[Kind, meta_v1.ObjectMeta]:
    return scheme.of(type(obj)), obj.metadata


def _options(
    grace: int | None, propagation: str | None, uid: str | None, resource_version: str | None, dry_run: bool
) -> meta_v1.DeleteOptions:
    preconditions = None
    if uid is not None or resource_version is not None:
        preconditions = meta_v1.Preconditions(uid=uid, resource_version=resource_version)
    return meta_v1.DeleteOptions(
        grace_period_seconds=grace,
        propagation_policy=propagation,
        preconditions=preconditions,
        dry_run=["All"] if dry_run else [],
    )


def _delete_options(
    grace: int | None, propagation: str | None, uid: str | None, resource_version: str | None, dry_run: bool
) -> bytes:
    return encode(_options(grace, propagation, uid, resource_version, dry_run))
