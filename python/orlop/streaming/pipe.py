"""What has come and is not read yet, with room for so much and no more."""

import asyncio
from collections import deque

MAX_UNREAD = 1 << 20
"""Bytes that wait to be read. Past it whoever puts waits: slow reading reaches the sender as TCP's back-pressure, and
costs no memory here."""


class Closed(Exception):
    """The stream or its connection is gone: nothing more comes, or nothing more can be sent."""


class Pipe:
    """Pieces of bytes from one task to another, in order."""

    def __init__(self) -> None:
        self.cut = False
        """It was broken off rather than ended."""
        self.ended = False
        """No more is put into it."""
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._dropped = False
        self._changed = asyncio.Event()

    async def put(self, data: bytes) -> None:
        """Adds a piece; returns when there is room for another. What nobody reads any more is thrown away."""
        if not data or self._closed:
            return
        self._pieces.append(data)
        self._unread += len(data)
        self._changed.set()
        while self._unread > MAX_UNREAD and not self._closed:
            await self._wait()

    async def get(self) -> bytes:
        """The next piece; empty at the end. Raises Closed where it was broken off."""
        while not self._pieces:
            if self.cut:
                raise Closed("the stream was broken off")
            if self.ended:
                return b""
            await self._wait()
        piece = self._pieces.popleft()
        self._unread -= len(piece)
        self._changed.set()
        return piece

    def end(self) -> None:
        """Nothing more is put."""
        self.ended = True
        self._changed.set()

    def break_off(self) -> None:
        """Nothing more is put, and not because all was said."""
        self.cut = True
        self._changed.set()

    def drop(self) -> None:
        """Nobody reads it any more."""
        self._dropped = True
        self._pieces.clear()
        self._unread = 0
        self._changed.set()

    @property
    def _closed(self) -> bool:
        return self._dropped or self.cut or self.ended

    async def _wait(self) -> None:
        # Reader and writer may both wait here; each looks again at what it waits for.
        self._changed.clear()
        await self._changed.wait()
