"""examples/hello through real kubectl: everything a user does with a Deployment and a Service."""

import collections
import re
import time
import urllib.request

import pytest

from tests.e2e.conftest import EXAMPLES
from tests.support.cluster import UpCluster, eventually
from tests.support.runtime_view import containers

pytestmark = [pytest.mark.e2e, pytest.mark.root, pytest.mark.on_docker]


@pytest.fixture
def hello(cluster: UpCluster, namespace: str) -> str:
    """The namespace in which examples/hello is rolled out."""
    cluster.kubectl("-n", namespace, "apply", "-f", str(EXAMPLES / "hello"))
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/hello", "--timeout=60s")
    return namespace


def ask(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/", timeout=3) as answer:
        return str(answer.read().decode())


def test_the_service_answers_from_the_node_and_from_a_pod_spread_over_all_pods(cluster: UpCluster, hello: str) -> None:
    address = cluster.get("-n", hello, "service", "hello")["spec"]["clusterIP"]
    pods = {p["metadata"]["name"] for p in cluster.get("-n", hello, "pods")["items"]}
    assert len(pods) == 3
    eventually("the service answers", lambda: ask(address), 10)
    answers = collections.Counter(re.search(r"from pod (\S+) on \w+", ask(address)).group(1) for _ in range(60))  # type: ignore[union-attr]
    assert set(answers) == pods, answers
    assert "Hello from orlop" in ask(address)
    cluster.kubectl("-n", hello, "run", "asker", "--image=orlop-hello:1", "--command", "--", "sleep", "600")
    cluster.kubectl("-n", hello, "wait", "--for=condition=Ready", "pod/asker", "--timeout=30s")
    seen = set()
    for _ in range(30):
        text = cluster.kubectl("-n", hello, "exec", "asker", "--", "wget", "-q", "-O", "-", f"http://{address}/")
        seen.add(re.search(r"from pod (\S+)", text).group(1))  # type: ignore[union-attr]
    assert seen == pods
    # A pod that asks through its own Service may be answered by itself.
    own = next(iter(pods))
    asks = f"for i in $(seq 40); do wget -q -O - http://{address}/; done"  # so many that none is missed by chance
    hairpin = set(cluster.kubectl("-n", hello, "exec", own, "--", "sh", "-c", asks).splitlines())
    assert len(hairpin) == 3


def test_looking(cluster: UpCluster, hello: str) -> None:
    wide = cluster.kubectl("-n", hello, "get", "pods", "-o", "wide")
    assert re.search(r"^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE", wide)
    assert wide.count("1/1     Running") == 3
    deployments = cluster.kubectl("-n", hello, "get", "deployment")
    assert re.search(r"hello +3/3 +3 +3", deployments)
    pod = cluster.get("-n", hello, "pods")["items"][0]["metadata"]["name"]
    described = cluster.kubectl("-n", hello, "describe", "pod", pod)
    for words in ("Readiness:", "Liveness:", "Started container web", "Successfully assigned", "ConfigMap"):
        assert words in described, words
    assert "ScalingReplicaSet" in cluster.kubectl("-n", hello, "describe", "deployment", "hello")
    assert "Endpoints:" in cluster.kubectl("-n", hello, "describe", "service", "hello")
    assert "replicas" in cluster.kubectl("explain", "deployment.spec")
    assert "containerPort" in cluster.kubectl("explain", "pod.spec.containers.ports", "--recursive")
    assert "Ready" in cluster.kubectl("get", "nodes")


def test_logs_and_exec(cluster: UpCluster, hello: str) -> None:
    pod = cluster.get("-n", hello, "pods")["items"][0]["metadata"]["name"]
    follow = cluster.background("-n", hello, "logs", "-f", pod)
    try:
        eventually("the probe's request is logged", lambda: "url:/" in cluster.kubectl("-n", hello, "logs", pod))
        assert follow.stdout is not None
        assert follow.stdout.readline() != ""
    finally:
        follow.terminate()
        follow.wait()
    assert cluster.kubectl("-n", hello, "exec", pod, "--", "cat", "/www/cgi-bin/index.cgi").startswith("#!/bin/sh")
    assert cluster.kubectl("-n", hello, "exec", pod, "--", "sh", "-c", "echo $GREETING").strip() == "Hello from orlop"
    assert cluster.kubectl("-n", hello, "exec", "-i", pod, "--", "cat", input="over stdin\n") == "over stdin\n"
    failed = cluster.kubectl_fails("-n", hello, "exec", pod, "--", "sh", "-c", "exit 7")
    assert "exit code 7" in failed


def test_scale_update_and_undo(cluster: UpCluster, hello: str) -> None:
    cluster.kubectl("-n", hello, "scale", "deployment/hello", "--replicas=5")
    cluster.kubectl(
        "-n", hello, "wait", "--for=jsonpath={.status.readyReplicas}=5", "deployment/hello", "--timeout=30s"
    )
    cluster.kubectl("-n", hello, "scale", "deployment/hello", "--replicas=2")
    eventually("two pods are left", lambda: len(cluster.get("-n", hello, "pods")["items"]) == 2)
    before = cluster.get("-n", hello, "deployment", "hello")["spec"]["template"]
    cluster.kubectl("-n", hello, "set", "image", "deployment/hello", "web=orlop-hello:missing")
    eventually(
        "the bad update is named",
        lambda: re.search("ErrImagePull|ImagePullBackOff", cluster.kubectl("-n", hello, "get", "pods")),
    )
    available = cluster.get("-n", hello, "deployment", "hello")["status"]["availableReplicas"]
    assert available == 2, "a bad update takes nothing away"
    cluster.kubectl("-n", hello, "rollout", "undo", "deployment/hello")
    cluster.kubectl("-n", hello, "rollout", "status", "deployment/hello", "--timeout=30s")
    assert cluster.get("-n", hello, "deployment", "hello")["spec"]["template"] == before
    assert "REVISION" in cluster.kubectl("-n", hello, "rollout", "history", "deployment/hello")


def test_apply_dry_run_and_diff(cluster: UpCluster, hello: str) -> None:
    manifest = (EXAMPLES / "hello" / "hello.yaml").read_text().replace("replicas: 3", "replicas: 4")
    dry = cluster.kubectl("-n", hello, "apply", "--dry-run=server", "-f", "-", input=manifest)
    assert "deployment.apps/hello configured (server dry run)" in dry
    assert cluster.get("-n", hello, "deployment", "hello")["spec"]["replicas"] == 3
    difference = cluster.kubectl_fails("-n", hello, "diff", "-f", "-", input=manifest)
    assert re.search(r"^-  replicas: 3$", difference, re.MULTILINE)
    assert re.search(r"^\+  replicas: 4$", difference, re.MULTILINE)
    assert "deployment.apps/hello configured" in cluster.kubectl("-n", hello, "apply", "-f", "-", input=manifest)
    assert "deployment.apps/hello unchanged" in cluster.kubectl("-n", hello, "apply", "-f", "-", input=manifest)
    typo = manifest.replace("replicas: 4", "replicsa: 4")
    assert 'unknown field "spec.replicsa"' in cluster.kubectl_fails("-n", hello, "apply", "-f", "-", input=typo)


def test_watch_wait_and_delete(cluster: UpCluster, hello: str) -> None:
    watch = cluster.background("-n", hello, "get", "pods", "-w")
    try:
        assert watch.stdout is not None
        for _ in range(4):
            watch.stdout.readline()
        cluster.kubectl("-n", hello, "wait", "--for=condition=available", "deployment/hello", "--timeout=20s")
        cluster.kubectl("-n", hello, "delete", "-f", str(EXAMPLES / "hello"), "--timeout=60s")
        deadline = time.monotonic() + 30
        while "Terminating" not in watch.stdout.readline():
            assert time.monotonic() < deadline
    finally:
        watch.terminate()
        watch.wait()
    eventually("nothing is left", lambda: not cluster.get("-n", hello, "pods,replicasets")["items"])
    eventually(
        "no node has any of its containers",
        lambda: not any(containers(cluster, node, hello) for node in ("real", "node2", "node3")),
    )
