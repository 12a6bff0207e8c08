"""Claims of pods, from the default class to the end, with all controllers, the scheduler and hollow nodes."""

import json
from typing import Any

import orlop
from orlop.api.types import core_v1


def claim(name: str, **spec: Any) -> dict[str, Any]:
    asked = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}, **spec}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": name}, "spec": asked}


def pod(name: str, *volumes: dict[str, Any]) -> dict[str, Any]:
    spec = {"containers": [{"name": "c", "image": "i"}], "volumes": list(volumes)}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}


def using(name: str) -> dict[str, Any]:
    return {"name": name, "persistentVolumeClaim": {"claimName": name}}


def test_a_claim_s_life() -> None:
    with orlop.Cluster(nodes=2) as c:
        c.wait("storageclass/local-path", "jsonpath={.provisioner}=orlop/local-path", timeout=10)
        c.apply(claim("data"))
        c.wait("pvc/data", "jsonpath={.spec.storageClassName}=local-path", timeout=10)
        c.apply(pod("db", using("data")))
        c.wait("pod/db", "condition=Ready", timeout=20)
        bound = c.client.get(core_v1.PersistentVolumeClaim, "data", "default")
        assert (bound.status.phase, bound.status.capacity) == ("Bound", {"storage": "1Gi"})
        volume = c.client.get(core_v1.PersistentVolume, bound.spec.volume_name)
        node = c.client.get(core_v1.Pod, "db", "default").spec.node_name
        assert volume.metadata.annotations["orlop/local-path-node"] == node

        # Another pod of the claim goes to the same node; the claim grows.
        c.apply(pod("second", using("data")))
        c.wait("pod/second", "condition=Ready", timeout=20)
        assert c.client.get(core_v1.Pod, "second", "default").spec.node_name == node
        more = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
        c.client.patch(core_v1.PersistentVolumeClaim, "data", "default", more)
        c.wait("pvc/data", "jsonpath={.status.capacity.storage}=2Gi", timeout=10)
        c.wait(f"pv/{volume.metadata.name}", "jsonpath={.spec.capacity.storage}=2Gi", timeout=10)

        # In use it stays, and goes with its volume when the last pod is gone.
        c.client.delete(core_v1.PersistentVolumeClaim, "data", "default")
        c.client.delete(core_v1.Pod, "db", "default")
        c.wait("pod/db", "delete", timeout=20)
        ending = c.client.get(core_v1.PersistentVolumeClaim, "data", "default")
        assert ending.metadata.deletion_timestamp
        assert ending.metadata.finalizers == ["kubernetes.io/pvc-protection"]
        c.client.delete(core_v1.Pod, "second", "default")
        c.wait("pvc/data", "delete", timeout=20)
        c.wait(f"pv/{volume.metadata.name}", "delete", timeout=20)


def test_ephemeral_volumes_come_and_go_with_their_pod() -> None:
    with orlop.Cluster() as c:
        c.wait("storageclass/local-path", "jsonpath={.provisioner}=orlop/local-path", timeout=10)
        template = {"spec": claim("x")["spec"]}
        c.apply(pod("db", {"name": "scratch", "ephemeral": {"volumeClaimTemplate": template}}))
        c.wait("pod/db", "condition=Ready", timeout=20)
        made = c.client.get(core_v1.PersistentVolumeClaim, "db-scratch", "default")
        assert [(ref.kind, ref.name) for ref in made.metadata.owner_references] == [("Pod", "db")]
        c.client.delete(core_v1.Pod, "db", "default")
        c.wait("pvc/db-scratch", "delete", timeout=20)
        c.wait(f"pv/{made.spec.volume_name}", "delete", timeout=20)


def test_volumes_that_are_there_are_shared_out() -> None:
    with orlop.Cluster(nodes=2) as c:
        for number in range(4):
            spec = {
                "capacity": {"storage": "1Gi"},
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": "by-hand",
                "hostPath": {"path": f"/srv/{number}"},
            }
            c.apply({"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": f"v{number}"}, "spec": spec})
        storage_class = {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {"name": "by-hand"},
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        }
        c.apply(storage_class)
        for number in range(4):
            c.apply(claim(f"c{number}", storageClassName="by-hand"))
            c.apply(pod(f"p{number}", using(f"c{number}")))
        for number in range(4):
            c.wait(f"pod/p{number}", "condition=Ready", timeout=20)
        claims = c.client.list(core_v1.PersistentVolumeClaim, "default").items
        assert sorted(claim.spec.volume_name for claim in claims) == ["v0", "v1", "v2", "v3"], json.dumps(
            {claim.metadata.name: claim.spec.volume_name for claim in claims}
        )
