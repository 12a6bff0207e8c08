"""An API server that records its requests, and its log."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from tests.apiserver.conftest import Api
from tests.apiserver.webhooks.conftest import HookServer, serve

from orlop.apiserver.audit import AuditSettings, LogSettings
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.pki.identities import Names

Start = Callable[..., AbstractAsyncContextManager[Api]]
EVERYTHING = "[{level: RequestResponse}]"


def policy_file(folder: Path, rules: str, more: str = "") -> Path:
    file = folder / "policy.yaml"
    file.write_text(f"apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: {rules}\n{more}\n")
    return file


class Log:
    """What has been written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def events(self, **wanted: Any) -> list[dict[str, Any]]:
        """Those of the tests' client, in order, that have these values."""
        found = map(json.loads, self.path.read_text().splitlines())
        told = [event for event in found if event.get("userAgent", "").startswith("tests/")]
        return [event for event in told if all(event.get(name) == value for name, value in wanted.items())]

    def last(self, **wanted: Any) -> dict[str, Any]:
        return self.events(**wanted)[-1]


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path / "audit.log")


@pytest.fixture
def start(tmp_path: Path, log: Log) -> Start:
    """Starts a server with these rules."""

    @asynccontextmanager
    async def begin(rules: str = EVERYTHING, more: str = "", **settings: Any) -> AsyncIterator[Api]:
        settings.setdefault("log", LogSettings(path=str(log.path)))
        audit = AuditSettings(policy_file=policy_file(tmp_path, rules, more), **settings)
        config = Config(data_dir=tmp_path / "data", store="memory", secure_port=None, audit=audit)
        async with ApiServer(config) as server:
            yield Api(server)

    return begin


@pytest.fixture
async def hooks(tmp_path: Path) -> AsyncIterator[HookServer]:
    server = HookServer(Names((), (ip_address("127.0.0.1"),)))
    runner = await serve(server, tmp_path)
    yield server
    await runner.cleanup()
