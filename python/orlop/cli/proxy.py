"""`orlop proxy`: a node's service proxy alone."""

import argparse
import asyncio
import socket

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_component(parser)
    parser.add_argument("--proxy-mode", choices=("nftables",), default="nftables", help="how services are programmed")
    parser.add_argument(
        "--hostname-override", default=socket.gethostname().lower(), metavar="NAME", help="the node's name"
    )
    parser.add_argument("--cluster-cidr", default="", metavar="CIDR", help="pods' addresses: others are masqueraded")
    parser.add_argument("--cleanup", action="store_true", help="remove every rule of ours, then end")


def run(arguments: argparse.Namespace) -> int:
    from orlop.proxy.cleanup import cleanup
    from orlop.proxy.config import ProxyConfig
    from orlop.proxy.proxier import Proxier

    if arguments.cleanup:
        asyncio.run(cleanup("orlop"))
        return 0
    config = ProxyConfig(hostname_override=arguments.hostname_override, cluster_cidr=arguments.cluster_cidr)

    async def work(client: Client, clock: Clock) -> None:
        await Proxier(client, clock, config).run()

    return component.run(arguments, "proxy", work)
