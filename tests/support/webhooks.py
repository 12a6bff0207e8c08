"""A webhook's server on loopback, with TLS, and the Service that stands before it."""

import asyncio
import contextlib
import socket
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from orlop.clock import SystemClock
from orlop.pki.authority import Authority, certificate_pem, key_pem, new_key
from orlop.pki.identities import Identity, Names

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Made = Callable[[str, Any], Awaitable[Any]]


class Authorities:
    """A certificate authority of a webhook's author."""

    def __init__(self) -> None:
        self._authority = Authority.create(new_key(), SystemClock())
        self.pem = certificate_pem(self._authority.certificate)

    @property
    def bundle(self) -> str:
        """The caBundle of a configuration."""
        return b64encode(self.pem).decode()

    def pair(self, folder: Path, *hosts: str) -> tuple[Path, Path]:
        """The files `tls.crt` and `tls.key` of a server of these names."""
        key = new_key()
        made = self._authority.issue(key, Identity("webhook", "webhook"), Names.of(hosts))
        folder.mkdir(exist_ok=True)
        certificate_file, key_file = folder / "tls.crt", folder / "tls.key"
        certificate_file.write_bytes(certificate_pem(made))
        key_file.write_bytes(key_pem(key))
        return certificate_file, key_file

    def serving(self, folder: Path, *hosts: str) -> ssl.SSLContext:
        """A server's context for these names."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*self.pair(folder / hosts[0], *hosts))
        return context


@asynccontextmanager
async def serving(handler: Handler, tls: ssl.SSLContext) -> AsyncIterator[int]:
    """Serves every path; gives the port, at 127.0.0.1 and at this machine's own address."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "0.0.0.0", 0, ssl_context=tls)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def own_address() -> str:
    """An address of this machine that is not the loopback's: what is sent there does not leave it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # sends nothing
        return str(probe.getsockname()[0])


def free_port() -> int:
    """A port that nobody listens at now."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        return int(listener.getsockname()[1])


async def listening(port: int) -> None:
    """Returns when a port of this machine takes connections."""
    async with asyncio.timeout(30):
        for _ in iter(int, 1):
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


async def service(made: Made, name: str, port: int, namespace: str = "default") -> None:
    """A Service NAME whose port 443 ends at a port of this machine."""
    ports = [{"name": "https", "port": 443, "targetPort": port}]
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}}
    await made(f"/api/v1/namespaces/{namespace}/services", body)
    await made(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices", endpoints(name, port))


def endpoints(name: str, port: int) -> dict[str, Any]:
    """The EndpointSlice of a Service at a port of this machine's own address: the API takes no loopback address."""
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        "endpoints": [{"addresses": [own_address()], "conditions": {"ready": True}}],
    }
