"""`orlop proxy`: a node's service proxy alone."""

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
        "--proxy-mode",
        default="nftables",
        metavar="MODES",
        help="nftables, ipvs, iptables or userspace; several, comma-separated, for the first that works here",
    )
    parser.add_argument(
        "--ipvs-scheduler",
        default="rr",
        metavar="NAME[,FLAG…]",
        help="ipvs, userspace: how connections are spread, where no annotation orlop/ipvs-scheduler says otherwise",
    )
    parser.add_argument(
        "--ipvs-strict-arp", action="store_true", help="mode ipvs: answer ARP only on the link that has the address"
    )
    parser.add_argument(
        "--hostname-override", default=socket.gethostname().lower(), metavar="NAME", help="the node's name"
    )
    parser.add_argument("--cluster-cidr", default="", metavar="CIDR", help="pods' addresses: others are masqueraded")
    parser.add_argument("--masquerade-all", action="store_true", help="masquerade all traffic to cluster IPs")
    parser.add_argument(
        "--nodeport-addresses", default="", metavar="CIDRS", help="the node's addresses that serve node ports"
    )
    parser.add_argument(
        "--healthz-bind-address", default="0.0.0.0:10256", metavar="IP:PORT", help="health; empty for none"
    )
    parser.add_argument(
        "--metrics-bind-address", default="127.0.0.1:10249", metavar="IP:PORT", help="metrics; empty for none"
    )
    parser.add_argument("--cleanup", action="store_true", help="remove every rule of ours, then end")


def run(arguments: argparse.Namespace) -> int:
    from orlop.proxy.cleanup import cleanup
    from orlop.proxy.config import ProxyConfig
    from orlop.proxy.proxier import Proxier

    if arguments.cleanup:
        asyncio.run(cleanup("orlop"))
        return 0
    if not arguments.kubeconfig:
        print("orlop proxy: --kubeconfig is required, except with --cleanup", file=sys.stderr)
        return 2
    try:
        config = ProxyConfig(
            proxy_mode=arguments.proxy_mode,
            ipvs_scheduler=arguments.ipvs_scheduler,
            ipvs_strict_arp=arguments.ipvs_strict_arp,
            hostname_override=arguments.hostname_override,
            cluster_cidr=arguments.cluster_cidr,
            masquerade_all=arguments.masquerade_all,
            nodeport_addresses=tuple(filter(None, arguments.nodeport_addresses.split(","))),
            healthz_bind_address=arguments.healthz_bind_address,
            metrics_bind_address=arguments.metrics_bind_address,
        )
    except ValueError as error:
        print(f"orlop proxy: {error}", file=sys.stderr)
        return 2

    async def work(client: Client, clock: Clock) -> None:
        await Proxier(client, clock, config).run()

    return component.run(arguments, "proxy", work)
