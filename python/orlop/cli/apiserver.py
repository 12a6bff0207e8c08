"""`orlop apiserver`: an API server alone, with its store in a folder."""

import argparse
import sys
from ipaddress import ip_network
from pathlib import Path

from orlop.cli import options
from orlop.cli.component import setup
from orlop.cluster.child import run_component
from orlop.store.choose import CHOICES, DEFAULT


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data-dir", type=Path, required=True, metavar="DIR", help="store, keys and certificates")
    parser.add_argument("--bind-address", default="127.0.0.1", metavar="ADDRESS", help="where to listen")
    parser.add_argument("--secure-port", type=int, default=6443, metavar="PORT", help="0 picks a free one")
    parser.add_argument("--advertise-address", default="", metavar="ADDRESS", help="how pods reach this server")
    parser.add_argument(
        "--write-kubeconfig", type=Path, default=None, metavar="FILE", help="an admin kubeconfig, written when ready"
    )
    options.add_history(parser)
    parser.add_argument("--store", choices=CHOICES, default=DEFAULT, help="memory keeps nothing")
    parser.add_argument(
        "--service-cluster-ip-range", default="10.96.0.0/16", metavar="CIDR", help="addresses of Services"
    )
    parser.add_argument(
        "--token-auth-file", type=Path, default=None, metavar="FILE", help='token,user,uid,"group1,group2" lines'
    )
    parser.add_argument(
        "--runtime-config",
        default="",
        metavar="KEY=VALUE,…",
        help="group-versions that are not stable: scheduling.k8s.io/v1beta1=true, or api/beta=true for all",
    )
    options.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    from orlop.apiserver.config import Config
    from orlop.apiserver.server import ApiServer
    from orlop.cluster.components import forever

    setup(arguments)
    config = Config(
        data_dir=arguments.data_dir.absolute(),
        bind_address=arguments.bind_address,
        secure_port=arguments.secure_port,
        advertise_address=arguments.advertise_address,
        store=arguments.store,
        history=tuple(arguments.history or ()),
        service_cidrs=tuple(map(ip_network, arguments.service_cluster_ip_range.split(","))),
        write_kubeconfig=arguments.write_kubeconfig,
        token_auth_file=arguments.token_auth_file,
        runtime_config=dict(p.partition("=")[::2] for p in arguments.runtime_config.split(",") if p),
    )

    async def main() -> None:
        async with ApiServer(config) as server:
            print(f"serving at https://{arguments.bind_address}:{server.port}", file=sys.stderr, flush=True)
            await forever()

    return run_component(main())
