"""The proxier: from watches to a backend."""

import asyncio
import contextlib
import http.client
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from pathlib import Path

import aiohttp
import pytest
from prometheus_client import CollectorRegistry
from tests.proxy.objects import service
from tests.proxy.world import NODE, POD_CIDR, TIMEOUT, World

from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.apiserver.auth import User
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client, Event
from orlop.client.asgi import ASGITransport
from orlop.client.watcher import Changes, Restarted, Synced
from orlop.clock import Clock, FakeClock, SystemClock, rfc3339_micro
from orlop.native import ForwardChanges, ForwardTable, ServicePort
from orlop.proxy import Proxier, ProxyConfig
from orlop.proxy.backends import ProgramError, make
from orlop.proxy.feed import Feed
from orlop.proxy.metrics import Metrics

CONFIG = ProxyConfig(hostname_override="here", cluster_cidr=POD_CIDR)


class Remembered:
    """A backend that programs nothing but its own memory. `refusals` of the next calls fail."""

    name = "remembered"

    def __init__(self) -> None:
        self.ports: dict[tuple[str, str, str, str, int], ServicePort] = {}
        self.calls: list[str] = []
        self.refusals = 0

    async def check(self) -> None:
        self.calls.append("check")

    async def sync(self, wanted: Sequence[ServicePort]) -> bool:
        self._called("sync")
        before, self.ports = self.ports, {port.id: port for port in wanted}
        return before != self.ports

    async def apply(self, changes: ForwardChanges) -> None:
        self._called("apply")
        self.ports.update((port.id, port) for port in changes.set)
        for id in changes.removed:
            del self.ports[id]

    async def tend(self, clock: Clock) -> None:
        pass

    async def cleanup(self) -> None:
        self.ports = {}

    def _called(self, what: str) -> None:
        self.calls.append(what)
        if self.refusals:
            self.refusals -= 1
            raise ProgramError("refused")


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=None), SystemClock()) as server:
        yield server


def client(api: ApiServer, user: str = "system:kube-proxy", *groups: str) -> Client:
    identity = User(name=user, groups=(*groups, "system:authenticated"))
    return Client(ASGITransport(api.app, identity), clock=SystemClock(), user_agent="test")


@contextlib.asynccontextmanager
async def running(proxier: Proxier) -> AsyncIterator[Proxier]:
    task = asyncio.get_running_loop().create_task(proxier.run())
    synced = asyncio.get_running_loop().create_task(proxier.synced.wait())
    try:
        await asyncio.wait({task, synced}, timeout=10, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        assert synced.done()
        yield proxier
    finally:
        synced.cancel()
        task.cancel()
        await asyncio.wait({task})


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to be"
        await asyncio.sleep(0.002)


def web_service() -> core_v1.Service:
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name="web", namespace="default"),
        spec=core_v1.ServiceSpec(selector={"app": "web"}, ports=[core_v1.ServicePort(port=80, protocol="TCP")]),
    )


def web_slice(addresses: Sequence[str], **annotations: str) -> discovery_v1.EndpointSlice:
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            name="web-x",
            namespace="default",
            labels={"kubernetes.io/service-name": "web"},
            annotations=annotations,
        ),
        address_type="IPv4",
        endpoints=[discovery_v1.Endpoint(addresses=[address]) for address in addresses],
        ports=[discovery_v1.EndpointPort(name="", port=8080, protocol="TCP")],
    )


@pytest.mark.network
@pytest.mark.root
async def test_from_the_api_to_traffic_and_through_a_restart(api: ApiServer, machine: World) -> None:
    before = machine.node.rules()
    admin = client(api, "admin", "system:masters")
    ips = [pod.addresses[0] for pod in machine.pods]

    def proxier() -> Proxier:
        return Proxier(
            client(api), SystemClock(), CONFIG, prefix=machine.node.prefix, metrics=Metrics(CollectorRegistry())
        )

    async with running(proxier()):
        created = await admin.create(web_service())
        ip = created.spec.cluster_ip
        await admin.create(web_slice(ips[:1]))
        await asyncio.sleep(0.5)
        talk = machine.pods[2].connect(ip, 80)
        assert talk.ask().startswith("pod0")
    assert talk.ask().startswith("pod0"), "rules stay when the proxier ends"
    # While it is down the world goes on.
    current = await admin.get(discovery_v1.EndpointSlice, "web-x", "default")
    await admin.update(moved(current, ips[1]))
    last = proxier()
    async with running(last):
        assert machine.pods[2].ask(ip, 80).startswith("pod1")
        assert talk.ask().startswith("pod0"), "an established connection goes on"
        await admin.delete(core_v1.Service, "web", "default")
        await until(lambda: ip not in machine.node.rules())
    talk.close()
    await last.cleanup()
    assert machine.node.rules() == before


def moved(slice: discovery_v1.EndpointSlice, address: str) -> discovery_v1.EndpointSlice:
    slice.endpoints = [discovery_v1.Endpoint(addresses=[address])]
    return slice


async def test_a_lone_change_is_programmed_at_once(api: ApiServer) -> None:
    backend = Remembered()
    admin = client(api, "admin", "system:masters")
    registry = CollectorRegistry()
    proxier = Proxier(client(api), SystemClock(), CONFIG, backend=backend, metrics=Metrics(registry))
    async with running(proxier):
        assert backend.calls == ["check", "sync"]
        await admin.create(web_service())
        await until(lambda: ("default", "web", "", "TCP", 4) in backend.ports)
        await asyncio.sleep(3 * CONFIG.min_sync_period)
        now = rfc3339_micro(SystemClock().now())
        started = time.monotonic()
        await admin.create(web_slice(["10.1.0.1"], **{"endpoints.kubernetes.io/last-change-trigger-time": now}))
        await until(lambda: backend.ports["default", "web", "", "TCP", 4].cluster == [("10.1.0.1", 8080, 1)])
        assert time.monotonic() - started < 0.25, "far above what it takes, far below a sync period"
        assert proxier.healthy

        def figure(name: str, **labels: str) -> float:
            return registry.get_sample_value(f"kubeproxy_{name}", {"ip_family": "IPv4"} | labels) or 0.0

        await until(lambda: figure("network_programming_duration_seconds_count") == 1)
        assert figure("sync_full_proxy_rules_duration_seconds_count") == 1
        assert figure("sync_partial_proxy_rules_duration_seconds_count") >= 2
        assert figure("sync_proxy_rules_last_timestamp_seconds") > 0
        assert registry.get_sample_value("kubeproxy_sync_proxy_rules_endpoint_changes_pending") == 0
        # A policy that leaves nobody here is told, and no longer when an endpoint comes.
        lacking = "sync_proxy_rules_no_local_endpoints_total"
        await admin.patch(core_v1.Service, "web", "default", {"spec": {"internalTrafficPolicy": "Local"}})
        await until(lambda: figure(lacking, traffic_policy="internal") == 1)
        current = await admin.get(discovery_v1.EndpointSlice, "web-x", "default")
        current.endpoints[0].node_name = "here"
        await admin.update(current)
        await until(lambda: figure(lacking, traffic_policy="internal") == 0)


async def test_another_proxys_services_and_headless_ones_are_left_alone(api: ApiServer) -> None:
    backend = Remembered()
    admin = client(api, "admin", "system:masters")
    async with running(
        Proxier(client(api), SystemClock(), CONFIG, backend=backend, metrics=Metrics(CollectorRegistry()))
    ):
        foreign = web_service()
        foreign.metadata.name = "foreign"
        foreign.metadata.labels = {"service.kubernetes.io/service-proxy-name": "other"}
        headless = web_service()
        headless.metadata.name = "headless"
        headless.spec.cluster_ip = "None"
        for each in (foreign, headless, web_service()):
            await admin.create(each)
        await until(lambda: ("default", "web", "", "TCP", 4) in backend.ports)
        assert {id[1] for id in backend.ports} <= {"web", "kubernetes"}


UPSTREAM = (
    "network_programming_duration_seconds",
    'sync_proxy_rules_duration_seconds_bucket{ip_family="IPv4"',
    'sync_full_proxy_rules_duration_seconds_bucket{ip_family="IPv6"',
    "sync_partial_proxy_rules_duration_seconds",
    'sync_proxy_rules_last_timestamp_seconds{ip_family="IPv4"}',
    "sync_proxy_rules_last_queued_timestamp_seconds",
    "sync_proxy_rules_endpoint_changes_pending",
    "sync_proxy_rules_endpoint_changes_total",
    "sync_proxy_rules_service_changes_pending",
    "sync_proxy_rules_service_changes_total",
    "sync_proxy_rules_nftables_sync_failures_total",
    "sync_proxy_rules_iptables_restore_failures_total",
    'sync_proxy_rules_no_local_endpoints_total{ip_family="IPv6",traffic_policy="external"}',
)
"""kube-proxy's metrics, with some of their labels."""


async def test_health_and_metrics_are_served(api: ApiServer, unused_tcp_port_factory: Callable[[], int]) -> None:
    health, metrics = (f"127.0.0.1:{unused_tcp_port_factory()}" for _ in range(2))
    config = ProxyConfig(hostname_override="here", healthz_bind_address=health, metrics_bind_address=metrics)
    proxier = Proxier(client(api), SystemClock(), config, backend=Remembered())
    async with running(proxier), aiohttp.ClientSession() as session:
        async with session.get(f"http://{health}/healthz") as response:
            assert response.status == 200
            assert set(await response.json()) == {"lastUpdated", "currentTime", "nodeEligible"}
        async with session.get(f"http://{health}/livez") as response:
            assert response.status == 200
        async with session.get(f"http://{metrics}/metrics") as response:
            text = await response.text()
            missing = [name for name in UPSTREAM if f"kubeproxy_{name}" not in text]
            assert not missing
            for page in ("healthz", "livez"):
                assert f'kubeproxy_proxy_{page}_total{{code="200"}}' in text
        async with session.get(f"http://{metrics}/proxyMode") as response:
            assert await response.text() == "remembered"


@pytest.mark.network
@pytest.mark.root
async def test_a_load_balancer_is_told_which_nodes_have_an_endpoint(api: ApiServer, machine: World) -> None:
    admin = client(api, "admin", "system:masters")
    wanted = web_service()
    wanted.spec.type = "LoadBalancer"
    wanted.spec.external_traffic_policy = "Local"
    made = await admin.create(wanted)
    port = made.spec.health_check_node_port
    assert port
    slice = web_slice([machine.pods[0].addresses[0]])
    slice.endpoints[0].node_name = "elsewhere"
    await admin.create(slice)

    async def told() -> tuple[int, dict[str, object]]:
        def ask() -> tuple[int, bytes]:
            connection = http.client.HTTPConnection(NODE, port, timeout=TIMEOUT)
            try:
                connection.request("GET", "/healthz")
                answer = connection.getresponse()
                return answer.status, answer.read()
            finally:
                connection.close()

        status, body = await asyncio.to_thread(machine.outside.run, ask)
        return status, json.loads(body)

    async def becomes(status: int, endpoints: int) -> None:
        deadline = time.monotonic() + 10
        found: object = None
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError):
                found = await told()
                if found == (status, {
                    "service": {"namespace": "default", "name": "web"},
                    "localEndpoints": endpoints,
                    "serviceProxyHealthy": True,
                }):  # fmt: skip
                    return
            await asyncio.sleep(0.02)
        raise AssertionError(found)

    async def change(**conditions: bool) -> None:
        current = await admin.get(discovery_v1.EndpointSlice, "web-x", "default")
        current.endpoints[0].node_name = "here"
        current.endpoints[0].conditions = discovery_v1.EndpointConditions(**conditions)
        await admin.update(current)

    figures = Metrics(CollectorRegistry())
    proxier = Proxier(client(api), SystemClock(), CONFIG, prefix=machine.node.prefix, metrics=figures)
    async with running(proxier):
        await becomes(503, 0)
        await change(ready=True, serving=True)
        await becomes(200, 1)
        await change(ready=False, serving=True, terminating=True)  # it serves what comes, and nothing more is to come
        await becomes(503, 0)
        await admin.delete(core_v1.Service, "web", "default")
        deadline = time.monotonic() + 10
        with contextlib.suppress(ConnectionRefusedError):
            while await told():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
    await proxier.cleanup()


# --- on a clock that stands still


class Told:
    """A watcher that says what the test says."""

    def __init__(self) -> None:
        self.queue: asyncio.Queue[object] = asyncio.Queue()

    async def run(self) -> AsyncGenerator[object, None]:
        while True:
            yield await self.queue.get()

    def tell(self, *what: object) -> None:
        for each in what:
            self.queue.put_nowait(each)


@pytest.fixture
async def still() -> AsyncIterator[tuple[Proxier, Remembered, Told, Told, FakeClock]]:
    """A proxier that has synced an empty world."""
    clock, backend, services, slices, node = FakeClock(), Remembered(), Told(), Told(), Told()
    told: dict[type, Told] = {core_v1.Service: services, discovery_v1.EndpointSlice: slices, core_v1.Node: node}
    node.tell(Restarted(), Synced(1))
    nobody = Client(None, clock=clock, user_agent="test")  # type: ignore[arg-type]
    proxier = Proxier(
        nobody, clock, CONFIG, backend=backend, metrics=Metrics(CollectorRegistry()), watch=lambda kind, **_: told[kind]
    )
    task = asyncio.get_running_loop().create_task(proxier.run())
    services.tell(Restarted(), Synced(1))
    await clock.advance(1)
    assert backend.calls == ["check"], "nothing is programmed before both sets are known"
    slices.tell(Restarted(), Synced(1))
    await until(lambda: "sync" in backend.calls)
    try:
        yield proxier, backend, services, slices, clock
    finally:
        task.cancel()
        await asyncio.wait({task})


Still = tuple[Proxier, Remembered, Told, Told, FakeClock]


async def test_a_burst_is_programmed_in_two_steps(still: Still) -> None:
    proxier, backend, services, _, clock = still
    await clock.advance(CONFIG.min_sync_period)
    services.tell(Changes([Event("ADDED", service("s0", ["10.96.0.1"]))]))
    await until(lambda: len(backend.ports) == 1)
    for number in range(1, 20):
        services.tell(Changes([Event("ADDED", service(f"s{number}", [f"10.96.0.{number + 1}"]))]))
    await clock.advance(CONFIG.min_sync_period / 2)
    assert len(backend.ports) == 1
    assert proxier.healthy
    await clock.advance(CONFIG.min_sync_period)
    await until(lambda: len(backend.ports) == 20)
    assert backend.calls == ["check", "sync", "apply", "apply"]


async def test_what_is_refused_is_put_right_by_a_full_sync(still: Still) -> None:
    _, backend, services, _, clock = still
    await clock.advance(CONFIG.min_sync_period)
    backend.refusals = 2
    services.tell(Changes([Event("ADDED", service("web", ["10.96.0.1"]))]))
    await until(lambda: backend.calls[-1] == "apply")
    await clock.advance(1)
    await until(lambda: backend.calls[-2:] == ["apply", "sync"])
    assert backend.ports == {}
    await clock.advance(1)
    assert backend.calls[-1] == "sync"
    assert backend.calls.count("sync") == 2, "the wait grows"
    await clock.advance(1)
    await until(lambda: len(backend.ports) == 1)
    assert backend.calls == ["check", "sync", "apply", "sync", "sync"]


async def test_waiting_too_long_is_unhealthy(still: Still) -> None:
    proxier, backend, services, _, clock = still
    await clock.advance(CONFIG.min_sync_period)
    backend.refusals = 1000
    services.tell(Changes([Event("ADDED", service("web", ["10.96.0.1"]))]))
    await until(lambda: backend.calls[-1] == "apply")
    await clock.advance(59)
    await asyncio.sleep(0.02)
    assert proxier.healthy
    await clock.advance(1)
    assert not proxier.healthy
    backend.refusals = 0
    await clock.advance(60)
    await until(lambda: proxier.healthy)
    assert len(backend.ports) == 1


async def test_everything_is_compared_now_and_then(still: Still) -> None:
    _, backend, _, _, clock = still
    await clock.advance(CONFIG.sync_period + 1)
    await until(lambda: backend.calls.count("sync") == 2)


async def test_zone_hints_follow_the_node(api: ApiServer) -> None:
    backend = Remembered()
    admin = client(api, "admin", "system:masters")
    node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="here", labels={"topology.kubernetes.io/zone": "a"}))
    await admin.create(node)
    await admin.create(web_service())
    slice = web_slice(["10.1.0.1", "10.1.0.2"])
    for endpoint, zone in zip(slice.endpoints, "ab", strict=True):
        endpoint.hints = discovery_v1.EndpointHints(for_zones=[discovery_v1.ForZone(name=zone)])
    await admin.create(slice)
    proxier = Proxier(client(api), SystemClock(), CONFIG, backend=backend, metrics=Metrics(CollectorRegistry()))
    async with running(proxier):
        web = ("default", "web", "", "TCP", 4)
        assert backend.ports[web].cluster == [("10.1.0.1", 8080, 1)]
        assert proxier.wanted.node_eligible
        patch = {"metadata": {"labels": {"topology.kubernetes.io/zone": "b"}}}
        await admin.patch(core_v1.Node, "here", None, patch)
        await until(lambda: backend.ports[web].cluster == [("10.1.0.2", 8080, 1)])
        taint = {"spec": {"taints": [{"key": "ToBeDeletedByClusterAutoscaler", "effect": "NoSchedule"}]}}
        await admin.patch(core_v1.Node, "here", None, taint)
        await until(lambda: not proxier.wanted.node_eligible)
        assert proxier.healthy


async def test_what_was_deleted_unseen_goes_when_the_set_is_told_anew() -> None:
    table, told, noted = ForwardTable("here"), Told(), []
    feed = Feed(told, "Service", table.apply_service, table.delete_service, lambda: noted.append(len(table)))  # type: ignore[arg-type]
    task = asyncio.get_running_loop().create_task(feed.run())
    a, b = service("a", ["10.96.0.1"]), service("b", ["10.96.0.2"])
    told.tell(Restarted(), Changes([Event("ADDED", a), Event("ADDED", b)]), Synced(5))
    # One that cannot be read is named in the log, and what it said before holds.
    told.tell(Changes([Event("MODIFIED", b'{"metadata":{"name":"b","namespace":"default"},"spec":1}')]))
    # Twice in a row: the first new set breaks off.
    told.tell(Restarted(), Changes([Event("ADDED", a)]), Restarted(), Changes([Event("ADDED", a)]))
    await asyncio.sleep(0.01)
    assert len(table) == 2, "nothing goes before the new set is whole"
    told.tell(Synced(9))
    await asyncio.sleep(0.01)
    assert len(table) == 1
    assert table.lookup("TCP", "10.96.0.1", 80) is not None
    told.tell(Changes([Event("DELETED", a)]))
    await asyncio.sleep(0.01)
    assert len(table) == 0
    task.cancel()
    await asyncio.wait({task})


@pytest.mark.network
@pytest.mark.root
async def test_another_mode_takes_over_and_leaves_nothing_of_the_one_before(api: ApiServer, machine: World) -> None:
    before = machine.node.rules()
    admin = client(api, "admin", "system:masters")
    made = await admin.create(web_service())
    await admin.create(web_slice([machine.pods[0].addresses[0]]))
    for mode, mark in (("iptables", "KUBE-SVC-"), ("userspace", "orlop-userspace"), ("nftables", "orlop-proxy")):
        config = ProxyConfig(hostname_override="here", cluster_cidr=POD_CIDR, proxy_mode=mode)
        figures = Metrics(CollectorRegistry())
        proxier = Proxier(client(api), SystemClock(), config, prefix=machine.node.prefix, metrics=figures)
        async with running(proxier):
            others = [m for m in ("KUBE-SVC-", "orlop-userspace", "orlop-proxy") if m != mark]
            # Deleted last, when nothing is in it.
            others += [] if mode == "iptables" else ["chain OUTPUT", "chain FORWARD"]

            async def alone(mark: str = mark, others: list[str] = others) -> bool:
                rules = machine.node.rules()
                return mark in rules and not any(other in rules for other in others)

            deadline = time.monotonic() + 10
            while not await alone():
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            assert machine.pods[1].ask(made.spec.cluster_ip, 80).startswith("pod0")
    await proxier.cleanup()
    assert machine.node.rules() == before


@pytest.mark.network
@pytest.mark.root
async def test_the_chains_of_another_kube_proxy_are_left_alone(machine: World) -> None:
    """It has chains of the same names. Only to run in mode iptables is to take them over."""
    before = machine.node.rules()
    machine.node.output("sh", "-ec", "iptables -t nat -N KUBE-SERVICES; iptables -t nat -N KUBE-SVC-NPX46M4PTMTKRN6Y")
    try:
        theirs = machine.node.rules()
        backend = make(ProxyConfig(hostname_override="here", proxy_mode="iptables"), machine.node.prefix)
        await backend.cleanup()
        assert machine.node.rules() == theirs
    finally:
        machine.node.output(
            "sh", "-ec", "iptables -t nat -X KUBE-SERVICES; iptables -t nat -X KUBE-SVC-NPX46M4PTMTKRN6Y"
        )
    assert machine.node.rules() == before
