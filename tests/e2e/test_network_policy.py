"""NetworkPolicies as a user sees them: kubectl, a Service, pods of several nodes."""

import subprocess
from typing import Any

import pytest

from tests.e2e.conftest import EXAMPLES
from tests.e2e.test_dns import ask, start
from tests.support.cluster import ORLOP, Failed, UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root]


def policy(name: str, **spec: Any) -> dict[str, Any]:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name}, "spec": spec}


DENY = policy("deny", podSelector={}, policyTypes=["Ingress"])
ALLOW = policy(
    "hello-from-friend",
    podSelector={"matchLabels": {"app": "hello"}},
    ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": "http"}]}],
)


def hears(cluster: UpCluster, namespace: str, asker: str, seconds: str = "5") -> bool:
    return "Hello" in ask(cluster, namespace, asker, "timeout", seconds, "wget", "-q", "-O", "-", "http://hello/")


def is_kept_out(cluster: UpCluster, namespace: str, asker: str) -> bool:
    try:
        return not hears(cluster, namespace, asker, "2")
    except Failed:
        return True


def test_a_policy_keeps_strangers_out_and_lets_friends_in(cluster: UpCluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "apply", "-f", str(EXAMPLES / "hello"))
    for name, node in (("friend", "real"), ("stranger", "node2")):
        start(cluster, namespace, name, nodeName=node)
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/hello", "--timeout=60s")
    for name in ("friend", "stranger"):
        eventually(f"the {name} is let in", lambda name=name: hears(cluster, namespace, name))
    cluster.apply(namespace, DENY)
    eventually("the friend is kept out with everybody", lambda: is_kept_out(cluster, namespace, "friend"))
    cluster.apply(namespace, ALLOW)
    eventually("the friend is let in", lambda: hears(cluster, namespace, "friend"))
    assert is_kept_out(cluster, namespace, "stranger")
    where = ["--name", cluster.name, "--data-dir", str(cluster.data)]
    for name, code, said in (("stranger", 1, "hello-from-friend"), ("friend", 0, "allow it")):
        asked = ["net", "why", f"{namespace}/{name}", f"hello.{namespace}:80"]
        why = subprocess.run([*ORLOP, *asked, *where], env=cluster.env, capture_output=True, text=True, timeout=90)
        assert (why.returncode, said in why.stdout) == (code, True), why.stdout
    # Its node's probes are not held: the pods stay Ready under a policy that lets no node in.
    shown = cluster.get("-n", namespace, "deployment", "hello")["status"]
    assert shown["readyReplicas"] == shown["replicas"]
    cluster.kubectl("-n", namespace, "delete", "networkpolicy", "--all")
    eventually("the stranger is let in", lambda: hears(cluster, namespace, "stranger"))
