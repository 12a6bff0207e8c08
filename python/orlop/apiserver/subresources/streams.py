"""exec, attach and port-forward: the client's connection is joined to one to the kubelet of the pod's node.

The protocols (SPDY/3.1, WebSocket channels) are the client's and the kubelet's affair.
"""

import asyncio
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import core_v1
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.subresources import connects
from orlop.apiserver.subresources.kubelet import Kubelets, container_of, kubelets_of, locate, pod_of, unreachable
from orlop.apiserver.subresources.upgrade import REASONS, Headers, Refused, Target, pass_on
from orlop.apiserver.upgrade import wanted

if TYPE_CHECKING:
    import aiohttp

PASSED = frozenset({b"user-agent", b"x-stream-protocol-version", b"sec-websocket-key", b"sec-websocket-version"})
"""Headers of the client that the kubelet is told."""
TOKEN_PROTOCOL = b"base64url.bearer.authorization.k8s.io."
"""A browser's way to send a token: no subprotocol, and not for the kubelet."""


async def stream(core: Core, request: Request, kind: Kind) -> None:
    """A request that asks to be upgraded. Raises the ApiError that the kubelet's refusal means."""
    pod, path, query = await _path(core, request, kind)
    upgrade = wanted(request)
    if upgrade is None:
        raise errors.BadRequest("Upgrade request required")
    where = locate(core, pod.spec.node_name)
    target = Target(where.host, where.port, f"{path}?{urlencode(query)}", kubelets_of(core).tls)
    try:
        await pass_on(core, request, upgrade, target, _headers(request))
    except Refused as refused:
        raise refused.error() from None
    except (OSError, TimeoutError) as error:
        raise errors.InternalError(f"error dialing backend: {error or 'timed out'}") from None


async def _path(core: Core, request: Request, kind: Kind) -> tuple[core_v1.Pod, str, list[tuple[str, str]]]:
    """The pod, and its kubelet's path and query for the request. Raises NotFound, Forbidden, BadRequest."""
    info = request.info
    # The upgrade may be a GET, but what it opens changes things: who may only read may not (since 1.35).
    core.authorizer.require(request.user, info._replace(verb="create"))
    options = await connects.admit(core, request, kind)
    pod = pod_of(core, request, kind)
    where = f"{pod.metadata.namespace}/{pod.metadata.name}"
    if info.subresource == "portforward":
        _check_ports(request)
        query = [("port", str(port)) for port in options.ports]
        _assigned(pod)
        if pod.status.phase != "Running":
            raise errors.BadRequest(
                f"unable to forward port because pod is not running. Current status={pod.status.phase}"
            )
        return pod, f"/portForward/{where}", query
    query = _query(options)
    container = container_of(pod, options.container)
    _assigned(pod)
    return pod, f"/{info.subresource}/{where}/{container}", query


def _assigned(pod: core_v1.Pod) -> None:
    if not pod.spec.node_name:
        raise errors.BadRequest(f"pod {pod.metadata.name} does not have a host assigned")


def _query(options: core_v1.PodExecOptions | core_v1.PodAttachOptions) -> list[tuple[str, str]]:
    query: list[tuple[str, str]] = []
    if isinstance(options, core_v1.PodExecOptions):
        query = [("command", c) for c in options.command]
        if not query:
            raise errors.BadRequest("you must specify at least one command for the container")
    flags = (options.stdin, "input"), (options.stdout, "output"), (options.stderr, "error"), (options.tty, "tty")
    query += [(remote, "1") for given, remote in flags if given]
    if not any(name in ("input", "output", "error") for name, _ in query):
        raise errors.BadRequest("you must specify at least one of stdin, stdout, stderr")
    return query


def _check_ports(request: Request) -> None:
    ports = [part for value in request.query.get("ports", []) for part in value.split(",")]
    for port in ports:
        if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
            raise errors.BadRequest(f'unable to parse "{port}" as a port')


def _headers(request: Request) -> Headers:
    """What the kubelet is told of the client's headers; one may come several times."""
    headers: Headers = []
    for name, value in request.scope["headers"]:
        if name in PASSED:
            headers.append((name, value))
        elif name == b"sec-websocket-protocol":
            names = [n.strip() for n in value.split(b",")]
            if kept := [n for n in names if not n.startswith(TOKEN_PROTOCOL)]:
                headers.append((name, b", ".join(kept)))
    return headers


# Callers in this process have no connection to hand over: their WebSocket's messages are passed on one by one.


async def frames(core: Core, request: Request, kind: Kind) -> None:
    """A WebSocket to the kubelet, whose messages are passed on both ways as they are."""
    pod, path, query = await _path(core, request, kind)
    url = locate(core, pod.spec.node_name).url(path, query)
    protocols: list[str] = request.scope.get("subprotocols", [])
    async with await _connect(kubelets_of(core), url, protocols) as there:
        await request.receive()
        request.started = True
        await request.send({"type": "websocket.accept", "subprotocol": there.protocol})
        await _pass_on(request, there)


async def _connect(kubelets: Kubelets, url: str, protocols: Iterable[str]) -> "aiohttp.ClientWebSocketResponse":
    """A WebSocket to a kubelet. Raises the ApiError that its refusal means."""
    import aiohttp

    try:
        return await kubelets.session().ws_connect(url, protocols=protocols, max_msg_size=0)
    except aiohttp.WSServerHandshakeError as error:
        if error.status in REASONS:
            raise errors.ApiError(error.message, code=error.status, reason=REASONS[error.status]) from None
        raise unreachable(url, error) from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise unreachable(url, error) from None


async def _pass_on(request: Request, there: "aiohttp.ClientWebSocketResponse") -> None:
    """Frames from here to there and back until either side ends."""
    import aiohttp

    async def outward() -> None:
        while True:
            message = await request.receive()
            if message["type"] == "websocket.disconnect":
                await there.close()
                return
            data: Any = message.get("bytes")
            if data is not None:
                await there.send_bytes(data)
            elif message.get("text") is not None:
                await there.send_str(message["text"])

    async def inward() -> None:
        async for message in there:
            if message.type is aiohttp.WSMsgType.BINARY:
                await request.send({"type": "websocket.send", "bytes": message.data})
            elif message.type is aiohttp.WSMsgType.TEXT:
                await request.send({"type": "websocket.send", "text": message.data})
        await request.send({"type": "websocket.close", "code": 1000})

    tasks = [asyncio.ensure_future(outward()), asyncio.ensure_future(inward())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
