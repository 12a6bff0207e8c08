"""Connections to extension API servers: TLS as their APIService says, with the certificate of the front proxy."""

import ssl
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote

from orlop.api.types import apiregistration_v1
from orlop.apiserver.auth.user import User
from orlop.apiserver.webhooks import services
from orlop.apiserver.webhooks.client import trusting
from orlop.apiserver.webhooks.connections import Connections
from orlop.pki.folder import KeyPair

if TYPE_CHECKING:
    from orlop.apiserver.registry.objects import Objects

CHECKER = User("system:kube-aggregator", ("system:masters",))
"""Who asks for discovery and OpenAPI."""
MAX_DOCUMENT = 64 << 20
"""Bytes of a document of discovery or OpenAPI."""
TOKEN = "!#$%&'*+-.^_`|~"
"""Characters of a header's name besides letters and digits that stand for themselves (RFC 9110, 5.6.2); `%` does not,
since it marks the others."""


class Backend(NamedTuple):
    """Where an APIService leads."""

    namespace: str
    name: str
    port: int
    ca_bundle: bytes
    insecure: bool

    @classmethod
    def of(cls, spec: apiregistration_v1.APIServiceSpec) -> "Backend | None":
        """None for what is served locally."""
        service = spec.service
        if service is None:
            return None
        return cls(service.namespace, service.name, service.port or 443, spec.ca_bundle, spec.insecure_skip_tls_verify)

    @property
    def server_name(self) -> str:
        return f"{self.name}.{self.namespace}.svc"


class Document(NamedTuple):
    """What a GET brought."""

    status: int
    media: str
    body: bytes


def identity(user: User) -> list[tuple[str, str]]:
    """The headers that tell an extension server who asks."""
    headers = [("X-Remote-User", user.name), *(("X-Remote-Group", group) for group in user.groups)]
    if user.uid:
        headers.append(("X-Remote-Uid", user.uid))
    for key, values in user.extra:
        name = quote(key, safe=TOKEN.replace("%", ""))
        headers += [(f"X-Remote-Extra-{name}", value) for value in values]
    return headers


def _context(backend: Backend, pair: KeyPair) -> ssl.SSLContext:
    """Reads files, so not for the event loop. Raises ssl.SSLError."""
    made = trusting(backend.ca_bundle)
    if backend.insecure:
        made.check_hostname, made.verify_mode = False, ssl.CERT_NONE
    made.load_cert_chain(pair.certificate_file, pair.key_file)
    return made


class Backends:
    """One a server; `close` ends its connections."""

    def __init__(self, objects: "Objects", pair: Callable[[], KeyPair]) -> None:
        """`pair` makes or reads the front proxy's certificate; it may block."""
        self._objects = objects
        once = cache(pair)
        self._connections: Connections[Backend] = Connections(
            lambda backend: _context(backend, once()), decompress=False
        )
        self.session = self._connections.session
        """What requests go by; they pass on what they are answered."""

    def resolve(self, backend: Backend) -> tuple[str, int]:
        """Host and port of one of its endpoints. Raises NotFound, ServiceUnavailable."""
        return services.resolve(self._objects, backend.namespace, backend.name, backend.port)

    async def context(self, backend: Backend) -> ssl.SSLContext:
        """How to speak TLS with it. Raises ssl.SSLError for a caBundle that is none."""
        return await self._connections.context(backend)

    async def get(
        self, backend: Backend, path: str, accept: str, *, headers: Mapping[str, str] | None = None
    ) -> Document:
        """A document, asked for as the aggregator itself. Raises ApiError, aiohttp.ClientError, OSError."""
        host, port = self.resolve(backend)
        netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        async with self.session().get(
            f"https://{netloc}{path}",
            headers=[*identity(CHECKER), ("Accept", accept), *(headers or {}).items()],
            ssl=await self.context(backend),
            server_hostname=backend.server_name,
            allow_redirects=False,
            skip_auto_headers=("accept-encoding",),
        ) as answer:
            body = await answer.content.read(MAX_DOCUMENT)
            while not answer.content.at_eof() and len(body) < MAX_DOCUMENT:
                body += await answer.content.read(MAX_DOCUMENT - len(body))
            return Document(answer.status, answer.headers.get("content-type", ""), body)

    async def close(self) -> None:
        """Ends what is still open."""
        await self._connections.close()


def without_identity(headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Headers of a client, less those by which it would say who it is."""
    return [(n, v) for n, v in headers if not n.startswith(b"x-remote-")]
