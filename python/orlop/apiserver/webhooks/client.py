"""One client for all webhooks: by URL, or by a reference to a Service.

The rules are those of k8s.io/apiserver's pkg/util/webhook: TLS always, checked against the configuration's caBundle or,
without one, the system's authorities; a Service's server shows a certificate for `NAME.NAMESPACE.svc`. Connections are
kept. A Service is followed to its endpoints here, so that no service network is needed where this server runs.
"""

import asyncio
import ssl
from typing import TYPE_CHECKING, NamedTuple, Protocol
from urllib.parse import urlsplit

from orlop.api import errors
from orlop.apiserver.webhooks import services
from orlop.apiserver.webhooks.connections import Connections
from orlop.apiserver.webhooks.failures import (
    CallFailed,
    certificate_refused,
    explain,
    rejected,
    wrong_certificate,
)

if TYPE_CHECKING:
    # Imported at the first call: a server without webhooks starts a tenth of a second sooner.
    import aiohttp

    from orlop.apiserver.registry.objects import Objects

HTTPS = 443
"""The port of a Service that a reference means when it names none."""
MAX_ANSWER = 64 * 1024 * 1024
"""Bytes of an answer: far above a review of objects as large as the store takes, far below what hurts."""


class ServiceReference(Protocol):
    """As configurations of every group name a Service."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def path(self) -> str | None: ...
    @property
    def port(self) -> int | None: ...


class ClientConfig(Protocol):
    """As configurations of every group say whom to call."""

    @property
    def url(self) -> str | None: ...
    @property
    def service(self) -> ServiceReference | None: ...
    @property
    def ca_bundle(self) -> bytes: ...


class Endpoint(NamedTuple):
    """Whom to call: either `url`, or a Service by namespace and name."""

    url: str = ""
    """https://host[:port]/path."""
    namespace: str = ""
    name: str = ""
    path: str = ""
    """Of a Service."""
    port: int = HTTPS
    """Of a Service."""
    ca_bundle: bytes = b""
    """PEM; empty means the system's authorities."""

    @classmethod
    def of(cls, config: ClientConfig) -> "Endpoint":
        """From a webhook's clientConfig."""
        service, bundle = config.service, config.ca_bundle
        if service is None:
            return cls(url=config.url or "", ca_bundle=bundle)
        port = service.port or HTTPS
        return cls(namespace=service.namespace, name=service.name, path=service.path or "", port=port, ca_bundle=bundle)

    @property
    def shown(self) -> str:
        """The URL as messages name it."""
        if self.url:
            return self.url
        path = self.path if self.path.startswith("/") else f"/{self.path}"
        return f"https://{self.name}.{self.namespace}.svc:{self.port}{path}"


class WebhookClient:
    """Calls webhooks. One a server; `close` ends its connections."""

    def __init__(self, objects: "Objects") -> None:
        self._objects = objects
        # By server name and caBundle.
        self._connections: Connections[tuple[str, bytes]] = Connections(lambda key: trusting(key[1]))

    async def post(self, to: Endpoint, body: bytes, seconds: float, user_agent: str = "kube-apiserver") -> bytes:
        """The answer's body to a POST of JSON. Redirects are not followed.

        Raises CallFailed with what upstream's client would say: no route, no connection, an untrusted certificate, no
        answer within `seconds`, a status other than 200.
        """
        shown = f"{to.shown}?timeout={_go_seconds(seconds)}"
        try:
            async with asyncio.timeout(seconds):
                return await self._post(to, shown, body, seconds, user_agent)
        except TimeoutError as error:
            raise CallFailed(f'Post "{shown}": context deadline exceeded', timeout=True) from error
        except errors.ApiError as error:
            raise CallFailed(f'Post "{shown}": {error.message}') from error

    async def _post(self, to: Endpoint, shown: str, body: bytes, seconds: float, user_agent: str) -> bytes:
        import aiohttp

        target, server_name = self._target(to, shown)
        headers = {
            "accept": "application/json, */*",
            "content-type": "application/json",
            "host": urlsplit(shown).netloc,
            "user-agent": user_agent,
        }
        try:
            context = await self._connections.context((server_name, to.ca_bundle))
        except ssl.SSLError:
            words = "unable to load root certificates: unable to parse bytes as PEM block"
            raise CallFailed(words) from None
        try:
            try:
                return await self._ask(target, body, headers, context, server_name)
            except (aiohttp.ServerDisconnectedError, ConnectionResetError):
                # A kept connection that the other end closed meanwhile; what is new is told of.
                return await self._ask(target, body, headers, context, server_name)
        except (aiohttp.ClientError, OSError) as error:
            if isinstance(error, TimeoutError):
                raise
            words = await self._untrusted(error, target, server_name) or explain(error)
            raise CallFailed(f'Post "{shown}": {words}') from error

    async def _untrusted(self, error: Exception, target: str, server_name: str) -> str:
        """What is wrong with a certificate that was not taken: it is asked for once more, to be looked at."""
        if not certificate_refused(error):
            return ""
        parts = urlsplit(target)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            _, writer = await asyncio.open_connection(
                parts.hostname, parts.port or HTTPS, ssl=context, server_hostname=server_name
            )
        except (OSError, ssl.SSLError):
            return ""
        try:
            shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        finally:
            writer.close()
        return wrong_certificate(shown, server_name, self._objects.clock.now()) if shown else ""

    async def _ask(
        self, target: str, body: bytes, headers: dict[str, str], context: ssl.SSLContext, server_name: str
    ) -> bytes:
        import yarl

        async with self._connections.session().post(
            yarl.URL(target, encoded=True),
            data=body,
            headers=headers,
            ssl=context,
            server_hostname=server_name,
            allow_redirects=False,
        ) as answer:
            data = await _limited(answer)
            kind = answer.headers.get("content-type", "")
            if answer.status != 200:
                raise rejected(answer.status, data, text=kind.startswith("text/") or not kind)
            if not data:
                told = f"0-length response with status code: {answer.status} and content type: {kind.partition(';')[0]}"
                raise CallFailed(told, status=answer.status)
            return data

    def _target(self, to: Endpoint, shown: str) -> tuple[str, str]:
        """The address to connect to, as a URL, and the name that the server's certificate must have."""
        if to.url:
            return shown, urlsplit(to.url).hostname or ""
        host, port = services.resolve(self._objects, to.namespace, to.name, to.port)
        netloc = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        parts = urlsplit(shown)
        return f"https://{netloc}{parts.path}?{parts.query}", f"{to.name}.{to.namespace}.svc"

    async def close(self) -> None:
        """Ends what is still open."""
        await self._connections.close()


def trusting(bundle: bytes) -> ssl.SSLContext:
    """A context that trusts the authorities of a caBundle (PEM), or the system's. Raises ssl.SSLError.

    As in Go, a certificate of the bundle counts by itself, whoever signed it; names are those of its subjectAltName.
    """
    context = ssl.create_default_context(cadata=bundle.decode("ascii", "replace") if bundle else None)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    context.hostname_checks_common_name = False
    return context


async def _limited(answer: "aiohttp.ClientResponse") -> bytes:
    parts: list[bytes] = []
    size = 0
    async for chunk in answer.content.iter_any():
        size += len(chunk)
        if size > MAX_ANSWER:
            raise CallFailed(f"the webhook's answer is longer than {MAX_ANSWER} bytes")
        parts.append(chunk)
    return b"".join(parts)


def _go_seconds(seconds: float) -> str:
    """A duration as Go prints one of whole seconds; others with a fraction."""
    whole = int(seconds)
    return f"{whole}s" if whole == seconds else f"{seconds:g}s"
