"""`orlop up`: starts a cluster in the background and points kubectl at it."""

import argparse
import asyncio
import os
import socket
import sys
from ipaddress import ip_network
from pathlib import Path

from orlop.cli import options
from orlop.clock import SystemClock
from orlop.cluster import launch
from orlop.cluster.cleanup import clean_node
from orlop.cluster.kubectl import use_context
from orlop.cluster.nodes import MAX_NODES, RealNode, known_nodes, real_nodes, states_file
from orlop.cluster.runtimes import bridge_name, choose_runtime, lacking_proxy_modes
from orlop.cluster.settings import (
    DEFAULT_PORT,
    Settings,
    SettingsError,
    default_data_dir,
    free_port,
    load,
    port_is_free,
    primary_address,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    options.add_cluster(parser)
    parser.add_argument(
        "--timeout",
        type=float,
        default=launch.START_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait until everything is ready (default: {launch.START_SECONDS:g})",
    )
    parser.add_argument(
        "--nodes",
        type=int,
        default=None,
        metavar="N",
        help="real nodes: this machine and N-1 network namespaces beside it (default: 1)",
    )
    parser.add_argument("--hollow", type=int, default=None, metavar="N", help="simulated nodes beside the real one")
    parser.add_argument(
        "--runtime", choices=("auto", "docker", "native", "hollow"), default=None, help="what runs containers"
    )
    parser.add_argument(
        "--image-dir",
        type=Path,
        default=None,
        metavar="DIR",
        help="the folder that holds the embedded runtime's images (default: that of `orlop image`)",
    )
    parser.add_argument(
        "--secure-port", type=int, default=None, metavar="PORT", help="the API's port; 0 picks a free one"
    )
    parser.add_argument("--bind-address", default=None, metavar="ADDRESS", help="where the API server listens")
    parser.add_argument("--node-name", default=None, help="this machine's node (default: its host name)")
    parser.add_argument(
        "--service-cidr", default=None, metavar="CIDR[,CIDR]", help="addresses of Services; two for dual stack"
    )
    parser.add_argument("--pod-cidr", default=None, metavar="CIDR", help="addresses of pods; IPv4,IPv6 for both")
    parser.add_argument(
        "--node-cidr", default=None, metavar="CIDR", help="addresses of several nodes (default: a free range)"
    )
    parser.add_argument(
        "--load-balancer-pool",
        default=None,
        metavar="CIDR[,CIDR]",
        help="addresses of Services of type LoadBalancer (default: a free range); `nodes` for the nodes' own, `none` "
        "for somebody else's",
    )
    parser.add_argument(
        "--proxy-mode",
        default=None,
        metavar="MODES",
        help="how Services are programmed: nftables (default), ipvs, iptables or userspace; several, comma-separated, "
        "for the first that works here",
    )
    parser.add_argument(
        "--node-monitor-grace-period",
        type=float,
        default=None,
        metavar="SECONDS",
        help="silence after which a node is unreachable",
    )
    parser.add_argument(
        "--default-toleration-seconds",
        type=int,
        default=None,
        metavar="SECONDS",
        help="how long pods stay on a node that is not ready or unreachable",
    )
    parser.add_argument(
        "--node-lease-duration-seconds",
        type=int,
        default=None,
        metavar="SECONDS",
        help="nodes renew their Lease at a quarter of this",
    )
    parser.add_argument(
        "--scheduler-config",
        type=Path,
        default=None,
        metavar="FILE",
        help="a KubeSchedulerConfiguration (v1) for the scheduler, but for leaderElection and clientConnection",
    )
    options.add_runtime_config(parser)
    parser.add_argument(
        "--audit-policy-file",
        type=Path,
        default=None,
        metavar="FILE",
        help="a Policy of audit.k8s.io/v1: what is recorded of requests",
    )
    parser.add_argument(
        "--audit-log-path", default=None, metavar="FILE", help="where that is written (default: logs/audit.log)"
    )
    options.add_stub_domains(parser)
    options.add_container_logs(parser)
    options.add_eviction(parser)
    options.add_history(parser)
    options.add_logging(parser)


def run(arguments: argparse.Namespace) -> int:
    clock = SystemClock()
    began = clock.monotonic()
    before = load(options.data_dir(arguments))
    if before is not None and (state := launch.running(before)) is not None:
        return change(before, state.server, arguments)
    settings = settle(arguments)
    check(settings)
    warn(settings)
    settings.save()
    states_file(settings).unlink(missing_ok=True)
    gone = [node for node in known_nodes(settings) if node.index > settings.nodes]
    for node in gone:
        asyncio.run(clean_node(settings, node))
    if gone and settings.nodes == 1:
        from orlop.cluster import nodenet

        nodenet.remove_host(settings)
    last = began
    for kind, text in launch.start(settings, arguments.timeout):
        now = clock.monotonic()
        if kind == "error":
            launch.stop(settings)
            print(f"orlop up: {text}", file=sys.stderr)
            print(f"the components' logs are in {settings.logs}", file=sys.stderr)
            return 1
        if kind == "ready":
            break
        print(f"  ✓ {text:<60} {now - last:6.2f} s", flush=True)
        last = now
    former = real_nodes(settings, max([before.nodes if before else 1, *(node.index for node in gone)]))
    if extra := former[settings.nodes :]:
        asyncio.run(forget(settings, extra))
    file = use_context(settings)
    print(f"  ✓ context {settings.name!r} in {file}")
    print(f"cluster {settings.name!r} is up after {clock.monotonic() - began:.2f} s: kubectl get nodes")
    return 0


def change(settings: Settings, server: str, arguments: argparse.Namespace) -> int:
    """Gives a running cluster another number of nodes; everything else is for the next start."""
    from orlop.cluster import power
    from orlop.cluster.parts import parts

    clock = SystemClock()
    before = real_nodes(settings)
    was = set(parts(settings))
    changed = {
        field: value
        for field in ("nodes", "hollow")
        if (value := getattr(arguments, field)) not in (None, getattr(settings, field))
    }
    for field, value in changed.items():
        setattr(settings, field, value)
    use_context(settings)
    if not changed:
        print(f"cluster {settings.name!r} is running at {server} (orlop status tells more)")
        return 0
    address = settings.advertise_address
    settle_nodes(settings)
    if settings.advertise_address != address:
        raise SettingsError(f"the API is at {address} only, where other nodes cannot reach it: orlop down, then up")
    gone = before[settings.nodes :]
    if gone:
        asyncio.run(power.take_out(settings, gone, clock, lambda text: print(f"  ✓ {text}", flush=True)))
    else:
        settings.save()
        launch.reload(settings)
    asyncio.run(power.wait_ready(settings, clock, set(parts(settings)) - was | {"apiserver"}))
    print(
        f"cluster {settings.name!r} has {count(settings.nodes, 'real node')} and {count(settings.hollow, 'hollow one')}"
    )
    return 0


def count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


async def forget(settings: Settings, gone: list[RealNode]) -> None:
    """Deletes the objects of nodes that an earlier, larger cluster had."""
    from orlop.cluster import power
    from orlop.cluster.components import client_of

    client = client_of(settings, "admin", SystemClock())
    try:
        for node in gone:
            await power.delete_object(client, node)
    finally:
        await client.close()


def settle(arguments: argparse.Namespace) -> Settings:
    """The cluster's settings: what it had, with what the command line says now."""
    folder = options.data_dir(arguments)
    settings = load(folder)
    fresh = settings is None
    if settings is None:
        settings = Settings(name=arguments.name, data_dir=folder)
    settings.data_dir = folder
    for field in (
        "nodes",
        "hollow",
        "runtime",
        "bind_address",
        "node_name",
        "service_cidr",
        "pod_cidr",
        "node_cidr",
        "load_balancer_pool",
        "dns_autopath",
        "proxy_mode",
        "node_monitor_grace_period",
        "default_toleration_seconds",
        "node_lease_duration_seconds",
        "container_log_max_size",
        "container_log_max_files",
        "history",
    ):
        value = getattr(arguments, field)
        if value is not None:
            setattr(settings, field, value)
    settings.eviction = options.eviction(arguments, settings.eviction)
    if arguments.runtime_config is not None:
        settings.runtime_config = options.runtime_config(arguments)
    if arguments.stub_domain is not None:
        settings.stub_domains = [text for text in arguments.stub_domain if text]
    if arguments.image_dir is not None:
        settings.image_dir = arguments.image_dir.absolute()
    if arguments.scheduler_config is not None:
        settings.scheduler_config = arguments.scheduler_config.absolute()
    if arguments.audit_policy_file is not None:
        settings.audit_policy_file = arguments.audit_policy_file.absolute()
    if arguments.audit_log_path is not None:
        settings.audit_log_path = str(Path(arguments.audit_log_path).absolute())
    check_scheduler(settings)
    check_audit(settings)
    check_folders(settings)
    settings.log_format = arguments.log_format
    settings.node_name = settings.node_name or socket.gethostname().lower()
    if fresh and arguments.bind_address is None and (settings.runtime == "hollow" or os.geteuid() != 0):
        # Nothing but this machine's own processes needs to reach it.
        settings.bind_address = "127.0.0.1"
    settings.advertise_address = (
        primary_address() if settings.bind_address in ("0.0.0.0", "::") else settings.bind_address
    )
    settle_nodes(settings)
    settle_pool(settings)
    port = arguments.secure_port
    if port is None and fresh and not port_is_free(settings.bind_address, DEFAULT_PORT):
        port = 0
    if port is not None:
        settings.secure_port = port or free_port(settings.bind_address)
    return settings


def check_folders(settings: Settings) -> None:
    """`orlop down --purge` deletes the cluster's folder: the images, which others use too, must not be in it."""
    from orlop.kubelet.runtime.native.images import default_root

    images, folder = (settings.image_dir or default_root()).resolve(), settings.data_dir.resolve()
    if folder == default_data_dir(settings.name).resolve() == images:
        raise SettingsError(f"--name {settings.name}: the folder of that name holds the images; choose another name")
    if images.is_relative_to(folder) or folder.is_relative_to(images):
        raise SettingsError(f"--data-dir {folder} must be apart from the images in {images} (--image-dir)")


def check_scheduler(settings: Settings) -> None:
    """Reads the scheduler's configuration now, so that what is wrong with it is said here. Raises SettingsError."""
    if settings.scheduler_config is None:
        return
    from orlop.scheduler import config

    try:
        config.load(settings.scheduler_config)
    except (OSError, config.ConfigurationError) as error:
        raise SettingsError(f"--scheduler-config {settings.scheduler_config}: {error}") from error


def check_audit(settings: Settings) -> None:
    """Reads the audit's policy now, so that what is wrong with it is said here. Raises SettingsError."""
    if settings.audit_policy_file is None:
        return
    from orlop.apiserver.audit import AuditError
    from orlop.apiserver.audit.policy import load

    try:
        load(settings.audit_policy_file)
    except AuditError as error:
        raise SettingsError(str(error)) from error


def settle_nodes(settings: Settings) -> None:
    """Checks what depends on the number of nodes, and chooses addresses for them. Raises SettingsError."""
    if settings.hollow < 0:
        raise SettingsError("--hollow must be 0 or more")
    if not 1 <= settings.nodes <= MAX_NODES:
        raise SettingsError(f"--nodes must be 1 to {MAX_NODES}; --hollow N adds simulated nodes, thousands of them")
    check_ranges(settings)
    if settings.nodes == 1:
        return
    if choose_runtime(settings) == "hollow":
        raise SettingsError("--nodes needs a runtime with real containers; --hollow N adds simulated nodes")
    if settings.bind_address not in ("0.0.0.0", "::"):
        raise SettingsError(
            f"the other nodes cannot reach the API at {settings.bind_address}: with --nodes use --bind-address 0.0.0.0"
        )
    from orlop.cluster import nodenet

    names = [node.name for node in real_nodes(settings)]
    if len(set(names)) != len(names):
        raise SettingsError(f"--node-name {settings.node_name} is the name of another node; choose another")
    settings.node_cidr = settings.node_cidr or nodenet.choose_cidrs(settings)
    if settings.advertise_address == "127.0.0.1":  # a machine without a network of its own
        settings.advertise_address = nodenet.host_addresses(settings)[0]


def settle_pool(settings: Settings) -> None:
    """Checks the addresses of load balancers, and chooses some. Raises SettingsError."""
    from orlop.cluster import nodenet

    if not settings.load_balancer_pool:
        if choose_runtime(settings) == "hollow":  # nobody binds them
            settings.load_balancer_pool = nodenet.BALANCER_CANDIDATES[0][0]
        else:
            settings.load_balancer_pool = nodenet.choose_pool(settings) if os.geteuid() == 0 else "none"
        return
    if settings.load_balancer_pool == "nodes" and "ipvs" in settings.proxy_mode.split(","):
        raise SettingsError("--load-balancer-pool=nodes: --proxy-mode=ipvs would bind each node's address to all nodes")
    others = [*settings.pod_cidrs, *settings.service_cidrs, *settings.node_cidrs]
    for cidr in settings.load_balancer_pools:
        try:
            network = ip_network(cidr)
        except ValueError as error:
            raise SettingsError(f"--load-balancer-pool: {error}") from None
        for other in map(ip_network, others):
            if network.version == other.version and network.overlaps(other):
                raise SettingsError(f"--load-balancer-pool: {cidr} overlaps {other}, which is in use by the cluster")


def check_ranges(settings: Settings) -> None:
    """Each is a range or one per IP family, the pods' and the Services' of the same families. Raises SettingsError."""
    families = {}
    for flag, cidrs in (
        ("--pod-cidr", settings.pod_cidrs),
        ("--service-cidr", settings.service_cidrs),
        ("--node-cidr", settings.node_cidrs),
    ):
        try:
            versions = [ip_network(cidr).version for cidr in cidrs]
        except ValueError as error:
            raise SettingsError(f"{flag}: {error}") from None
        if len(set(versions)) != len(versions):
            raise SettingsError(f"{flag} {','.join(cidrs)}: one range, or one IPv4 and one IPv6 range")
        families[flag] = versions
    if not families["--pod-cidr"] or not families["--service-cidr"]:
        raise SettingsError("--pod-cidr and --service-cidr must not be empty")
    if families["--pod-cidr"] != families["--service-cidr"]:
        raise SettingsError("--pod-cidr and --service-cidr must have the same IP families, in the same order")


def warn(settings: Settings) -> None:
    """Says what of this machine is in the way of pods, and is not ours to change: its firewall, a disk that is full,
    what a mode of the proxy lacks. Raises SettingsError where no mode that was asked for can run."""
    if choose_runtime(settings) == "hollow":
        return
    from orlop.cluster.pressure import shortages
    from orlop.kubelet.network.obstacles import obstacles

    problems = [*shortages(settings), *asyncio.run(obstacles(bridge_name(settings.scope)))]
    if os.geteuid() == 0:  # without root Services have no rules
        lacking = asyncio.run(lacking_proxy_modes(settings))
        problems += [f"the {mode} proxy cannot run here, trying the next mode: {why}" for mode, why in lacking.items()]
    for problem in problems:
        print(f"  ! {problem}", file=sys.stderr)


def check(settings: Settings) -> None:
    """Finds out now what would fail later. Raises SettingsError with what to do."""
    from orlop.api import scheme
    from orlop.dns import DnsConfig
    from orlop.kubelet.config import KubeletConfig, log_limits
    from orlop.kubelet.eviction.config import on_shared_machine
    from orlop.kubelet.node import check_reservations

    kind = choose_runtime(settings)
    try:
        scheme.wanted(settings.runtime_config)
        DnsConfig(node_name="any", stub_domains=tuple(settings.stub_domains))
        log_limits(settings.container_log_max_size, settings.container_log_max_files)
        if kind != "hollow":
            eviction = on_shared_machine(settings.eviction)
            check_reservations(KubeletConfig(node_name="", root_dir=settings.data_dir, eviction=eviction))
    except ValueError as error:
        raise SettingsError(str(error)) from None
    if not port_is_free(settings.bind_address, settings.secure_port):
        raise SettingsError(
            f"port {settings.secure_port} on {settings.bind_address} is taken by another process; "
            "stop it, or choose a port with --secure-port (0 picks a free one)"
        )
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        (settings.data_dir / "run").mkdir(exist_ok=True, mode=0o700)
    except PermissionError as error:
        raise SettingsError(f"cannot write to {settings.data_dir}: {error.strerror}; choose --data-dir") from error
