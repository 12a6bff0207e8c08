"""pods/portforward: the clients' protocols on one side, one WebSocket for each forwarded connection on the kubelet's.

Clients speak SPDY/3.1 inside a WebSocket (kubectl), each connection a pair of streams, or v4.channel.k8s.io, where the
ports are fixed at the start and each has a channel for data and one for errors.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from orlop import logging
from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import core_v1
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.subresources.kubelet import connect, kubelets_of, locate, pod_of
from orlop.streaming import spdy
from orlop.tasks import Group

if TYPE_CHECKING:
    import aiohttp

TUNNEL = "SPDY/3.1+portforward.k8s.io"
CHANNELS = "v4.channel.k8s.io"
MAX_CONNECTIONS = 1024
"""Forwarded connections of one client at a time."""

log = logging.get("apiserver")

Dial = Callable[[int], Awaitable["aiohttp.ClientWebSocketResponse"]]
"""Opens a connection to a port of the pod. Raises ApiError."""


async def forward(core: Core, request: Request, kind: Kind) -> None:
    """Serves one client's forwarded ports until it leaves."""
    pod = pod_of(core, request, kind)
    if pod.status.phase != "Running":
        raise errors.BadRequest(f"unable to forward port because pod is not running. Current status={pod.status.phase}")
    where = locate(core, pod.spec.node_name)
    path = f"/portForward/{pod.metadata.namespace}/{pod.metadata.name}"
    kubelets = kubelets_of(core)

    async def dial(port: int) -> "aiohttp.ClientWebSocketResponse":
        return await connect(kubelets, where.url(path, [("port", str(port))]), ())

    asked: list[str] = request.scope.get("subprotocols", [])
    protocol = next((p for p in (TUNNEL, CHANNELS) if p in asked), None)
    if protocol is None:
        raise errors.BadRequest(
            f"unable to negotiate protocol: client supports {asked}, server supports {[TUNNEL, CHANNELS]}"
        )
    ports = _ports(request) if protocol == CHANNELS else []
    await request.receive()
    request.started = True
    await request.send({"type": "websocket.accept", "subprotocol": protocol})
    async with Group(_failed) as group:
        if protocol == TUNNEL:
            await _Tunnel(request, dial, group, pod).run()
        else:
            await _Channels(request, dial, group, ports).run()


def _failed(name: str, error: BaseException) -> None:
    log.debug("a forwarded connection failed", extra={"connection": name, "error": repr(error)})


def _ports(request: Request) -> list[int]:
    ports = [part for value in request.query.get("ports", []) for part in value.split(",")]
    if not ports:
        raise errors.BadRequest('query parameter "ports" is required')
    for port in ports:
        if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
            raise errors.BadRequest(f'unable to parse "{port}" as a port')
    return [int(port) for port in ports]


async def _receive(request: Request) -> bytes | None:
    """The client's next bytes; None when it has left."""
    while True:
        message = await request.receive()
        if message["type"] == "websocket.disconnect":
            return None
        data: bytes | None = message.get("bytes")
        if data:
            return data


async def _send(request: Request, data: bytes) -> None:
    await request.send({"type": "websocket.send", "bytes": data})


class _Pair:
    """One forwarded connection: its two streams, and its way to the pod once it is open."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.error = 0
        self.data = 0
        self.waiting: asyncio.Queue[bytes | None] = asyncio.Queue(64)
        """From the client, until the pod's side has taken it; None at its end."""
        self.given_up = False
        """The client wants no more of it, rather than having said all."""


class _Tunnel:
    """SPDY/3.1 inside the WebSocket."""

    def __init__(self, request: Request, dial: Dial, group: Group, pod: core_v1.Pod) -> None:
        self._request = request
        self._dial = dial
        self._group = group
        self._pod = pod
        self._framer = spdy.Framer()
        self._pairs: dict[str, _Pair] = {}
        self._by_stream: dict[int, _Pair] = {}

    async def run(self) -> None:
        while (data := await _receive(self._request)) is not None:
            try:
                events = self._framer.feed(data)
            except spdy.SpdyError as error:
                await self._request.send({"type": "websocket.close", "code": 1002, "reason": str(error)[:100]})
                return
            for event in events:
                await self._handle(event)

    async def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened(stream, headers):
                await self._open(stream, headers)
            case spdy.Data(stream, data, fin):
                pair = self._by_stream.get(stream)
                if pair is not None and stream == pair.data:
                    if data:
                        await pair.waiting.put(data)
                    if fin:
                        await pair.waiting.put(None)
            case spdy.Reset(stream):
                pair = self._by_stream.pop(stream, None)
                if pair is not None:
                    pair.given_up = True
                    await pair.waiting.put(None)
            case spdy.Pinged(number):
                await _send(self._request, self._framer.pong(number))

    async def _open(self, stream: int, headers: dict[str, str]) -> None:
        """Takes a stream; with both of a pair there the connection begins."""
        port, kind = headers.get("port", ""), headers.get("streamtype", "")
        if not port.isdecimal() or kind not in ("data", "error") or len(self._pairs) >= MAX_CONNECTIONS:
            await _send(self._request, self._framer.reset(stream))
            return
        name = headers.get("requestid", port)
        pair = self._pairs.setdefault(name, _Pair(int(port)))
        self._by_stream[stream] = pair
        if kind == "error":
            pair.error = stream
        else:
            pair.data = stream
        await _send(self._request, self._framer.reply(stream))
        if pair.error and pair.data:
            self._group.start(f"port {pair.port}", self._serve(name, pair))

    async def _serve(self, name: str, pair: _Pair) -> None:
        try:
            try:
                there = await self._dial(pair.port)
            except errors.ApiError as error:
                why = f"error forwarding port {pair.port} to pod {self._pod.metadata.name}: {error.message}"
                await _send(self._request, self._framer.data(pair.error, why.encode()))
            else:
                async with there:
                    await _pump(there, pair, lambda data: self._give(pair, data))
            await _send(self._request, self._framer.data(pair.data, b"", fin=True))
            await _send(self._request, self._framer.data(pair.error, b"", fin=True))
        finally:
            self._pairs.pop(name, None)
            self._by_stream.pop(pair.data, None)
            self._by_stream.pop(pair.error, None)

    async def _give(self, pair: _Pair, data: bytes) -> None:
        await _send(self._request, self._framer.data(pair.data, data))


class _Channels:
    """v4.channel.k8s.io: port i has channel 2i for data and 2i+1 for errors; each begins with the port's number."""

    def __init__(self, request: Request, dial: Dial, group: Group, ports: list[int]) -> None:
        self._request = request
        self._dial = dial
        self._group = group
        self._pairs = [_Pair(port) for port in ports]

    async def run(self) -> None:
        for i, pair in enumerate(self._pairs):
            number = pair.port.to_bytes(2, "little")
            await _send(self._request, bytes([2 * i]) + number)
            await _send(self._request, bytes([2 * i + 1]) + number)
            self._group.start(f"port {pair.port}", self._serve(i, pair))
        while (data := await _receive(self._request)) is not None:
            channel = data[0]
            if channel % 2 == 0 and channel // 2 < len(self._pairs):
                await self._pairs[channel // 2].waiting.put(data[1:])

    async def _serve(self, i: int, pair: _Pair) -> None:
        first = await pair.waiting.get()
        try:
            there = await self._dial(pair.port)
        except errors.ApiError as error:
            await _send(self._request, bytes([2 * i + 1]) + error.message.encode())
            return
        async with there:
            if first:
                await there.send_bytes(first)
            await _pump(there, pair, lambda data: _send(self._request, bytes([2 * i]) + data))


async def _pump(
    there: "aiohttp.ClientWebSocketResponse",
    pair: _Pair,
    give: Callable[[bytes], Awaitable[None]],
) -> None:
    """Bytes both ways until the pod's side ends or the client gives it up."""

    async def outward() -> None:
        while (data := await pair.waiting.get()) is not None:
            await there.send_bytes(data)
        if pair.given_up:
            await there.close()

    sending = asyncio.ensure_future(outward())
    try:
        async for message in there:
            if message.data:
                await give(message.data)
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
