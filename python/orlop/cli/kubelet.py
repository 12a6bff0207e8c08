"""`orlop kubelet`: one node's agent alone."""

import argparse
import os
import socket
from pathlib import Path

from orlop.cli import component, options
from orlop.client.client import Client
from orlop.clock import Clock
from orlop.cluster.settings import KUBELET_PORT, Settings, SettingsError, primary_address
from orlop.kubelet.config import KubeletConfig
from orlop.kubelet.eviction.config import EvictionConfig
from orlop.kubelet.kubelet import Kubelet
from orlop.kubelet.node import check_reservations


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_component(parser)
    parser.add_argument(
        "--hostname-override", default=socket.gethostname().lower(), metavar="NAME", help="the node's name"
    )
    parser.add_argument(
        "--root-dir", type=Path, default=Kubelet.default_root(), metavar="DIR", help="where pods' files are"
    )
    parser.add_argument(
        "--runtime", choices=("native", "docker", "hollow"), default="native", help="what runs containers"
    )
    parser.add_argument(
        "--node-ip", default="", metavar="ADDRESS", help="the node's address (default: its primary one)"
    )
    parser.add_argument("--node-labels", default="", metavar="KEY=VALUE,…", help="labels the node registers with")
    parser.add_argument(
        "--register-with-taints", default="", metavar="KEY=VALUE:EFFECT,…", help="taints at registration"
    )
    parser.add_argument("--max-pods", type=int, default=110, metavar="N", help="pods that may run here")
    parser.add_argument(
        "--cluster-dns", default="", metavar="ADDRESS,…", help="pods' name servers; `node`: this node's own orlop dns"
    )
    parser.add_argument("--cluster-domain", default="cluster.local", metavar="DOMAIN", help="the cluster's DNS domain")
    parser.add_argument("--pod-cidr", default="", metavar="CIDR", help="used where the cluster allocates none")
    options.add_container_logs(parser)
    options.add_eviction(parser)
    parser.add_argument(
        "--image-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="the images of --runtime native (default: those of `orlop image`)",
    )
    parser.add_argument(
        "--node-lease-duration-seconds", type=int, default=40, metavar="SECONDS", help="renewed at a quarter of this"
    )
    parser.add_argument("--address", default="0.0.0.0", metavar="ADDRESS", help="where the server listens")
    parser.add_argument("--port", type=int, default=KUBELET_PORT, metavar="PORT", help="the server's port; 0 picks one")
    parser.add_argument("--tls-cert-file", type=Path, default=None, metavar="FILE", help="the server's certificate")
    parser.add_argument("--tls-private-key-file", type=Path, default=None, metavar="FILE", help="and its key")
    parser.add_argument("--client-ca-file", type=Path, default=None, metavar="FILE", help="who signs clients")
    parser.add_argument(
        "--cgroup-scope", default="orlop", metavar="NAME", help="marks what is this node's on the machine"
    )


def run(arguments: argparse.Namespace) -> int:
    from orlop.cluster.nodes import real_node
    from orlop.cluster.runtimes import choose_runtime, make_runtime
    from orlop.kubelet.network.hollow import HollowNetwork
    from orlop.kubelet.runtime.hollow import HollowRuntime

    root = arguments.root_dir.absolute()
    settings = Settings(name=arguments.cgroup_scope, data_dir=root, runtime=arguments.runtime)
    settings.image_dir = arguments.image_dir and arguments.image_dir.absolute()
    kind = choose_runtime(settings)
    if arguments.runtime == "docker" and os.geteuid() != 0:
        raise SettingsError("the kubelet needs root to set up pod networks")
    config = KubeletConfig(
        node_name=arguments.hostname_override,
        root_dir=root / "kubelet",
        node_ips=[arguments.node_ip or primary_address()],
        labels=dict(pair.split("=", 1) for pair in arguments.node_labels.split(",") if "=" in pair),
        taints=[t for t in arguments.register_with_taints.split(",") if t],
        max_pods=arguments.max_pods,
        cluster_dns=[a for a in arguments.cluster_dns.split(",") if a not in ("", "node")],
        node_dns=arguments.cluster_dns == "node",
        cluster_domain=arguments.cluster_domain,
        pod_cidr=arguments.pod_cidr,
        node_lease_duration_seconds=arguments.node_lease_duration_seconds,
        address=arguments.address,
        port=arguments.port,
        tls_cert_file=arguments.tls_cert_file,
        tls_private_key_file=arguments.tls_private_key_file,
        client_ca_file=arguments.client_ca_file,
        simulated=kind == "hollow",
        eviction=options.eviction(arguments, EvictionConfig()),
    )
    if arguments.container_log_max_size is not None:
        config.container_log_max_size = arguments.container_log_max_size
    if arguments.container_log_max_files is not None:
        config.container_log_max_files = arguments.container_log_max_files
    try:
        limits = config.log_limits()
        check_reservations(config)
    except ValueError as error:
        raise SettingsError(str(error)) from None

    async def work(client: Client, clock: Clock) -> None:
        if kind == "hollow":
            hollow = HollowNetwork()
            simulated = HollowRuntime(clock, hollow, state_file=root / "runtime.jsonl")
            await Kubelet(client, clock, config, simulated, hollow).run()
        else:
            runtime, network = make_runtime(settings, real_node(settings, 1), kind, clock, log_limits=limits)
            await Kubelet(client, clock, config, runtime, network).run()

    return component.run(arguments, "kubelet", work)
