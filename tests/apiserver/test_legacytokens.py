"""The use of a token that stands in a Secret is written on the Secret, once a day, by a real server."""

import asyncio

from tests.support.worlds import ADMIN, server

from orlop.api.types import core_v1, meta_v1
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.controllers.serviceaccounttokens import ServiceAccountTokensController

TRACKING = "kube-apiserver-legacy-service-account-token-tracking"
LAST_USED = "kubernetes.io/legacy-token-last-used"


async def test_it_is_written_once_a_day() -> None:
    async with server() as (app, clock):
        client = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="test")
        since = await client.get(
            core_v1.ConfigMap, "kube-apiserver-legacy-service-account-token-tracking", "kube-system"
        )
        assert since.data == {"since": "2023-11-14"}
        account = await client.create(
            core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="robot", namespace="default"))
        )
        wanted = core_v1.Secret(
            metadata=meta_v1.ObjectMeta(
                name="robot",
                namespace="default",
                annotations={
                    "kubernetes.io/service-account.name": "robot",
                    "kubernetes.io/service-account.uid": account.metadata.uid,
                },
            ),
            type="kubernetes.io/service-account-token",
        )
        secret = await client.create(wanted)
        tokens = app.core.tokens
        maker = ServiceAccountTokensController(tokens._pem, b"")
        secret.data = maker._data(secret, account)
        secret = await client.update(secret)
        token = secret.data["token"].decode()

        async def used_on(day: str) -> core_v1.Secret:
            assert tokens.authenticate(token) is not None
            wanted = {LAST_USED: day}
            async with asyncio.timeout(10):
                while (found := await client.get(core_v1.Secret, "robot", "default")).metadata.labels != wanted:  # noqa: ASYNC110
                    await asyncio.sleep(0)
            return found

        first = await used_on("2023-11-14")
        assert (await used_on("2023-11-14")).metadata.resource_version == first.metadata.resource_version
        await clock.advance(24 * 3600)
        await client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="news", namespace="default")))
        await used_on("2023-11-15")
