"""What every write pays to note who owns which fields, and what an apply costs: CPU time of the wire's part."""

import time
import timeit
from typing import Any

import msgspec
from machine import describe, scaled

from orlop import native

TIMES = scaled(5_000)
NOW = "2026-01-01T00:00:00Z"
MANAGER = ("kube-controller-manager", "v1", "", NOW, ["status"])
KUBELET = ("kubelet", "v1", "status", NOW, ["spec"])
LEASER = ("kubelet", "coordination.k8s.io/v1", "", NOW, [])
encode = msgspec.json.encode

POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "p", "namespace": "default", "uid": "u", "labels": {"app": "x", "pod-template-hash": "abc"}},
    "spec": {
        "volumes": [{"name": "v", "emptyDir": {}}],
        "containers": [
            {
                "name": "c",
                "image": "img",
                "ports": [{"containerPort": 80, "protocol": "TCP"}],
                "env": [{"name": f"E{i}", "value": "v" * 10} for i in range(10)],
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}},
                "volumeMounts": [{"name": "v", "mountPath": "/v"}],
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "imagePullPolicy": "IfNotPresent",
            }
        ],
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    },
    "status": {},
}
STATUS = {
    "phase": "Running",
    "conditions": [{"type": t, "status": "True"} for t in ("Ready", "Initialized", "ContainersReady", "PodScheduled")],
    "podIP": "1.2.3.4",
    "podIPs": [{"ip": "1.2.3.4"}],
}


def noted(type_key: str, obj: dict[str, Any], writer: tuple[str, str, str, str, list[str]]) -> dict[str, Any]:
    managed = native.wire_managed(type_key, None, encode(obj), writer)
    assert managed is not None
    return {**obj, "metadata": {**obj["metadata"], "managedFields": msgspec.Raw(managed)}}


def show(what: str, work: Any) -> None:
    work()
    best = min(timeit.repeat(work, number=TIMES, repeat=5, timer=time.process_time))
    print(f"{what:58} {best / TIMES * 1e6:10.2f} µs")


def main() -> None:
    print(describe())
    pod = encode(POD)
    live = noted("core/v1.Pod", POD, MANAGER)
    stored, running = encode(live), encode({**live, "status": STATUS})
    lease = {
        "metadata": {"name": "n", "namespace": "kube-node-lease"},
        "spec": {"holderIdentity": "n", "renewTime": "a"},
    }
    held = noted("coordination/v1.Lease", lease, LEASER)
    first, second = encode(held), encode({**held, "spec": {"holderIdentity": "n", "renewTime": "b"}})
    config = b'{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"app":"x"}}}'
    print(f"a pod of {len(pod)} bytes; its owners take {len(stored) - len(pod)} more")
    show("create of the pod", lambda: native.wire_managed("core/v1.Pod", None, pod, MANAGER))
    show("update of its status", lambda: native.wire_managed("core/v1.Pod", stored, running, KUBELET))
    show("update that changes nothing", lambda: native.wire_managed("core/v1.Pod", stored, stored, KUBELET))
    show("renewal of a lease", lambda: native.wire_managed("coordination/v1.Lease", first, second, LEASER))
    show("apply of a label to the pod", lambda: native.wire_apply("core/v1.Pod", stored, config, MANAGER, False))


if __name__ == "__main__":
    main()
