"""Controllers that each act as a ServiceAccount of their own (kube-controller-manager's
--use-service-account-credentials).

What upstream grants each of its controllers is a role for that account: one that acts for itself can do no more than
its own work, and the audit log says which one it was. The account is made at the first request, and a token for it is
asked for by the manager's own identity, which may do that; it is renewed before it ends. All send over the same
connections, which know no client certificate: that would be who they are, whatever token they show.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from msgspec import structs

from orlop.api import errors
from orlop.api.types import authentication_v1, core_v1, meta_v1
from orlop.client import Client
from orlop.client.tls import Settings, TLSTransport
from orlop.client.transport import Response, Stream, Transport, WebSocket

NAMESPACE = "kube-system"
LIFETIME = 3600
"""Seconds that are asked for a token, as upstream's controllers do."""
RENEW_AFTER = 0.8
"""Share of a token's life after which another is asked for (KEP-1205)."""


class Accounts:
    """The accounts of one manager. `accounts(name)` is the way to the API server as that account."""

    def __init__(self, client: Client, transport: Transport) -> None:
        """`client` makes accounts and asks for tokens; `transport` has no identity of its own."""
        self._client = client
        self._transport = transport

    def __call__(self, name: str) -> "AccountTransport":
        return AccountTransport(self._client, self._transport, name)

    async def close(self) -> None:
        """Ends their connections."""
        await self._transport.close()


def of_server(client: Client, settings: Settings) -> Accounts:
    """Accounts of the server that `settings` lead to, whoever they make of it."""
    nobody = structs.replace(
        settings, client_certificate_data=b"", client_key_data=b"", token="", token_file="", username="", password=""
    )
    return Accounts(client, TLSTransport(nobody, client.clock))


class AccountTransport:
    """One account's way to the API server."""

    def __init__(self, client: Client, transport: Transport, name: str) -> None:
        self._client = client
        self._transport = transport
        self._name = name
        self._turn = asyncio.Lock()
        self._bearer = ""
        self._renew = 0.0

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        sent = await self._signed(headers)
        response = await self._transport.request(method, target, sent, body)
        if response.status != 401:
            return response
        # The token is not taken any more: the account was deleted and made again, or another key signs.
        if self._bearer == sent["authorization"]:
            self._bearer = ""
        return await self._transport.request(method, target, await self._signed(headers), body)

    @asynccontextmanager
    async def stream(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Stream]:
        async with self._transport.stream(method, target, await self._signed(headers), body) as stream:
            yield stream

    @asynccontextmanager
    async def websocket(
        self, target: str, headers: Mapping[str, str], protocols: tuple[str, ...]
    ) -> AsyncIterator[WebSocket]:
        way: AbstractAsyncContextManager[WebSocket] = self._transport.websocket(
            target, await self._signed(headers), protocols
        )
        async with way as socket:
            yield socket

    async def close(self) -> None:
        """Nothing: the connections are the manager's."""

    async def _signed(self, headers: Mapping[str, str]) -> dict[str, str]:
        """Raises ApiError where no token is to be had."""
        async with self._turn:
            if not self._bearer or self._client.clock.now() >= self._renew:
                try:
                    await self._ask()
                except errors.NotFound:
                    await self._make()
                    await self._ask()
        return {**headers, "authorization": self._bearer}

    async def _ask(self) -> None:
        request = authentication_v1.TokenRequest(spec=authentication_v1.TokenRequestSpec(expiration_seconds=LIFETIME))
        asked_at = self._client.clock.now()
        answer = await self._client.token(NAMESPACE, self._name, request)
        self._bearer = f"Bearer {answer.status.token}"
        self._renew = asked_at + RENEW_AFTER * (answer.spec.expiration_seconds or LIFETIME)

    async def _make(self) -> None:
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name=self._name, namespace=NAMESPACE))
        try:
            await self._client.create(account)
        except errors.AlreadyExists:
            return
