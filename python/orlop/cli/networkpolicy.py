"""`orlop networkpolicy`: a node's enforcement of NetworkPolicies alone."""

import argparse
import asyncio
import socket
import sys

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--kubeconfig", metavar="FILE", help="how to reach the API server, and as whom")
    options.add_logging(parser)
    parser.add_argument(
        "--hostname-override", default=socket.gethostname().lower(), metavar="NAME", help="the node's name"
    )
    parser.add_argument("--cleanup", action="store_true", help="remove every rule of ours, then end")


def run(arguments: argparse.Namespace) -> int:
    from orlop.networkpolicy import NetworkPolicies, PolicyConfig
    from orlop.networkpolicy.table import Table
    from orlop.nftables.command import ProgramError, Unsupported

    config = PolicyConfig(node_name=arguments.hostname_override)
    if not arguments.cleanup and not arguments.kubeconfig:
        print("orlop networkpolicy: --kubeconfig is required, except with --cleanup", file=sys.stderr)
        return 2

    async def work(client: Client, clock: Clock) -> None:
        await NetworkPolicies(client, clock, config).run()

    try:
        if arguments.cleanup:
            asyncio.run(Table(config.table).remove())
            return 0
        return component.run(arguments, "networkpolicy", work)
    except (ProgramError, Unsupported) as error:
        print(f"orlop networkpolicy: {error}", file=sys.stderr)
        return 1
