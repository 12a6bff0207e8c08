"""The three children of a cluster, each one async function that works until it is cancelled."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Network
from typing import Any

from orlop import logging, tasks
from orlop.clock import Clock, SystemClock
from orlop.cluster.runtimes import choose_runtime
from orlop.cluster.settings import KUBELET_PORT, Settings, port_is_free

log = logging.get("cluster")

Ready = Callable[[str], None]
"""Called once, with a line for the person who waits, when a component works."""


async def run_apiserver(settings: Settings, ready: Ready) -> None:
    """The API server with its store."""
    from orlop.apiserver.config import Config
    from orlop.apiserver.server import ApiServer

    config = Config(
        data_dir=settings.data_dir,
        bind_address=settings.bind_address,
        secure_port=settings.secure_port,
        advertise_address=settings.advertise_address,
        service_cidr=IPv4Network(settings.service_cidr),
        write_kubeconfig=settings.kubeconfig("admin"),
        default_toleration_seconds=settings.default_toleration_seconds,
        history=tuple(settings.history),
    )
    async with ApiServer(config):
        ready(f"API server answers at {settings.server}")
        await forever()


async def run_manager(settings: Settings, ready: Ready) -> None:
    """All controllers and the scheduler."""
    from orlop.control.manager import Manager
    from orlop.controllers import Options, all_controllers
    from orlop.scheduler.scheduler import Scheduler

    clock = SystemClock()
    controllers = client_of(settings, "controller-manager", clock)
    scheduling = client_of(settings, "scheduler", clock)
    options = Options(
        cluster_cidr=settings.pod_cidr,
        service_cidr=settings.service_cidr,
        node_monitor_grace_period=settings.node_monitor_grace_period,
        root_ca=(settings.pki / "ca.crt").read_bytes(),
    )
    manager = Manager(controllers, clock, all_controllers(options))
    scheduler = Scheduler(scheduling, clock)

    async def announce() -> None:
        await manager.ready()
        ready("controllers and scheduler run")

    try:
        await tasks.run_all(manager.run(), scheduler.run(), announce())
    finally:
        await controllers.close()
        await scheduling.close()


async def run_node(settings: Settings, ready: Ready) -> None:
    """The kubelet, the proxy and the DNS server of this machine, and the hollow nodes beside it."""
    from orlop.kubelet.kubelet import Kubelet
    from orlop.kubelet.network.hollow import HollowNetwork
    from orlop.kubelet.runtime.hollow import HollowRuntime

    clock = SystemClock()
    work: list[Awaitable[None]] = []
    kubelets: list[Kubelet] = []
    clients = []
    kind = choose_runtime(settings)
    if kind != "hollow":
        client = client_of(settings, f"kubelet-{settings.node_name}", clock)
        clients.append(client)
        kubelets.append(await real_kubelet(settings, kind, client, clock))
        proxy = client_of(settings, "proxy", clock)
        clients.append(proxy)
        work.append(keep_running("proxy", clock, lambda: run_proxy(settings, proxy, clock)))
        dns = client_of(settings, "dns", clock)
        clients.append(dns)
        work.append(keep_running("dns", clock, lambda: run_dns(settings, settings.node_name, dns, clock)))
    for name in hollow_names(settings, kind):
        client = client_of(settings, f"kubelet-{name}", clock)
        clients.append(client)
        network = HollowNetwork()
        config = hollow_config(settings, name)
        runtime = HollowRuntime(clock, network, state_file=config.root_dir / "runtime.jsonl")
        kubelets.append(Kubelet(client, clock, config, runtime, network))
    work += [kubelet.run() for kubelet in kubelets]

    async def announce() -> None:
        for kubelet in kubelets:
            await kubelet.registered()
        names = ", ".join(k.config.node_name for k in kubelets[:3]) + (", …" if len(kubelets) > 3 else "")
        ready(f"{len(kubelets)} node{'s' if len(kubelets) != 1 else ''} registered: {names}")

    try:
        await tasks.run_all(*work, announce())
    finally:
        for client in clients:
            await client.close()


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


async def run_proxy(settings: Settings, client: Any, clock: Clock) -> None:
    """kube-proxy of this machine."""
    from orlop.cluster.runtimes import make_proxier

    await make_proxier(settings, client, clock).run()


async def run_dns(settings: Settings, node_name: str, client: Any, clock: Clock) -> None:
    """The DNS server of one node: at the node's ends of its pod CIDRs."""
    from orlop.dns import DnsConfig, DnsServer

    config = DnsConfig(
        node_name=node_name,
        cluster_cidrs=(settings.pod_cidr, settings.service_cidr),
        service_ip=settings.dns_ip(),
    )
    await DnsServer(client, clock, config).run()


async def real_kubelet(settings: Settings, kind: str, client: Any, clock: Clock) -> Any:
    """The kubelet of this machine on a real runtime."""
    from orlop.cluster.runtimes import make_runtime
    from orlop.kubelet.config import KubeletConfig
    from orlop.kubelet.kubelet import Kubelet
    from orlop.pki.folder import Folder
    from orlop.pki.identities import Names

    pki = Folder(settings.pki, clock)
    pair = pki.kubelet(settings.node_name, Names.of([settings.node_name, settings.advertise_address, "127.0.0.1"]))
    runtime, network = make_runtime(settings, kind, clock)
    port = KUBELET_PORT if port_is_free(settings.bind_address, KUBELET_PORT) else 0
    config = KubeletConfig(
        node_name=settings.node_name,
        root_dir=settings.kubelet_root,
        node_ips=[settings.advertise_address],
        address=settings.bind_address,
        port=port,
        tls_cert_file=pair.certificate_file,
        tls_private_key_file=pair.key_file,
        client_ca_file=pki.ca_file,
        node_lease_duration_seconds=settings.node_lease_duration_seconds,
        node_dns=True,
    )
    return Kubelet(client, clock, config, runtime, network)


def hollow_names(settings: Settings, kind: str) -> list[str]:
    """The hollow nodes; at least one where there is no real node."""
    count = settings.hollow or (1 if kind == "hollow" else 0)
    return [f"hollow-{i}" for i in range(count)]


def hollow_config(settings: Settings, name: str) -> Any:
    """A simulated node of a common size."""
    from orlop.kubelet.config import KubeletConfig

    return KubeletConfig(
        node_name=name,
        root_dir=settings.data_dir / "hollow" / name,
        node_ips=["127.0.0.1"],
        labels={"type": "hollow"},
        capacity=HOLLOW_CAPACITY,
        simulated=True,
        node_lease_duration_seconds=settings.node_lease_duration_seconds,
    )


HOLLOW_CAPACITY = {"cpu": "32", "memory": "256Gi", "ephemeral-storage": "1Ti", "pods": "110"}
"""What a simulated node claims to have."""


def client_of(settings: Settings, component: str, clock: Clock) -> Any:
    """A client with the component's own identity."""
    from orlop.client import kubeconfig
    from orlop.client.client import Client
    from orlop.client.tls import TLSTransport

    transport = TLSTransport(kubeconfig.load(settings.kubeconfig(component)), clock)
    return Client(transport, clock=clock, user_agent=f"orlop-{component}")


async def forever() -> None:
    """Until cancelled."""
    await asyncio.Event().wait()


def is_root() -> bool:
    """Whether this process may change the machine."""
    return os.geteuid() == 0
