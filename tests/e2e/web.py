"""A web server in each pod that says its pod's name and who asks, and how to ask from within a pod."""

from tests.support.cluster import UpCluster

SCRIPT = """mkdir -p /tmp/www/cgi-bin
printf '#!/bin/sh\\necho; echo $HOSTNAME ${REMOTE_ADDR}\\n' > /tmp/www/cgi-bin/who
chmod +x /tmp/www/cgi-bin/who
exec httpd -f -p 8080 -h /tmp/www
"""

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 6
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      topologySpreadConstraints:
        - maxSkew: 1
          topologyKey: kubernetes.io/hostname
          whenUnsatisfiable: ScheduleAnyway
          labelSelector: {matchLabels: {app: web}}
      containers:
        - name: main
          image: orlop-hello:1
          command: [sh, -c, "$(SCRIPT)"]
          readinessProbe: {tcpSocket: {port: 8080}, periodSeconds: 1}
          env: [{name: SCRIPT, valueFrom: {configMapKeyRef: {name: web, key: script}}}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  type: NodePort
  selector: {app: web}
  ports: [{port: 80, targetPort: 8080}]
"""


class Web:
    """The deployment in one namespace."""

    def __init__(self, cluster: UpCluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace

    def start(self, replicas: int) -> None:
        """Returns when all pods are ready."""
        self.kubectl("create", "configmap", "web", f"--from-literal=script={SCRIPT}")
        self.kubectl("apply", "-f", "-", input=DEPLOYMENT.replace("replicas: 6", f"replicas: {replicas}"))
        self.rolled_out()

    def rolled_out(self) -> None:
        self.kubectl("rollout", "status", "deployment/web", "--timeout=60s")

    def kubectl(self, *words: str, input: str | None = None) -> str:
        return self._cluster.kubectl("-n", self._namespace, *words, input=input)

    def pods(self) -> dict[str, tuple[str, str]]:
        """Running pods: name → (address, node)."""
        return {
            pod["metadata"]["name"]: (pod["status"].get("podIP", ""), pod["spec"].get("nodeName", ""))
            for pod in self._cluster.get("-n", self._namespace, "pods", "-l", "app=web")["items"]
            if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running"
        }

    def service(self) -> tuple[str, int]:
        """(cluster IP, node port)."""
        spec = self._cluster.get("-n", self._namespace, "service", "web")["spec"]
        return spec["clusterIP"], spec["ports"][0]["nodePort"]

    def ask(self, pod: str, *targets: tuple[str, int]) -> list[tuple[str, str]]:
        """What each target answers to the pod: (the answering pod's name, the address it was asked from)."""
        request = "printf 'GET /cgi-bin/who HTTP/1.0\\r\\n\\r\\n'"
        asks = "; ".join(f"{request} | nc -w 3 {address} {port} | tail -n 1" for address, port in targets)
        answers = self.kubectl("exec", pod, "--", "sh", "-c", asks).splitlines()
        return [(name, client.strip("[]").removeprefix("::ffff:")) for name, client in map(str.split, answers)]
