"""Names in real pods: what busybox and what the C library make of them, on both networks."""

import json
import os
import re
import signal
from typing import Any

import pytest

from tests.e2e.conftest import EXAMPLES, IMAGE
from tests.support.cluster import UpCluster, eventually
from tests.support.machine_files import PYTHON, mounted

pytestmark = [pytest.mark.e2e, pytest.mark.root]

GETADDRINFO = """
import json, socket, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = sorted({a[4][0] for a in socket.getaddrinfo(name, 80)})
    except socket.gaierror as error:
        found[name] = error.strerror
print(json.dumps(found))
"""


def pod(name: str, container: dict[str, Any], **spec: Any) -> str:
    volumes = spec.pop("volumes", [])
    container = {"name": "main", "image": IMAGE, "command": ["sleep", "3600"], **container}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name, "labels": {"app": name}},
            "spec": {
                "containers": [container],
                "volumes": volumes,
                "terminationGracePeriodSeconds": 0,
                **spec,
            },
        }
    )


def start(cluster: UpCluster, namespace: str, name: str, *, machine: bool = False, **spec: Any) -> None:
    container, volumes = mounted({}) if machine else ({}, [])
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=pod(name, container, volumes=volumes, **spec))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", f"pod/{name}", "--timeout=30s")


def service(name: str, **spec: Any) -> str:
    made = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}], **spec}
    return json.dumps({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": made})


@pytest.fixture
def hello(cluster: UpCluster, namespace: str) -> str:
    cluster.kubectl("-n", namespace, "apply", "-f", str(EXAMPLES / "hello"))
    cluster.kubectl("-n", namespace, "rollout", "status", "deployment/hello", "--timeout=60s")
    return namespace


def ask(cluster: UpCluster, namespace: str, asker: str, *words: str) -> str:
    return cluster.kubectl("-n", namespace, "exec", asker, "--", *words)


def test_short_and_long_names_of_a_service(cluster: UpCluster, hello: str) -> None:
    address = cluster.get("-n", hello, "service", "hello")["spec"]["clusterIP"]
    start(cluster, hello, "asker")
    assert "Hello from orlop" in ask(cluster, hello, "asker", "wget", "-q", "-O", "-", "http://hello/")
    for name in (f"hello.{hello}", f"hello.{hello}.svc", f"hello.{hello}.svc.cluster.local"):
        assert "Hello from orlop" in ask(cluster, hello, "asker", "wget", "-q", "-O", "-", f"http://{name}/")
    answer = ask(cluster, hello, "asker", "nslookup", f"hello.{hello}.svc.cluster.local")
    assert f"Address: {address}" in answer
    assert f"hello.{hello}.svc.cluster.local" in ask(cluster, hello, "asker", "nslookup", address)
    missing = cluster.kubectl_fails("-n", hello, "exec", "asker", "--", "nslookup", f"nope.{hello}.svc.cluster.local")
    assert "NXDOMAIN" in missing
    resolv = ask(cluster, hello, "asker", "cat", "/etc/resolv.conf")
    assert resolv.startswith(f"search {hello}.svc.cluster.local svc.cluster.local cluster.local")
    assert re.search(r"^nameserver 10\.231\.\d+\.1$", resolv, re.MULTILINE)
    assert "options ndots:5" in resolv


def test_the_c_library_in_pods_of_both_networks(cluster: UpCluster, hello: str) -> None:
    address = cluster.get("-n", hello, "service", "hello")["spec"]["clusterIP"]
    asked = ["hello", f"hello.{hello}", f"hello.{hello}.svc.cluster.local", "kubernetes.default", "nope"]
    for name, spec in (
        ("inside", {}),
        ("outside", {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"}),
    ):
        start(cluster, hello, name, machine=True, **spec)
        found = json.loads(ask(cluster, hello, name, PYTHON, "-c", GETADDRINFO, *asked))
        assert [found[n] for n in asked[:3]] == [[address]] * 3, name
        assert found["kubernetes.default"] == ["10.232.0.1"]
        assert isinstance(found["nope"], str)


def test_headless_services_pod_names_and_external_names(cluster: UpCluster, namespace: str) -> None:
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=service("db", clusterIP="None"))
    external = {"type": "ExternalName", "externalName": f"db-0.db.{namespace}.svc.cluster.local", "selector": None}
    cluster.kubectl("-n", namespace, "apply", "-f", "-", input=service("alias", **external))
    for n in range(2):
        manifest = json.loads(pod(f"db-{n}", {}, hostname=f"db-{n}", subdomain="db"))
        manifest["metadata"]["labels"]["app"] = "db"
        cluster.kubectl("-n", namespace, "apply", "-f", "-", input=json.dumps(manifest))
    cluster.kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod/db-0", "pod/db-1", "--timeout=30s")
    ips = {p["metadata"]["name"]: p["status"]["podIP"] for p in cluster.get("-n", namespace, "pods")["items"]}
    start(cluster, namespace, "asker", machine=True)

    def found(*names: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(ask(cluster, namespace, "asker", PYTHON, "-c", GETADDRINFO, *names))
        return answer

    eventually("both pods are there", lambda: found("db")["db"] == sorted(ips.values()))
    assert found("db-0.db", "db-1.db", "alias") == {
        "db-0.db": [ips["db-0"]],
        "db-1.db": [ips["db-1"]],
        "alias": [ips["db-0"]],
    }
    # A pod calls itself by its full name.
    assert ask(cluster, namespace, "db-0", "hostname", "-f").strip() == f"db-0.db.{namespace}.svc.cluster.local"
    cluster.kubectl("-n", namespace, "delete", "pod", "db-0", "--now")
    eventually("the pod's names are gone", lambda: isinstance(found("db-0.db")["db-0.db"], str))


def test_a_pod_s_own_policy(cluster: UpCluster, namespace: str) -> None:
    config = {"nameservers": ["192.0.2.53"], "searches": ["example.com"], "options": [{"name": "ndots", "value": "2"}]}
    start(cluster, namespace, "own", dnsPolicy="None", dnsConfig=config)
    assert ask(cluster, namespace, "own", "cat", "/etc/resolv.conf").splitlines() == [
        "search example.com",
        "nameserver 192.0.2.53",
        "options ndots:2",
    ]
    start(cluster, namespace, "added", dnsConfig={"searches": ["example.com"], "options": [{"name": "edns0"}]})
    added = ask(cluster, namespace, "added", "cat", "/etc/resolv.conf")
    assert added.splitlines()[0].endswith(" example.com")
    assert "options ndots:5 edns0" in added


def test_kube_dns_answers_and_tools_find_it(cluster: UpCluster, namespace: str) -> None:
    assert cluster.get("-n", "kube-system", "service", "kube-dns")["spec"]["clusterIP"] == "10.232.0.10"
    start(cluster, namespace, "asker")
    name = "kubernetes.default.svc.cluster.local"
    eventually(
        "the Service's address answers",
        lambda: "10.232.0.1" in ask(cluster, namespace, "asker", "nslookup", name, "10.232.0.10"),
    )
    assert "services/kube-dns:dns/proxy" in cluster.kubectl("cluster-info")


def test_answers_come_again_after_the_node_s_process_was_killed(cluster: UpCluster, namespace: str) -> None:
    start(cluster, namespace, "asker")
    name = "kubernetes.default.svc.cluster.local"
    assert "10.232.0.1" in ask(cluster, namespace, "asker", "nslookup", name)
    before = cluster.state()["children"]["node"]["pid"]
    os.kill(before, signal.SIGKILL)
    eventually("another process runs", lambda: cluster.state()["children"]["node"]["pid"] not in (0, before))
    eventually("it answers", lambda: "10.232.0.1" in ask(cluster, namespace, "asker", "nslookup", name))


def test_the_variables_of_services(cluster: UpCluster, hello: str) -> None:
    address = cluster.get("-n", hello, "service", "hello")["spec"]["clusterIP"]
    start(cluster, hello, "linked")
    linked = dict(line.split("=", 1) for line in ask(cluster, hello, "linked", "env").splitlines())
    assert (linked["KUBERNETES_SERVICE_HOST"], linked["KUBERNETES_SERVICE_PORT"]) == ("10.232.0.1", "443")
    assert (linked["HELLO_SERVICE_HOST"], linked["HELLO_SERVICE_PORT"]) == (address, "80")
    start(cluster, hello, "plain", enableServiceLinks=False)
    plain = ask(cluster, hello, "plain", "env")
    assert "KUBERNETES_SERVICE_HOST=10.232.0.1" in plain
    assert "HELLO_" not in plain
