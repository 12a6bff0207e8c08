"""A HorizontalPodAutoscaler with the cluster's own metrics: pods that burn CPU are joined by others, and left again."""

import pytest

from tests.e2e.conftest import IMAGE
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


@pytest.mark.timeout(240)
def test_load_is_followed_up_and_down(cluster: UpCluster, namespace: str) -> None:
    deployment = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: mill}}
spec:
  selector: {{matchLabels: {{app: mill}}}}
  template:
    metadata: {{labels: {{app: mill}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: mill
        image: {IMAGE}
        command: [sh, -c, "trap 'exit 0' TERM; while :; do test -e /tmp/rest && sleep 1; done"]
        resources: {{requests: {{cpu: 50m}}, limits: {{cpu: 100m}}}}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata: {{name: mill}}
spec:
  scaleTargetRef: {{apiVersion: apps/v1, kind: Deployment, name: mill}}
  maxReplicas: 3
  behavior: {{scaleDown: {{stabilizationWindowSeconds: 0}}}}
  metrics:
  - {{type: Resource, resource: {{name: cpu, target: {{type: Utilization, averageUtilization: 50}}}}}}
"""

    def kubectl(*words: str, input: str | None = None) -> str:
        return cluster.kubectl("-n", namespace, *words, input=input)

    def replicas() -> int:
        return int(cluster.get("-n", namespace, "deployment", "mill")["spec"]["replicas"])

    kubectl("apply", "-f", "-", input=deployment)
    eventually("there are as many as there may be", lambda: replicas() == 3, 100, every=1)
    kubectl("rollout", "status", "deployment/mill", "--timeout=60s")
    for pod in kubectl("get", "pods", "-l", "app=mill", "-o", "name").split():
        kubectl("exec", pod, "--", "touch", "/tmp/rest")
    eventually("one is left", lambda: replicas() == 1, 100, every=1)
    told = kubectl("describe", "hpa", "mill")
    assert "cpu resource utilization (percentage of request) above target" in told
    assert "New size: 1; reason: All metrics below target" in told
    conditions = cluster.get("-n", namespace, "hpa", "mill")["status"]["conditions"]
    assert {"AbleToScale", "ScalingActive", "ScalingLimited"} == {c["type"] for c in conditions}
