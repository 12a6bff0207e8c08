"""The token that a pod finds in its files: bound to it, replaced before it ends, gone with it."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.asgi import ASGITransport
from tests.kubelet.nodes import FastClock, Node

SPEED = 120.0
"""Ten minutes, the shortest life of a token, in five seconds."""
LIFETIME = 600


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    """A node whose kubelet makes real volumes for simulated containers, in a world that is in a hurry."""
    clock = FastClock(SPEED)
    (tmp_path / "api").mkdir()
    async with ApiServer(Config(data_dir=tmp_path / "api", store="memory", secure_port=None), clock) as server:
        node = Node(server, clock, tmp_path)
        node.config.simulated = False
        await node.admin.create(
            core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        )
        await node.start()
        try:
            yield node
        finally:
            await node.stop()


def claims(token: str) -> dict[str, Any]:
    body = token.split(".")[1]
    decoded: dict[str, Any] = msgspec.json.decode(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    return decoded


async def who(server: ApiServer, token: str) -> str | None:
    """Whom the API server takes the bearer for; None for nobody."""
    body = b'{"apiVersion":"authentication.k8s.io/v1","kind":"SelfSubjectReview"}'
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    path = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
    answer = await ASGITransport(server.app, None).request("POST", path, headers, body)
    if answer.status != 201:
        return None
    user: str = msgspec.json.decode(answer.body)["status"]["userInfo"]["username"]
    return user


async def test_a_token_is_replaced_at_four_fifths_of_its_life_and_the_old_one_holds_meanwhile(node: Node) -> None:
    source = {"serviceAccountToken": {"path": "token", "expirationSeconds": LIFETIME}}
    pod = await node.pod(
        volumes=[{"name": "api", "projected": {"sources": [source]}}],
        containers=[{"volumeMounts": [{"name": "api", "mountPath": "/token"}]}],
    )
    await node.running()
    (file,) = (node.config.root_dir / "pods" / pod.metadata.uid).glob("volumes/*/api/token")
    first = file.read_text()
    told = claims(first)
    assert told["kubernetes.io"]["pod"] == {"name": "p", "uid": pod.metadata.uid}
    assert told["exp"] - told["iat"] == LIFETIME
    assert await who(node.server, first) == "system:serviceaccount:default:default"
    async with asyncio.timeout(20):
        while True:
            if file.read_text() != first:
                break
            await asyncio.sleep(0.01)
    second = claims(file.read_text())
    # Not before four fifths, and in time for the holder to read it before the first one ends.
    assert LIFETIME * 0.8 - 1 <= second["iat"] - told["iat"] < LIFETIME
    assert await who(node.server, file.read_text()) == "system:serviceaccount:default:default"
    if node.clock.now() < told["exp"]:
        assert await who(node.server, first) == "system:serviceaccount:default:default"
    last = file.read_text()
    await node.delete(grace=0)
    await node.gone()
    assert await who(node.server, last) is None, "a token ends with its pod"
