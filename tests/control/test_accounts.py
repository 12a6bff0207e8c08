"""Controllers that act as ServiceAccounts of their own, on a server that asks who they are."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from orlop.api import errors
from orlop.api.types import authentication_v1, core_v1, meta_v1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client, kubeconfig
from orlop.client.tls import TLSTransport
from orlop.clock import FakeClock, SystemClock
from orlop.control import accounts
from orlop.control.accounts import LIFETIME, RENEW_AFTER, Accounts

NAME = "replicaset-controller"


class Setting:
    """A server over TLS, its administrator, the accounts of one manager and one of its controllers."""

    def __init__(self, admin: Client, made: Accounts, clock: FakeClock) -> None:
        self.admin = admin
        self.clock = clock
        self.client = Client(made(NAME), clock=clock, user_agent="manager")

    async def who(self) -> str:
        """Who the server takes the controller for."""
        answer = await self.client.create(authentication_v1.SelfSubjectReview())
        return answer.status.user_info.username


@pytest.fixture
async def setting(tmp_path: Path) -> AsyncIterator[Setting]:
    clock = FakeClock(start=SystemClock().now())  # certificates are looked at by the machine's clock
    config = Config(data_dir=tmp_path, store="memory", secure_port=0, write_kubeconfig=tmp_path / "admin")
    async with ApiServer(config, clock):
        settings = kubeconfig.load(tmp_path / "admin")
        admin = Client(TLSTransport(settings, clock), clock=clock, user_agent="admin")
        made = accounts.of_server(admin, settings)
        try:
            yield Setting(admin, made, clock)
        finally:
            await made.close()
            await admin.close()


async def test_each_acts_as_its_own_account_and_can_do_no_more(setting: Setting) -> None:
    assert await setting.who() == f"system:serviceaccount:kube-system:{NAME}"
    await setting.admin.get(core_v1.ServiceAccount, NAME, "kube-system")
    await setting.client.list(core_v1.Pod)
    with pytest.raises(errors.Forbidden):
        await setting.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name="mine")))


async def test_a_deleted_account_is_made_again(setting: Setting) -> None:
    await setting.who()
    before = await setting.admin.get(core_v1.ServiceAccount, NAME, "kube-system")
    await setting.admin.delete(core_v1.ServiceAccount, NAME, "kube-system")
    await setting.clock.advance(60)  # no authenticator remembers the token any more
    assert await setting.who() == f"system:serviceaccount:kube-system:{NAME}"
    after = await setting.admin.get(core_v1.ServiceAccount, NAME, "kube-system")
    assert after.metadata.uid != before.metadata.uid


async def test_a_token_is_renewed_before_it_ends(setting: Setting) -> None:
    asked: list[str] = []
    token = setting.admin.token

    async def note(
        namespace: str, name: str, request: authentication_v1.TokenRequest
    ) -> authentication_v1.TokenRequest:
        asked.append(name)
        return await token(namespace, name, request)

    setting.admin.token = note  # type: ignore[method-assign]
    await setting.who()
    first = len(asked)
    await setting.who()
    assert len(asked) == first
    await setting.clock.advance(RENEW_AFTER * LIFETIME + 1)
    await setting.who()
    assert len(asked) == first + 1
    await setting.clock.advance(LIFETIME / 2)
    assert await setting.who() == f"system:serviceaccount:kube-system:{NAME}"
