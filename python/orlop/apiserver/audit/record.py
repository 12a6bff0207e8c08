"""One request's record, from its receipt to the end of its answer."""

from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING, Any

import msgspec

from orlop import native
from orlop.api import errors
from orlop.api.kind import Kind
from orlop.api.types import authentication_v1
from orlop.apiserver.audit import metrics
from orlop.apiserver.audit.event import Event, ObjectReference, ResponseStatus, moment, without_managed_fields
from orlop.apiserver.audit.policy import (
    COMPLETE,
    LEVELS,
    PANIC,
    RECEIVED,
    REQUEST,
    REQUEST_RESPONSE,
    STARTED,
)
from orlop.apiserver.audit.readable import readable
from orlop.apiserver.registry.objects import encode

if TYPE_CHECKING:
    from orlop.apiserver.audit.auditor import Auditor
    from orlop.apiserver.auth import Decision, User
    from orlop.apiserver.core import Core
    from orlop.apiserver.request import Request, Send
    from orlop.apiserver.response import Response

LONG_SUBRESOURCES = frozenset({"attach", "exec", "proxy", "log", "portforward"})
LONG_VERBS = frozenset({"watch", "proxy"})
"""Requests whose answers last: they are recorded when the answer begins, too."""
SWITCHED = 101
"""The code of connections that are handed over."""
SLOW = 0.5
"""Seconds from which on it is noted how long an answer took."""
LATENCY = "apiserver.latency.k8s.io/total"
DECISION, REASON = "authorization.k8s.io/decision", "authorization.k8s.io/reason"
DEPRECATED, REMOVED = "k8s.io/deprecated", "k8s.io/removed-release"
INTERNAL = "meta.k8s.io/__internal"
"""The apiVersion that upstream shows of DeleteOptions."""


class Record:
    """What is written of a request: told by those it passes."""

    def __init__(
        self,
        auditor: "Auditor",
        event: Event,
        omit_stages: frozenset[str],
        *,
        managed_fields: bool,
        lasts: bool,
        known: bool,
    ) -> None:
        self._auditor = auditor
        self._event = event
        self._omit_stages = omit_stages
        self._managed_fields = managed_fields
        self._lasts = lasts
        self._known = known
        self._began = auditor.clock.monotonic()
        self._done = False
        self._body: tuple[Kind, bytes] | None = None
        self._level = LEVELS.index(event.level)
        self.annotations: dict[str, str] = {}
        """What is noted of the request; what stands there stays."""

    # --- what is told of the request ----------------------------------------------------------

    def decided(self, decision: "Decision") -> None:
        """It may pass, or not."""
        self.annotations[DECISION] = "allow" if decision.allowed else "forbid"
        self.annotations[REASON] = decision.reason

    def impersonates(self, user: "User") -> None:
        """It is treated as this user's."""
        self._event.impersonated_user = user.info()

    def deprecated(self, warning: str) -> None:
        """What is asked for will not be served for good; its end stands in the warning."""
        self.annotations[DEPRECATED] = "true"
        if removed := warning.partition("unavailable in v")[2].rstrip("+"):
            self.annotations[REMOVED] = removed

    def body(self, kind: Kind, value: bytes) -> None:
        """What was sent, as canonical JSON of `kind`."""
        self._body = (kind, value)

    def patch(self, value: bytes) -> None:
        """The patch that was sent, as JSON."""
        if self.objects:
            self._event.request_object = msgspec.Raw(value)

    def options(self, value: bytes) -> None:
        """The DeleteOptions that were sent."""
        if self.objects:
            given = {k: v for k, v in msgspec.json.decode(value).items() if k not in ("kind", "apiVersion")}
            shown = {"kind": "DeleteOptions", "apiVersion": INTERNAL, **given}
            self._event.request_object = msgspec.Raw(msgspec.json.encode(shown))

    @property
    def objects(self) -> bool:
        """Whether what is sent is recorded."""
        return self._level >= REQUEST

    @property
    def wants_answer(self) -> bool:
        """Whether the answer's object is recorded: it cannot be streamed past this."""
        return self._level >= REQUEST_RESPONSE

    # --- its stages ---------------------------------------------------------------------------

    def _emit(self, stage: str) -> None:
        if stage in self._omit_stages:
            return
        event = self._event
        event.stage = stage
        event.annotations = self.annotations
        if stage != RECEIVED:
            event.stage_timestamp = moment(self._auditor.clock.now())
        metrics.EVENTS.inc()
        self._auditor.take(event)

    def received(self) -> None:
        """It has come in."""
        self._emit(RECEIVED)

    async def kept(self) -> None:
        """Raises InternalError where its receipt could not be written and requests are to fail then."""
        if not await self._auditor.settled():
            metrics.REJECTED.inc()
            raise errors.InternalError("Internal error occurred: failed to store audit event")

    def watching(self, send: "Send") -> "Send":
        """`send`, and word of when an answer begins that a handler sends by itself."""

        async def told(message: MutableMapping[str, Any]) -> None:
            if (how := message["type"]) == "http.response.start":
                self.started(message["status"])
            elif how == "websocket.accept":
                self.started(SWITCHED)
            if self._lasts and how != "http.response.body":
                await self._auditor.settled()
            await send(message)

        return told

    def started(self, code: int) -> None:
        """The answer begins."""
        if self._event.response_status is not None:
            return
        self._event.response_status = ResponseStatus(code=code)
        if self._lasts:
            self._emit(STARTED)

    async def answered(self, core: "Core", request: "Request", response: "Response") -> None:
        """It has a whole answer, which is let go when all is written."""
        if self._done:
            return
        self._take_body(core, request)
        shown = readable(response)
        status = ResponseStatus()
        if shown is not None and shown[0] == "Status":
            status = msgspec.json.decode(shown[1], type=ResponseStatus)
            status.metadata = {}
        status.code = response.status
        event = self._event
        event.response_status = status
        if shown is not None and self.wants_answer:
            event.response_object = self._raw(shown[1])
        if self._lasts and self._known:
            self._emit(STARTED)
        # Of who is not known, the refusal is all that is written.
        await self._end(COMPLETE if self._known else STARTED)

    async def failed(self, error: BaseException) -> None:
        """There was a fault in the server."""
        words = f"APIServer panic'd: {error!r}"
        self._event.response_status = ResponseStatus(status="Failure", message=words, reason="InternalError", code=500)
        await self._end(PANIC)

    async def ended(self, core: "Core", request: "Request") -> None:
        """Nothing more happens for it."""
        if self._done:
            return
        self._take_body(core, request)
        if self._event.response_status is None:
            faked = ResponseStatus(status="Success", message="Connection closed early", code=200)
            self._event.response_status = faked
            if self._lasts:
                self._emit(STARTED)
        await self._end(COMPLETE)

    async def _end(self, stage: str) -> None:
        if self._done:
            return
        self._done = True
        taken = self._auditor.clock.monotonic() - self._began
        if taken > SLOW and not self._lasts:
            self.annotations.setdefault(LATENCY, f"{taken:g}s")
        self._emit(stage)
        await self._auditor.settled()

    def _take_body(self, core: "Core", request: "Request") -> None:
        """What was sent as its own version has it, defaults filled in; and by what it names the object."""
        if self._body is None:
            return
        kind, value = self._body
        self._body = None
        metadata: Any = None
        try:
            obj = core.objects.decode(kind, value)
            metadata = getattr(obj, "metadata", None)
            if self.objects:
                if (strategy := core.strategies.get(kind.type_key)) is not None:
                    strategy.default(obj)
                shown = encode(obj)
                if request.conversion is not None and request.conversion.stored is kind:
                    shown = request.conversion.to_served(shown)
                self._event.request_object = self._raw(shown)
        except (errors.ApiError, native.WireError, msgspec.DecodeError):
            # What cannot be read has been told of to who sent it.
            pass
        ref = self._event.object_ref
        if ref is not None and metadata is not None:
            ref.namespace = ref.namespace or metadata.namespace
            ref.name = ref.name or metadata.name
            ref.uid = ref.uid or metadata.uid
            ref.resource_version = ref.resource_version or metadata.resource_version

    def _raw(self, value: bytes) -> msgspec.Raw:
        return msgspec.Raw(value if self._managed_fields else without_managed_fields(value))


def lasts(info: Any) -> bool:
    """Whether the answer to a request lasts."""
    return info.is_resource and (info.verb in LONG_VERBS or info.subresource in LONG_SUBRESOURCES)


def new_event(request: "Request", level: str, user: authentication_v1.UserInfo, now: float) -> Event:
    """The event of a request that has just come in."""
    info, scope = request.info, request.scope
    ref = None
    if info.is_resource:
        ref = ObjectReference(
            resource=info.resource,
            namespace=info.namespace,
            name=info.name,
            api_group=info.group,
            api_version=info.version,
            subresource=info.subresource,
        )
    path = scope.get("raw_path") or scope["path"].encode()
    query = scope.get("query_string", b"")
    agent = request.header(b"user-agent")
    return Event(
        level=level,
        audit_id=request.audit_id,
        stage=RECEIVED,
        request_uri=(path + b"?" + query if query else path).decode("latin-1"),
        verb=info.verb,
        user=user,
        source_ips=source_ips(scope, request.headers),
        user_agent=agent if len(agent) <= AGENT_MAX else agent[:AGENT_MAX] + "...TRUNCATED",
        object_ref=ref,
        request_received_timestamp=moment(now),
        stage_timestamp=moment(now),
    )


AGENT_MAX = 1024
"""Characters of a User-Agent that are recorded."""


def source_ips(scope: Mapping[str, Any], headers: Mapping[bytes, bytes]) -> list[str]:
    """Where a request comes from: what proxies say of it, then who connected."""
    from ipaddress import ip_address

    given = headers.get(b"x-forwarded-for", b"").decode("latin-1").split(",")
    given.append(headers.get(b"x-real-ip", b"").decode("latin-1"))
    client = scope.get("client")
    found: list[str] = []
    for text in (*given, client[0] if client else ""):
        try:
            shown = str(ip_address(text.strip()))
        except ValueError:
            continue
        if shown not in found[-1:]:
            found.append(shown)
    return found
