"""Runs a component only while it leads, where leader election is asked for."""

import argparse
import socket
from collections.abc import Awaitable, Callable

from orlop.client.client import Client
from orlop.client.leader import LeaderElector
from orlop.clock import Clock


async def led(arguments: argparse.Namespace, client: Client, clock: Clock, work: Callable[[], Awaitable[None]]) -> None:
    """Runs `work`; with `--leader-elect` only while this process holds the Lease."""
    if not arguments.leader_elect:
        await work()
        return
    elector = LeaderElector(
        client,
        arguments.leader_elect_resource_name,
        arguments.leader_elect_resource_namespace,
        f"{socket.gethostname()}_{clock.uuid()}",
        clock=clock,
    )
    await elector.run(work)
