"""`orlop down` leaves nothing: no process, mount, namespace, link, control group, rule or container of ours."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.conftest import EXAMPLES
from tests.support.cluster import UpCluster

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

PODS = "10.238."
SERVICES = "10.239."
NODES = "10.237.1."


def traces(name: str, folder: Path) -> list[str]:
    """Every sign of the cluster on this machine."""
    commands = {
        "process": ["ps", "-ww", "-eo", "pid,args"],
        "mount": ["cat", "/proc/self/mountinfo"],
        "link": ["ip", "-d", "address"],
        "route": ["ip", "route"],
        "namespace": ["ip", "netns", "list"],
        "nftables": ["nft", "list", "ruleset"],
        "iptables": ["iptables-save"],
        "container": ["docker", "ps", "-a", "--no-trunc", "--format", "{{.Names}} {{.Labels}}"],
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
                    *(f"={name},", f"={name}/", PODS, SERVICES, NODES, str(folder)),
                )
            ):
                found.append(f"{what}: {text.strip()}")
    return found


def test_down_leaves_nothing(engine: None, tmp_path: Path) -> None:
    name = f"lo-{os.getpid() % 100000}"
    cluster = UpCluster(
        name,
        tmp_path,
        "--secure-port=0",
        "--node-name=gone",
        "--nodes=2",
        f"--node-cidr={NODES}0/24",
        f"--pod-cidr={PODS}0.0/16",
        f"--service-cidr={SERVICES}0.0/16",
    )
    try:
        cluster.up()
        cluster.kubectl("apply", "-f", str(EXAMPLES / "hello"))
        cluster.kubectl("rollout", "status", "deployment/hello", "--timeout=60s")
        present = traces(name, tmp_path)
        for what in ("process", "link", "route", "namespace", "mount", "nftables", "iptables", "container"):
            assert any(t.startswith(what) for t in present), f"the check sees no {what}: it would miss what is left"
    finally:
        cluster.down()
    assert traces(name, tmp_path) == []
    assert not cluster.data.exists()
    assert name not in (tmp_path / "kubeconfig").read_text()


def test_down_twice_and_down_of_nothing_are_fine(tmp_path: Path) -> None:
    cluster = UpCluster("never", tmp_path)
    assert "there is no cluster" in cluster.orlop("down")
