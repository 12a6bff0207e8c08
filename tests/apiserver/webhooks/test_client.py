"""The client of webhooks against real servers with TLS."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from tests.apiserver.conftest import Api
from tests.support import webhooks

from orlop.apiserver.webhooks.client import Endpoint, WebhookClient
from orlop.apiserver.webhooks.failures import CallFailed

UNKNOWN = "tls: failed to verify certificate: x509: certificate signed by unknown authority"


class Hook:
    """What the server was asked, and from how many connections."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.peers: set[object] = set()
        self.silent = asyncio.Event()

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        self.peers.add(request.transport.get_extra_info("peername"))
        self.asked.append((request.path_qs, request.headers["host"], await request.read()))
        if request.path == "/slow":
            await self.silent.wait()
        if request.path == "/moved":
            raise web.HTTPFound("/there")
        if request.path == "/broken":
            return web.Response(status=500, text='no "luck"')
        return web.Response(body=b'{"said":"yes"}', content_type="application/json")


@pytest.fixture
def authority() -> webhooks.Authorities:
    return webhooks.Authorities()


@pytest.fixture
async def hook() -> Hook:
    return Hook()


@pytest.fixture
async def port(hook: Hook, authority: webhooks.Authorities, tmp_path: Path) -> AsyncIterator[int]:
    async with webhooks.serving(hook.answer, authority.serving(tmp_path, "localhost", "hook.default.svc")) as port:
        yield port


@pytest.fixture
def client(api: Api) -> WebhookClient:
    return api.server.core.webhooks


async def failure(client: WebhookClient, to: Endpoint, seconds: float = 10) -> CallFailed:
    with pytest.raises(CallFailed) as failed:
        await client.post(to, b"{}", seconds)
    return failed.value


async def test_a_url_is_called_as_it_is_over_a_kept_connection(
    client: WebhookClient, hook: Hook, port: int, authority: webhooks.Authorities
) -> None:
    to = Endpoint(url=f"https://localhost:{port}/x/y", ca_bundle=authority.pem)
    for _ in range(3):
        assert await client.post(to, b'{"a":1}', 10) == b'{"said":"yes"}'
    assert hook.asked == [("/x/y?timeout=10s", f"localhost:{port}", b'{"a":1}')] * 3
    assert len(hook.peers) == 1


async def test_a_service_is_reached_at_its_endpoint_by_its_name(
    api: Api, client: WebhookClient, hook: Hook, port: int, authority: webhooks.Authorities
) -> None:
    await webhooks.service(api.made, "hook", port)
    await client.post(Endpoint(namespace="default", name="hook", path="convert", ca_bundle=authority.pem), b"{}", 5)
    assert hook.asked == [("/convert?timeout=5s", "hook.default.svc:443", b"{}")]


async def test_a_name_that_the_certificate_does_not_have(
    api: Api, client: WebhookClient, hook: Hook, port: int, authority: webhooks.Authorities
) -> None:
    await webhooks.service(api.made, "other", port)
    error = await failure(client, Endpoint(namespace="default", name="other", ca_bundle=authority.pem))
    assert str(error).startswith('Post "https://other.default.svc:443/?timeout=10s": tls: failed to verify certificate')
    assert "other.default.svc" in str(error)
    assert not hook.asked


async def test_an_authority_that_the_bundle_does_not_have(client: WebhookClient, hook: Hook, port: int) -> None:
    for bundle in (webhooks.Authorities().pem, b""):
        error = await failure(client, Endpoint(url=f"https://localhost:{port}/", ca_bundle=bundle))
        assert str(error) == f'Post "https://localhost:{port}/?timeout=10s": {UNKNOWN}'
    assert not hook.asked


async def test_a_bundle_that_is_none(client: WebhookClient, port: int) -> None:
    error = await failure(client, Endpoint(url=f"https://localhost:{port}/", ca_bundle=b"nonsense"))
    assert str(error) == "unable to load root certificates: unable to parse bytes as PEM block"


async def test_failures_in_the_words_of_go(client: WebhookClient, port: int, authority: webhooks.Authorities) -> None:
    def at(path: str) -> Endpoint:
        return Endpoint(url=f"https://localhost:{port}{path}", ca_bundle=authority.pem)

    slow = await failure(client, at("/slow"), 0.2)
    assert slow.timeout
    assert str(slow).endswith("context deadline exceeded")
    assert (await failure(client, at("/moved"))).status == 302
    broken = await failure(client, at("/broken"))
    assert str(broken) == 'an error on the server ("no \\"luck\\"") has prevented the request from succeeding'


async def test_where_nobody_is(api: Api, client: WebhookClient, authority: webhooks.Authorities) -> None:
    missing = await failure(client, Endpoint(namespace="default", name="nobody"))
    assert str(missing) == 'Post "https://nobody.default.svc:443/?timeout=10s": service "nobody" not found'
    await webhooks.service(api.made, "gone", 1)
    refused = await failure(client, Endpoint(namespace="default", name="gone", ca_bundle=authority.pem))
    assert str(refused).endswith(f"dial tcp {webhooks.own_address()}:1: connect: connection refused")
    wrong = await failure(client, Endpoint(namespace="default", name="gone", port=8443))
    assert str(wrong).endswith('no service port 8443 found for service "gone"')
    await api("DELETE", "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/gone-1")
    empty = await failure(client, Endpoint(namespace="default", name="gone"))
    assert str(empty).endswith('no endpoints available for service "gone"')
