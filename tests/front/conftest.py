"""The front with any ASGI app behind it, over real TLS on loopback."""

import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from orlop import pki
from orlop.apiserver.front import Listener, Tls
from orlop.apiserver.front.limits import STREAMS
from orlop.apiserver.front.tls import SniCertificate
from orlop.clock import Clock, SystemClock
from orlop.pki.identities import Names

App = Callable[[Any, Any, Any], Awaitable[None]]
Serve = Callable[..., AbstractAsyncContextManager["Served"]]


class Served:
    """A running front."""

    def __init__(self, listener: Listener, port: int, folder: pki.Folder) -> None:
        self.listener = listener
        self.port = port
        self.folder = folder

    def context(self, pair: pki.KeyPair | None = None, *alpn: str) -> ssl.SSLContext:
        """A client's TLS, with its certificate and the protocols it offers."""
        context = ssl.create_default_context(cafile=self.folder.ca_file)
        if pair is not None:
            context.load_cert_chain(pair.certificate_file, pair.key_file)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        return context


@pytest.fixture
def folder(tmp_path: Path) -> pki.Folder:
    return pki.Folder(tmp_path / "pki", SystemClock())


@pytest.fixture
def serve(folder: pki.Folder) -> Serve:
    """`serve(app)`: an app behind a front, for a while."""

    @asynccontextmanager
    async def serve(
        app: App,
        clock: Clock | None = None,
        others: tuple[SniCertificate, ...] = (),
        tls: Tls | None = None,
        streams: int = STREAMS,
        **options: Any,
    ) -> AsyncIterator[Served]:
        names = Names.of(["127.0.0.1", "localhost"])
        settings = {"lifespan": "off", "log_config": None, "ws": "wsproto", "http": "httptools", "interface": "asgi3"}
        config = uvicorn.Config(
            app, **{**settings, "server_header": False, "date_header": False, "timeout_graceful_shutdown": 5, **options}
        )
        config.load()
        tls = tls or Tls(lambda: folder.apiserver(names), folder.ca, others)
        listener = Listener(config, tls, clock or SystemClock(), streams)
        with socket.create_server(("127.0.0.1", 0)) as bound:
            bound.setblocking(False)
            try:
                await listener.start(bound)
                yield Served(listener, bound.getsockname()[1], folder)
            finally:
                await listener.stop()

    return serve
