"""Whatever is asked, the answer is one that upstream could give: no 5xx, no traceback, no hang, nothing left behind."""

import asyncio
import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from tests.apiserver.conftest import Api
from tests.support.campaign import CAMPAIGN, campaign, times
from tests.support.requests import NAME, OBJECTS, Sent, requests

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver import bootstrap
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer

PATIENCE = 20.0
"""Seconds after which a request counts as hung: far more than any takes, even on a busy machine."""
STREAM_SECONDS = 0.02
"""How long a stream is listened to."""
UPSTREAM_TOO = ("failed to create typed patch object", "field not declared in schema", "failed calling webhook")
"""What upstream answers with a 500 as well: an apply of a field that is not in the schema, a webhook that is not
there."""


class Server:
    """A server with an object of each kind, on a loop of its own."""

    def __init__(self, folder: Path) -> None:
        self.runner = asyncio.Runner()
        self.server = ApiServer(Config(data_dir=folder, store="memory", secure_port=None))

    async def start(self) -> None:
        await self.server.__aenter__()
        account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
        await bootstrap.create(self.server.core, account)
        self.api = Api(self.server)
        for kind, tree in OBJECTS:
            answer = await self.api("POST", kind.path("default"), tree)
            assert answer.status in (201, 409), (kind.type_key, answer.body)

    async def stop(self) -> None:
        await self.api.transport.close()
        await self.server.__aexit__(None, None, None)

    async def send(self, sent: Sent) -> None:
        headers = {"accept": sent.accept}
        if sent.streams:
            try:
                async with asyncio.timeout(STREAM_SECONDS):
                    await self.api(sent.method, sent.target, sent.body, sent.media, **headers)
            except TimeoutError:
                pass
            return
        async with asyncio.timeout(PATIENCE):
            answer = await self.api(sent.method, sent.target, sent.body, sent.media, **headers)
        if answer.status >= 500:
            assert any(words in answer.raw.decode(errors="replace") for words in UPSTREAM_TOO), (sent, answer.raw)

    async def left(self) -> tuple[int, int]:
        """Tasks and watches there are once what a request began has ended."""
        for _ in range(20):
            await asyncio.sleep(0)
        return len(asyncio.all_tasks()), sum(watchers for _, _, watchers in self.server.core.hub.stats())


@campaign(120)
def test_any_request(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    server = Server(tmp_path)
    with server.runner as runner, caplog.at_level(logging.WARNING):
        runner.run(server.start())
        before = runner.run(server.left())

        @settings(
            max_examples=times(200, 2_000),
            deadline=None,
            database=None,
            derandomize=not CAMPAIGN,
            suppress_health_check=[*HealthCheck],
        )
        @given(requests())
        def search(sent: Sent) -> None:
            caplog.clear()
            runner.run(server.send(sent))
            faults = [r.getMessage() for r in caplog.records if r.levelno >= logging.ERROR or r.exc_info]
            assert not faults, (sent, faults)

        search()
        assert runner.run(server.left()) == before
        for kind, _ in OBJECTS:
            answer = runner.run(server.api("GET", kind.path("default", NAME)))
            assert answer.status in (200, 404), (kind.type_key, answer.raw)
        runner.run(server.stop())
