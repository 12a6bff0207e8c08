"""The order of everything, as a plain ASGI app.

request info → authenticate → impersonate → authorize → handler of the verb (admit → registry → store) → answer.
"""

from collections.abc import Awaitable, Callable
from email.utils import formatdate

from orlop import logging
from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import bulk, components, discovery, documents, health, resourcemetrics
from orlop.apiserver.aggregate import proxy as aggregated
from orlop.apiserver.auth import forbidden, impersonate
from orlop.apiserver.conversion import conversion_of
from orlop.apiserver.core import Core
from orlop.apiserver.crd import requests as custom
from orlop.apiserver.discovery import NoSuchPage
from orlop.apiserver.handlers.create import create
from orlop.apiserver.handlers.delete import delete
from orlop.apiserver.handlers.deletecollection import deletecollection
from orlop.apiserver.handlers.get import get
from orlop.apiserver.handlers.list import list_
from orlop.apiserver.handlers.patch import patch
from orlop.apiserver.handlers.update import update
from orlop.apiserver.handlers.watch import watch
from orlop.apiserver.metrics import LONG_RUNNING, REQUESTS, labels_of
from orlop.apiserver.request import ClientDisconnected, Receive, Request, Scope, Send
from orlop.apiserver.response import NO_PAGE, NO_SNIFF, Response, send_response, status_response
from orlop.apiserver.subresources import WEBSOCKETS, binding, subresource
from orlop.apiserver.subresources.reviews import review
from orlop.store.base import StoreClosed, StoreError, StoreFull

Handler = Callable[[Core, Request, Kind], Awaitable[Response | None]]
"""Answers a request, or returns None when it has sent the answer itself."""
Page = Callable[[Core, Request], Awaitable[Response | None]]
"""Answers a path that is no resource."""

HANDLERS: dict[str, Handler] = {
    "create": create,
    "get": get,
    "list": list_,
    "watch": watch,
    "update": update,
    "patch": patch,
    "delete": delete,
    "deletecollection": deletecollection,
}
COLLECTION = frozenset({"create", "list", "watch", "deletecollection"})
"""Verbs of paths without a name."""

PAGES: dict[str, Page] = {**discovery.PAGES, **health.PAGES, **documents.PAGES}
PREFIXES: list[tuple[str, Page]] = [*discovery.PREFIXES, *health.PREFIXES, *documents.PREFIXES]

_COORDINATION, _SCHEDULING = "coordination.k8s.io/v1beta1", "scheduling.k8s.io/v1beta1"
DEPRECATED = {
    "core/v1.Endpoints": "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    "coordination/v1beta1.LeaseCandidate": (
        f"{_COORDINATION} LeaseCandidate is deprecated in v1.36+, unavailable in v1.39+"
    ),
    "scheduling/v1beta1.PodGroup": f"{_SCHEDULING} PodGroup is deprecated in v1.40+, unavailable in v1.43+",
    "scheduling/v1beta1.Workload": f"{_SCHEDULING} Workload is deprecated in v1.40+, unavailable in v1.43+",
}
"""What every request for a kind is told, by its type key."""

ONE_PLACE = frozenset({"/healthz", "/livez", "/readyz", "/metrics", "/openapi/v2", "/openapi/v3"})
"""Pages that are not found with a slash behind them."""
ONLY_GET = frozenset({"/api", "/api/v1", "/version", "/.well-known/openid-configuration", "/openid/v1/jwks"})
"""Pages that ask for the method; the others answer any."""
DISK_FULL = "the store has no room: free space on its disk, writes are refused until then"

log = logging.get("apiserver")


class App:
    """The API server as an ASGI application."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self._second, self._date = -1, b""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._http(Request(scope, receive, send))
        elif scope["type"] == "websocket":
            await self._websocket(Request(scope, receive, send))
        elif scope["type"] == "lifespan":
            await _lifespan(receive, send)

    async def _http(self, request: Request) -> None:
        core = self.core
        began = core.clock.monotonic()
        request.audit_id = request.header(b"audit-id") or core.clock.uuid()
        request.common = [(b"audit-id", request.audit_id.encode()), (b"date", self._now())]
        labels = labels_of(request.info)
        long_running = labels[0] in LONG_RUNNING
        if long_running:
            REQUESTS.started(labels)
        code = 0
        try:
            response = await self._answered(request)
            code = 200
            if response is not None:
                code = response.status
                if request.audit is not None:
                    await request.audit.answered(core, request, response)
                await send_response(request, response)
        finally:
            if request.audit is not None:
                await request.audit.ended(core, request)
            if long_running:
                REQUESTS.ended(labels)
            REQUESTS.observe(labels, code, core.clock.monotonic() - began)

    def _now(self) -> bytes:
        """The time as HTTP writes it (RFC 9110, section 5.6.7), made anew each second."""
        second = int(self.core.clock.now())
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True).encode()
        return self._date

    async def _answered(self, request: Request) -> Response | None:
        """The answer, whatever happens: an error becomes a Status, a fault of ours a 500 and a line in the log."""
        try:
            return await self._answer(request)
        except errors.ApiError as error:
            return status_response(error, request)
        except ClientDisconnected:
            return None
        except NoSuchPage:
            return NO_PAGE
        except StoreFull:
            return status_response(errors.InsufficientStorage(DISK_FULL), request)
        except StoreClosed:
            return status_response(errors.ServiceUnavailable("the server is shutting down"), request)
        except StoreError as error:
            log.error("the store failed", extra={"path": request.info.path, "error": str(error)})
            return status_response(errors.InternalError(f"Internal error occurred: {error}"), request)
        except Exception as error:
            log.exception("request failed", extra={"method": request.method, "path": request.info.path})
            if request.audit is not None:
                await request.audit.failed(error)
            if request.started:
                return None
            details = meta_v1.StatusDetails(causes=[meta_v1.StatusCause(message="see the server's log")])
            return status_response(
                errors.InternalError("Internal error occurred: see the server's log", details=details), request
            )

    async def _answer(self, request: Request) -> Response | None:
        try:
            self.admit_user(request)
        except (errors.Forbidden, errors.BadRequest):
            request.common += NO_SNIFF
            raise
        if request.audit is not None:
            await request.audit.kept()
        info = request.info
        if not info.is_resource:
            return await self._page(request)
        remote = self.core.aggregator.remote
        if remote and (found := remote.get((info.group, info.version))) is not None:
            return await aggregated.proxy(self.core, request, found)
        kind = scheme.by_resource(info.group, info.version, info.resource)
        if kind is None:
            if info.group == resourcemetrics.GROUP:
                return await resourcemetrics.answer(self.core, request)
            if info.group == bulk.GROUP:
                return await bulk.answer(self.core, request)
            kind = custom.find(self.core.custom, request)
            if kind is None:
                if info.resource == WATCH and info.subresource and request.method != "GET":
                    raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
                raise _unknown(request, self.core)
        handler = handler_of(kind, request)
        if warning := DEPRECATED.get(kind.type_key):
            request.warn(warning)
            if request.audit is not None:
                request.audit.deprecated(warning)
        if kind.storage:
            request.conversion = conversion_of(kind)
        if request.conversion is not None:
            kind = request.conversion.stored
        return await handler(self.core, request, kind)

    def admit_user(self, request: Request) -> None:
        """Authentication, impersonation, authorization. Raises Unauthorized, Forbidden."""
        core = self.core
        info = request.info
        try:
            user = core.authenticator.authenticate(request.scope, request.headers)
        except errors.Unauthorized:
            if core.auditor is not None:
                request.audit = core.auditor.begin(request, None)
            raise
        request.user = user
        if core.auditor is not None:
            request.audit = core.auditor.begin(request, user)
        # One look at all names at once: this is on every request's way.
        if IMPERSONATE in b" ".join(request.headers) and any(n.startswith(IMPERSONATE) for n in request.headers):
            request.user = user = impersonate(user, request.scope, request.headers, core.authorizer)
            if request.audit is not None:
                request.audit.impersonates(user)
        request.common += core.flows.headers(user, info)
        if info.group == bulk.GROUP and (info.group, info.version) not in core.aggregator.remote:
            return  # it authorizes each item on its own
        selector = request.param("fieldSelector") if request.scope.get("query_string") else ""
        if request.audit is None:
            core.authorizer.require(user, info, selector)
            return
        decision = core.authorizer.authorize(user, info, selector)
        request.audit.decided(decision)
        if not decision.allowed:
            raise forbidden(user, info, decision.reason)

    async def _page(self, request: Request) -> Response | None:
        path = request.scope["path"]
        page = PAGES.get(path) or PAGES.get(path.rstrip("/"))
        if path.endswith("/") and path.rstrip("/") in ONE_PLACE:
            raise NoSuchPage
        if page is None:
            page = next((p for prefix, p in PREFIXES if path.startswith(prefix)), None)
        if page is None:
            if path.startswith("/api/"):
                raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
            raise NoSuchPage
        if request.method != "GET" and path.rstrip("/") in ONLY_GET:
            raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
        return await page(self.core, request)

    async def _websocket(self, request: Request) -> None:
        """exec, attach and port-forward for callers in this process, to whom a WebSocket is a scope of its own."""
        core = self.core
        request.audit_id = request.header(b"audit-id") or core.clock.uuid()
        labels = labels_of(request.info)
        REQUESTS.started(labels)
        try:
            try:
                self.admit_user(request)
                info = request.info
                kind = scheme.by_resource(info.group, info.version, info.resource)
                handler = WEBSOCKETS.get((info.resource, info.subresource)) if kind is not None else None
                if handler is None or kind is None:
                    raise _unknown(request, core)
                await handler(core, request, kind)
            except errors.ApiError as error:
                await _refuse(core, request, status_response(error))
            except NoSuchPage:
                await _refuse(core, request, NO_PAGE)
            except Exception as error:
                log.exception("request failed", extra={"path": request.info.path})
                if request.audit is not None:
                    await request.audit.failed(error)
                if not request.started:
                    await _refuse(core, request, status_response(errors.InternalError("Internal error occurred")))
        finally:
            if request.audit is not None:
                await request.audit.ended(core, request)
            REQUESTS.ended(labels)


METHOD = "the server does not allow this method on the requested resource"
UNKNOWN = "the server could not find the requested resource"
UNUSABLE = frozenset({".", ".."})
"""Names that no object has and that a path would be led astray by."""
IMPERSONATE = b"impersonate-"
WATCH = "watch"
"""Stands before a resource's path where all its GETs are watches."""
BELOW = frozenset({"proxy"})
"""Subresources behind which a path goes on."""


def handler_of(kind: Kind, request: Request) -> Handler:
    """What answers this verb on this resource. Raises NotFound and MethodNotSupported in upstream's words."""
    info = request.info
    if info.subresource:
        handlers = subresource(kind, info.subresource)
        if handlers is None or (info.rest and info.subresource not in BELOW):
            raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
        handler = handlers.get(info.verb)
        if handler is None or (request.method == "HEAD" and info.subresource not in BELOW):
            raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
        return handler
    if info.rest:
        raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
    if kind.namespaced and not info.namespace and kind.stored:
        if info.name and info.verb not in ("list", "watch"):
            raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
        if info.verb in ("create", "deletecollection"):
            raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
    if not kind.namespaced and info.namespace and (info.resource != "namespaces" or info.name != info.namespace):
        raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
    if not kind.stored and info.name and kind.kind != "ComponentStatus":
        raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
    if request.method == "HEAD":
        raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
    if not kind.stored:
        return _answered(kind, info.verb)
    handler = HANDLERS.get(info.verb)
    named = request.info.name != "" and info.verb not in ("list", "watch")
    if handler is None or info.verb not in kind.verbs or named == (info.verb in COLLECTION):
        raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
    if info.name in UNUSABLE:
        raise errors.BadRequest(f"Name parameter invalid: \"{info.name}\": may not be '{info.name}'")
    return handler


def _answered(kind: Kind, verb: str) -> Handler:
    """What answers for a kind of which nothing is stored: reviews, bindings, component statuses."""
    if verb not in kind.verbs:
        raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
    if kind.kind == "Binding":
        return binding.bind_named
    if kind.kind == "ComponentStatus":
        return components.show
    return review


def _unknown(request: Request, core: Core) -> Exception:
    info = request.info
    asked = (info.group, info.version)
    # A version that a group does not have is told of as a resource that it does not have.
    if asked in core.custom.group_versions() or any(group == info.group for group, _ in scheme.group_versions()):
        return errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
    return NoSuchPage()


async def _refuse(core: Core, request: Request, response: Response) -> None:
    """Refuses a WebSocket with an HTTP answer."""
    if request.audit is not None:
        await request.audit.answered(core, request, response)
    await request.send(
        {
            "type": "websocket.http.response.start",
            "status": response.status,
            "headers": [(b"content-type", response.content_type)],
        }
    )
    await request.send({"type": "websocket.http.response.body", "body": response.body})


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
