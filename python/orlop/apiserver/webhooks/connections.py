"""Kept connections to servers that users bring, one client for each kind of them: webhooks, extension API servers."""

import ssl
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Generic, TypeVar

from orlop.tasks import in_thread

if TYPE_CHECKING:
    # Imported at the first call: a server without any starts a tenth of a second sooner.
    import aiohttp

CONNECT_SECONDS = 10.0
"""How long a connection may take to come about, within the call's own time."""
IDLE_SECONDS = 90.0
"""How long a connection is kept for the next call: Go's default for idle connections."""
MAX_CONTEXTS = 256
"""TLS contexts kept: each holds its connections."""

K = TypeVar("K", bound=Hashable)


class Connections(Generic[K]):
    """Connections are shared by calls that have the same TLS context, which a key stands for, and by no others."""

    def __init__(self, make: Callable[[K], ssl.SSLContext], *, decompress: bool = True) -> None:
        """`make` may block; `decompress`: answers are read, not passed on as they come."""
        self._make = make
        self._decompress = decompress
        self._session: aiohttp.ClientSession | None = None
        self._contexts: OrderedDict[K, ssl.SSLContext] = OrderedDict()

    async def context(self, key: K) -> ssl.SSLContext:
        """The one of a key. Raises what `make` does."""
        found = self._contexts.get(key)
        if found is None:
            # Reading the system's authorities, or a certificate's files, takes longer than the loop may wait.
            found = self._contexts.setdefault(key, await in_thread(None, self._make, key))
            while len(self._contexts) > MAX_CONTEXTS:
                self._contexts.popitem(last=False)
        self._contexts.move_to_end(key)
        return found

    def session(self) -> "aiohttp.ClientSession":
        """Made at first use inside the loop. It keeps no cookies: what one user was given is not another's."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=IDLE_SECONDS),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=self._decompress,
            )
        return self._session

    async def close(self) -> None:
        """Ends what is still open."""
        if self._session is not None:
            await self._session.close()
