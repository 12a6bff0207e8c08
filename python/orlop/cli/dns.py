"""`orlop dns`: a node's DNS server alone."""

import argparse
import socket
import sys
from pathlib import Path

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_component(parser)
    parser.add_argument(
        "--hostname-override", default=socket.gethostname().lower(), metavar="NAME", help="the node's name"
    )
    parser.add_argument(
        "--address", default="", metavar="ADDRESS,…", help="where to listen (default: the node's ends of its pod CIDRs)"
    )
    parser.add_argument("--port", type=int, default=53, metavar="PORT", help="the port, for UDP and TCP")
    parser.add_argument("--cluster-domain", default="cluster.local", metavar="DOMAIN", help="the cluster's DNS domain")
    parser.add_argument(
        "--cluster-cidr",
        default="",
        metavar="CIDR,…",
        help="ranges of pods and Services: nobody else is asked about addresses in them",
    )
    parser.add_argument("--ttl", type=int, default=5, metavar="SECONDS", help="how long clients may keep answers")
    parser.add_argument(
        "--pods",
        choices=("insecure", "verified", "disabled"),
        default="insecure",
        help="names of pods by address: as the name says, only of pods that are there, not at all",
    )
    parser.add_argument(
        "--resolv-conf",
        type=Path,
        default=Path("/etc/resolv.conf"),
        metavar="FILE",
        help="whose name servers are asked about everything else",
    )
    parser.add_argument(
        "--upstream", default="", metavar="ADDRESS[#PORT],…", help="name servers to ask instead of those of the file"
    )
    options.add_stub_domains(parser)
    parser.add_argument(
        "--service-ip",
        default="",
        metavar="ADDRESS",
        help="make the Service kube-dns at this address, and stand behind it (default: no Service)",
    )
    parser.add_argument(
        "--healthz-bind-address", default="127.0.0.1:8181", metavar="IP:PORT", help="/health and /ready; empty for none"
    )
    parser.add_argument(
        "--metrics-bind-address", default="127.0.0.1:9153", metavar="IP:PORT", help="/metrics; empty for none"
    )


def run(arguments: argparse.Namespace) -> int:
    from orlop.dns import DnsConfig, DnsServer

    try:
        config = DnsConfig(
            node_name=arguments.hostname_override,
            addresses=words(arguments.address),
            port=arguments.port,
            cluster_domain=arguments.cluster_domain,
            cluster_cidrs=words(arguments.cluster_cidr),
            ttl=arguments.ttl,
            pods=arguments.pods,
            resolv_conf=arguments.resolv_conf,
            upstreams=words(arguments.upstream),
            stub_domains=tuple(arguments.stub_domain or ()),
            autopath=bool(arguments.dns_autopath),
            service_ip=arguments.service_ip,
            healthz_bind_address=arguments.healthz_bind_address,
            metrics_bind_address=arguments.metrics_bind_address,
        )
    except ValueError as error:
        print(f"orlop dns: {error}", file=sys.stderr)
        return 2

    async def work(client: Client, clock: Clock) -> None:
        await DnsServer(client, clock, config).run()

    return component.run(arguments, "dns", work)


def words(text: str) -> tuple[str, ...]:
    """A list separated by commas."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
