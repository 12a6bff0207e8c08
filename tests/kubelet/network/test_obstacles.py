"""Firewalls of others, in network namespaces of the tests' own."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from uuid import uuid4

import pytest
from tests.support import docker_engine

from orlop.kubelet.network import firewall
from orlop.kubelet.network.netns import inside
from orlop.kubelet.network.obstacles import obstacles

pytestmark = [pytest.mark.root, pytest.mark.network]

BRIDGE = "br-test"


@pytest.fixture
def space() -> Iterator[str]:
    """An empty network namespace."""
    if os.geteuid() != 0:
        pytest.skip("needs root")
    for tool, package in (("nft", "nftables"), ("ip", "iproute2"), ("iptables", "iptables")):
        if shutil.which(tool) is None:
            docker_engine.apt_install(package)
    name = f"ob{uuid4().hex[:8]}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


def sh(space: str, command: str) -> str:
    words = ["ip", "netns", "exec", space, "sh", "-c", command]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def found(space: str) -> list[str]:
    return inside(f"/run/netns/{space}", lambda: asyncio.run(obstacles(BRIDGE)))


def test_nothing_is_in_the_way(space: str) -> None:
    assert found(space) == []
    sh(space, "nft add table inet t; nft 'add chain inet t c { type filter hook forward priority 0; policy accept; }'")
    assert found(space) == []


def test_a_chain_that_drops_is_named_with_what_to_do_and_that_does_it(space: str) -> None:
    sh(
        space,
        "nft add table inet t; nft 'add chain inet t passing { type filter hook forward priority 0; policy drop; }'",
    )
    [text] = found(space)
    assert text.startswith(
        "the nftables chain inet t passing drops what passes this machine, and with it what pods send."
    )
    for command in text.partition("send. ")[2].split("; "):
        sh(space, command)
    assert found(space) == []


def test_firewalld_is_known_by_its_table(space: str) -> None:
    sh(
        space,
        "nft add table inet firewalld; nft 'add chain inet firewalld f { type filter hook forward priority 10; }'",
    )
    [text] = found(space)
    assert f"firewall-cmd --permanent --zone=trusted --add-interface={BRIDGE} && firewall-cmd --reload" in text
    sh(space, f"nft add rule inet firewalld f iifname {BRIDGE} accept")
    assert found(space) == []


def test_an_input_policy_of_iptables(space: str) -> None:
    sh(space, "iptables -P INPUT DROP")
    [text] = found(space)
    assert f"ufw allow in on {BRIDGE}" in text
    sh(space, f"iptables -I INPUT -i {BRIDGE} -j ACCEPT")
    assert found(space) == []


@pytest.mark.parametrize(
    ("rules", "chain"),
    [
        ("iptables -N DOCKER-USER; iptables -P FORWARD DROP", "DOCKER-USER"),
        ("iptables -P FORWARD DROP", "FORWARD"),
        ("iptables -A FORWARD -j REJECT --reject-with icmp-host-prohibited", "FORWARD"),
    ],
)
def test_what_iptables_drops_is_accepted_before(space: str, rules: str, chain: str) -> None:
    sh(space, rules)
    before = sh(space, "iptables -S")
    inside(f"/run/netns/{space}", lambda: asyncio.run(firewall.accept(BRIDGE, {4})))
    listed = [line for line in sh(space, f"iptables -S {chain}").splitlines() if line.startswith("-A")]
    assert all(BRIDGE in line and line.endswith("-j ACCEPT") for line in listed[:2]), listed
    inside(f"/run/netns/{space}", lambda: asyncio.run(firewall.accept(BRIDGE, {4})))
    assert sh(space, "iptables -S").count(BRIDGE) == before.count(BRIDGE) + 4, "twice is as once"
    inside(f"/run/netns/{space}", lambda: asyncio.run(firewall.unaccept(BRIDGE)))
    assert sh(space, "iptables -S") == before
