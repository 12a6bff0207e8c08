"""Streams over one SPDY/3.1 connection, on whatever carries the bytes: the server's side."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Protocol

from orlop.streaming import spdy
from orlop.streaming.pipe import Closed, Pipe

MAX_DATA = 64 * 1024
"""Bytes of one frame that is sent: other streams get their turn in between."""
MAX_STREAMS = 2048
"""Streams of one connection at a time: a thousand forwarded connections."""


class Carrier(Protocol):
    """Bytes both ways: a socket after its upgrade, or a WebSocket's binary messages."""

    async def read(self) -> bytes:
        """The next bytes; empty when the other side has ended or is gone."""
        ...

    async def write(self, data: bytes) -> None:
        """Sends; returns when there is room for more. Raises ConnectionError when the other side is gone."""
        ...

    async def close(self) -> None:
        """Sends what is still waiting, then lets go."""
        ...


class Stream:
    """One stream. Reading gives its pieces in order; what is not wanted must be dropped, or it holds up the others:
    SPDY as Kubernetes speaks it has no window of a stream's own, so what one reads slowly stops the connection."""

    def __init__(self, session: "Session", number: int, headers: Mapping[str, str]) -> None:
        self.number = number
        self.headers = headers
        self.incoming = Pipe()
        self._session = session
        self._finished = False

    async def read(self) -> bytes:
        """The next piece; empty at the end. Raises Closed where it was cut off rather than ended."""
        return await self.incoming.get()

    async def write(self, data: bytes) -> None:
        """Sends `data`. Raises Closed."""
        for at in range(0, len(data), MAX_DATA):
            if self.incoming.cut or self._finished:
                raise Closed("the stream is closed")
            if not await self._session.send(self._session.framer.data(self.number, data[at : at + MAX_DATA])):
                raise Closed("the connection is gone")

    async def finish(self) -> None:
        """Sends no more on it; the other side may go on. Safe to repeat, harmless when the stream is gone."""
        if not self._finished and not self.incoming.cut:
            self._finished = True
            await self._session.send(self._session.framer.data(self.number, b"", fin=True))
            self._session.settle(self)

    async def cut(self, status: int = spdy.CANCEL) -> None:
        """Gives the stream up, both ways. Harmless when it is over."""
        if not self.over:
            self.incoming.break_off()
            await self._session.send(self._session.framer.reset(self.number, status))
            self._session.settle(self)

    @property
    def over(self) -> bool:
        """Whether neither side sends on it any more."""
        return self.incoming.cut or (self.incoming.ended and self._finished)


class Session:
    """A connection. `run` reads it until it ends; `opened` is told of every stream the other side opens."""

    def __init__(self, carrier: Carrier, opened: Callable[[Stream], Awaitable[None]]) -> None:
        self.framer = spdy.Framer()
        self._carrier = carrier
        self._opened = opened
        self._streams: dict[int, Stream] = {}
        self._last = 0
        """The other side's newest stream."""
        self._gone = False

    async def run(self) -> None:
        """Returns when the other side has ended or broken off. Raises SpdyError for what is no SPDY."""
        try:
            while data := await self._carrier.read():
                for event in self.framer.feed(data):
                    await self._handle(event)
        finally:
            self._gone = True
            for stream in self._streams.values():
                stream.incoming.break_off()
            self._streams.clear()

    async def send(self, frame: bytes) -> bool:
        """Sends a frame; False when the connection is gone."""
        if self._gone:
            return False
        try:
            await self._carrier.write(frame)
        except ConnectionError:
            self._gone = True
            return False
        return True

    async def goodbye(self) -> None:
        """Takes no more streams and reads nothing that still comes. The other side is expected to close."""
        for stream in self._streams.values():
            stream.incoming.drop()
        await self.send(self.framer.goaway(self._last))

    def settle(self, stream: Stream) -> None:
        """Forgets a stream on which nobody sends any more."""
        if stream.over:
            self._streams.pop(stream.number, None)

    async def _handle(self, event: spdy.Event) -> None:
        match event:
            case spdy.Opened(number, headers, fin):
                await self._open(number, headers, fin)
            case spdy.Data(number, data, fin):
                stream = self._streams.get(number)
                if stream is None:
                    return
                await stream.incoming.put(data)
                if fin:
                    stream.incoming.end()
                    self.settle(stream)
            case spdy.Reset(number):
                stream = self._streams.pop(number, None)
                if stream is not None:
                    stream.incoming.break_off()
            case spdy.Pinged(number):
                await self.send(self.framer.ping(number))

    async def _open(self, number: int, headers: Mapping[str, str], fin: bool) -> None:
        if number <= self._last or len(self._streams) >= MAX_STREAMS:
            why = spdy.PROTOCOL_ERROR if number <= self._last else spdy.REFUSED_STREAM
            await self.send(self.framer.reset(number, why))
            return
        self._last = number
        stream = self._streams[number] = Stream(self, number, headers)
        if fin:
            stream.incoming.end()
        await self.send(self.framer.reply(number))
        await self._opened(stream)
