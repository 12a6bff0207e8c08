"""GET with watch=true: events from the hub as they come, until the watch's time is over."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from orlop import native
from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.selectors import escape
from orlop.apiserver import negotiate, output, table
from orlop.apiserver.core import Core
from orlop.apiserver.front import delivery_of
from orlop.apiserver.front.deadlines import LAST_BOOKMARK
from orlop.apiserver.front.delivery import Form
from orlop.apiserver.front.frames import Frames
from orlop.apiserver.handlers.client import Client, Messages
from orlop.apiserver.handlers.list import (
    REVISION,
    Options,
    parse_revision,
    read_options,
    send_initial_events,
    wait_for,
)
from orlop.apiserver.request import Request
from orlop.apiserver.response import JSON, STATUS_KEY, end_stream, start_stream
from orlop.apiserver.upgrade import wanted
from orlop.tasks import first

FRAMES = Frames()
"""Those that Rust cannot make: of Tables, and of kinds served under another name than they are stored under."""
CHUNK = 256 * 1024
"""Bytes of events that one write takes from the hub."""
BATCH = 256
"""Events rendered at a time for a watcher that wants another form than stored JSON."""

MARKED = b"k8s.io/initial-events-end"
"""Of the bookmark behind what there was at first, which is a row of a Table too: who watches Tables looks for it."""
CHANGES = frozenset({"ADDED", "MODIFIED", "DELETED"})
LAST_EVENTS = 0.5
"""Seconds that the last events get to reach who watches, once a definition has ended: nobody can ask for them again."""
Render = Callable[[str, int, bytes], bytes]
"""Makes a frame from an event's type, its revision and its object's stored bytes."""

TOO_OLD = "too old resource version: {} ({})"


async def watch(core: Core, request: Request, kind: Kind) -> None:
    """Streams events. A revision that is gone gives one ERROR event with a 410 Status, as upstream's cacher."""
    accepted = negotiate.accept(request.header(b"accept"), collection=True)
    options = _limited(request, read_options(core, request, kind, watch=True))
    asked = request.integer("timeoutSeconds")
    least = core.config.min_request_timeout
    seconds = asked if asked else least * (1.0 + core.clock.random.random())
    initial = send_initial_events(request)
    try:
        revision = parse_revision(options.revision)
    except errors.BadRequest as error:
        # Upstream's cache finds it, after the options were read: a fault without a reason.
        raise errors.ApiError(error.message.removeprefix(REVISION), code=500, reason="") from None
    bookmarks = request.flag("allowWatchBookmarks")
    namespace = request.info.namespace or None if kind.namespaced else None
    # Without a revision (or with 0) a watch begins with what is there; so it does with sendInitialEvents.
    from_start = initial if initial is not None else revision == 0
    since = None if revision == 0 or from_start else revision
    form = _form(request, kind, accepted)
    socket = wanted(request)
    delivery = delivery_of(request.scope) if form is not None and socket is None else None
    render = None if delivery is not None else _renderer(core, request, kind, accepted)
    client: Client = _Stream(request, _content_type(accepted))
    if socket is not None and socket.name == "websocket":
        client = Messages(request, socket, text=accepted.media == "json")
    await client.start()
    try:
        if initial:
            # A stream that begins with what is there begins with nothing older than it was asked for.
            await wait_for(core, options.revision)
        watcher = core.hub.watch(
            kind.resource,
            namespace,
            options.labels,
            options.fields,
            since,
            bool(from_start),
            bookmarks,
            initial is not None,
        )
    except native.Expired:
        await client.send([_error(accepted, errors.Expired(TOO_OLD.format(revision, core.hub.revision)))])
        await client.end()
        return
    except errors.Timeout as error:
        await client.send([_error(accepted, error)])
        await client.end()
        return
    await client.send([b""])
    try:
        streaming: Coroutine[Any, Any, None]
        if delivery is not None and form is not None:
            request.forget()
            streaming = delivery.watch(watcher, *form, seconds)
        else:
            streaming = _pump(core, client, watcher, Source(watcher, render, kind, accepted), seconds)
        replaced = core.custom.replaced(kind)
        if replaced is None:
            await streaming
        else:
            await first(streaming, _replaced(core, replaced, kind))
    finally:
        watcher.close()
        core.waker.forget(watcher.id)
    await client.end()


async def _replaced(core: Core, replaced: asyncio.Event, kind: Kind) -> None:
    """Returns when a custom kind is served no more as this watch shows it: its client begins again where it stands."""
    await replaced.wait()
    if core.custom.route(kind.group, kind.version, kind.plural) is None:
        await core.clock.sleep(LAST_EVENTS)


def _limited(request: Request, options: Options) -> Options:
    """`watch/…/NAME` is a watch of that one object. Raises BadRequest where the selector names another."""
    name = request.info.name
    if not name or f"metadata.name={name}" in options.fields.split(","):
        return options
    if "metadata.name=" in options.fields:
        raise errors.BadRequest("fieldSelector metadata.name doesn't match requested name")
    return options._replace(fields=",".join(f for f in (options.fields, f"metadata.name={escape(name)}") if f))


class _Stream:
    """The body of an HTTP answer."""

    def __init__(self, request: Request, content_type: bytes) -> None:
        self._request = request
        self._content_type = content_type

    async def start(self) -> None:
        await start_stream(self._request, self._content_type)

    async def send(self, frames: list[bytes]) -> None:
        data = b"".join(frames)
        await self._request.send({"type": "http.response.body", "body": data, "more_body": True})

    async def left(self) -> None:
        while (await self._request.receive())["type"] != "http.disconnect":
            pass

    async def end(self) -> None:
        await end_stream(self._request)


async def _pump(core: Core, client: Client, watcher: native.Watcher, source: "Source", seconds: float) -> None:
    """Sends until the time is over, the client leaves or the server stops."""
    ended = asyncio.Event()

    async def guard() -> None:
        """Waits for what ends a watch from outside."""
        try:
            await client.left()
        finally:
            ended.set()
            core.waker.ring(watcher.id)

    async def expire() -> None:
        if seconds > LAST_BOOKMARK:
            await core.clock.sleep(seconds - LAST_BOOKMARK)
            watcher.bookmark()
        await core.clock.sleep(min(seconds, LAST_BOOKMARK))
        ended.set()
        core.waker.ring(watcher.id)

    tasks = [asyncio.ensure_future(guard()), asyncio.ensure_future(expire())]
    try:
        while not ended.is_set() and not core.stopping:
            while frames := await source.take():
                await client.send(frames)
                if ended.is_set() or source.failed:
                    return
            if watcher.state != "live":
                return
            await core.waker.wait(watcher.id)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class Source:
    """A watcher's events as frames."""

    def __init__(
        self, watcher: native.Watcher, render: Render | None, kind: Kind, accepted: negotiate.Accepted
    ) -> None:
        self._watcher = watcher
        self._render = render
        self._converter = kind.converter
        self._accepted = accepted
        self.failed = False
        """Whether an event could not be shown: the watch ends with the error that says so."""

    async def take(self) -> list[bytes]:
        """The next frames; none where there is nothing new."""
        render = self._render
        if render is None:
            data = self._watcher.take(CHUNK)
            return [data] if data else []
        events = self._watcher.events(BATCH)
        if self._converter is None:
            return [render(type_, revision, value) for type_, revision, value in events]
        try:
            shown = iter(await self._converter.read([v for type_, _, v in events if type_ in CHANGES]))
        except errors.ApiError as error:
            self.failed = True
            return [_error(self._accepted, error)]
        frames: list[bytes] = []
        for type_, revision, value in events:
            if type_ in CHANGES:
                value = next(shown)
            elif type_ == "BOOKMARK":
                value = self._converter.bookmark(value)
            frames.append(render(type_, revision, value))
        return frames


def _form(request: Request, kind: Kind, accepted: negotiate.Accepted) -> tuple[Form, str] | None:
    """The form of frames that the connection can write by itself, and what it is of; None for those made here."""
    if request.conversion is not None or kind.converter is not None:
        return None
    if accepted.media == "yaml" or accepted.as_ == "Table":
        return None
    if accepted.as_:
        return "partial-protobuf" if accepted.media == "protobuf" else "partial", accepted.version
    return ("protobuf", kind.type_key) if accepted.media == "protobuf" else ("json", "")


def _content_type(accepted: negotiate.Accepted) -> bytes:
    if accepted.media == "protobuf":
        return b"application/vnd.kubernetes.protobuf;stream=watch"
    if accepted.media == "yaml":
        return negotiate.YAML.encode()
    return JSON


def _renderer(core: Core, request: Request, kind: Kind, accepted: negotiate.Accepted) -> Render | None:
    """How frames are made where the stored JSON does not do."""
    if accepted.plain and request.conversion is None and kind.converter is None:
        return None
    if accepted.media == "yaml":
        raise errors.NotAcceptable(
            f"only the following media types are accepted: {negotiate.JSON};stream=watch, "
            f"{negotiate.PROTOBUF};stream=watch"
        )
    first = True
    include = output.include_object(request) if accepted.as_ == "Table" else ""

    def body(type_: str, value: bytes, columns: bool) -> tuple[str, bytes]:
        if accepted.as_ == "Table":
            of = kind
            if request.conversion is not None and request.conversion.tables:
                of, value = request.conversion.served, request.conversion.to_served(value)
            shown = table.rows(
                of,
                [] if type_ == "BOOKMARK" and MARKED not in value else [value],
                core.clock.now(),
                include=include,
                version=accepted.version,
                metadata=_list_meta(value),
                columns=columns,
            )
            return output.TABLE_KEY, shown
        if accepted.as_:
            return output.PARTIAL_KEY, output.partial(value, accepted.version)
        if request.conversion is not None:
            return request.conversion.served.type_key, request.conversion.to_served(value)
        return kind.type_key, value

    def make(type_: str, value: bytes, columns: bool) -> bytes:
        type_key, shown = body(type_, value, columns) if type_ != "ERROR" else (STATUS_KEY, value)
        if accepted.media == "protobuf":
            return native.wire_watch_frame_protobuf(type_, type_key, shown)
        return b'{"type":"%b","object":%b}\n' % (type_.encode(), shown)

    # A watch's first Table alone has columns; ages are those of the second it was made in.
    served = request.conversion.served if request.conversion is not None else kind
    form = served.type_key, accepted.media, accepted.as_, accepted.version, include

    def render(type_: str, revision: int, value: bytes) -> bytes:
        nonlocal first
        columns, first = first, first and type_ == "ERROR"
        if type_ not in CHANGES:
            return make(type_, value, columns)
        moment = (columns, int(core.clock.now())) if accepted.as_ == "Table" else None
        return FRAMES.shared((*form, type_, revision, moment), value, lambda: make(type_, value, columns))

    return render


def _list_meta(value: bytes) -> bytes:
    return b'{"resourceVersion":"%b"}' % output.revision_of(value).encode()


def _error(accepted: negotiate.Accepted, error: errors.ApiError) -> bytes:
    status = msgspec.json.encode(error.status)
    if accepted.media == "protobuf":
        return native.wire_watch_frame_protobuf("ERROR", STATUS_KEY, status)
    return b'{"type":"ERROR","object":%b}\n' % status
