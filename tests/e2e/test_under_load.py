"""A client that asks in a loop, through the Service, sees no failed request whatever is done to the pods behind it."""

import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.conftest import IMAGE
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.root]

CLIENTS = 2
MANIFEST = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web}}
spec:
  replicas: 4
  selector: {{matchLabels: {{app: web}}}}
  strategy: {{rollingUpdate: {{maxUnavailable: 1, maxSurge: 1}}}}
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 20
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {{matchLabels: {{app: web}}}}
      containers:
        - name: web
          image: "{IMAGE}"
          command: [httpd, -f, -p, "8080", -h, /www]
          env: [{{name: VERSION, value: "1"}}]
          readinessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 1}}
          livenessProbe: {{httpGet: {{path: /, port: 8080}}, periodSeconds: 5}}
          lifecycle: {{preStop: {{sleep: {{seconds: 3}}}}}}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: {{name: web}}
spec: {{maxUnavailable: 1, selector: {{matchLabels: {{app: web}}}}}}
---
apiVersion: v1
kind: Service
metadata: {{name: web}}
spec: {{selector: {{app: web}}, ports: [{{port: 80, targetPort: 8080}}]}}
"""


class Load:
    """Requests one after another, each over a connection of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._stop = threading.Event()
        self.answered = 0
        self.failed: list[str] = []

    def work(self) -> None:
        while not self._stop.is_set():
            try:
                with urllib.request.urlopen(self._url, timeout=10) as answer:
                    answer.read()
                self.answered += 1
            except OSError as error:
                self.failed.append(repr(error))

    @contextmanager
    def running(self) -> Iterator[None]:
        workers = [threading.Thread(target=self.work) for _ in range(CLIENTS)]
        for worker in workers:
            worker.start()
        try:
            yield
        finally:
            self._stop.set()
            for worker in workers:
                worker.join()


def pods(cluster: UpCluster, namespace: str) -> dict[str, str]:
    """The nodes of the pods that are to stay, by name."""
    items = cluster.get("-n", namespace, "pods", "-l", "app=web")["items"]
    return {
        p["metadata"]["name"]: p["spec"].get("nodeName", "") for p in items if "deletionTimestamp" not in p["metadata"]
    }


def test_updates_scaling_and_drains_fail_no_request(cluster: UpCluster, namespace: str) -> None:
    def kubectl(*words: str, input: str | None = None) -> str:
        return cluster.kubectl("-n", namespace, *words, input=input)

    def rolled_out() -> None:
        kubectl("rollout", "status", "deployment/web", "--timeout=80s")

    kubectl("apply", "-f", "-", input=MANIFEST)
    rolled_out()
    url = f"http://{cluster.get('-n', namespace, 'service', 'web')['spec']['clusterIP']}/"
    load = Load(url)
    eventually("the Service answers", lambda: urllib.request.urlopen(url, timeout=3).status == 200, 10)
    with load.running():
        eventually("requests are answered", lambda: load.answered > 20)
        first = pods(cluster, namespace)
        kubectl("set", "env", "deployment/web", "VERSION=2")
        rolled_out()
        second = pods(cluster, namespace)
        assert not first.keys() & second.keys()
        assert load.failed == [], "while it was updated"
        kubectl("scale", "deployment/web", "--replicas=6")
        rolled_out()
        kubectl("scale", "deployment/web", "--replicas=3")
        rolled_out()
        eventually("three pods are left", lambda: len(pods(cluster, namespace)) == 3)
        assert load.failed == [], "while it was scaled"
        node = next(iter(pods(cluster, namespace).values()))
        try:
            told = cluster.kubectl("drain", node, "--pod-selector=app=web", "--timeout=80s")
            assert "evicted" in told
            rolled_out()
            assert node not in pods(cluster, namespace).values()
        finally:
            cluster.kubectl("uncordon", node)
        assert load.failed == [], "while a node was drained"
        kubectl("rollout", "undo", "deployment/web")
        rolled_out()
        seen = load.answered
        eventually("requests are answered still", lambda: load.answered > seen + 20)
    assert load.failed == []
