"""Netlink messages: a question to the kernel, its answers, and the attributes in both (netlink(7), linux/netlink.h)."""

import os
import socket
import struct
import sys
from collections.abc import Iterator
from typing import Self

_HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_ERROR, _DONE = 2, 3
_REQUEST, _ACK, _DUMP_INTERRUPTED, _DUMP = 1, 4, 0x10, 0x300
REPLACE, EXCLUSIVE, CREATE = 0x100, 0x200, 0x400
"""Flags of a question that makes something."""
NESTED, _TYPE_MASK = 0x8000, 0x3FFF
RECEIVE_BYTES = 1 << 18
"""More than the kernel puts into one piece of a dump."""


class NetlinkSocket:
    """A socket to one part of the kernel, in the network namespace it is opened in. Methods raise OSError."""

    def __init__(self, family: int) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, family)
        self._sequence = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, kind: int, flags: int, body: bytes) -> None:
        """Has the kernel do something and say that it did."""
        self._send(kind, flags | _ACK, body)
        for _ in self._answers():
            pass

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Everything of a kind; asked again where it changed meanwhile."""
        while True:
            self._send(kind, _DUMP, body)
            whole, found = True, []
            for flags, answer in self._answers():
                whole = whole and not flags & _DUMP_INTERRUPTED
                found.append(answer)
            if whole:
                return found

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        self._sequence += 1
        header = _HEADER.pack(_HEADER.size + len(body), kind, _REQUEST | flags, self._sequence, 0)
        self._socket.send(header + body)

    def _answers(self) -> Iterator[tuple[int, bytes]]:
        """(flags, body) of the last question's answers."""
        while True:
            data = self._socket.recv(RECEIVE_BYTES)
            at = 0
            while at < len(data):
                length, kind, flags, sequence, _ = _HEADER.unpack_from(data, at)
                body = data[at + _HEADER.size : at + length]
                at += (length + 3) & ~3
                if sequence != self._sequence:
                    continue
                if kind == _DONE:
                    return
                if kind == _ERROR:
                    (code,) = struct.unpack_from("=i", body)
                    if code:
                        raise OSError(-code, os.strerror(-code))
                    return
                yield flags, body


def text(text: str) -> bytes:
    return text.encode() + b"\0"


def attribute(kind: int, value: bytes) -> bytes:
    length = _ATTRIBUTE.size + len(value)
    return _ATTRIBUTE.pack(length, kind) + value + b"\0" * (-length % 4)


def attributes(body: bytes, at: int) -> dict[int, bytes]:
    found = {}
    while at + _ATTRIBUTE.size <= len(body):
        length, kind = _ATTRIBUTE.unpack_from(body, at)
        if length < _ATTRIBUTE.size:
            break
        found[kind & _TYPE_MASK] = body[at + _ATTRIBUTE.size : at + length]
        at += (length + 3) & ~3
    return found


def number(attributes: dict[int, bytes], kind: int) -> int:
    value = attributes.get(kind)
    return int.from_bytes(value, sys.byteorder) if value else 0
