"""What a request asks for: its verb, resource and name, read from method, path and query.

The rules are those of k8s.io/apiserver's pkg/endpoints/request.RequestInfo.
"""

import re
from collections.abc import Awaitable, Callable, MutableMapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from orlop.api import errors

if TYPE_CHECKING:
    from orlop.apiserver.audit import Record
    from orlop.apiserver.auth.user import User
    from orlop.apiserver.conversion import Conversion

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

MAX_BODY = 3 * 1024 * 1024
"""Bytes of a request body: upstream's limit for writes (3 MiB)."""

TOO_LARGE = f"Request entity too large: limit is {MAX_BODY}"

INT64_MAX = (1 << 63) - 1
_INTEGER = re.compile(r"[+-]?[0-9]+\Z")

VERBS = {
    "POST": "create",
    "GET": "get",
    "HEAD": "get",
    "PUT": "update",
    "PATCH": "patch",
    "DELETE": "delete",
}
NAMESPACE_SUBRESOURCES = frozenset({"status", "finalize"})
"""What may follow /namespaces/NAME without being a resource inside the namespace."""


class RequestInfo(NamedTuple):
    """Where a request goes. For paths that are no resource only `path` and `verb` (the method) are set."""

    path: str
    verb: str
    is_resource: bool = False
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    subresource: str = ""
    name: str = ""
    rest: tuple[str, ...] = ()
    """The path's parts behind the subresource (proxy)."""


PATHS = 1024
"""Paths remembered with what they ask for: a client's collections and leases come again and again. Some 0.6 MB."""


@lru_cache(PATHS)
def parse_path(method: str, path: str) -> RequestInfo:
    """The request info of a method and a decoded path. `list` and `watch` are told apart by `Request`."""
    parts = path.strip("/").split("/")
    verb = VERBS.get(method, method.lower())
    if parts[0] == "api" and len(parts) >= 3:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[0] == "apis" and len(parts) >= 4:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return RequestInfo(path, method.lower())
    if rest[0] == "watch" and len(rest) > 1 and verb == "get":
        verb, rest = "watch", rest[1:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    resource = rest[0]
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if not name:
        verb = {"get": "list", "delete": "deletecollection"}.get(verb, verb)
    return RequestInfo(path, verb, True, group, version, namespace, resource, subresource, name, tuple(rest[3:]))


def truthy(text: str) -> bool:
    """A boolean of a query as upstream's conversion reads it: `watch`, `watch=1`, `watch=true`."""
    return text.lower() not in ("false", "0")


class Request:
    """One request on its way through the server."""

    __slots__ = (
        "_body",
        "_query",
        "audit",
        "audit_id",
        "common",
        "conversion",
        "deadline",
        "headers",
        "info",
        "method",
        "receive",
        "scope",
        "send",
        "started",
        "user",
        "warnings",
    )

    user: "User"
    audit: "Record | None"
    """What is recorded of it, where an audit wants it."""
    audit_id: str
    common: "list[tuple[bytes, bytes]]"
    """Header fields of the answer, whatever it is."""
    conversion: "Conversion | None"
    """How the served kind becomes the stored one, where they differ."""
    headers: dict[bytes, bytes]
    """Header fields by lower-case name; of a repeated one the last."""
    deadline: float | None
    """Until when it must be answered, once somebody has asked: monotonic seconds."""
    started: bool
    """Whether the answer has begun to go out."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.method: str = scope.get("method", "GET")
        self.warnings: list[str] = []
        self.common = []
        self.started = False
        self.audit = None
        self.conversion = None
        self.deadline = None
        self.headers = dict(scope["headers"])
        self._query: dict[str, list[str]] | None = None
        self._body: bytes | None = None
        info = parse_path(self.method, scope["path"])
        if info.is_resource and info.verb == "list" and scope.get("query_string"):
            if (watch := self.query.get("watch")) and truthy(watch[0]):
                info = info._replace(verb="watch")
            if name := _name_of_selector(self.query):
                info = info._replace(name=name)
        self.info = info

    def header(self, name: bytes) -> str:
        """A header's text, "" where it is missing."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def query(self) -> dict[str, list[str]]:
        """The query's values by name."""
        if self._query is None:
            self._query = {}
            text = self.scope.get("query_string", b"")
            if b";" in text:  # Go's parser leaves out what it cannot read
                text = b"&".join(part for part in text.split(b"&") if b";" not in part)
            if text:
                for name, value in parse_qsl(text.decode("latin-1"), keep_blank_values=True):
                    self._query.setdefault(name, []).append(value)
        return self._query

    def param(self, name: str, default: str = "") -> str:
        """The first value of a query parameter."""
        values = self.query.get(name)
        return values[0] if values else default

    def flag(self, name: str) -> bool:
        """Whether a boolean query parameter is set: `watch`, `watch=1`, `watch=true`."""
        values = self.query.get(name)
        return bool(values) and truthy(values[0])  # type: ignore[index]

    def integer(self, name: str) -> int | None:
        """A whole number of the query. Raises BadRequest in Go's words."""
        values = self.query.get(name)
        if not values:
            return None
        text = values[0]
        if not _INTEGER.match(text):
            raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": invalid syntax')
        value = int(text)
        if abs(value) > INT64_MAX:
            raise errors.BadRequest(f'strconv.ParseInt: parsing "{text}": value out of range')
        return value

    @property
    def dry_run(self) -> bool:
        return "dryRun" in self.query

    async def body(self) -> bytes:
        """The whole body. Raises RequestEntityTooLarge past `MAX_BODY`, before reading the rest."""
        if self._body is not None:
            return self._body
        length = self.headers.get(b"content-length")
        if length is not None and length.isdigit() and int(length) > MAX_BODY:
            raise errors.RequestEntityTooLarge(TOO_LARGE)
        message = await self.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        data: bytes = message.get("body", b"")
        if message.get("more_body"):
            parts, size = [data], len(data)
            while message.get("more_body"):
                message = await self.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnected
                parts.append(message.get("body", b""))
                size += len(parts[-1])
                if size > MAX_BODY:
                    raise errors.RequestEntityTooLarge(TOO_LARGE)
            data = b"".join(parts)
        if len(data) > MAX_BODY:
            raise errors.RequestEntityTooLarge(TOO_LARGE)
        self._body = data
        return data

    def forget(self) -> None:
        """Lets go of what was asked in, once all is decided: an answer that lasts for hours holds thousands of these.

        Only for answers whose body the connection writes by itself: what writes others asks the scope for its method.
        """
        self.headers, self._query = {}, {}
        kept = {name: self.scope[name] for name in ("type", "method", "http_version") if name in self.scope}
        self.scope.clear()
        self.scope.update(kept)

    def warn(self, text: str) -> None:
        """Adds a Warning header to the answer, once."""
        if text not in self.warnings:
            self.warnings.append(text)


class ClientDisconnected(Exception):
    """The client went away: there is nobody left to answer."""


def _name_of_selector(query: dict[str, list[str]]) -> str:
    """The name that a list or watch is limited to by `fieldSelector=metadata.name=x`: what access rules see."""
    selector = query.get("fieldSelector")
    if not selector or "metadata.name" not in selector[0]:
        return ""
    for term in selector[0].split(","):
        field, _, value = term.partition("=")
        if field == "metadata.name":
            return unquote(value.removeprefix("="))
    return ""
