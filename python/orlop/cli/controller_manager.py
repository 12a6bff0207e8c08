"""`orlop controller-manager`: controllers alone."""

import argparse
import socket
from pathlib import Path

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock


class _PrintRoles(argparse.Action):
    """Prints and ends, as --version does: no server is asked."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        import msgspec
        import yaml

        from orlop.api import scheme
        from orlop.apiserver.auth.policy.controllers import own_roles

        documents = []
        for role in own_roles():
            kind = scheme.of(type(role))
            documents.append({"apiVersion": kind.api_version, "kind": kind.kind, **msgspec.to_builtins(role)})
        print(yaml.safe_dump_all(documents, sort_keys=False), end="")
        parser.exit()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_component(parser)
    options.add_leader_election(parser, "kube-controller-manager")
    parser.add_argument(
        "--controllers",
        default="*",
        metavar="LIST",
        help="'*' for all, NAME to enable, -NAME to disable, comma separated",
    )
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="write nothing: print a line for each write that the controllers would make (takes no lease)",
    )
    parser.add_argument(
        "--use-service-account-credentials",
        action=argparse.BooleanOptionalAction,
        default=False,
        help="let each controller act as a ServiceAccount of its own in kube-system",
    )
    parser.add_argument(
        "--print-roles",
        action=_PrintRoles,
        nargs=0,
        help="print what orlop's own controllers need on another API server than orlop's, for `kubectl apply -f -`",
    )
    parser.add_argument("--cluster-cidr", default="10.244.0.0/16", metavar="CIDR", help="addresses of pods")
    parser.add_argument(
        "--service-cluster-ip-range", default="10.96.0.0/16", metavar="CIDR", help="addresses of Services"
    )
    parser.add_argument(
        "--load-balancer-pool",
        default="",
        metavar="CIDR[,CIDR]",
        help="addresses of Services of type LoadBalancer, or nodes for the nodes' own; else those are somebody else's",
    )
    parser.add_argument(
        "--node-monitor-grace-period",
        type=float,
        default=50.0,
        metavar="SECONDS",
        help="silence after which a node is unreachable",
    )
    parser.add_argument("--root-ca-file", type=Path, default=None, metavar="FILE", help="published to every namespace")
    parser.add_argument(
        "--service-account-private-key-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="signs the tokens of Secrets that ask for one",
    )
    parser.add_argument(
        "--cluster-signing-cert-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="the authority that signs CertificateSigningRequests; without it none are signed",
    )
    parser.add_argument("--cluster-signing-key-file", type=Path, default=None, metavar="FILE", help="its key")
    parser.add_argument(
        "--cluster-signing-duration",
        type=float,
        default=365 * 86400.0,
        metavar="SECONDS",
        help="what it signs lasts no longer",
    )


def run(arguments: argparse.Namespace) -> int:
    from orlop.client import kubeconfig
    from orlop.control.accounts import of_server
    from orlop.control.manager import Manager
    from orlop.controllers import Options, all_controllers, enabled

    options_ = Options(
        cluster_cidr=arguments.cluster_cidr,
        service_cidr=arguments.service_cluster_ip_range,
        load_balancer_pool=arguments.load_balancer_pool,
        node_monitor_grace_period=arguments.node_monitor_grace_period,
        root_ca=_read(arguments.root_ca_file),
        service_account_key=_read(arguments.service_account_private_key_file),
        cluster_signing_cert=_read(arguments.cluster_signing_cert_file),
        cluster_signing_key=_read(arguments.cluster_signing_key_file),
        cluster_signing_duration=arguments.cluster_signing_duration,
    )
    controllers = enabled(all_controllers(options_), arguments.controllers)

    async def work(client: Client, clock: Clock) -> None:
        own = arguments.use_service_account_credentials
        accounts = of_server(client, kubeconfig.load(arguments.kubeconfig)) if own else None
        manager = Manager(
            client,
            clock,
            controllers,
            leader_elect=arguments.leader_elect,
            identity=f"{socket.gethostname()}_{clock.uuid()}",
            lease_name=arguments.leader_elect_resource_name,
            dry_run=(lambda line: print(line, flush=True)) if arguments.dry_run else None,
            accounts=accounts,
        )
        try:
            await manager.run()
        finally:
            if accounts is not None:
                await accounts.close()

    return component.run(arguments, "controller-manager", work)


def _read(file: Path | None) -> bytes:
    return file.read_bytes() if file is not None else b""
