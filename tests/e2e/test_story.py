"""The story of an orchestrator: restart what hangs, bring back what dies, name the greedy, move work away."""

import subprocess
import sys
import textwrap

import pytest

from tests.support.cluster import ORLOP, UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root]


def pod(name: str, command: str, more: str = "") -> str:
    return textwrap.dedent(
        f"""
        apiVersion: v1
        kind: Pod
        metadata:
          name: {name}
        spec:
          terminationGracePeriodSeconds: 1
          nodeSelector: {{kubernetes.io/hostname: real}}
          containers:
            - name: main
              image: orlop-hello:1
              command: ["sh", "-c", "{command}"]
        """
    ) + textwrap.indent(textwrap.dedent(more), " " * 6)


def status(cluster: UpCluster, namespace: str, name: str) -> dict[str, object]:
    statuses = cluster.get("-n", namespace, "pod", name)["status"].get("containerStatuses", [])
    answer: dict[str, object] = statuses[0]
    return answer


@pytest.mark.on_docker
def test_a_failed_liveness_probe_restarts_the_container(cluster: UpCluster, namespace: str) -> None:
    manifest = pod(
        "hangs",
        "touch /tmp/alive; sleep 2; rm /tmp/alive; sleep 600",
        """
        livenessProbe:
          exec: {command: [test, -e, /tmp/alive]}
          periodSeconds: 1
          failureThreshold: 1
          initialDelaySeconds: 1
        """,
    )
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=manifest)
    eventually("it is restarted", lambda: status(cluster, namespace, "hangs")["restartCount"], 30)
    events = cluster.kubectl("-n", namespace, "describe", "pod", "hangs")
    assert "Liveness probe failed" in events
    assert "Container main failed liveness probe, will be restarted" in events


def test_a_killed_container_comes_back_with_back_off(cluster: UpCluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=pod("dies", "sleep 1; exit 3"))
    eventually("it is restarted at once", lambda: status(cluster, namespace, "dies")["restartCount"], 20)

    def backs_off() -> bool:
        state = status(cluster, namespace, "dies")["state"]
        return "CrashLoopBackOff" in str(state)

    eventually("then it waits", backs_off, 20)
    last = status(cluster, namespace, "dies")["lastState"]
    assert "'exitCode': 3" in str(last)
    assert "back-off 10s restarting failed container=main" in str(status(cluster, namespace, "dies"))
    assert "Back-off restarting failed container main" in cluster.kubectl("-n", namespace, "describe", "pod", "dies")


@pytest.mark.on_docker
def test_a_pod_over_its_memory_limit_is_named(cluster: UpCluster, namespace: str) -> None:
    manifest = pod(
        "greedy",
        "x=a; while true; do x=$x$x; done",
        """
        resources:
          limits: {memory: 24Mi}
        """,
    )
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=manifest)
    eventually("it is named", lambda: "OOMKilled" in str(status(cluster, namespace, "greedy")), 30)
    assert "'exitCode': 137" in str(status(cluster, namespace, "greedy"))


def test_a_silent_node_is_tainted_and_its_pods_move(cluster: UpCluster, namespace: str, tmp_path: object) -> None:
    def hollow(name: str) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [
                *ORLOP,
                "kubelet",
                f"--kubeconfig={cluster.data}/kubeconfig/admin.kubeconfig",
                f"--hostname-override={name}",
                f"--root-dir={tmp_path}/{name}",
                "--runtime=hollow",
                "--node-labels=moves=yes",
                "--node-lease-duration-seconds=4",
            ],
            stdout=sys.stderr,
            stderr=sys.stderr,
        )

    first, second = hollow("one"), None
    try:
        eventually("node one is ready", lambda: " Ready" in cluster.kubectl("get", "node", "one"), 20)
        manifest = """
            apiVersion: apps/v1
            kind: Deployment
            metadata: {name: moves}
            spec:
              replicas: 2
              selector: {matchLabels: {app: moves}}
              template:
                metadata: {labels: {app: moves}}
                spec:
                  nodeSelector: {moves: "yes"}
                  containers: [{name: main, image: "any:1"}]
            """
        cluster.kubectl("-n", namespace, "apply", "-f", "-", input=textwrap.dedent(manifest))
        cluster.kubectl("-n", namespace, "rollout", "status", "deployment/moves", "--timeout=30s")
        second = hollow("two")
        eventually("node two is ready", lambda: " Ready" in cluster.kubectl("get", "node", "two"), 20)
        first.kill()
        eventually(
            "it is tainted", lambda: "node.kubernetes.io/unreachable" in str(cluster.get("node", "one")["spec"]), 30
        )
        assert "NotReady" in cluster.kubectl("get", "node", "one")

        def moved() -> bool:
            pods = cluster.get("-n", namespace, "pods")["items"]
            ready = [
                p["spec"]["nodeName"]
                for p in pods
                if not p["metadata"].get("deletionTimestamp") and p["status"].get("phase") == "Running"
            ]
            return ready == ["two", "two"]

        eventually("its pods run elsewhere", moved, 40)
        assert "TaintManagerEviction" in cluster.kubectl("-n", namespace, "get", "events")
    finally:
        for process in (first, second):
            if process is not None:
                process.kill()
                process.wait()
        cluster.kubectl("delete", "node", "one", "two", "--ignore-not-found")
