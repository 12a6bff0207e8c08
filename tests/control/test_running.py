"""Programs that are controllers and nothing else, against a server on a port."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client, kubeconfig
from orlop.client.tls import TLSTransport
from orlop.clock import SystemClock

PROGRAM = """
from orlop import controller
from orlop.api.types import core_v1

class Marker(controller.Controller):
    name = "marker-controller"

    def setup(self, builder):
        self.maps = builder.for_(core_v1.ConfigMap, namespace="default", changed=lambda old, new: False)

    async def reconcile(self, key):
        patch = {"metadata": {"annotations": {"seen": "yes"}}}
        await self.context.client.patch(core_v1.ConfigMap, key.name, key.namespace, patch)

controller.run(Marker(), lease="marker")
"""


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[Client, Path]]:
    config = Config(data_dir=tmp_path / "data", store="memory", secure_port=0, write_kubeconfig=tmp_path / "kubeconfig")
    async with ApiServer(config):
        client = Client(
            TLSTransport(kubeconfig.load(tmp_path / "kubeconfig"), SystemClock()), clock=SystemClock(), user_agent="t"
        )
        yield client, tmp_path / "kubeconfig"
        await client.close()


@asynccontextmanager
async def program(kubeconfig_file: Path, *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """A Python program; it must end well when it is told to."""
    environ = {**os.environ, "KUBECONFIG": str(kubeconfig_file)}
    environ.pop("KUBERNETES_SERVICE_HOST", None)
    running = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, env=environ, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        yield running
        running.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(running.wait(), 20) == 0
    finally:
        if running.returncode is None:
            running.kill()
            await running.wait()


async def test_a_program_of_ones_own(served: tuple[Client, Path], tmp_path: Path) -> None:
    client, config = served
    file = tmp_path / "marker.py"
    file.write_text(PROGRAM)
    await client.create(core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="default")))
    async with program(config, str(file)):
        async with asyncio.timeout(20):
            while not (await client.get(core_v1.ConfigMap, "a", "default")).metadata.annotations:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    found = await client.get(core_v1.ConfigMap, "a", "default")
    assert found.metadata.annotations == {"seen": "yes"}


async def test_orlops_own_controllers_dry(served: tuple[Client, Path]) -> None:
    client, config = served
    command = ("-m", "orlop.cli.main", "controller-manager", "--dry-run", "--kubeconfig", str(config))
    async with program(config, *command) as running:
        assert running.stdout is not None
        wanted = b"serviceaccount-controller: create serviceaccounts/default/default\n"
        async with asyncio.timeout(30):
            while await running.stdout.readline() != wanted:
                assert not running.stdout.at_eof()
    assert (await client.list(core_v1.ServiceAccount)).items == []
    assert (await client.list(core_v1.Event)).items == []
