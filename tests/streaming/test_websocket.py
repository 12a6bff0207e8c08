"""The server's side of a WebSocket, against another implementation of the client's."""

import pytest
from wsproto import ConnectionType, WSConnection
from wsproto.connection import Connection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage

from orlop.streaming import websocket
from orlop.streaming.websocket import WebSocket


class Wire:
    """A carrier between the server's side and a client of wsproto."""

    def __init__(self, sent: bytes) -> None:
        self.sent = [sent[i : i + 3] for i in range(0, len(sent), 3)]  # cut anywhere
        self.written = b""
        self.closed = False

    async def read(self) -> bytes:
        return self.sent.pop(0) if self.sent else b""

    async def write(self, data: bytes) -> None:
        self.written += data

    async def close(self) -> None:
        self.closed = True


def test_the_handshake_is_accepted_by_a_client() -> None:
    client = WSConnection(ConnectionType.CLIENT)
    asked = client.send(Request(host="h", target="/", subprotocols=["a", "b"]))
    key = asked.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
    client.receive_data(websocket.handshake(key, ["b"]))
    event = next(client.events())
    assert isinstance(event, AcceptConnection)
    assert event.subprotocol == "b"


@pytest.mark.parametrize("key", [None, b"", b"short"])
def test_a_handshake_without_a_key(key: bytes | None) -> None:
    with pytest.raises(websocket.BadHandshake):
        websocket.handshake(key, [])


@pytest.mark.parametrize("size", [0, 125, 126, 65535, 65536, 1_000_000])
async def test_messages_of_any_length(size: int) -> None:
    wire = Wire(b"")
    socket = WebSocket(wire)
    await socket.send(b"x" * size, text=True)
    await socket.send(b"\xff" * size, text=False)
    await socket.close()
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(wire.written)
    text = data = b""
    for event in client.events():
        if isinstance(event, TextMessage):
            text += event.data.encode()
        elif isinstance(event, BytesMessage):
            data += event.data
        else:
            assert isinstance(event, CloseConnection)
            assert event.code == 1000
    assert (text, data, wire.closed) == (b"x" * size, b"\xff" * size, True)


async def test_pings_are_answered_until_the_client_closes() -> None:
    client = Connection(ConnectionType.CLIENT)
    said = client.send(TextMessage("is dropped")) + client.send(Ping(b"p")) + client.send(CloseConnection(1000))
    wire = Wire(said + b"never read")
    await WebSocket(wire).ended()
    client.receive_data(wire.written)
    assert list(client.events()) == [Pong(b"p")]
    assert b"read" in b"".join(wire.sent) or wire.sent == []


@pytest.mark.parametrize("said", [b"", b"\x81", b"\x81\x01x", b"\x82\xff" + b"\xff" * 12, b"\x89\x84abcdpi"])
async def test_what_is_no_frame_is_the_end(said: bytes) -> None:
    wire = Wire(said)
    await WebSocket(wire).ended()
    assert wire.written == b""
