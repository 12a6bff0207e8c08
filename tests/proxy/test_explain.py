"""`orlop net`, against a real proxy in a network namespace and a real API server."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry
from tests.proxy.modes import PARAMETERS
from tests.proxy.test_proxier import client, running
from tests.proxy.world import NODE, POD_CIDR, World

from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.cli.net import run as run_command
from orlop.client import Client
from orlop.clock import SystemClock
from orlop.proxy import Proxier, ProxyConfig
from orlop.proxy.backends import make
from orlop.proxy.explain import kernel, show
from orlop.proxy.explain.why import Step, why
from orlop.proxy.metrics import Metrics

pytestmark = [pytest.mark.network, pytest.mark.root]


@pytest.fixture
async def admin(tmp_path: Path) -> AsyncIterator[Client]:
    async with ApiServer(Config(data_dir=tmp_path, store="memory", secure_port=None), SystemClock()) as server:
        yield client(server, "admin", "system:masters")


@pytest.fixture(params=PARAMETERS)
async def proxier(admin: Client, machine: World, request: pytest.FixtureRequest) -> AsyncIterator[Proxier]:
    config = ProxyConfig(hostname_override="here", proxy_mode=request.param, cluster_cidr=POD_CIDR)
    figures = Metrics(CollectorRegistry())
    made = Proxier(admin, SystemClock(), config, prefix=machine.node.prefix, metrics=figures)
    async with running(made):
        yield made
    await made.cleanup()
    machine.node.output("conntrack", "-F")


async def put_service(admin: Client, name: str = "web", namespace: str = "default", **spec: object) -> str:
    """Its cluster IP."""
    made = await admin.create(
        core_v1.Service(
            metadata=meta_v1.ObjectMeta(name=name, namespace=namespace),
            spec=core_v1.ServiceSpec(
                selector={"app": name},
                ports=[core_v1.ServicePort(name="http", port=80, protocol="TCP", target_port=8080)],
                **spec,  # type: ignore[arg-type]
            ),
        )
    )
    return made.spec.cluster_ip


async def put_slice(
    admin: Client, addresses: list[str], *, ready: bool = True, port: int = 8080, node: str = "here"
) -> None:
    await admin.create(
        discovery_v1.EndpointSlice(
            metadata=meta_v1.ObjectMeta(
                name="web-x", namespace="default", labels={"kubernetes.io/service-name": "web"}
            ),
            address_type="IPv4",
            endpoints=[
                discovery_v1.Endpoint(
                    addresses=[address], node_name=node, conditions=discovery_v1.EndpointConditions(ready=ready)
                )
                for address in addresses
            ],
            ports=[discovery_v1.EndpointPort(name="http", port=port, protocol="TCP")],
        )
    )


async def programmed(machine: World, ip: str, verdict: str = "translate") -> None:
    while True:
        entry = (await kernel.read(machine.node.prefix)).find("TCP", ip, 80)
        if entry and entry.verdict == verdict:
            return
        await asyncio.sleep(0.05)


def broken(steps: list[Step]) -> Step:
    assert [step.broken for step in steps[:-1]] == [False] * (len(steps) - 1)
    return steps[-1]


async def test_a_way_that_works_is_walked_to_its_end(proxier: Proxier, admin: Client, machine: World) -> None:
    ip = await put_service(admin)
    await put_slice(admin, [pod.addresses[0] for pod in machine.pods])
    await programmed(machine, ip)
    for to in ("web:80", "web.default:http", "web.default.svc.cluster.local", "default/web", f"{ip}:80"):
        steps = await why(admin, "node", to, prefix=machine.node.prefix)
        assert not any(step.broken for step in steps), steps
    names = list(dict.fromkeys(step.name for step in steps))
    assert names == ["resolve", "service", "endpoints", "table", "policy", "choice", "route", "nat", "listening"]
    assert "33%" in next(step.text for step in steps if step.name == "choice")


async def test_the_first_thing_that_breaks_is_named(proxier: Proxier, admin: Client, machine: World) -> None:
    async def asked(to: str = "web:80", source: str = "node") -> Step:
        return broken(await why(admin, source, to, prefix=machine.node.prefix))

    assert (await asked("web")).text == "there is no Service web in namespace default"
    assert (await asked(source="ghost")).name == "from"
    await put_service(admin, "lonely", "kube-system")
    assert (await asked("lonely")).fix == "there is one in namespace kube-system: ask lonely.kube-system"
    ip = await put_service(admin)
    assert (await asked("web:81")).text == "Service default/web has no port 81; it has 80 (http)/TCP"
    assert (await asked()).text == "no Pod in namespace default has the labels app=web"
    await programmed(machine, ip, "refuse")
    await put_slice(admin, [machine.pods[0].addresses[0]], ready=False)
    assert "none of 1 endpoints is ready" in (await asked()).text
    await admin.delete(discovery_v1.EndpointSlice, "web-x", "default")
    # Nobody listens there.
    await put_slice(admin, [machine.pods[0].addresses[0]], port=9999)
    await programmed(machine, ip)
    found = await asked()
    assert (found.name, "refused" in found.text.lower()) == ("listening", True)
    assert "targetPort" in found.fix
    await admin.delete(discovery_v1.EndpointSlice, "web-x", "default")
    await programmed(machine, ip, "refuse")
    # No way there.
    machine.node.ip("route", "add", "unreachable", "192.0.2.0/24")
    try:
        await put_slice(admin, ["192.0.2.7"])
        await programmed(machine, ip)
        assert (await asked()).name == "route"
    finally:
        machine.node.ip("route", "del", "unreachable", "192.0.2.0/24")


async def test_a_policy_that_leaves_nobody_is_named(proxier: Proxier, admin: Client, machine: World) -> None:
    ip = await put_service(admin, internal_traffic_policy="Local")
    await put_slice(admin, [machine.pods[0].addresses[0]], node="there")
    await programmed(machine, ip, "drop")
    found = broken(await why(admin, "node", "web", prefix=machine.node.prefix))
    assert found.name == "policy"
    assert "they are on there" in found.text


@pytest.mark.parametrize("proxier", ["nftables"], indirect=True)
async def test_who_bears_a_load_balancers_address_is_told(proxier: Proxier, admin: Client, machine: World) -> None:
    async def told(source: str = "node", **changes: object) -> Step:
        await admin.patch(core_v1.Service, "web", "default", changes, type="merge", subresource="status")
        steps = await why(admin, source, "192.0.2.77:80", prefix=machine.node.prefix)
        return steps[-1] if steps[-1].broken else next(step for step in steps if step.name == "balancer")

    def bears(node: str | None) -> dict[str, object]:
        return {"annotations": {"orlop/load-balancer-node": node}}

    await put_service(admin, type="LoadBalancer")
    await put_slice(admin, [pod.addresses[0] for pod in machine.pods], node="there")
    status = {"loadBalancer": {"ingress": [{"ip": "192.0.2.77"}]}}
    await admin.patch(core_v1.Service, "web", "default", {"status": status}, type="merge", subresource="status")
    await programmed(machine, "192.0.2.77")
    assert "another load balancer" in (await told()).text
    assert (await told(metadata=bears(""))).text == "no node bears no node can"
    assert "which is gone" in (await told(metadata=bears("here"))).text
    own = core_v1.NodeAddress(type="InternalIP", address=NODE)
    node = core_v1.Node(metadata=meta_v1.ObjectMeta(name="here"), status=core_v1.NodeStatus(addresses=[own]))
    await admin.create(node)
    assert "is not bound here" in (await told()).text
    machine.node.ip("address", "add", "192.0.2.77/32", "dev", "lo")
    try:
        assert await told() == Step("balancer", "192.0.2.77 is bound to node here, this one")
        await admin.patch(core_v1.Service, "web", "default", {"spec": {"externalTrafficPolicy": "Local"}}, type="merge")
        found = await told("198.51.100.1")
        assert "externalTrafficPolicy is Local" in found.text
        assert "they are on there" in found.text
    finally:
        machine.node.ip("address", "del", "192.0.2.77/32", "dev", "lo")


async def test_a_node_without_rules_is_named(admin: Client, machine: World) -> None:
    await put_service(admin)
    await put_slice(admin, [machine.pods[0].addresses[0]])
    found = broken(await why(admin, "node", "web", prefix=machine.node.prefix))
    assert (found.name, found.text) == (
        "table", "nothing is programmed on this node: no service proxy has run here"
    )  # fmt: skip


async def test_the_table_counts_connections_and_watch_tells_of_moves(
    proxier: Proxier, admin: Client, machine: World, capsys: pytest.CaptureFixture[str]
) -> None:
    ip = await put_service(admin, session_affinity="ClientIP")
    await put_slice(admin, [pod.addresses[0] for pod in machine.pods[:2]])
    await programmed(machine, ip)
    before = show.connections((await kernel.read(machine.node.prefix)).entries)
    talks = [machine.pods[2].connect(ip, 80) for _ in range(3)]
    for talk in talks:
        talk.ask()
    found = await kernel.read(machine.node.prefix)
    entry = found.find("TCP", ip, 80)
    assert entry is not None
    assert found.modes == [proxier.backend.name]
    assert sorted(t.connections for t in entry.targets) == [0, 3]
    assert [t.share for t in entry.targets] == [0.5, 0.5]
    [line] = [line for line in show.moves(before, show.connections(found.entries)) if f"{ip}:80/TCP" in line]
    assert "3 (+3)" in line
    text = show.table(found.entries)
    assert [line.split()[:2] for line in text[:1]] == [["SERVICE", "MODE"]]
    assert any(f"{ip}:80/TCP" in line and "50.0%" in line for line in text)
    for talk in talks:
        talk.close()


def test_the_command_says_where_nothing_is(machine: World, capsys: pytest.CaptureFixture[str]) -> None:
    from orlop.cli.main import parser

    arguments = parser("net").parse_args(["net", "table", "--netns", machine.node.name])
    assert run_command(arguments) == 1
    assert "nothing is programmed here" in capsys.readouterr().err


async def test_the_command_shows_what_is_there(machine: World) -> None:
    import sys

    from tests.proxy.objects import endpoint_slice, service

    from orlop.native import ForwardTable

    config = ProxyConfig(hostname_override="here", cluster_cidr=POD_CIDR)
    backend, table = make(config, machine.node.prefix), ForwardTable("here")
    table.apply_service(service("web", ["10.96.0.10"]))
    table.apply_slice(endpoint_slice("web", ["10.244.0.2", "10.244.0.3"]))
    await backend.sync(table.difference([]).set)
    try:
        for verb, expected in (("table", "10.96.0.10:80/TCP"), ("watch", "10.244.0.3:8080  0 (new)")):
            more = ["--times", "1"] if verb == "watch" else []
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "orlop.cli.main", "net", verb, "--netns", machine.node.name, *more,
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, _ = await process.communicate()
            assert process.returncode == 0
            assert expected in out.decode()
    finally:
        await backend.cleanup()
