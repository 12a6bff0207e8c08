"""How a component runs alone in the foreground."""

import argparse
from collections.abc import Awaitable, Callable

from orlop import logging
from orlop.client import kubeconfig
from orlop.client.client import Client
from orlop.client.tls import TLSTransport
from orlop.clock import Clock, SystemClock
from orlop.cluster.child import run_component


def setup(arguments: argparse.Namespace) -> None:
    """Logs to stderr as the command line says."""
    logging.setup("DEBUG" if arguments.verbosity >= 4 else "INFO", arguments.log_format)


def run(arguments: argparse.Namespace, name: str, work: Callable[[Client, Clock], Awaitable[None]]) -> int:
    """Runs `work` with a client for `--kubeconfig` until SIGTERM or SIGINT."""
    setup(arguments)
    clock = SystemClock()
    settings = kubeconfig.load(arguments.kubeconfig)

    async def main() -> None:
        client = Client(TLSTransport(settings, clock), clock=clock, user_agent=f"orlop-{name}")
        try:
            await work(client, clock)
        finally:
            await client.close()

    return run_component(main())
