"""An API server in this process, and a way to talk to it as a client would: bytes in, bytes out."""

import json
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import bootstrap
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport

ADMIN = User("admin", ("system:masters", "system:authenticated"))


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any
    raw: bytes

    @property
    def message(self) -> str:
        return str(self.body["message"])


class Api:
    """Requests as one user."""

    def __init__(self, server: ApiServer, user: User | None = ADMIN) -> None:
        self.server = server
        self.transport = ASGITransport(server.app, user)

    async def __call__(
        self, method: str, path: str, body: Any = None, media: str = "application/json", **headers: str
    ) -> Answer:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"user-agent": "tests/1", **{k.replace("_", "-"): v for k, v in headers.items()}}
        if body is not None:
            sent["content-type"] = media
        answer = await self.transport.request(method, path, sent, data)
        try:
            parsed = json.loads(answer.body)
        except ValueError:
            parsed = None
        return Answer(answer.status, parsed, answer.headers, answer.body)

    def stream(self, path: str, **headers: str) -> AbstractAsyncContextManager[Any]:
        sent = {"user-agent": "tests/1", **{k.replace("_", "-"): v for k, v in headers.items()}}
        return self.transport.stream("GET", path, sent, b"")

    async def put(self, path: str, body: dict[str, Any]) -> Answer:
        """Replaces the object as it is now, whatever became of it since it was read."""
        there = await self("GET", path)
        if there.status != 200:
            return there
        revision = there.body["metadata"]["resourceVersion"]
        return await self("PUT", path, body | {"metadata": body["metadata"] | {"resourceVersion": revision}})

    async def made(self, path: str, body: Any) -> Any:
        answer = await self("POST", path, body)
        assert answer.status == 201, answer.body
        return answer.body


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=None)) as server:
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        await bootstrap.create(server.core, account)
        yield server


@pytest.fixture
async def api(server: ApiServer) -> AsyncIterator[Api]:
    api = Api(server)
    yield api
    await api.transport.close()


def pod(name: str = "p", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [{"name": "c", "image": "img"}], **spec},
    }


def config_map(name: str, **more: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


PODS = "/api/v1/namespaces/default/pods"
MAPS = "/api/v1/namespaces/default/configmaps"
SERVICES = "/api/v1/namespaces/default/services"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
