"""kill -9 of everything, and up again: same objects, same containers."""

import os
import signal

import pytest

from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def test_after_kill_9_of_every_process_the_cluster_is_the_same(cluster: UpCluster, namespace: str) -> None:
    cluster.kubectl(
        "-n", namespace, "create", "deployment", "stays", "--image=orlop-hello:1", "--replicas=2", "--", "sleep", "600"
    )
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/stays", "--timeout=30s")
    cluster.kubectl("-n", namespace, "create", "configmap", "kept", "--from-literal=a=1")
    kept = cluster.get("-n", namespace, "configmap", "kept")

    def containers() -> dict[str, tuple[str, int]]:
        return {
            p["metadata"]["uid"]: (
                p["status"]["containerStatuses"][0]["containerID"],
                p["status"]["containerStatuses"][0]["restartCount"],
            )
            for p in cluster.get("-n", namespace, "pods")["items"]
        }

    before = containers()
    assert len(before) == 2
    state = cluster.state()
    for pid in [state["pid"], *(c["pid"] for c in state["children"].values())]:
        os.kill(pid, signal.SIGKILL)
    eventually("it is down", lambda: "is down" in _status(cluster), 20)
    cluster.up()
    assert cluster.get("-n", namespace, "configmap", "kept") == kept
    eventually("the node is ready", lambda: " Ready" in cluster.kubectl("get", "node", "real"), 30)
    assert containers() == before
    cluster.kubectl("-n", namespace, "scale", "deployment/stays", "--replicas=3")
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/stays", "--timeout=30s")
    assert before.items() <= containers().items()


def _status(cluster: UpCluster) -> str:
    import subprocess

    from tests.support.cluster import ORLOP

    done = subprocess.run(
        [*ORLOP, "status", "--name", cluster.name, "--data-dir", str(cluster.data)],
        capture_output=True,
        text=True,
        env=cluster.env,
        check=False,
    )
    return done.stdout
