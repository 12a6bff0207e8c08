"""Pods as clients of the API: by name, with their own token, as far as roles go; and an operator in the cluster."""

import json
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import EXAMPLES, IMAGE
from tests.e2e.test_dns import start
from tests.support.cluster import Failed, UpCluster, eventually
from tests.support.machine_files import PYTHON, mounted
from tests.support.runtime_view import pids_of

pytestmark = [pytest.mark.e2e, pytest.mark.root]

CLIENT = """
import json, ssl, sys, urllib.error, urllib.request
folder = "/var/run/secrets/kubernetes.io/serviceaccount/"
context = ssl.create_default_context(cafile=folder + "ca.crt")
context.verify_flags |= ssl.VERIFY_X509_STRICT
token = open(folder + "token").read()
for url in sys.argv[1:]:
    request = urllib.request.Request(url, headers={"Authorization": "Bearer " + token})
    try:
        with urllib.request.urlopen(request, context=context, timeout=5) as answer:
            print(json.dumps([answer.status, json.load(answer)]))
    except urllib.error.HTTPError as error:
        print(json.dumps([error.code, json.load(error)]))
"""


def call(cluster: UpCluster, namespace: str, *urls: str) -> list[Any]:
    """(status, body) of each URL, asked from the pod `asker`, certificate checked strictly."""
    out = cluster.kubectl("-n", namespace, "exec", "asker", "--", PYTHON, "-c", CLIENT, *urls)
    return [json.loads(line) for line in out.splitlines()]


def test_the_api_answers_by_every_name_and_roles_decide(cluster: UpCluster, namespace: str) -> None:
    start(cluster, namespace, "asker", machine=True)
    path = f"/api/v1/namespaces/{namespace}/pods"
    hosts = [
        "kubernetes.default.svc",
        "kubernetes.default",
        "kubernetes.default.svc.cluster.local",
        "10.232.0.1",
    ]
    refused = (
        f'pods is forbidden: User "system:serviceaccount:{namespace}:default" cannot list resource "pods" in API group '
        f'"" in the namespace "{namespace}"'
    )
    for status, body in call(cluster, namespace, *(f"https://{host}{path}" for host in hosts)):
        assert status == 403
        assert body["message"] == refused
        assert body["reason"] == "Forbidden"
    cluster.kubectl("-n", namespace, "create", "role", "look", "--verb=list", "--resource=pods")
    cluster.kubectl(
        "-n", namespace, "create", "rolebinding", "look", "--role=look", f"--serviceaccount={namespace}:default"
    )
    ((status, body),) = call(cluster, namespace, f"https://kubernetes.default.svc{path}")
    assert status == 200
    assert [pod["metadata"]["name"] for pod in body["items"]] == ["asker"]
    ((status, _),) = call(cluster, namespace, "https://kubernetes.default.svc/api/v1/namespaces/default/pods")
    assert status == 403


def test_a_pod_that_wants_no_token_has_none(cluster: UpCluster, namespace: str) -> None:
    start(cluster, namespace, "plain", automountServiceAccountToken=False)
    with pytest.raises(Failed, match="No such file"):
        cluster.kubectl("-n", namespace, "exec", "plain", "--", "ls", "/var/run/secrets/kubernetes.io")


# --- an operator


@pytest.fixture
def operator(cluster: UpCluster, namespace: str) -> Iterator[str]:
    """The namespace in which examples/operator runs as a Deployment, on the machine's own Python."""
    pytest.importorskip("kopf")
    cluster.kubectl("-n", namespace, "apply", "-f", str(EXAMPLES / "operator" / "rbac.yaml"))
    # What kopf looks at beside its own objects (docs.kopf.dev, deployment).
    role = f"kopf-{namespace}"
    cluster.kubectl("create", "clusterrole", role, "--verb=list,watch", "--resource=namespaces")
    cluster.kubectl(
        "create", "clusterrolebinding", role, f"--clusterrole={role}", f"--serviceaccount={namespace}:operator"
    )
    code = f"--from-file={EXAMPLES / 'operator' / 'operator.py'}"
    cluster.kubectl("-n", namespace, "create", "configmap", "operator-code", code)
    container, volumes = mounted(
        {
            "name": "kopf",
            "image": IMAGE,
            "command": [PYTHON, "-m", "kopf", "run", "--standalone", "--liveness=http://0.0.0.0:8080/healthz"],
            "args": [f"--namespace={namespace}", "/operator/operator.py"],
            "volumeMounts": [{"name": "code", "mountPath": "/operator"}],
            "livenessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "initialDelaySeconds": 20},
            "readinessProbe": {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 1},
        }
    )
    volumes.append({"name": "code", "configMap": {"name": "operator-code"}})
    labels = {"app": "operator"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "operator"},
        "spec": {
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "serviceAccountName": "operator",
                    "terminationGracePeriodSeconds": 3,
                    "containers": [container],
                    "volumes": volumes,
                },
            },
        },
    }
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(deployment))
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/operator", "--timeout=60s")
    yield namespace
    cluster.kubectl("-n", namespace, "delete", "deployment", "operator", "--wait=false")
    for kind in ("clusterrolebinding", "clusterrole"):
        cluster.kubectl("delete", kind, role)
    # Its finalizers would hold the namespace, now that nobody takes them away.
    for name in ("a", "b", "c"):
        cluster.kubectl(
            "-n", namespace, "patch", "configmap", name, "--type=merge", "-p", '{"metadata":{"finalizers":null}}'
        )


def want(cluster: UpCluster, namespace: str, name: str, text: str) -> None:
    manifest = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "labels": {"shout": "wanted"}},
        "data": {"text": text},
    }
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(manifest))


def loud(cluster: UpCluster, namespace: str, name: str) -> str:
    text: str = cluster.get("-n", namespace, "configmap", f"{name}-loud")["data"]["text"]
    return text


def the_pod(cluster: UpCluster, namespace: str) -> dict[str, Any]:
    pods = cluster.get("-n", namespace, "pods", "-l", "app=operator")["items"]
    running: dict[str, Any] = next(p for p in pods if "deletionTimestamp" not in p["metadata"])
    return running


def test_an_operator_in_the_cluster_works_is_killed_and_catches_up(cluster: UpCluster, operator: str) -> None:
    want(cluster, operator, "a", "one")
    eventually("the operator acts", lambda: loud(cluster, operator, "a") == "ONE")
    owner = cluster.get("-n", operator, "configmap", "a-loud")["metadata"]["ownerReferences"][0]
    assert (owner["kind"], owner["name"]) == ("ConfigMap", "a")

    # kill -9 of its process: the container is started again, and what happened meanwhile is not lost.
    pod = the_pod(cluster, operator)
    container = pod["status"]["containerStatuses"][0]["containerID"].split("://")[1]
    os.kill(pids_of(cluster, pod["spec"]["nodeName"], container)[0], signal.SIGKILL)
    want(cluster, operator, "b", "two")
    want(cluster, operator, "a", "one again")
    eventually("it caught up", lambda: loud(cluster, operator, "b") == "TWO", 60)
    eventually("also with what changed", lambda: loud(cluster, operator, "a") == "ONE AGAIN")
    assert the_pod(cluster, operator)["status"]["containerStatuses"][0]["restartCount"] == 1

    # Its pod deleted: another one takes over.
    cluster.kubectl("-n", operator, "delete", "pod", pod["metadata"]["name"], "--now")
    want(cluster, operator, "c", "three")
    eventually("another one took over", lambda: loud(cluster, operator, "c") == "THREE", 60)
    assert the_pod(cluster, operator)["metadata"]["name"] != pod["metadata"]["name"]
