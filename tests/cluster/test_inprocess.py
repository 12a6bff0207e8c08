"""A whole control plane within the test's process."""

import subprocess
import sys
from pathlib import Path

import pytest

import orlop
from orlop.api import errors
from orlop.api.types import core_v1
from orlop.cluster.manifests import ManifestError
from orlop.cluster.waiting import WaitTimeout
from orlop.testing import Cluster

HELLO = Path(__file__).parents[2] / "examples" / "hello"
KUBECTL = Path(sys.executable).parent / "kubectl"


def test_apply_wait_and_read() -> None:
    with orlop.Cluster(nodes=2) as c:
        applied = c.apply(HELLO)
        assert [o["kind"] for o in applied] == ["ConfigMap", "Deployment", "Service"]
        deployment = c.wait("deployment/hello", "condition=Available", timeout=20)
        assert deployment is not None
        assert deployment["status"]["availableReplicas"] == 3
        pods = c.client.list(core_v1.Pod, "default").items
        assert {p.spec.node_name for p in pods} == {"hollow-0", "hollow-1"}
        assert all(p.status.pod_ip for p in pods)
        scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "hello"}, "spec": {"replicas": 1}}
        c.apply(scaled)
        c.wait("deploy/hello", "jsonpath={.status.replicas}=1", timeout=20)
        c.client.delete(core_v1.ConfigMap, "hello", "default")
        c.wait("cm/hello", "delete", timeout=5)


def test_the_pytest_fixture(orlop_cluster: Cluster) -> None:
    orlop_cluster.wait("node/hollow-0", "condition=Ready", timeout=10)
    with pytest.raises(WaitTimeout, match=r"timed out after 0\.2 s waiting for condition=Ready on pod/nope"):
        orlop_cluster.wait("pod/nope", "condition=Ready", timeout=0.2)
    with pytest.raises(ManifestError, match='no matches for kind "Nope" in version "v1"'):
        orlop_cluster.apply({"apiVersion": "v1", "kind": "Nope"})
    with pytest.raises(errors.Invalid, match=r"spec\.containers: Required value"):
        orlop_cluster.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": {}})


def test_access_rules_hold_in_process_too(orlop_cluster: Cluster) -> None:
    nobody = orlop_cluster.client_as("jane")
    with pytest.raises(errors.Forbidden, match='User "jane" cannot list resource "pods"'):
        nobody.list(core_v1.Pod, "default")


def test_kubectl_by_the_clusters_kubeconfig(orlop_cluster: Cluster, tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_text(orlop_cluster.kubeconfig())
    done = subprocess.run(
        [str(KUBECTL), f"--kubeconfig={file}", "get", "nodes", "-o", "name"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout.strip() == "node/hollow-0", done.stderr


def test_without_being_asked_it_opens_no_port_and_leaves_no_thread_or_file(tmp_path: Path) -> None:
    script = (
        "import os, threading, tempfile, orlop\n"
        f"tempfile.tempdir = {str(tmp_path)!r}\n"
        "with orlop.Cluster() as c:\n"
        "    listening = [l for n in ('tcp', 'tcp6') for l in open(f'/proc/self/net/{n}') if ' 0A ' in l]\n"
        "    links = (f'/proc/self/fd/{f}' for f in os.listdir('/proc/self/fd'))\n"
        "    own = {os.readlink(f) for f in links if os.path.islink(f)}\n"
        "    assert not [l for l in listening if f'socket:[{l.split()[9]}]' in own]\n"
        "print(threading.active_count(), os.listdir(tempfile.tempdir))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == "1 []", done.stdout + done.stderr


def test_outside_of_its_block_it_says_so() -> None:
    with pytest.raises(RuntimeError, match="use it as a context manager"):
        orlop.Cluster().apply(HELLO)
