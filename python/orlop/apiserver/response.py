"""What goes back: status, headers, body."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import msgspec
import yaml

from orlop import native
from orlop.api.errors import ApiError
from orlop.api.types import meta_v1
from orlop.apiserver import negotiate
from orlop.apiserver.request import Request

JSON = b"application/json"
TEXT = b"text/plain; charset=utf-8"
STATUS_KEY = "meta/v1.Status"
WARNING_AGENT = "-"
WARNINGS_MAX = 4 * 1024
"""Characters of an answer's warnings, from where on each is cut to WARNING_MAX, as upstream: headers have an end."""
WARNING_MAX = 256

Header = tuple[bytes, bytes]


class Response(NamedTuple):
    """A whole answer."""

    status: int
    body: bytes
    content_type: bytes = JSON
    headers: tuple[Header, ...] = ()


GZIPPED: tuple[Header, ...] = ((b"content-encoding", b"gzip"), (b"vary", b"Accept-Encoding"))


NO_CACHE: Header = (b"cache-control", b"no-cache, private")
NO_SNIFF: tuple[Header, ...] = ((b"x-content-type-options", b"nosniff"),)


NO_PAGE = Response(404, b"404 page not found\n", TEXT, NO_SNIFF)
"""Of a path that nothing answers."""


def accepts_gzip(request: Request) -> bool:
    """Whether the client takes compressed bodies."""
    return b"gzip" in request.headers.get(b"accept-encoding", b"")


def to_yaml(body: bytes) -> bytes:
    """A JSON body as YAML."""
    text: str = yaml.dump(msgspec.json.decode(body), Dumper=_DUMPER, sort_keys=True, default_flow_style=False)
    return text.encode()


_BASE: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_STRING = "tag:yaml.org,2002:str"


class _DUMPER(_BASE):  # type: ignore[misc]
    """YAML as Go writes it: lists not indented, double quotes where text would be read as something else."""


def _text(dumper: Any, value: str) -> Any:
    style = None
    if "\n" in value:
        style = "|"
    elif dumper.resolve(yaml.ScalarNode, value, (True, False)) != _STRING:
        style = '"'
    return dumper.represent_scalar(_STRING, value, style=style)


_DUMPER.add_representer(str, _text)


def encoded(media: negotiate.Media, type_key: str, body: bytes) -> tuple[bytes, bytes]:
    """A JSON body in the form asked for, and its content type."""
    if media == "json":
        return body, JSON
    if media == "protobuf":
        return native.wire_encode_protobuf(type_key, body), negotiate.PROTOBUF.encode()
    return to_yaml(body), negotiate.YAML.encode()


def status_response(error: ApiError, request: Request | None = None) -> Response:
    """An error as the client reads it: a Status in the form it accepts, else JSON."""
    return of_status(error.status, request)


def of_status(status: meta_v1.Status, request: Request | None = None) -> Response:
    """A Status, success or failure, as an answer."""
    media: negotiate.Media = "json"
    if request is not None:
        try:
            accepted = negotiate.accept(request.header(b"accept"))
            # A Status is neither a table nor metadata: what asks for one gets it in JSON.
            media = "json" if accepted.as_ else accepted.media
        except ApiError:
            media = "json"
    body, content_type = encoded(media, STATUS_KEY, msgspec.json.encode(status))
    headers: tuple[Header, ...] = ()
    if status.details is not None and status.details.retry_after_seconds and status.code in (429, 500, 503, 504):
        headers = ((b"retry-after", str(status.details.retry_after_seconds).encode()),)
    return Response(status.code or 200, body, content_type, headers)


def success(kind: str, group: str, name: str, uid: str) -> meta_v1.Status:
    """What a delete answers when the object is gone."""
    return meta_v1.Status(status="Success", details=meta_v1.StatusDetails(name=name, group=group, kind=kind, uid=uid))


def warning_headers(warnings: list[str]) -> list[Header]:
    """RFC 7234 Warning headers as upstream writes them, `299 - "text"`; each cut short where all are too long."""
    headers = []
    for text in warnings if sum(map(len, warnings)) <= WARNINGS_MAX else _cut(warnings):
        quoted = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ").replace("\r", " ")
        headers.append((b"warning", f'299 {WARNING_AGENT} "{quoted}"'.encode()))
    return headers


def _cut(warnings: list[str]) -> Iterator[str]:
    written = 0
    for text in warnings:
        if written >= WARNINGS_MAX:
            break
        yield text[:WARNING_MAX]
        written += min(len(text), WARNING_MAX)


async def start_stream(request: Request, content_type: bytes, *headers: Header) -> None:
    """Begins an answer whose body is written as it comes. From here on the request has its answer."""
    request.started = True
    start: list[Header] = [
        *request.common,
        NO_CACHE,
        (b"content-type", content_type),
        *headers,
        *warning_headers(request.warnings),
    ]
    await request.send({"type": "http.response.start", "status": 200, "headers": start})


async def end_stream(request: Request) -> None:
    """Ends such an answer."""
    await request.send({"type": "http.response.body", "body": b""})


async def send_response(request: Request, response: Response) -> None:
    """Sends a whole answer, compressed where the client asks and it pays."""
    body = response.body
    headers: list[Header] = [
        *request.common,
        (b"content-type", response.content_type),
        *response.headers,
    ]
    if not response.headers or not any(name == b"cache-control" for name, _ in response.headers):
        headers.append(NO_CACHE)
    if request.warnings:
        headers += warning_headers(request.warnings)
    if response.content_type == JSON and _pretty(request):
        body = msgspec.json.format(body, indent=2)
    if len(body) >= negotiate.GZIP_MIN and response.headers is not GZIPPED and accepts_gzip(request):
        body = await gzipped(body)
        headers += GZIPPED
    headers.append((b"content-length", str(len(body)).encode()))
    await request.send({"type": "http.response.start", "status": response.status, "headers": headers})
    await request.send({"type": "http.response.body", "body": b"" if request.method == "HEAD" else body})


_PEOPLE = (b"curl", b"Wget", b"Mozilla/5.0")
"""Agents that people read with: upstream indents for them unless asked not to."""


def _pretty(request: Request) -> bool:
    """Whether JSON is to be indented."""
    if b"pretty" in request.scope.get("query_string", b"") and "pretty" in request.query:
        return request.flag("pretty")
    return request.headers.get(b"user-agent", b"").startswith(_PEOPLE)


async def gzipped(body: bytes) -> bytes:
    """Compressed beside the event loop: zlib lets go of the GIL."""
    from orlop.tasks import in_thread

    return await in_thread(None, negotiate.gzip, body)
