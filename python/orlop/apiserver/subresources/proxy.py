"""nodes/proxy, pods/proxy, services/proxy: HTTP passed on to what the object stands for.

A pod's or service's name in the path may carry a scheme and a port: `https:web:8443`. The rules are those of
pkg/registry/core/{node,pod,service}'s ResourceLocation.
"""

import asyncio
import posixpath
import ssl
from collections.abc import AsyncIterator
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, urlsplit, urlunsplit

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import core_v1, discovery_v1
from orlop.apiserver.core import Core
from orlop.apiserver.request import ClientDisconnected, Request
from orlop.apiserver.response import Response
from orlop.apiserver.subresources import connects, upgrade as upgrades
from orlop.apiserver.subresources.kubelet import kubelets_of, locate
from orlop.apiserver.upgrade import Upgrade, wanted

if TYPE_CHECKING:
    import aiohttp
    import yarl

HOP_BY_HOP = frozenset(
    {
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"host",
        b"content-length",
        b"authorization",
    }
)
"""What belongs to one connection, or to this server alone, and is not passed on (RFC 9110, 7.6.1)."""
REDIRECTS = frozenset({201, 301, 302, 303, 307, 308})
"""Answers whose Location may lead past this proxy."""
PATH_SAFE = "/:@!$&'()*+,;=~"
"""Characters of a path that stand for themselves (RFC 3986, 3.3)."""
_SLICE = scheme.by_resource("discovery.k8s.io", "v1", "endpointslices")


class Target(NamedTuple):
    """Where a request goes on to."""

    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None
    """How to speak TLS with it, where that is its scheme."""
    server_name: str = ""
    """What its certificate is for; "" means its host."""

    @property
    def netloc(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def path(self, path: str, query: bytes) -> str:
        """The request target for a decoded path."""
        return quote(path, safe=PATH_SAFE) + (f"?{query.decode('latin-1')}" if query else "")

    def url(self, path: str, query: bytes) -> "yarl.URL":
        """The address, which is not to be encoded again."""
        import yarl

        return yarl.URL(f"{self.scheme}://{self.netloc}{self.path(path, query)}", encoded=True)


def split_name(text: str) -> tuple[str, str, str]:
    """`[scheme:]name[:port]` → (scheme, name, port). Raises BadRequest."""
    parts = text.split(":")
    if len(parts) == 1:
        return "", text, ""
    if len(parts) == 2:
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0], parts[1], parts[2]
    raise errors.BadRequest(f'invalid request "{text}"')


async def proxy(core: Core, request: Request, kind: Kind) -> Response | None:
    """Passes any method on, body and answer as streams."""
    options = await connects.admit(core, request, kind)
    target = _TARGETS[kind.resource](core, request, kind)
    asked = request.scope["path"]
    path = "/" + options.path.removeprefix("/")
    if path == "/" and not asked.endswith("/") and request.method in ("GET", "HEAD"):
        # The root's own links only lead on behind a slash.
        query = request.scope.get("query_string", b"")
        where = quote(asked).encode() + b"/" + (b"?" + query if query else b"")
        return Response(301, b"", b"text/plain", ((b"location", where),))
    if asked.endswith("/") and not path.endswith("/"):
        path += "/"
    if target.tls is None:
        target = target._replace(tls=_unchecked())
    return await pass_on(core, request, target, path, forwarded(request), kubelets_of(core).session())


def _node(core: Core, request: Request, kind: Kind) -> Target:
    _, name, _ = split_name(request.info.name)
    where = locate(core, name)
    return Target("https", where.host, where.port, kubelets_of(core).tls)


def _pod(core: Core, request: Request, kind: Kind) -> Target:
    how, name, port = split_name(request.info.name)
    value, _ = core.objects.find(kind, request.info.namespace, name)
    pod: core_v1.Pod = core.objects.decode(kind, value)
    if not port:
        port = next((str(p.container_port) for c in pod.spec.containers for p in c.ports), "")
    if not pod.status.pod_ip:
        raise errors.BadRequest("address not allowed")
    return Target(how or "http", pod.status.pod_ip, _number(port or ("443" if how == "https" else "80")))


def _service(core: Core, request: Request, kind: Kind) -> Target:
    how, name, port = split_name(request.info.name)
    if core.hub.get(kind.resource, request.info.namespace, name) is None:
        raise errors.ServiceUnavailable(f'no endpoints available for service "{name}"')
    value, _ = core.objects.find(kind, request.info.namespace, name)
    service: core_v1.Service = core.objects.decode(kind, value)
    if not port and len(service.spec.ports) == 1:
        chosen = service.spec.ports[0]
    else:
        found = [p for p in service.spec.ports if port in (p.name, str(p.port)) and port]
        if not found:
            raise errors.ServiceUnavailable(f'no service port "{port}" found for service "{name}"')
        chosen = found[0]
    assert _SLICE is not None
    selector = f"kubernetes.io/service-name={name}"
    ready: list[tuple[str, int]] = []
    for item in core.hub.list(_SLICE.resource, request.info.namespace, selector, "", 0, None).items:
        endpoints: discovery_v1.EndpointSlice = core.objects.decode(_SLICE, item)
        numbers = [p.port for p in endpoints.ports if (p.name or "") == chosen.name and p.port]
        for endpoint in endpoints.endpoints:
            if endpoint.conditions.ready is not False and numbers and numbers[0]:
                ready += [(address, numbers[0]) for address in endpoint.addresses]
    if not ready:
        raise errors.ServiceUnavailable(f'no endpoints available for service "{name}"')
    host, number = core.clock.random.choice(ready)
    return Target(how or "http", host, number)


def _number(port: str) -> int:
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise errors.BadRequest(f'invalid port "{port}"')
    return int(port)


_TARGETS = {"nodes": _node, "pods": _pod, "services": _service}


async def pass_on(
    core: Core,
    request: Request,
    target: Target,
    path: str,
    sent: upgrades.Headers,
    session: "aiohttp.ClientSession",
) -> Response | None:
    """Passes a request on to a path of `target`, and the answer back, an upgraded connection too.

    Raises ServiceUnavailable where nobody answers.
    """
    import aiohttp

    query = request.scope.get("query_string", b"")
    asked = wanted(request)
    body = _Body(request)
    try:
        if asked is not None:
            await _upgrade(core, request, asked, target, path, query, sent)
            return None
        headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in sent]
        async with session.request(
            request.method,
            target.url(path, query),
            headers=headers,
            data=None if request.method in ("GET", "HEAD") else body.pieces(),
            allow_redirects=False,
            ssl=target.tls or True,
            server_hostname=target.server_name or None,
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        ) as answer:
            await _answer(request, answer, target, body)
    except upgrades.Refused as refused:
        kept = tuple((n.lower(), v) for n, v in refused.headers if n.lower() not in HOP_BY_HOP | {b"content-type"})
        media = next((v for n, v in refused.headers if n.lower() == b"content-type"), b"text/plain")
        return Response(refused.status, refused.body, media, kept)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if not request.started:
            raise errors.ServiceUnavailable(f"error trying to reach service: {error}") from None
        await request.send({"type": "http.response.body", "body": b""})
    return None


def forwarded(request: Request) -> upgrades.Headers:
    """The client's headers without those of its connection, and with what it asked for (X-Forwarded-…)."""
    scope = request.scope
    kept = [(n, v) for n, v in scope["headers"] if n not in HOP_BY_HOP and not n.startswith(b"impersonate-")]
    scheme_ = str(scope.get("scheme", "https")).replace("wss", "https").encode()
    uri = quote(scope["path"]).encode()
    host = request.headers.get(b"host", b"")
    return [*kept, (b"x-forwarded-uri", uri), (b"x-forwarded-host", host), (b"x-forwarded-proto", scheme_)]


async def _upgrade(
    core: Core, request: Request, asked: Upgrade, target: Target, path: str, query: bytes, sent: upgrades.Headers
) -> None:
    tls = target.tls if target.scheme == "https" else None
    where = upgrades.Target(target.host, target.port, target.path(path, query), tls, target.server_name)
    await upgrades.pass_on(core, request, asked, where, sent)


@cache
def _unchecked() -> ssl.SSLContext:
    """TLS to a pod: nobody vouches for its certificate, as upstream's proxy transport asks nobody."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


class _Body:
    """The request's body on its way, and word of the client's leaving after it."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._taken = request.method in ("GET", "HEAD")
        self._done = asyncio.Event()
        if self._taken:
            self._done.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            more = message.get("more_body", False)
            if message.get("body"):
                yield message["body"]
        self._done.set()

    async def left(self) -> None:
        """Returns when the client has gone away, once all of its body has been read."""
        await self._done.wait()
        while (await self._request.receive())["type"] != "http.disconnect":
            pass


async def _answer(request: Request, answer: "aiohttp.ClientResponse", target: Target, body: _Body) -> None:
    headers = [(n.lower(), v) for n, v in answer.raw_headers if n.lower() not in HOP_BY_HOP]
    if answer.status in REDIRECTS:
        headers = [(n, _relocated(request, target, v) if n == b"location" else v) for n, v in headers]
    request.started = True
    await request.send({"type": "http.response.start", "status": answer.status, "headers": headers})
    leaving = asyncio.ensure_future(body.left())
    try:
        while True:
            reading = asyncio.ensure_future(answer.content.readany())
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                return
            chunk = reading.result()
            if not chunk:
                break
            await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
    await request.send({"type": "http.response.body", "body": b""})


def _relocated(request: Request, target: Target, location: bytes) -> bytes:
    """A redirect to somewhere on the same server leads through this proxy again."""
    parts = urlsplit(location.decode("latin-1"))
    if parts.netloc not in ("", target.netloc):
        return location
    root = str(request.scope["path"])
    rest = "/" + "/".join(request.info.rest)
    root = root.rstrip("/").removesuffix(rest.rstrip("/"))
    path = parts.path if parts.path.startswith("/") else posixpath.join(posixpath.dirname(rest), parts.path)
    return urlunsplit(("", "", quote(root) + path, parts.query, parts.fragment)).encode("latin-1")
