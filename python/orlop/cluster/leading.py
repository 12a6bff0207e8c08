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
        clock,
        name=arguments.leader_elect_resource_name,
        namespace=arguments.leader_elect_resource_namespace,
        identity=f"{socket.gethostname()}_{clock.uuid()}",
    )
    await elector.run(work)
