"""One registry: requests with the right credentials, scheme and errors."""

import asyncio
import os
import ssl
import urllib.parse
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any

import aiohttp
import msgspec

from orlop.clock import Clock
from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.native.images.registry import access
from orlop.kubelet.runtime.native.images.registry.settings import RegistrySettings, address, is_loopback, proxy, tls

CONNECT_SECONDS = 30.0
SILENCE_SECONDS = 60.0
"""Without a byte for so long a transfer has failed; a slow one that moves may take as long as it needs."""
TRIES = 5
"""Of one request or transfer before it is given up; kubelet then tries again after its own pauses."""
LOGINS = 2
"""Tokens fetched for one request: the second where the first had expired."""
FIRST_PAUSE = 0.5
"""Seconds before the second try; each further pause is twice as long."""
BUFFER = 1024 * 1024
MAX_ERROR_SIZE = 64 * 1024
"""Bytes read of an answer that is an error or a token."""
_AGAIN = (408, 429, 500, 502, 503, 504)


class RegistryError(Exception):
    """What a registry refused, or that it did not answer. `reason` is Kubernetes' word."""

    def __init__(self, message: str, reason: str = "ErrImagePull", status: int = 0) -> None:
        super().__init__(message)
        self.reason = reason
        self.status = status


class Registry:
    """A connection to one registry for one repository, as one user. To be used in `async with`."""

    def __init__(
        self,
        registry: str,
        repository: str,
        auth: v.AuthConfig | None,
        clock: Clock,
        settings: RegistrySettings,
        actions: str = "pull",
    ) -> None:
        self.repository = repository
        self._registry = registry
        self._host = address(registry)
        self._auth = auth
        self._clock = clock
        self._settings = settings
        self._actions = actions
        self._scheme = "http" if settings.plain_http else "https"
        self._authorization = f"Bearer {auth.registry_token}" if auth and auth.registry_token else None
        self._asking = asyncio.Lock()

    async def __aenter__(self) -> "Registry":
        try:
            context = await asyncio.to_thread(tls, self._settings, self._registry)
        except OSError as error:
            raise RegistryError(f"a certificate for {self._registry} cannot be used: {error}") from error
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=SILENCE_SECONDS),
            read_bufsize=BUFFER,
            auto_decompress=False,
            headers={"User-Agent": "orlop"},
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    # Requests

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str] | None = None,
        data: Any = None,
        allowed: tuple[int, ...] = (),
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer of 2xx, or of a status in `allowed`. `path` is below `/v2/`, or a whole URL.

        Raises RegistryError. `data` is sent again where credentials are asked for, so it must not be a stream then.
        """
        response = await self._answer(method, path, dict(headers or {}), data)
        try:
            if response.status >= 400 and response.status not in allowed:
                raise await self._refused(response)
            yield response
        finally:
            response.release()

    async def _answer(self, method: str, path: str, headers: dict[str, str], data: Any) -> aiohttp.ClientResponse:
        pause = FIRST_PAUSE
        attempt = 1
        logins = 0
        while True:
            authorization = self._authorization
            try:
                response = await self._send(method, path, headers, data, authorization)
            except aiohttp.ClientConnectionError as error:
                if isinstance(error, aiohttp.ClientConnectorError | TimeoutError) or attempt == TRIES:
                    raise self._unreachable(method, path, error) from error
            except (TimeoutError, aiohttp.ClientError) as error:
                raise self._unreachable(method, path, error) from error
            else:
                if response.status == 401 and logins < LOGINS and await self._authorize(response, authorization):
                    logins += 1
                    continue
                if response.status not in _AGAIN or attempt == TRIES:
                    return response
                response.release()
            await self._clock.sleep(pause)
            pause *= 2
            attempt += 1

    async def _send(
        self, method: str, path: str, headers: dict[str, str], data: Any, authorization: str | None
    ) -> aiohttp.ClientResponse:
        url = self._url(path)
        mine = urllib.parse.urlsplit(url).netloc == self._host
        everything = {**headers, **({"Authorization": authorization} if authorization and mine else {})}
        try:
            return await self._session.request(method, url, headers=everything, data=data, proxy=proxy(url))
        except aiohttp.ClientConnectorSSLError as error:
            if not self._falls_back(error):
                raise
        return await self._session.request(method, self._url(path), headers=everything, data=data)

    def _falls_back(self, error: aiohttp.ClientConnectorSSLError) -> bool:
        """A registry on this machine may speak plain HTTP: found by trying TLS first, as containerd does."""
        inner = error.os_error
        plain = isinstance(inner, ssl.SSLError) and inner.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE")
        if self._scheme == "https" and plain and is_loopback(self._host):
            self._scheme = "http"
        return self._scheme == "http"

    def _url(self, path: str) -> str:
        if path.startswith(("http://", "https://")):
            return path
        return f"{self._scheme}://{self._host}" + (path if path.startswith("/v2/") else f"/v2/{self.repository}/{path}")

    # Credentials

    async def _authorize(self, response: aiohttp.ClientResponse, used: str | None) -> bool:
        """Gets what a 401 asks for; False where we have nothing (better) to say."""
        asked = access.challenges(response.headers.getall("WWW-Authenticate", []))
        async with self._asking:
            if self._authorization != used:
                return True  # another request has asked meanwhile
            if "bearer" in asked and not (self._auth and self._auth.registry_token):
                token = await self._token(asked["bearer"])
                fresh = f"Bearer {token}"
            elif "basic" in asked and (known := access.basic(self._auth)) is not None:
                fresh = known
            else:
                return False
            if fresh == used:
                return False
            self._authorization = fresh
        response.release()
        return True

    async def _token(self, challenge: Mapping[str, str]) -> str:
        realm = challenge.get("realm", "")
        parts = urllib.parse.urlsplit(realm)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise RegistryError(f"{self._host} sends for a token to {realm!r}, which is no URL")
        if parts.scheme == "http" and self._auth and not (self._scheme == "http" or is_loopback(parts.netloc)):
            raise RegistryError(f"{self._host} sends for a token to {realm}: a password is not sent without TLS")
        fields = {"service": challenge.get("service", ""), "scope": challenge.get("scope", "") or self._scope()}
        fields = {key: value for key, value in fields.items() if value}
        try:
            if self._auth and access.is_token(self._auth):
                form = {
                    **fields,
                    "grant_type": "refresh_token",
                    "client_id": "orlop",
                    "refresh_token": access.refresh_token(self._auth),
                }
                answer = await self._session.post(realm, data=form, proxy=proxy(realm))
            else:
                known = access.basic(self._auth)
                answer = await self._session.get(
                    realm,
                    params=fields,
                    headers={"Authorization": known} if known else {},
                    proxy=proxy(realm),
                )
            async with answer:
                body = await answer.content.read(MAX_ERROR_SIZE)
        except (TimeoutError, aiohttp.ClientError) as error:
            raise RegistryError(f"failed to fetch a token from {realm}: {error}", "RegistryUnavailable") from error
        if answer.status >= 400:
            raise RegistryError(
                "failed to authorize: failed to fetch "
                f"{'oauth' if self._auth else 'anonymous'} token: unexpected status: {answer.status} {answer.reason}",
                status=answer.status,
            )
        try:
            document = msgspec.json.decode(body, type=dict[str, Any])
        except msgspec.MsgspecError as error:
            raise RegistryError(f"{realm} answered with what is no token: {error}") from error
        token = document.get("token") or document.get("access_token")
        if not isinstance(token, str):
            raise RegistryError(f"{realm} answered without a token")
        return token

    def _scope(self) -> str:
        return f"repository:{self.repository}:{self._actions}"

    # Failures

    async def _refused(self, response: aiohttp.ClientResponse) -> RegistryError:
        """The registry's own words (distribution specification, "Error codes") in containerd's frame."""
        try:
            body = await response.content.read(MAX_ERROR_SIZE)
            document = msgspec.json.decode(body, type=dict[str, Any])
            errors = [e for e in document.get("errors") or [] if isinstance(e, dict)]
            said = "; ".join(f"{e.get('code', '')}: {e.get('message', '')}" for e in errors)
        except (msgspec.MsgspecError, aiohttp.ClientError, TimeoutError):
            said = ""
        status = response.status
        if status in (401, 403):
            why = "insufficient_scope: authorization failed" if self._auth else "no basic auth credentials"
            text = (
                f"pull access denied, repository does not exist or may require authorization: {why}"
                if self._actions == "pull"
                else f"push access denied: {why}"
            )
            return RegistryError(text + (f" ({said})" if said else ""), status=status)
        text = f"unexpected status from {response.method} request to {response.url}: {status} {response.reason}"
        return RegistryError(
            text + (f": {said}" if said else ""),
            "RegistryUnavailable" if status in _AGAIN else "ErrImagePull",
            status,
        )

    def _unreachable(self, method: str, path: str, error: Exception) -> RegistryError:
        text = str(error) or f"no answer within {SILENCE_SECONDS:.0f} s"
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            text = f"tls: failed to verify certificate: {error.certificate_error}"
        elif isinstance(error, aiohttp.ClientConnectorDNSError):
            text = f"dial tcp: lookup {error.host}: no such host"
        elif isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
            text = f"dial tcp {error.host}:{error.port}: connect: {os.strerror(error.os_error.errno).lower()}"
        return RegistryError(
            f'failed to do request: {method.title()} "{self._url(path)}": {text}', "RegistryUnavailable"
        )
