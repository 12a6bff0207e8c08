"""A server as part of a node: where it listens, what it publishes, what it does before it knows anything."""

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from tests.dns.world import client_as, outcome, service, world

from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client import Client
from orlop.dns import DnsConfig
from orlop.dns.health import serve

KUBERNETES = "kubernetes.default.svc.cluster.local"
SERVICE_IP = "10.96.0.10"


def node(name: str = "n1", *cidrs: str) -> core_v1.Node:
    return core_v1.Node(
        metadata=meta_v1.ObjectMeta(name=name),
        spec=core_v1.NodeSpec(pod_cidrs=list(cidrs), pod_cidr=next(iter(cidrs), "")),
    )


def admin(api: ApiServer) -> Client:
    return client_as(api, "kubernetes-admin", "system:masters")


async def until(what: Any) -> Any:
    """The first answer of `what` that is not None."""
    async with asyncio.timeout(10):
        while True:
            if (found := await what()) is not None:
                return found
            await asyncio.sleep(0.01)


async def slice_of(client: Client, name: str = "kube-dns-n1") -> discovery_v1.EndpointSlice | None:
    found = await client.list(discovery_v1.EndpointSlice, "kube-system", fields=f"metadata.name={name}")
    return found.items[0] if found.items else None


async def test_it_listens_at_the_node_s_end_of_its_pod_cidr(api: ApiServer) -> None:
    client = admin(api)
    await client.create(node("n1", "127.77.1.0/24"))
    async with world(api, addresses=(), node_name="n1") as one:
        assert [listener.address for listener in one.server.listeners] == ["127.77.1.1"]
        assert await one.texts(KUBERNETES) == {"10.96.0.1"}
        assert await one.texts("ns.dns.cluster.local") == {"127.77.1.1"}


async def test_it_waits_for_the_pod_cidr(api: ApiServer) -> None:
    client = admin(api)
    await client.create(node("n1"))

    async def give() -> None:
        await client.patch(
            core_v1.Node, "n1", None, {"spec": {"podCIDR": "127.77.2.0/24", "podCIDRs": ["127.77.2.0/24"]}}
        )

    giving = asyncio.ensure_future(give())
    async with world(api, addresses=(), node_name="n1") as one:
        assert [listener.address for listener in one.server.listeners] == ["127.77.2.1"]
    await giving


async def test_an_address_that_is_not_there_yet_can_be_listened_at(api: ApiServer) -> None:
    async with world(api, addresses=("203.0.113.9",)) as one:
        assert one.server.ready.is_set()


async def test_an_address_that_is_taken_is_tried_again(api: ApiServer, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]

        async def said() -> bool | None:
            return any("cannot listen at 127.0.0.1" in message for message in caplog.messages) or None

        async def free() -> None:
            await until(said)
            taken.close()

        freeing = asyncio.ensure_future(free())
        async with world(api, port=port) as one:
            await freeing
            assert await one.texts(KUBERNETES) == {"10.96.0.1"}


async def test_the_service_kube_dns_and_this_server_behind_it(api: ApiServer) -> None:
    client = admin(api)
    made = await client.create(node("n1"))
    addresses = ("127.0.0.1", "203.0.113.9")  # loopback is never published: it is each pod's own
    async with world(api, addresses=addresses, node_name="n1", service_ip=SERVICE_IP) as one:
        slice_ = await until(lambda: slice_of(client))
        found = await client.get(core_v1.Service, "kube-dns", "kube-system")
        assert found.spec.cluster_ip == SERVICE_IP
        assert found.metadata.labels["kubernetes.io/cluster-service"] == "true"
        assert [(p.name, p.protocol, p.port) for p in found.spec.ports] == [("dns", "UDP", 53), ("dns-tcp", "TCP", 53)]
        assert [(e.addresses, e.node_name, e.conditions.ready) for e in slice_.endpoints] == [
            (["203.0.113.9"], "n1", True)
        ]
        assert [(p.name, p.protocol, p.port) for p in slice_.ports] == [
            ("dns", "UDP", one.port),
            ("dns-tcp", "TCP", one.port),
        ]
        assert [o.uid for o in slice_.metadata.owner_references] == [made.metadata.uid]
        await one.becomes({SERVICE_IP}, "kube-dns.kube-system.svc.cluster.local")
        # Whatever is taken away comes back.
        await client.delete(discovery_v1.EndpointSlice, "kube-dns-n1", "kube-system")
        await until(lambda: slice_of(client))
        await client.delete(core_v1.Service, "kube-dns", "kube-system")

        async def again() -> core_v1.Service | None:
            services = await client.list(core_v1.Service, "kube-system", fields="metadata.name=kube-dns")
            return next((s for s in services.items if s.metadata.uid != found.metadata.uid), None)

        assert (await until(again)).spec.cluster_ip == SERVICE_IP


async def test_each_node_has_a_slice_of_its_own(api: ApiServer) -> None:
    client = admin(api)
    for n in (1, 2):
        await client.create(node(f"n{n}", f"203.0.113.{n * 16}/28"))
    async with (
        world(api, addresses=(), node_name="n1", service_ip=SERVICE_IP),
        world(api, addresses=(), node_name="n2", service_ip=SERVICE_IP),
    ):
        for n in (1, 2):
            found = await until(lambda n=n: slice_of(client, f"kube-dns-n{n}"))
            assert found.endpoints[0].addresses == [f"203.0.113.{n * 16 + 1}"]
            assert [h.name for h in found.endpoints[0].hints.for_nodes] == [f"n{n}"]


async def test_a_kube_dns_with_pods_of_its_own_is_left_alone(api: ApiServer) -> None:
    client = admin(api)
    await client.create(node("n1", "127.77.3.0/24"))
    theirs = service("kube-dns", "kube-system", ports=(("dns", "UDP", 53),), selector={"k8s-app": "kube-dns"})
    before = await client.create(theirs)
    async with world(api, addresses=(), node_name="n1", service_ip=SERVICE_IP) as one:
        await one.becomes({before.spec.cluster_ip}, "kube-dns.kube-system.svc.cluster.local")
        assert await slice_of(client) is None
        after = await client.get(core_v1.Service, "kube-dns", "kube-system")
        assert after.metadata.resource_version == before.metadata.resource_version


async def test_verified_pods_are_those_that_are_there(api: ApiServer) -> None:
    client = admin(api)
    account = core_v1.ServiceAccount(metadata=meta_v1.ObjectMeta(name="default", namespace="default"))
    await client.create(account)
    pod = core_v1.Pod(
        metadata=meta_v1.ObjectMeta(name="p", namespace="default"),
        spec=core_v1.PodSpec(containers=[core_v1.Container(name="c", image="i")]),
    )
    await client.create(pod)
    async with world(api, pods="verified") as one:
        assert outcome(await one.ask("10-244-0-3.default.pod.cluster.local")) == "NXDOMAIN"
        status = {"phase": "Running", "podIP": "10.244.0.3", "podIPs": [{"ip": "10.244.0.3"}]}
        await client.patch(core_v1.Pod, "p", "default", {"status": status}, subresource="status")
        await one.becomes({"10.244.0.3"}, "10-244-0-3.default.pod.cluster.local")
        assert outcome(await one.ask("10-244-0-4.default.pod.cluster.local")) == "NXDOMAIN"
        await client.delete(core_v1.Pod, "p", "default", grace=0)
        await one.becomes("NXDOMAIN", "10-244-0-3.default.pod.cluster.local")
    async with world(api, pods="disabled") as one:
        assert outcome(await one.ask("10-244-0-3.default.pod.cluster.local")) == "NXDOMAIN"


async def test_health_and_metrics_over_http(node_free_port: int, api: ApiServer) -> None:
    import aiohttp

    address = f"127.0.0.1:{node_free_port}"
    async with world(api) as one:
        serving = asyncio.ensure_future(
            serve(one.server, address, ("/health", "/ready", "/metrics"), one.server._clock)
        )
        async with aiohttp.ClientSession() as session:

            async def status(path: str) -> int | None:
                try:
                    async with session.get(f"http://{address}{path}") as answer:
                        return answer.status
                except aiohttp.ClientConnectionError:
                    return None

            assert await until(lambda: status("/health")) == 200
            assert await status("/ready") == 200
            one.server.ready.clear()
            assert await status("/ready") == 503
            assert await status("/health") == 200
            assert await status("/metrics") == 200
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
def node_free_port() -> int:
    from orlop.cluster.settings import free_port

    return free_port("127.0.0.1")


@pytest.mark.parametrize(
    ("flag", "options"),
    [
        ("--address", {}),
        ("--address", {"addresses": ("example.com",)}),
        ("--service-ip", {"service_ip": "ten"}),
        ("--cluster-cidr", {"cluster_cidrs": ("10.0.0.0/99",)}),
        ("--cluster-domain", {"cluster_domain": "a..b"}),
        ("--upstream", {"upstreams": ("dns.example",)}),
        ("--port", {"port": 70000}),
        ("--ttl", {"ttl": -1}),
        ("--healthz-bind-address", {"healthz_bind_address": "8181"}),
    ],
)
def test_what_cannot_be_is_said_with_the_flag(flag: str, options: dict[str, Any]) -> None:
    wanted = {"node_name": "n1"} if options and "addresses" not in options else {}
    with pytest.raises(ValueError, match=f"^{flag}: "):
        DnsConfig(**wanted, **options)


async def test_what_it_knows_it_answers_while_the_api_is_away(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=None)))
        async with world(api) as one:
            await stack.aclose()
            assert await one.texts(KUBERNETES) == {"10.96.0.1"}
            assert await one.texts("_https._tcp." + KUBERNETES, "SRV") == {f"0 100 443 {KUBERNETES}."}
