"""A client of exec or attach, as the kubelet sees it: SPDY streams or WebSocket channels behind one face."""

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, Protocol

from orlop.api.types import meta_v1
from orlop.streaming import channels, spdy
from orlop.streaming.channels import Options, TerminalSize
from orlop.streaming.pipe import Closed, Pipe
from orlop.streaming.session import Carrier, Session, Stream

if TYPE_CHECKING:
    from aiohttp import web

CREATION_SECONDS = 30.0
"""How long a client may take to open its streams (upstream: DefaultStreamCreationTimeout)."""
LINGER = 2.0
"""Seconds that a client gets to close after the last words; then its connection is closed from here."""
MAX_RESIZE = 1024
"""Bytes of a terminal's size: two small numbers in JSON."""


class Client(Protocol):
    """The other end of a command's streams."""

    async def run(self) -> None:
        """Reads what comes, until the client is gone. Everything else works only while this runs."""
        ...

    async def ready(self) -> None:
        """Returns when all streams are open."""
        ...

    async def stdin(self) -> bytes:
        """The next piece; empty at its end. Raises Closed when the client is gone."""
        ...

    async def size(self) -> TerminalSize | None:
        """The terminal's next size; None when there is none any more."""
        ...

    async def write(self, channel: int, data: bytes) -> None:
        """Sends output on STDOUT or STDERR; what was not asked for is left out. Raises Closed."""
        ...

    async def end(self, status: meta_v1.Status) -> None:
        """The last words: nothing is sent after them, and nothing read."""
        ...

    async def close(self) -> None:
        """Lets go of the connection."""
        ...


class SpdyClient:
    """Streams named by the header `streamType`: error, stdin, stdout, stderr, resize."""

    def __init__(self, carrier: Carrier, protocol: str, options: Options) -> None:
        self._carrier = carrier
        self._protocol = protocol
        self._session = Session(carrier, self._opened)
        self._wanted = {"error"}
        self._wanted |= {name for name in ("stdin", "stdout") if getattr(options, name)}
        if options.stderr and not options.tty:
            self._wanted.add("stderr")
        if options.tty and protocol in channels.RESIZES:
            self._wanted.add("resize")
        self._streams: dict[str, Stream] = {}
        self._complete = asyncio.Event()

    async def run(self) -> None:
        try:
            await self._session.run()
        except spdy.SpdyError:
            await self._carrier.close()

    async def _opened(self, stream: Stream) -> None:
        name = stream.headers.get("streamtype", "")
        if name not in self._wanted or name in self._streams:
            await stream.cut(spdy.REFUSED_STREAM)
            return
        self._streams[name] = stream
        if name not in ("stdin", "resize"):
            stream.incoming.drop()
        if self._streams.keys() == self._wanted:
            self._complete.set()

    async def ready(self) -> None:
        await self._complete.wait()

    async def stdin(self) -> bytes:
        return await self._streams["stdin"].read() if "stdin" in self._streams else b""

    async def size(self) -> TerminalSize | None:
        stream = self._streams.get("resize")
        if stream is None:
            return None
        text = b""
        while (piece := await stream.read()) and len(text) < MAX_RESIZE:
            # One JSON object after the other; Go's encoder ends each with a new line.
            text += piece
            if (size := channels.resize_of(text.strip().rpartition(b"\n")[2])) is not None:
                return size
        return None

    async def write(self, channel: int, data: bytes) -> None:
        stream = self._streams.get("stdout" if channel == channels.STDOUT else "stderr")
        if stream is not None:
            await stream.write(data)

    async def end(self, status: meta_v1.Status) -> None:
        for name in ("stdout", "stderr"):
            if name in self._streams:
                await self._streams[name].finish()
        if (error := self._streams.get("error")) is not None:
            if words := channels.last_words(self._protocol, status):
                await error.write(words)
            await error.finish()
        await self._session.goodbye()

    async def close(self) -> None:
        await self._carrier.close()


class WebSocketClient:
    """Channels of one WebSocket, their number first in each message."""

    def __init__(self, socket: "web.WebSocketResponse", protocol: str, options: Options) -> None:
        self._socket = socket
        self._protocol = protocol
        self._options = options
        self._stdin = Pipe()
        if not options.stdin:
            self._stdin.end()
        self._sizes: asyncio.Queue[TerminalSize | None] = asyncio.Queue()
        self._text = protocol in channels.BASE64

    async def run(self) -> None:
        from aiohttp import WSMsgType

        try:
            async for message in self._socket:
                if message.type is WSMsgType.BINARY or message.type is WSMsgType.TEXT:
                    data = message.data.encode() if isinstance(message.data, str) else message.data
                    if data:
                        await self._take(data)
        finally:
            self._stdin.break_off()
            self._sizes.put_nowait(None)

    async def _take(self, message: bytes) -> None:
        channel, data = message[0], message[1:]
        if self._text:
            channel -= ord("0")
            try:
                data = base64.b64decode(data, validate=True)
            except binascii.Error:
                return
        if channel == channels.STDIN:
            await self._stdin.put(data)
        elif channel == channels.RESIZE and self._options.tty:
            if (size := channels.resize_of(data)) is not None:
                self._sizes.put_nowait(size)
        elif channel == channels.CLOSE and self._protocol == channels.V5 and data == bytes([channels.STDIN]):
            self._stdin.end()

    async def ready(self) -> None:
        if self._protocol != channels.V5:
            # Old clients wait for an empty message to know that they are connected.
            first = next((n for n in ("stdout", "stderr") if getattr(self._options, n)), "")
            await self._send({"stdout": channels.STDOUT, "stderr": channels.STDERR}.get(first, channels.ERROR), b"")

    async def stdin(self) -> bytes:
        return await self._stdin.get()

    async def size(self) -> TerminalSize | None:
        return await self._sizes.get()

    async def write(self, channel: int, data: bytes) -> None:
        if self._options.stdout if channel == channels.STDOUT else self._options.stderr and not self._options.tty:
            await self._send(channel, data)

    async def end(self, status: meta_v1.Status) -> None:
        if words := channels.last_words(self._protocol, status):
            await self._send(channels.ERROR, words)
        self._stdin.drop()
        await self._socket.close()

    async def close(self) -> None:
        await self._socket.close()

    async def _send(self, channel: int, data: bytes) -> None:
        try:
            if self._text:
                await self._socket.send_str(chr(ord("0") + channel) + base64.b64encode(data).decode())
            else:
                await self._socket.send_bytes(bytes([channel]) + data)
        except ConnectionError as error:
            raise Closed(str(error)) from None
