"""Nodes beside the machine: their names, what may be asked for, and their network, with real namespaces."""

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from orlop.cli import main as cli
from orlop.cluster import nodenet
from orlop.cluster.nodes import find_node, known_nodes, read_states, real_nodes, write_state
from orlop.cluster.settings import Settings, SettingsError, load
from orlop.kubelet.network import links, routes
from orlop.kubelet.network.netns import inside
from tests.support import machine


def some(folder: Path, **more: object) -> Settings:
    settings = Settings(name="some", data_dir=folder, node_name="host", **more)  # type: ignore[arg-type]
    (folder / "run").mkdir(exist_ok=True)
    return settings


def test_the_first_node_is_the_machine_and_the_others_are_beside_it(tmp_path: Path) -> None:
    settings = some(tmp_path, nodes=3, node_cidr="10.212.5.0/24,fd00:212::/64")
    host, second, third = real_nodes(settings)
    assert (host.name, host.netns, host.addresses, host.component) == ("host", "", (), "node")
    assert (second.name, second.netns, second.component) == ("node2", "orlop-some-node2", "node2")
    assert second.addresses == ("10.212.5.2", "fd00:212::2")
    assert len({node.scope for node in (host, second, third)}) == 3
    assert len({node.state for node in (host, second, third)}) == 3
    assert find_node(settings, "node3") == third
    with pytest.raises(SettingsError, match="there is no node 'node4' to act on; there are host, node2, node3"):
        find_node(settings, "node4")


def test_what_an_earlier_cluster_left_is_known(tmp_path: Path) -> None:
    (tmp_path / "nodes" / "node5").mkdir(parents=True)
    (tmp_path / "nodes" / "nodex").mkdir()
    assert [node.name for node in known_nodes(some(tmp_path, nodes=2))] == ["host", "node2", "node5"]


def test_what_was_done_to_nodes_is_kept(tmp_path: Path) -> None:
    settings = some(tmp_path, nodes=3)
    _, second, third = real_nodes(settings)
    write_state(settings, second, "killed")
    write_state(settings, third, "stopped")
    assert read_states(settings) == {"node2": "killed", "node3": "stopped"}
    write_state(settings, second, None)
    assert read_states(settings) == {"node3": "stopped"}


@pytest.mark.parametrize(
    ("flags", "why"),
    [
        (["--nodes=0"], "--nodes must be 1 to 64"),
        (["--nodes=65"], "--hollow N adds simulated nodes"),
        (["--nodes=2", "--runtime=hollow"], "--nodes needs a runtime with real containers"),
        (["--pod-cidr=10.1.2.3/16"], "--pod-cidr: 10.1.2.3/16 has host bits set"),
        (["--pod-cidr=10.1.0.0/16,10.2.0.0/16"], "one range, or one IPv4 and one IPv6 range"),
        (["--pod-cidr=10.1.0.0/16,fd00::/56"], "--pod-cidr and --service-cidr must have the same IP families"),
        (["--service-cidr="], "--pod-cidr and --service-cidr must not be empty"),
    ],
)
def test_what_cannot_be_had_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str], why: str
) -> None:
    words = ["up", "--name=never", f"--data-dir={tmp_path}/data", "--secure-port=0"]
    runtime = [] if any(flag.startswith("--runtime") for flag in flags) else ["--runtime=hollow"]
    assert cli.main([*words, *runtime, *flags]) == 1
    assert why in capsys.readouterr().err
    assert load(tmp_path / "data") is None, "nothing was begun"


def test_a_namespace_asks_name_servers_that_it_reaches(tmp_path: Path) -> None:
    stub, real = tmp_path / "stub", tmp_path / "real"
    stub.write_text("nameserver 127.0.0.53\n")
    real.write_text("nameserver 192.0.2.53\nnameserver fe80::1%eth0\n")
    assert nodenet.resolv_conf([stub, real]) == real
    assert nodenet.resolv_conf([real, stub]) == real
    assert nodenet.resolv_conf([stub, tmp_path / "none"]) == stub, "better than nothing"


# --- the network between nodes

RANGE = "10.212.6."
CIDRS = f"{RANGE}0/24,fd00:212:6::/64"


class Site:
    """Three nodes' network; the host is one of them."""

    def __init__(self, folder: Path) -> None:
        self.settings = Settings(
            name=f"c{uuid4().hex[:6]}",
            data_dir=folder,
            nodes=3,
            node_name="host",
            node_cidr=CIDRS,
            pod_cidr="10.212.128.0/17,fd00:212:128::/56",
        )
        (folder / "run").mkdir()
        self.nodes = real_nodes(self.settings)[1:]

    def ensure(self) -> None:
        nodenet.ensure_host(self.settings)
        for node in self.nodes:
            nodenet.ensure_node(self.settings, node)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    site = Site(tmp_path)
    marks = (site.settings.name, RANGE, "fd00:212:6:", *(nodenet.cable_name(node) for node in site.nodes))
    try:
        site.ensure()
        yield site
    finally:
        for node in site.nodes:
            nodenet.remove_node(node)
        nodenet.remove_host(site.settings)
    assert machine.traces(*marks) == []


def reach(path: str, address: str, port: int) -> bool:
    """Whether a connection comes about from within a namespace."""

    def dial() -> bool:
        try:
            socket.create_connection((address, port), timeout=2).close()
        except OSError:
            return False
        return True

    return inside(path, dial)


@pytest.mark.root
@pytest.mark.network
def test_nodes_reach_each_other_and_the_host_until_a_cable_is_cut(site: Site) -> None:
    second, third = site.nodes
    host = nodenet.host_addresses(site.settings)
    servers = [inside(third.netns_path, lambda a=a: listen(a)) for a in third.addresses]
    servers += [listen(a) for a in host]
    try:
        for address in (*third.addresses, *host):
            assert reach(second.netns_path, address, 7000), address
        nodenet.cut(third)
        assert not reach(second.netns_path, third.addresses[0], 7000)
        nodenet.heal(third)
        assert reach(second.netns_path, third.addresses[0], 7000)
        site.ensure()  # as every start does
        assert reach(second.netns_path, third.addresses[0], 7000)
    finally:
        for server in servers:
            server.close()


def listen(address: str) -> socket.socket:
    return socket.create_server((address, 7000), family=socket.AF_INET6 if ":" in address else socket.AF_INET)


@pytest.mark.root
@pytest.mark.network
def test_a_namespace_that_is_gone_is_made_again(site: Site) -> None:
    node = site.nodes[0]
    subprocess.run(["ip", "netns", "del", node.netns], check=True)
    nodenet.ensure_node(site.settings, node)
    server = inside(node.netns_path, lambda: listen(node.addresses[0]))
    assert reach(site.nodes[1].netns_path, node.addresses[0], 7000)
    server.close()


@pytest.mark.root
@pytest.mark.network
def test_routes_follow_what_is_wanted_and_touch_no_other(site: Site) -> None:
    node = site.nodes[0]
    path, hops = node.netns_path, [f"{RANGE}3", "fd00:212:6::3"]
    other = f"10.212.9.0/24 via {RANGE}4"
    subprocess.run(["ip", "-n", node.netns, "route", "add", *other.split(), "dev", "eth0"], check=True)

    def shown() -> list[str]:
        found = []
        for version in ("-4", "-6"):
            text = subprocess.run(
                ["ip", "-n", node.netns, version, "route"], capture_output=True, text=True, check=True
            )
            found += [line.partition(" dev ")[0] for line in text.stdout.splitlines() if "via" in line]
        return sorted(line for line in found if not line.startswith("default"))

    def program(wanted: dict[str, str]) -> list[str]:
        inside(path, lambda: routes.program("eth0", wanted))
        return shown()

    both = {"10.212.130.0/24": hops[0], "fd00:212:128:1::/64": hops[1]}
    mine = [f"10.212.130.0/24 via {hops[0]}", f"fd00:212:128:1::/64 via {hops[1]}"]
    assert program(both) == sorted([other, *mine])
    assert program(both) == sorted([other, *mine])
    moved = {"10.212.130.0/24": f"{RANGE}9"}
    assert program(moved) == sorted([other, f"10.212.130.0/24 via {RANGE}9"])
    assert program({}) == [other]


@pytest.mark.root
@pytest.mark.network
def test_a_range_that_is_in_use_is_not_chosen(site: Site, tmp_path: Path) -> None:
    settings = Settings(name="other", data_dir=tmp_path, pod_cidr="10.245.0.0/16")
    with pytest.raises(SettingsError, match="name one with --node-cidr"):
        nodenet.choose_cidrs(settings)
    settings.pod_cidr = "10.244.0.0/16,fd00:10:244::/56"
    first, second = nodenet.choose_cidrs(settings).split(",")
    assert first.startswith("10.245.")
    assert second.startswith("fd00:10:245:")
    bridge = links.scoped_name("up", site.settings.scope)
    subprocess.run(["ip", "address", "add", first.replace(".0/24", ".1/24"), "dev", bridge], check=True)
    assert nodenet.choose_cidrs(settings).split(",")[0] != first
    subprocess.run(["ip", "address", "del", first.replace(".0/24", ".1/24"), "dev", bridge], check=True)
