"""nodes/proxy, pods/proxy, services/proxy: HTTP passed on to what the object stands for.

A pod's or service's name in the path may carry a scheme and a port: `https:web:8443`. The rules are those of
pkg/registry/core/{node,pod,service}'s ResourceLocation.
"""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import core_v1, discovery_v1
from orlop.apiserver.core import Core
from orlop.apiserver.request import ClientDisconnected, Request
from orlop.apiserver.response import Response
from orlop.apiserver.subresources.kubelet import kubelets_of, locate

if TYPE_CHECKING:
    import aiohttp

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
CHUNK = 64 * 1024
_SLICE = scheme.by_resource("discovery.k8s.io", "v1", "endpointslices")


class Target(NamedTuple):
    """Where a request goes on to."""

    scheme: str
    host: str
    port: int

    def url(self, path: str, query: bytes) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}{path}" + (f"?{query.decode('latin-1')}" if query else "")


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
    target = _TARGETS[kind.resource](core, request, kind)
    info = request.info
    path = "/" + "/".join(info.rest)
    if request.scope["path"].endswith("/") and not path.endswith("/"):
        path += "/"
    return await _pass_on(core, request, target.url(path, request.scope.get("query_string", b"")))


def _node(core: Core, request: Request, kind: Kind) -> Target:
    _, name, _ = split_name(request.info.name)
    where = locate(core, name)
    return Target("https", where.host, where.port)


def _pod(core: Core, request: Request, kind: Kind) -> Target:
    how, name, port = split_name(request.info.name)
    value, _ = core.objects.find(kind, request.info.namespace, name)
    pod: core_v1.Pod = core.objects.decode(kind, value)
    if not port:
        port = next((str(p.container_port) for c in pod.spec.containers for p in c.ports), "")
    if not pod.status.pod_ip:
        raise errors.BadRequest("address not allowed")
    return Target(how or "http", pod.status.pod_ip, _number(port))


def _service(core: Core, request: Request, kind: Kind) -> Target:
    how, name, port = split_name(request.info.name)
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


async def _pass_on(core: Core, request: Request, url: str) -> Response | None:
    import aiohttp

    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.scope["headers"] if n not in HOP_BY_HOP]
    body = None if request.method in ("GET", "HEAD") else _body(request)
    session = kubelets_of(core).session()
    try:
        async with session.request(
            request.method, url, headers=headers, data=body, allow_redirects=False, skip_auto_headers=("user-agent",)
        ) as answer:
            await _answer(request, answer)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if not request.started:
            raise errors.ServiceUnavailable(f"error trying to reach service: {error}") from None
        await request.send({"type": "http.response.body", "body": b""})
    return None


async def _body(request: Request) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await request.receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnected
        more = message.get("more_body", False)
        if message.get("body"):
            yield message["body"]


async def _answer(request: Request, answer: "aiohttp.ClientResponse") -> None:
    headers = [(n.lower(), v) for n, v in answer.raw_headers if n.lower() not in HOP_BY_HOP]
    request.started = True
    await request.send({"type": "http.response.start", "status": answer.status, "headers": headers})
    async for chunk in answer.content.iter_chunked(CHUNK):
        await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
    await request.send({"type": "http.response.body", "body": b""})
