"""SPDY/3.1 frames without any I/O: what exec, attach and port-forward speak behind an upgrade or inside a WebSocket.

Only what Kubernetes' clients use of draft-mbelshe-httpbis-spdy-00: streams with headers, data, resets, pings, GOAWAY.
Windows are neither kept nor announced: Kubernetes' own implementation (moby/spdystream) sends no WINDOW_UPDATE, so a
sender that minded them would stop for good after 64 KiB. Back-pressure is the connection's below.
"""

import struct
import zlib
from collections.abc import Mapping
from typing import NamedTuple

SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FLAG_FIN = 1
PROTOCOL_ERROR, INVALID_STREAM, REFUSED_STREAM, CANCEL = 1, 2, 3, 5
"""Why a stream is reset."""
VERSION = 3
MAX_FRAME = 1 << 24
"""Bytes a frame's length field can say."""
MAX_HEADERS = 64 * 1024
"""Bytes of a stream's headers, unpacked: a few short words are all that is sent."""

_NAMES = [
    "options",
    "head",
    "post",
    "put",
    "delete",
    "trace",
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "authorization",
    "cache-control",
    "connection",
    "content-base",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-md5",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "last-modified",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "range",
    "referer",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "method",
    "get",
    "status",
]
_MORE = ("200 OK", "version", "HTTP/1.1", "url", "public", "set-cookie", "keep-alive", "origin")
_REST = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative "
    "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 "
    "Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec "
    "00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset="
    "iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in (*_NAMES, *_MORE)) + _REST.encode()
"""What both sides' header compression starts from (section 2.6.10.1)."""


class Opened(NamedTuple):
    """The other side opened a stream; `fin` when it sends nothing on it."""

    stream: int
    headers: dict[str, str]
    fin: bool = False


class Data(NamedTuple):
    """Bytes of a stream; `fin` when the other side sends no more on it."""

    stream: int
    data: bytes
    fin: bool


class Replied(NamedTuple):
    """The other side took a stream that this side opened."""

    stream: int


class Reset(NamedTuple):
    """The other side gave a stream up."""

    stream: int


class Pinged(NamedTuple):
    """A ping to be answered with the same number."""

    number: int


class Ended(NamedTuple):
    """The other side opens no more streams."""


Event = Opened | Replied | Data | Reset | Pinged | Ended


class SpdyError(Exception):
    """Bytes that are no SPDY/3.1."""


class Framer:
    """One side of a connection: bytes in, events out; calls in, bytes out."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> list[Event]:
        """The events that `data` completes. Raises SpdyError."""
        self._buffer += data
        events: list[Event] = []
        at, size = 0, len(self._buffer)
        with memoryview(self._buffer) as view:
            while size - at >= 8:
                first, second = struct.unpack_from(">II", view, at)
                end = at + 8 + (second & (MAX_FRAME - 1))
                if size < end:
                    break
                event = self._frame(first, second >> 24, bytes(view[at + 8 : end]))
                at = end
                if event is not None:
                    events.append(event)
        del self._buffer[:at]
        return events

    def _frame(self, first: int, flags: int, payload: bytes) -> Event | None:
        if not first >> 31:
            return Data(first, payload, bool(flags & FLAG_FIN))
        if (first >> 16) & 0x7FFF != VERSION:
            raise SpdyError(f"SPDY version {(first >> 16) & 0x7FFF} is not spoken")
        kind = first & 0xFFFF
        try:
            if kind == SYN_STREAM:
                stream = struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF
                return Opened(stream, self._headers(payload[10:]), bool(flags & FLAG_FIN))
            if kind in (SYN_REPLY, HEADERS):
                # Not looked at, but unpacked: the compression goes on over all frames.
                self._headers(payload[4:])
                return Replied(struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF) if kind == SYN_REPLY else None
            if kind == RST_STREAM:
                return Reset(struct.unpack_from(">I", payload)[0] & 0x7FFFFFFF)
            if kind == PING:
                return Pinged(struct.unpack_from(">I", payload)[0])
        except (struct.error, zlib.error, UnicodeDecodeError) as error:
            raise SpdyError(f"a frame of type {kind} cannot be read: {error}") from None
        return Ended() if kind == GOAWAY else None

    def _headers(self, block: bytes) -> dict[str, str]:
        plain = self._inflate.decompress(block, MAX_HEADERS)
        if self._inflate.unconsumed_tail:
            raise SpdyError(f"headers are longer than {MAX_HEADERS} bytes")
        count = struct.unpack_from(">I", plain)[0]
        at = 4
        words = []
        for _ in range(2 * count):
            size = struct.unpack_from(">I", plain, at)[0]
            words.append(plain[at + 4 : at + 4 + size].decode())
            at += 4 + size
        return dict(zip(words[::2], words[1::2], strict=True))

    def _block(self, headers: Mapping[str, str]) -> bytes:
        plain = struct.pack(">I", len(headers))
        for name, value in headers.items():
            for word in (name.lower().encode(), value.encode()):
                plain += struct.pack(">I", len(word)) + word
        return self._deflate.compress(plain) + self._deflate.flush(zlib.Z_SYNC_FLUSH)

    def open(self, stream: int, headers: Mapping[str, str]) -> bytes:
        """SYN_STREAM."""
        return _control(SYN_STREAM, 0, struct.pack(">IIH", stream, 0, 0) + self._block(headers))

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY: the stream is taken."""
        return _control(SYN_REPLY, 0, struct.pack(">I", stream) + self._block({}))

    def data(self, stream: int, data: bytes, fin: bool = False) -> bytes:
        """Bytes of a stream."""
        return struct.pack(">II", stream, (FLAG_FIN if fin else 0) << 24 | len(data)) + data

    def reset(self, stream: int, status: int = CANCEL) -> bytes:
        """RST_STREAM."""
        return _control(RST_STREAM, 0, struct.pack(">II", stream, status))

    def ping(self, number: int) -> bytes:
        """PING, or the answer to one. A client's numbers are odd."""
        return _control(PING, 0, struct.pack(">I", number))

    def goaway(self, last: int) -> bytes:
        """GOAWAY: no stream after `last` is looked at any more."""
        return _control(GOAWAY, 0, struct.pack(">II", last, 0))


def _control(kind: int, flags: int, payload: bytes) -> bytes:
    return struct.pack(">II", 1 << 31 | VERSION << 16 | kind, flags << 24 | len(payload)) + payload
