"""A program that is nothing but controllers."""

import asyncio
import signal
from contextlib import suppress

from orlop import logging
from orlop.client import Client, incluster, kubeconfig
from orlop.client.tls import Settings, TLSTransport
from orlop.clock import SystemClock
from orlop.control.controller import Controller
from orlop.control.manager import Manager


def run(*controllers: Controller, lease: str = "", dry_run: bool = False) -> None:
    """Runs the controllers until SIGTERM or SIGINT: in a pod as its ServiceAccount, elsewhere as the kubeconfig says.

    With `lease`, a Lease of that name in kube-system, only one of several such programs works at a time. With `dry_run`
    nothing is written: a line is printed for each write that would be. Raises KubeconfigError where there is no way to
    an API server, and LeadershipLost.
    """
    logging.setup("INFO", "text")
    settings = incluster.settings() or kubeconfig.load()
    asyncio.run(_run(settings, controllers, lease, dry_run))


async def _run(settings: Settings, controllers: tuple[Controller, ...], lease: str, dry_run: bool) -> None:
    clock = SystemClock()
    client = Client(TLSTransport(settings, clock), clock=clock, user_agent=controllers[0].name)
    tell = (lambda line: print(line, flush=True)) if dry_run else None
    manager = Manager(client, clock, controllers, leader_elect=bool(lease), lease_name=lease, dry_run=tell)
    task = asyncio.ensure_future(manager.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    try:
        with suppress(asyncio.CancelledError):
            await task
    finally:
        await client.close()
