"""Requests to an API server in this process, over the store in memory: everything but sockets, TLS and the disk."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from benches.micro.objects import pod
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.auth.user import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport
from orlop.clock import SystemClock

ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
PODS = "/api/v1/namespaces/default/pods"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
JSON = {"content-type": "application/json"}
TIMES = 30


class Api:
    """An API server and the loop that it runs on."""

    def __init__(self, folder: Path) -> None:
        self._runner = asyncio.Runner()
        self._server = ApiServer(Config(data_dir=folder, secure_port=None, store="memory"), SystemClock())
        self._made = 0
        self.run(self._server.__aenter__())
        self._transport = ASGITransport(self._server.app, ADMIN)
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        self.run(self.ask("POST", "/api/v1/namespaces/default/serviceaccounts", msgspec.json.encode(account)))

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    async def ask(self, method: str, path: str, body: bytes = b"", media: str = "application/json") -> bytes:
        answer = await self._transport.request(method, path, {"content-type": media}, body)
        assert answer.status < 300, answer.body
        return answer.body

    def body(self) -> bytes:
        """Of a pod with a name of its own."""
        self._made += 1
        made = pod(self._made)
        made.spec.node_name = ""
        return msgspec.json.encode(made)

    def name(self) -> str:
        return f"p{self._made}"

    def close(self) -> None:
        self.run(self._server.__aexit__(None, None, None))
        self._runner.close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    one = Api(tmp_path_factory.mktemp("api"))
    try:
        yield one
    finally:
        one.close()


def measure(benchmark: Any, api: Api, one: Callable[[int], Coroutine[Any, Any, bytes]]) -> None:
    """One request after the other."""
    benchmark.extra_info["units"] = TIMES

    async def several() -> None:
        for n in range(TIMES):
            await one(n)

    benchmark.pedantic(lambda: api.run(several()), rounds=5)


def test_create(benchmark: Any, api: Api) -> None:
    """A pod created, by the API server alone."""
    measure(benchmark, api, lambda n: api.ask("POST", PODS, api.body()))
    assert len(msgspec.json.decode(api.run(api.ask("GET", PODS)))["items"]) >= TIMES


def test_get(benchmark: Any, api: Api) -> None:
    """A pod read, by the API server alone."""
    api.run(api.ask("POST", PODS, api.body()))
    measure(benchmark, api, lambda n: api.ask("GET", f"{PODS}/{api.name()}"))


def test_status(benchmark: Any, api: Api) -> None:
    """A pod's status patched, by the API server alone."""
    api.run(api.ask("POST", PODS, api.body()))

    def patch(n: int) -> Coroutine[Any, Any, bytes]:
        body = msgspec.json.encode({"status": {"message": f"{n} {id(object())}"}})
        return api.ask("PATCH", f"{PODS}/{api.name()}/status", body, "application/strategic-merge-patch+json")

    measure(benchmark, api, patch)


def test_lease(benchmark: Any, api: Api) -> None:
    """A lease renewed, by the API server alone."""
    lease = {
        "apiVersion": "coordination.k8s.io/v1",
        "kind": "Lease",
        "metadata": {"name": "l", "namespace": "default"},
        "spec": {"holderIdentity": "n", "leaseDurationSeconds": 40},
    }
    api.run(api.ask("POST", LEASES, msgspec.json.encode(lease)))
    count = 0

    def renew(n: int) -> Coroutine[Any, Any, bytes]:
        nonlocal count
        count += 1
        body = b'{"spec":{"renewTime":"2026-01-01T00:00:00.%06dZ"}}' % count
        return api.ask("PATCH", f"{LEASES}/l", body, "application/merge-patch+json")

    measure(benchmark, api, renew)


def test_delete(benchmark: Any, api: Api) -> None:
    """A pod deleted, by the API server alone."""
    benchmark.extra_info["units"] = TIMES

    def make() -> tuple[list[list[str]], dict[str, Any]]:
        names = []
        for _ in range(TIMES):
            api.run(api.ask("POST", PODS, api.body()))
            names.append(api.name())
        return [names], {}

    async def delete(names: list[str]) -> None:
        for name in names:
            await api.ask("DELETE", f"{PODS}/{name}", b'{"gracePeriodSeconds":0}')

    before = len(msgspec.json.decode(api.run(api.ask("GET", PODS)))["items"])
    benchmark.pedantic(lambda names: api.run(delete(names)), setup=make, rounds=5)
    assert len(msgspec.json.decode(api.run(api.ask("GET", PODS)))["items"]) == before
