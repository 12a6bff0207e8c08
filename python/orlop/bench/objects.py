"""What loads make: pods of the size that a Deployment makes, and what kubelets tell of them."""

from typing import Any

import msgspec

CONTAINER, IMAGE = "web", "registry.local/web:1.2.3"


def running(ip: str, since: str, container: str = CONTAINER, image: str = IMAGE) -> dict[str, Any]:
    """What a kubelet tells of a pod with one container that runs and is Ready."""
    types = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
    told = {
        "name": container,
        "image": image,
        "imageID": "sha256:0",
        "containerID": "containerd://0",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": since}},
    }
    return {
        "phase": "Running",
        "podIP": ip,
        "podIPs": [{"ip": ip}],
        "hostIP": "127.0.0.1",
        "hostIPs": [{"ip": "127.0.0.1"}],
        "startTime": since,
        "conditions": [{"type": type_, "status": "True", "lastTransitionTime": since} for type_ in types],
        "containerStatuses": [told],
    }


def pod(number: int, different: bool = False) -> bytes:
    """A pod in JSON; with `different` no other has its spec."""
    port = 10_000 + number % 50_000 if different else 8080
    container = {
        "name": CONTAINER,
        "image": IMAGE,
        "command": ["/bin/web", f"--port={port}", *([f"--number={number}"] if different else [])],
        "ports": [{"containerPort": port, "protocol": "TCP"}],
        "env": [
            {"name": "A", "value": "1"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        ],
        "resources": {"requests": {"cpu": "100m", "memory": "64Mi"}, "limits": {"cpu": "200m", "memory": "128Mi"}},
        "readinessProbe": {"httpGet": {"path": "/", "port": port}, "periodSeconds": 5},
    }
    metadata = {
        "name": f"p-{number:06}",
        "labels": {"app": "web", "tier": "front", "shard": str(number % 10)},
        "annotations": {"bench/note": "a pod of the size that a Deployment makes"},
    }
    spec = {"containers": [container], "nodeSelector": {"bench/none": "yes"}}
    return msgspec.json.encode({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
