"""Limits of local storage, and eviction for want of disk, with real containers."""

from typing import Any

import pytest

from tests.e2e.conftest import IMAGE
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

SLEEP = "trap exit TERM; while :; do sleep 0.1; done"


def pod(name: str, script: str, *, limits: dict[str, str] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod on this machine's node that runs a script and then waits."""
    container = {
        "name": "c",
        "image": IMAGE,
        "command": ["sh", "-c", f"{script}; {SLEEP}"],
        "resources": {"limits": limits or {}},
    }
    if "volumes" in spec:
        container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
    whole = {"nodeName": "real", "containers": [container], **spec}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole}


def test_pods_above_their_limits_are_evicted(cluster: UpCluster, namespace: str) -> None:
    volume = {"volumes": [{"name": "data", "emptyDir": {"sizeLimit": "1Mi"}}]}
    write = "dd if=/dev/zero of={} bs=1M count={}"
    cluster.apply(
        namespace,
        pod("volume", write.format("/data/x", 3), **volume),
        pod("layer", write.format("/x", 3), limits={"ephemeral-storage": "1Mi"}),
        pod("logs", "yes | head -c 3000000", limits={"ephemeral-storage": "1Mi"}),
        pod("modest", write.format("/data/x", 1).replace("bs=1M", "bs=512K"), **volume),
    )

    def status(name: str) -> dict[str, Any]:
        found: dict[str, Any] = cluster.get("-n", namespace, "pod", name)["status"]
        return found

    words = {
        "volume": 'Usage of EmptyDir volume "data" exceeds the limit "1Mi". ',
        "layer": "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
        "logs": "Pod ephemeral local storage usage exceeds the total limit of containers 1Mi. ",
    }
    for name, message in words.items():
        eventually(f"{name} is evicted", lambda name=name: status(name)["phase"] == "Failed", 90)
        assert (status(name)["reason"], status(name)["message"]) == ("Evicted", message)
        assert message.strip() in cluster.kubectl("-n", namespace, "describe", "pod", name)
    assert status("modest")["phase"] == "Running"
    assert "pressure:" not in cluster.orlop("status")
