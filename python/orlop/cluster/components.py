"""The children of a cluster, each one async function that works until it is cancelled."""

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Any

import msgspec

from orlop import logging, tasks
from orlop.api.loadbalancers import EXCLUDED
from orlop.clock import Clock, SystemClock
from orlop.cluster.nodes import RealNode
from orlop.cluster.runtimes import choose_runtime
from orlop.cluster.settings import KUBELET_PORT, Settings, port_is_free, primary_address

if TYPE_CHECKING:
    from orlop.apiserver.config import Config
    from orlop.kubelet.network.guarded import Admit
    from orlop.networkpolicy import NetworkPolicies
    from orlop.pki.folder import Folder, KeyPair

AUDIT_LOGS = 10
"""Old audit logs that are kept, of 100 MB each: a cluster on one machine shall not fill its disk."""

log = logging.get("cluster")

Ready = Callable[[str], None]
"""Called once, with a line for the person who waits, when a component works."""


async def run_apiserver(settings: Settings, ready: Ready) -> None:
    """The API server with its store."""
    from orlop.apiserver.server import ApiServer

    async with ApiServer(apiserver_config(settings)) as server:
        ready(f"API server answers at {settings.server}")
        # With a store that takes no more writes it ends, and the supervisor starts it again.
        await server.broken()


def apiserver_config(settings: Settings) -> "Config":
    """How the cluster's API server is to be."""
    from orlop.apiserver.audit.settings import AuditSettings, LogSettings
    from orlop.apiserver.config import Config

    audit = None
    if settings.audit_policy_file is not None:
        log = LogSettings(path=settings.audit_log_path or str(settings.logs / "audit.log"), max_backups=AUDIT_LOGS)
        audit = AuditSettings(policy_file=settings.audit_policy_file, log=log)
    return Config(
        data_dir=settings.data_dir,
        bind_address=settings.bind_address,
        secure_port=settings.secure_port,
        advertise_address=settings.advertise_address,
        service_cidrs=tuple(map(ip_network, settings.service_cidrs)),
        write_kubeconfig=settings.kubeconfig("admin"),
        default_toleration_seconds=settings.default_toleration_seconds,
        history=tuple(settings.history),
        runtime_config=settings.runtime_config,
        audit=audit,
    )


async def run_manager(settings: Settings, ready: Ready) -> None:
    """All controllers and the scheduler."""

    waiting = {"controllers", "scheduler"}

    def one(what: str) -> None:
        waiting.discard(what)
        if not waiting:
            ready("controllers and scheduler run")

    await tasks.run_all(
        run_controllers(settings, lambda _: one("controllers")), run_scheduler(settings, lambda _: one("scheduler"))
    )


async def run_controllers(settings: Settings, ready: Ready) -> None:
    """All controllers."""
    from orlop.client import kubeconfig
    from orlop.control.accounts import of_server
    from orlop.control.manager import Manager
    from orlop.controllers import Options, all_controllers

    clock = SystemClock()
    client = client_of(settings, "controller-manager", clock)
    accounts = of_server(client, kubeconfig.load(settings.kubeconfig("controller-manager")))
    options = Options(
        cluster_cidr=settings.pod_cidr,
        service_cidr=settings.service_cidr,
        load_balancer_pool="" if settings.load_balancer_pool == "none" else settings.load_balancer_pool,
        node_monitor_grace_period=settings.node_monitor_grace_period,
        root_ca=(settings.pki / "ca.crt").read_bytes(),
        service_account_key=(settings.pki / "sa.key").read_bytes(),
        cluster_signing_cert=(settings.pki / "ca.crt").read_bytes(),
        cluster_signing_key=(settings.pki / "ca.key").read_bytes(),
    )
    manager = Manager(client, clock, all_controllers(options), accounts=accounts)

    async def announce() -> None:
        await manager.ready()
        ready("controllers run")

    try:
        await tasks.run_all(manager.run(), announce())
    finally:
        await accounts.close()
        await client.close()


async def run_scheduler(settings: Settings, ready: Ready) -> None:
    """The scheduler."""
    from orlop.scheduler import config
    from orlop.scheduler.scheduler import Scheduler

    clock = SystemClock()
    configured = config.load(settings.scheduler_config) if settings.scheduler_config is not None else None
    client = client_of(settings, "scheduler", clock)
    scheduler = Scheduler(client, clock, settings=configured)

    async def announce() -> None:
        await scheduler.ready()
        ready("scheduler runs")

    try:
        await tasks.run_all(scheduler.run(), announce())
    finally:
        await client.close()


async def run_node(settings: Settings, node: RealNode, ready: Ready) -> None:
    """The kubelet, the proxy, the DNS server and the network policies of one real node, in whose network namespace the
    process is already."""
    clock = SystemClock()
    kubelet_client = client_of(settings, f"kubelet-{node.name}", clock, node)
    proxy_client = client_of(settings, "proxy", clock, node)
    dns_client = client_of(settings, "dns", clock, node)
    policy_client = client_of(settings, "network-policy", clock, node)
    policies = network_policies(settings, node, policy_client, clock) if is_root() else None
    admit = policies.admit if policies is not None else None
    kubelet = await real_kubelet(settings, node, choose_runtime(settings), kubelet_client, clock, admit)
    work: list[Awaitable[None]] = [kubelet.run(), _announce([kubelet], ready)]
    if policies is not None:  # without root pods are plain processes, Services have no rules and no names
        work += [
            keep_running("network policy", clock, policies.run),
            keep_running("proxy", clock, lambda: run_proxy(settings, node, proxy_client, clock)),
            keep_running("dns", clock, lambda: run_dns(settings, node, dns_client, clock)),
        ]
    if settings.nodes > 1:
        work.append(keep_running("routes", clock, lambda: run_routes(settings, node, proxy_client)))
    if policies is not None and settings.load_balancer_pools:
        balancing = partial(run_balancers, settings, node, proxy_client, clock)
        work.append(keep_running("load balancers' addresses", clock, balancing))
    try:
        await tasks.run_all(*work)
    finally:
        for client in (kubelet_client, proxy_client, dns_client, policy_client):
            await client.close()


async def run_hollow(settings: Settings, ready: Ready, names: Sequence[str] | None = None) -> None:
    """The hollow nodes: all, or those of `names`."""
    from orlop.kubelet.kubelet import Kubelet
    from orlop.kubelet.network.hollow import HollowNetwork
    from orlop.kubelet.runtime.hollow import HollowRuntime

    clock = SystemClock()
    kubelets: list[Kubelet] = []
    clients = []
    kind = choose_runtime(settings)
    for name in hollow_names(settings, kind) if names is None else names:
        client = client_of(settings, f"kubelet-{name}", clock)
        clients.append(client)
        network = HollowNetwork()
        config = hollow_config(settings, name, beside_real=kind != "hollow")
        runtime = HollowRuntime(clock, network, state_file=config.root_dir / "runtime.jsonl")
        kubelets.append(Kubelet(client, clock, config, runtime, network))
    try:
        await tasks.run_all(*(kubelet.run() for kubelet in kubelets), _announce(kubelets, ready))
    finally:
        for client in clients:
            await client.close()


async def _announce(kubelets: list[Any], ready: Ready) -> None:
    for kubelet in kubelets:
        await kubelet.registered()
    names = ", ".join(k.config.node_name for k in kubelets[:3]) + (", …" if len(kubelets) > 3 else "")
    ready(f"{len(kubelets)} node{'s' if len(kubelets) != 1 else ''} registered: {names}")


RESTART_FIRST, RESTART_MAX = 1.0, 30.0
"""Seconds before a part that failed within its process is started again, doubling."""


async def keep_running(name: str, clock: Clock, work: Callable[[], Awaitable[None]]) -> None:
    """Starts `work` again whenever it fails, so that its neighbours in the process need not end with it."""
    pause = RESTART_FIRST
    while True:
        try:
            await work()
        except Exception:
            log.exception("%s failed, starting it again in %g s", name, pause)
        await clock.sleep(pause)
        pause = min(pause * 2, RESTART_MAX)


async def run_proxy(settings: Settings, node: RealNode, client: Any, clock: Clock) -> None:
    """kube-proxy of a real node."""
    from orlop.cluster.runtimes import make_proxier

    await make_proxier(settings, node, client, clock).run()


async def run_dns(settings: Settings, node: RealNode, client: Any, clock: Clock) -> None:
    """The DNS server of one node: at the node's ends of its pod CIDRs."""
    from orlop.cluster import nodenet
    from orlop.dns import DnsConfig, DnsServer

    config = DnsConfig(
        node_name=node.name,
        resolv_conf=nodenet.resolv_conf() if node.netns else nodenet.RESOLV_CONFS[0],
        cluster_cidrs=(*settings.pod_cidrs, *settings.service_cidrs),
        stub_domains=tuple(settings.stub_domains),
        autopath=settings.dns_autopath,
        service_ip=settings.dns_ip(),
    )
    await DnsServer(client, clock, config).run()


def network_policies(settings: Settings, node: RealNode, client: Any, clock: Clock) -> "NetworkPolicies":
    """What holds the pods of one node to their NetworkPolicies."""
    from orlop.networkpolicy import NetworkPolicies, PolicyConfig

    return NetworkPolicies(client, clock, PolicyConfig(node_name=node.name, scope=settings.scope))


async def run_routes(settings: Settings, node: RealNode, client: Any) -> None:
    """The routes to the pods of the other nodes."""
    from orlop.cluster import nodenet
    from orlop.kubelet.network.routes import NodeRoutes

    link = nodenet.INTERFACE if node.netns else nodenet.uplink_name(settings)
    await NodeRoutes(client, node.name, link, settings.node_cidrs).run()


async def run_balancers(settings: Settings, node: RealNode, client: Any, clock: Clock) -> None:
    """The addresses of load balancers that a node bears."""
    from orlop.cluster import nodenet
    from orlop.kubelet.network.balancers import LoadBalancerAddresses

    link = nodenet.balancer_link(settings, node)
    await LoadBalancerAddresses(client, clock, node.name, settings.load_balancer_pools, link).run()


async def real_kubelet(
    settings: Settings, node: RealNode, kind: str, client: Any, clock: Clock, admit: "Admit | None" = None
) -> Any:
    """The kubelet of a real node. `admit` is waited for before anything runs in a new sandbox."""
    from orlop.cluster.runtimes import make_runtime
    from orlop.kubelet.config import KubeletConfig
    from orlop.kubelet.eviction.config import on_shared_machine
    from orlop.kubelet.kubelet import Kubelet
    from orlop.pki.folder import Folder

    addresses = node_addresses(settings, node)
    pki = Folder(settings.pki, clock)
    pair = kubelet_pair(pki, settings, node)
    bind = "0.0.0.0" if node.netns else settings.bind_address
    config = KubeletConfig(
        node_name=node.name,
        root_dir=node.kubelet_root,
        node_ips=addresses,
        address=bind,
        port=KUBELET_PORT if port_is_free(bind, KUBELET_PORT) else 0,
        tls_cert_file=pair.certificate_file,
        tls_private_key_file=pair.key_file,
        client_ca_file=pki.ca_file,
        node_lease_duration_seconds=settings.node_lease_duration_seconds,
        container_log_max_size=settings.container_log_max_size,
        container_log_max_files=settings.container_log_max_files,
        eviction=on_shared_machine(settings.eviction),
        node_dns=True,
    )
    runtime, network = make_runtime(settings, node, kind, clock, log_limits=config.log_limits(), admit=admit)
    return Kubelet(client, clock, config, runtime, network)


def kubelet_pair(folder: "Folder", settings: Settings, node: RealNode) -> "KeyPair":
    """What the kubelet of a real node shows its clients."""
    from orlop.pki.identities import Names

    return folder.kubelet(node.name, Names.of([node.name, *node_addresses(settings, node), "127.0.0.1"]))


def node_addresses(settings: Settings, node: RealNode) -> list[str]:
    """Where others reach a real node, one per IP family of the pods."""
    return list(node.addresses) or host_addresses(settings)


def host_addresses(settings: Settings) -> list[str]:
    """The machine's own as a node: where others reach it, one per IP family of the pods."""
    found = [settings.advertise_address]
    for cidr in settings.pod_cidrs:
        version = ip_network(cidr).version
        if all(ip_address(address).version != version for address in found):
            found.append(primary_address(version))
    return found


def hollow_names(settings: Settings, kind: str) -> list[str]:
    """The hollow nodes; at least one where there is no real node."""
    count = settings.hollow or (1 if kind == "hollow" else 0)
    return [f"hollow-{i}" for i in range(count)]


def hollow_config(settings: Settings, name: str, *, beside_real: bool = False) -> Any:
    """A simulated node of a common size; where there are real ones, these bear the addresses of load balancers."""
    from orlop.kubelet.config import KubeletConfig

    return KubeletConfig(
        node_name=name,
        root_dir=settings.data_dir / "hollow" / name,
        node_ips=["127.0.0.1"],
        labels={"type": "hollow"} | ({EXCLUDED: "true"} if beside_real else {}),
        capacity=HOLLOW_CAPACITY,
        simulated=True,
        node_lease_duration_seconds=settings.node_lease_duration_seconds,
        eviction=settings.eviction,
    )


HOLLOW_CAPACITY = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
"""What a simulated node claims to have."""


def client_of(settings: Settings, component: str, clock: Clock, node: RealNode | None = None) -> Any:
    """A client with the component's own identity. From within a node's namespace the server is not at 127.0.0.1."""
    from orlop.client import kubeconfig
    from orlop.client.client import Client
    from orlop.client.tls import TLSTransport

    connection = kubeconfig.load(settings.kubeconfig(component))
    if node is not None and node.netns:
        connection = msgspec.structs.replace(connection, server=settings.server_for_nodes)
    transport = TLSTransport(connection, clock)
    return Client(transport, clock=clock, user_agent=f"orlop-{component}")


async def forever() -> None:
    """Until cancelled."""
    await asyncio.Event().wait()


def is_root() -> bool:
    """Whether this process may change the machine."""
    return os.geteuid() == 0
