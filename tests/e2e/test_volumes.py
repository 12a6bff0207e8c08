"""Volumes of real containers: what a pod wrote is there for the next, on its node, and goes with its claim."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import IMAGE
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


class Namespace:
    """Pods and claims of one test."""

    def __init__(self, cluster: UpCluster, name: str) -> None:
        self.cluster = cluster
        self.name = name

    def kubectl(self, *words: str, input: str | None = None) -> str:
        return self.cluster.kubectl("-n", self.name, *words, input=input)

    def apply(self, *documents: dict[str, Any]) -> None:
        items = {"apiVersion": "v1", "kind": "List", "items": list(documents)}
        self.kubectl("apply", "-f", "-", input=json.dumps(items))

    def get(self, what: str, path: str) -> str:
        return self.kubectl("get", what, "-o", f"jsonpath={{{path}}}")

    def ready(self, pod: str) -> None:
        self.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", "--timeout=90s")

    def sh(self, pod: str, script: str) -> str:
        return self.kubectl("exec", pod, "--", "sh", "-c", script)


@pytest.fixture
def ns(cluster: UpCluster, namespace: str) -> Iterator[Namespace]:
    return Namespace(cluster, namespace)


def claim(name: str, **spec: Any) -> dict[str, Any]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": asked}


def pod(name: str, volume: dict[str, Any], mount: dict[str, Any] | None = None, **spec: Any) -> dict[str, Any]:
    container = {
        "name": "c",
        "image": IMAGE,
        "command": ["sh", "-c", "trap exit TERM; while :; do sleep 0.1; done"],
        "volumeMounts": [{"name": "data", "mountPath": "/data", **(mount or {})}],
    }
    whole = {"containers": [container], "volumes": [{"name": "data", **volume}], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}


DATA = {"persistentVolumeClaim": {"claimName": "data"}}


def test_data_outlives_pods_and_goes_with_its_claim(ns: Namespace) -> None:
    # On another node than this machine itself: the directory is that node's.
    ns.apply(claim("data"), pod("db", DATA, nodeSelector={"kubernetes.io/hostname": "node2"}))
    ns.ready("db")
    ns.sh("db", "echo kept > /data/file; mkdir /data/sub")
    volume = ns.get("pvc/data", ".spec.volumeName")
    directory = Path(ns.get(f"pv/{volume}", ".spec.local.path"))
    assert (directory / "file").read_text() == "kept\n"
    assert "orlop/local-path-directory" in ns.get(f"pv/{volume}", ".metadata.finalizers")
    ns.kubectl("delete", "pod", "db", "--timeout=60s")

    # Made again with no word of a node, it comes to its data.
    ns.apply(pod("db", DATA))
    ns.ready("db")
    assert ns.get("pod/db", ".spec.nodeName") == "node2"
    assert ns.sh("db", "cat /data/file") == "kept\n"

    ns.kubectl("delete", "pvc", "data", "--wait=false")
    assert "Terminating" in ns.kubectl("get", "pvc", "data") + ns.kubectl("describe", "pvc", "data")
    assert ns.sh("db", "cat /data/file") == "kept\n", "the claim in use is kept"
    ns.kubectl("delete", "pod", "db", "--timeout=60s")
    ns.kubectl("wait", "--for=delete", "pvc/data", "--timeout=60s")
    ns.kubectl("wait", "--for=delete", f"pv/{volume}", "--timeout=60s")
    eventually("the directory is gone", lambda: not directory.exists())


def test_group_sub_path_and_read_only(ns: Namespace) -> None:
    user = {"runAsUser": 1000, "runAsGroup": 1000, "fsGroup": 2000}
    ns.apply(claim("data"), pod("writer", DATA, {"subPath": "a/b"}, securityContext=user))
    ns.ready("writer")
    assert ns.sh("writer", "id -G; touch /data/x; stat -c '%g' /data/x").split() == ["1000", "2000", "2000"]
    directory = Path(ns.get(f"pv/{ns.get('pvc/data', '.spec.volumeName')}", ".spec.local.path"))
    assert (directory / "a" / "b" / "x").exists()
    read_only = {"persistentVolumeClaim": {"claimName": "data", "readOnly": True}}
    ns.apply(pod("reader", read_only))
    ns.ready("reader")
    assert ns.sh("reader", "ls /data/a/b; touch /data/y 2>&1 || true") == ("x\ntouch: /data/y: Read-only file system\n")


def test_pods_that_cannot_mount_say_why(ns: Namespace) -> None:
    """Bound to a node by name they pass the scheduler by, so the kubelet waits for their claims."""
    ns.apply(claim("data"), pod("early", DATA, nodeName="real"))
    where = f"{ns.name}/data"
    eventually(
        "the pod says why",
        lambda: (
            (
                "Unable to attach or mount volumes: unmounted volumes=[data], unattached volumes=[], failed to process "
                f"volumes=[data]: error processing PVC {where}: PVC is not bound"
            )
            in ns.kubectl("events", "--for=pod/early"),
        ),
    )
    volume = {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"{ns.name}-block"},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOnce"],
            "volumeMode": "Block",
            "storageClassName": "",
            "claimRef": {"namespace": ns.name, "name": "block"},
            "hostPath": {"path": "/dev/null"},
        },
    }
    mapped = pod("mapped", {"persistentVolumeClaim": {"claimName": "block"}})
    (container,) = mapped["spec"]["containers"]
    del container["volumeMounts"]
    container["volumeDevices"] = [{"name": "data", "devicePath": "/dev/x"}]
    ns.apply(volume, claim("block", storageClassName="", volumeMode="Block"), mapped)
    try:
        eventually("it is said", lambda: "FailedMapVolume" in ns.kubectl("events", "--for=pod/mapped"))
        words = "this node gives no block devices to containers; use volumeMode: Filesystem"
        assert words in ns.kubectl("events", "--for=pod/mapped")
    finally:
        ns.kubectl("delete", "pod", "mapped", "--now")
        ns.kubectl("delete", "pvc", "block", "--timeout=30s")
        ns.kubectl("delete", "pv", f"{ns.name}-block", "--timeout=30s")
