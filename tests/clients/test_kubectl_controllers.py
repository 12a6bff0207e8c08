"""What controllers keep, as kubectl shows it: a whole control plane and the real kubectl."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import orlop
from tests.apiserver.test_kubectl import KUBECTL

pytestmark = pytest.mark.skipif(not KUBECTL.exists(), reason="kubectl is not in the environment")

POD = """
apiVersion: v1
kind: Pod
metadata: {name: NAME, labels: {app: web}}
spec: {containers: [{name: web, image: "img:1"}]}
"""


class Shell:
    """kubectl against the cluster."""

    def __init__(self, config: Path) -> None:
        self._config = config

    def __call__(self, *words: str, stdin: str = "", fails: bool = False) -> str:
        command = [str(KUBECTL), "--kubeconfig", str(self._config), *words]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, timeout=60, check=False)
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done.stdout + done.stderr

    def as_with(self, token: str, config: Path) -> "Shell":
        """The same cluster as whom the token names."""
        config.write_text(self._config.read_text())
        other = Shell(config)
        other("config", "set-credentials", "bearer", f"--token={token}")
        other("config", "set-context", "--current", "--user=bearer")
        return other

    def until(self, wanted: Callable[[str], bool], *words: str) -> str:
        """The first output that is as wanted."""
        deadline = time.monotonic() + 30
        while True:
            said = self(*words)
            if wanted(said):
                return said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)


@pytest.fixture(scope="module")
def kubectl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    with orlop.Cluster(port=0) as cluster:
        file = tmp_path_factory.mktemp("kubectl") / "kubeconfig"
        file.write_text(cluster.kubeconfig())
        yield Shell(file)


def test_quotas_and_limits(kubectl: Shell) -> None:
    kubectl("create", "namespace", "held")
    kubectl("-n", "held", "create", "quota", "few", "--hard=pods=2,requests.cpu=1,count/configmaps=2,services=1")
    limits = """
apiVersion: v1
kind: LimitRange
metadata: {name: usual, namespace: held}
spec: {limits: [{type: Container, defaultRequest: {cpu: 300m}, default: {cpu: 500m}, max: {cpu: "1"}}]}
"""
    kubectl("apply", "-f", "-", stdin=limits)
    kubectl.until(lambda said: "pods: 0/2" in said, "-n", "held", "get", "quota", "few")
    kubectl.until(lambda said: "default" in said, "-n", "held", "get", "serviceaccounts")
    for name in "ab":
        kubectl("-n", "held", "apply", "-f", "-", stdin=POD.replace("NAME", name))
    described = kubectl("-n", "held", "describe", "quota", "few")
    lines = [line.split() for line in described.splitlines()]
    assert ["pods", "2", "2"] in lines
    assert ["requests.cpu", "600m", "1"] in lines
    refused = kubectl("-n", "held", "apply", "-f", "-", stdin=POD.replace("NAME", "c"), fails=True)
    assert 'pods "c" is forbidden: exceeded quota: few, requested: pods=1, used: pods=2, limited: pods=2' in refused
    dear = POD.replace("NAME", "d").replace('"img:1"', '"img:1", resources: {limits: {cpu: "2"}}')
    refused = kubectl("-n", "held", "apply", "-f", "-", stdin=dear, fails=True)
    assert "maximum cpu usage per Container is 1, but limit is 2" in refused
    kubectl("-n", "held", "delete", "pod", "a", "--now")
    kubectl.until(lambda said: "pods: 1/2" in said, "-n", "held", "get", "quota", "few")
    kubectl("-n", "held", "apply", "-f", "-", stdin=POD.replace("NAME", "c"))
    assert "usual" in kubectl("-n", "held", "describe", "limits")


def test_a_deployment_says_that_a_quota_holds_it(kubectl: Shell) -> None:
    kubectl("create", "namespace", "tight")
    kubectl("-n", "tight", "create", "quota", "two", "--hard=pods=2")
    kubectl.until(lambda said: "pods: 0/2" in said, "-n", "tight", "get", "quota", "two")
    kubectl("-n", "tight", "create", "deployment", "web", "--image=img:1", "--replicas=4")
    kubectl.until(lambda said: "2/4" in said, "-n", "tight", "get", "deployment", "web")
    told = kubectl.until(lambda said: "exceeded quota" in said, "-n", "tight", "describe", "replicaset")
    assert "exceeded quota: two, requested: pods=1, used: pods=2, limited: pods=2" in told
    kubectl("-n", "tight", "patch", "quota", "two", "--type=merge", "-p", '{"spec": {"hard": {"pods": "4"}}}')
    kubectl("-n", "tight", "rollout", "status", "deployment/web", "--timeout=60s")


def test_endpoints_old_and_new(kubectl: Shell) -> None:
    kubectl("create", "deployment", "web", "--image=img:1", "--replicas=2")
    kubectl("expose", "deployment", "web", "--port=80", "--target-port=8080")
    said = kubectl.until(lambda said: said.count(":8080") == 2, "get", "endpoints", "web")
    assert "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice" in said
    kubectl("create", "service", "clusterip", "db", "--tcp=5432")
    kubectl("patch", "service", "db", "--type=json", "-p", '[{"op": "remove", "path": "/spec/selector"}]')
    by_hand = """
apiVersion: v1
kind: Endpoints
metadata: {name: db}
subsets: [{addresses: [{ip: 192.0.2.7}], ports: [{port: 5432}]}]
"""
    kubectl("delete", "endpoints", "db", "--ignore-not-found")
    kubectl("apply", "-f", "-", stdin=by_hand)
    words = ("get", "endpointslices", "-l", "kubernetes.io/service-name=db", "-o", "json")
    said = kubectl.until(lambda said: "192.0.2.7" in said, *words)
    assert "endpointslicemirroring-controller.k8s.io" in said


def test_tokens_sign_and_end(kubectl: Shell) -> None:
    kubectl("-n", "kube-public", "create", "configmap", "cluster-info", "--from-literal=kubeconfig=config")
    secret = ("token-id=abcdef", "token-secret=0123456789abcdef", "usage-bootstrap-signing=true")
    kubectl(
        *("-n", "kube-system", "create", "secret", "generic", "bootstrap-token-abcdef"),
        "--type=bootstrap.kubernetes.io/token",
        *(f"--from-literal={text}" for text in secret),
    )
    words = ("-n", "kube-public", "get", "configmap", "cluster-info", "-o", "json")
    data = json.loads(kubectl.until(lambda said: "jws-kubeconfig-abcdef" in said, *words))["data"]
    assert data["jws-kubeconfig-abcdef"].startswith("eyJhbGciOiJIUzI1NiIsImtpZCI6ImFiY2RlZiJ9..")
    over = '{"stringData": {"expiration": "2020-01-01T00:00:00Z"}}'
    kubectl("-n", "kube-system", "patch", "secret", "bootstrap-token-abcdef", "--type=merge", "-p", over)
    kubectl.until(lambda said: "bootstrap" not in said, "-n", "kube-system", "get", "secrets")
    kubectl.until(lambda said: "jws-kubeconfig" not in said, *words)


def test_nodes_learn_how_long_to_keep_what_they_read(kubectl: Shell) -> None:
    kubectl.until(
        lambda said: 'node.alpha.kubernetes.io/ttl":"0"' in said,
        "get",
        "nodes",
        "--output=jsonpath={.items[*].metadata.annotations}",
    )


def test_a_token_that_does_not_end(kubectl: Shell, tmp_path: Path) -> None:
    """As dashboards and build servers use it: a Secret asks for a token of its account, and goes on counting."""
    kubectl("create", "serviceaccount", "robot")
    kubectl("create", "rolebinding", "robot", "--clusterrole=view", "--serviceaccount=default:robot")
    secret = """
apiVersion: v1
kind: Secret
metadata: {name: robot, annotations: {kubernetes.io/service-account.name: robot}}
type: kubernetes.io/service-account-token
"""
    kubectl("apply", "-f", "-", stdin=secret)
    words = ("get", "secret", "robot", "-o", "go-template={{with .data.token}}{{. | base64decode}}{{end}}")
    token = kubectl.until(lambda said: said.count(".") == 2, *words)
    described = kubectl("describe", "secret", "robot")
    assert "namespace:  7 bytes" in described
    robot = kubectl.as_with(token, tmp_path / "kubeconfig")
    assert "system:serviceaccount:default:robot" in robot("auth", "whoami")
    robot("get", "pods")
    assert "forbidden" in robot("get", "nodes", fails=True)
    kubectl("delete", "secret", "robot")
    assert "Unauthorized" in robot("get", "pods", fails=True)
