"""A cluster of two nodes and two IP families, and its end: `orlop down` leaves nothing of it.

No process, mount, namespace, link, route, control group, rule or container.
"""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import EXAMPLES
from tests.e2e.web import Web
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.on_docker]

PODS, PODS6 = "10.238.", "fd00:10:238:"
SERVICES, SERVICES6 = "10.239.", "fd00:10:239:"
NODES, NODES6 = "10.237.1.", "fd00:10:237:"


def traces(name: str, folder: Path) -> list[str]:
    """Every sign of the cluster on this machine."""
    commands = {
        "process": ["ps", "-ww", "-eo", "pid,args"],
        "mount": ["cat", "/proc/self/mountinfo"],
        "link": ["ip", "-d", "address"],
        "route": ["sh", "-c", "ip route; ip -6 route"],
        "namespace": ["ip", "netns", "list"],
        "nftables": ["nft", "list", "ruleset"],
        "iptables": ["sh", "-c", "iptables-save; ip6tables-save"],
        "container": ["sh", "-c", "find /run/orlop; docker ps -a --no-trunc --format '{{.Names}} {{.Labels}}'"],
        "member": ["sh", "-c", "cat /proc/[0-9]*/cgroup | sort -u"],
        "control group": ["find", "/sys/fs/cgroup", "-maxdepth", "4", "-name", f"*{name}*"],
    }
    found = []
    for what, command in commands.items():
        output = subprocess.run(command, capture_output=True, text=True, check=False).stdout
        for text in output.splitlines():
            if any(
                mark in text
                for mark in (
                    *(f"br-{name}", f"up-{name}", f"orlop-{name}-node", f"orlop-proxy-{name}"),
                    *(
                        f"={name},",
                        f"={name}/",
                        f"/orlop/{name}",
                        PODS,
                        SERVICES,
                        NODES,
                        PODS6,
                        SERVICES6,
                        NODES6,
                        str(folder),
                    ),
                )
            ):
                found.append(f"{what}: {text.strip()}")
    return found


@pytest.fixture(scope="module")
def dual(runtime: list[str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[UpCluster]:
    """Two nodes, IPv4 and IPv6; with examples/hello."""
    cluster = UpCluster(
        f"lo-{os.getpid() % 100000}",
        tmp_path_factory.mktemp("dual"),
        *runtime,
        "--secure-port=0",
        "--node-name=gone",
        "--nodes=2",
        f"--node-cidr={NODES}0/24,{NODES6}:/64",
        f"--pod-cidr={PODS}0.0/16,{PODS6}:/56",
        f"--service-cidr={SERVICES}0.0/16,{SERVICES6}:/112",
    )
    try:
        cluster.up()
        cluster.kubectl("apply", "-f", str(EXAMPLES / "hello"))
        cluster.kubectl("rollout", "status", "deployment/hello", "--timeout=60s")
        yield cluster
    finally:
        cluster.down()


def test_both_families_lead_everywhere(dual: UpCluster) -> None:
    web = Web(dual, "default")
    web.start(2)
    policy = '{"spec": {"ipFamilyPolicy": "RequireDualStack"}}'
    dual.kubectl("patch", "service", "web", "-p", policy)
    pods = {p["metadata"]["name"]: p for p in dual.get("pods", "-l", "app=web")["items"]}
    assert {p["spec"]["nodeName"] for p in pods.values()} == {"gone", "node2"}
    addresses = {name: [ip["ip"] for ip in p["status"]["podIPs"]] for name, p in pods.items()}
    spec = dual.get("service", "web")["spec"]
    assert [":" in ip for ip in spec["clusterIPs"]] == [False, True]
    inside = [
        a["address"] for n in dual.get("nodes")["items"] for a in n["status"]["addresses"] if a["type"] != "Hostname"
    ]
    for client, own in addresses.items():
        for name, ips in addresses.items():
            answers = web.ask(client, *((ip, 8080) for ip in ips))
            assert answers == [(name, own[0]), (name, own[1])], "each is asked from the client's own address"
        for ip in spec["clusterIPs"]:

            def everywhere(ip: str = ip, client: str = client) -> bool:
                return {name for name, _ in web.ask(client, *[(ip, 80)] * 12)} == pods.keys()

            eventually("the Service leads to both nodes", everywhere, 20)
        assert len(web.ask(client, *((ip, spec["ports"][0]["nodePort"]) for ip in inside))) == len(inside)


def test_down_leaves_nothing(dual: UpCluster) -> None:
    folder = dual.data.parent
    present = traces(dual.name, folder)
    for what in ("process", "link", "route", "namespace", "mount", "nftables", "iptables", "container"):
        assert any(t.startswith(what) for t in present), f"the check sees no {what}: it would miss what is left"
    dual.down()
    assert traces(dual.name, folder) == []
    assert not dual.data.exists()
    assert dual.name not in (folder / "kubeconfig").read_text()


def test_down_twice_and_down_of_nothing_are_fine(tmp_path: Path) -> None:
    cluster = UpCluster("never", tmp_path)
    assert "there is no cluster" in cluster.orlop("down")
