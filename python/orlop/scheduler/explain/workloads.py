"""The pods that a workload would have, as its controller would make them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from orlop.scheduler.explain.atoms import Object

KINDS = ("Deployment", "ReplicaSet", "ReplicationController", "StatefulSet", "DaemonSet", "Job")
"""Workloads whose pods are known from the object alone."""
STATES = ("disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
"""States of nodes that pods of a DaemonSet tolerate."""


class Template(NamedTuple):
    """A pod to be made, `names` times."""

    owner: str
    """kind/name."""
    pod: Object
    names: list[str]
    each_node: bool = False
    """One pod for each node that it may be on, in place of `names`."""
    claims: tuple[Object, ...] = ()
    """Claims made for each pod, named by template and pod."""


def template(workload: Object, first: int = 0) -> Template:
    """What a workload's controller would make. `first` is the number of the first pod that is new."""
    kind, metadata, spec = workload["kind"], workload["metadata"], workload["spec"]
    of = spec["template"]
    reference = {
        "apiVersion": workload["apiVersion"],
        "kind": kind if kind != "Deployment" else "ReplicaSet",
        "name": metadata["name"],
        "uid": metadata.get("uid") or f"planned-{metadata['name']}",
        "controller": True,
    }
    meta = {key: dict(value) for key, value in (of.get("metadata") or {}).items() if key in ("labels", "annotations")}
    pod: Object = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {**meta, "namespace": metadata["namespace"], "ownerReferences": [reference]},
        "spec": dict(of["spec"]),
    }
    owner, name = f"{kind.lower()}/{metadata['name']}", metadata["name"]
    if kind == "DaemonSet":
        pod["spec"]["tolerations"] = [*(pod["spec"].get("tolerations") or ()), *_daemon_tolerations(pod["spec"])]
        return Template(owner, pod, [], each_node=True)
    if kind == "StatefulSet":
        start = (spec.get("ordinals") or {}).get("start", 0)
        names = [f"{name}-{start + index}" for index in range(first, spec.get("replicas", 1))]
        return Template(owner, pod, names, claims=tuple(spec.get("volumeClaimTemplates") or ()))
    return Template(owner, pod, [f"{name}-{index + 1}" for index in range(first, _count(workload))])


def _count(workload: Object) -> int:
    spec = workload["spec"]
    if workload["kind"] != "Job":
        return int(spec.get("replicas", 1))
    if spec.get("suspend"):
        return 0
    parallel, completions = spec.get("parallelism", 1), spec.get("completions")
    return int(parallel if completions is None else min(parallel, completions))


def _daemon_tolerations(spec: Object) -> Iterator[dict[str, Any]]:
    for state in ("not-ready", "unreachable"):
        yield {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoExecute"}
    for state in (*STATES, *(["network-unavailable"] if spec.get("hostNetwork") else [])):
        yield {"key": f"node.kubernetes.io/{state}", "operator": "Exists", "effect": "NoSchedule"}


def on_node(pod: Object, node: str) -> Object:
    """The pod of a DaemonSet for one node: bound to it by a field of its node affinity, as upstream's controller does
    (ReplaceDaemonSetPodNodeNameNodeAffinity)."""
    fields = [{"key": "metadata.name", "operator": "In", "values": [node]}]
    affinity = dict(pod["spec"].get("affinity") or {})
    of_nodes = dict(affinity.get("nodeAffinity") or {})
    of_nodes["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [{"matchFields": fields}]}
    return {**pod, "spec": {**pod["spec"], "affinity": {**affinity, "nodeAffinity": of_nodes}}}


def claims_of(made: Template, name: str) -> Iterator[Object]:
    """The claims of one pod of a StatefulSet."""
    for claim in made.claims:
        metadata = {**claim["metadata"], "name": f"{claim['metadata']['name']}-{name}"}
        metadata["namespace"] = made.pod["metadata"]["namespace"]
        yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", **claim, "metadata": metadata}


def with_claims(pod: Object, made: Template, name: str) -> Object:
    """The pod of a StatefulSet with the volumes of its claims."""
    if not made.claims:
        return pod
    own = [claim["metadata"]["name"] for claim in made.claims]
    volumes = [v for v in pod["spec"].get("volumes") or () if v["name"] not in own]
    volumes += [{"name": of, "persistentVolumeClaim": {"claimName": f"{of}-{name}"}} for of in own]
    return {**pod, "spec": {**pod["spec"], "volumes": volumes}}


def ephemeral_claims(pod: Object) -> Iterator[Object]:
    """The claims that are made for a pod's own volumes."""
    for volume in pod["spec"].get("volumes") or ():
        if (made := (volume.get("ephemeral") or {}).get("volumeClaimTemplate")) is not None:
            name = f"{pod['metadata']['name']}-{volume['name']}"
            metadata = {**(made.get("metadata") or {}), **_owned_by(pod), "name": name}
            yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": made["spec"]}


def claim_templates(pod: Object) -> Iterator[tuple[str, str]]:
    """The names that a pod has for claims for devices that are made for it, and of their templates."""
    for asked in pod["spec"].get("resourceClaims") or ():
        if template := asked.get("resourceClaimTemplateName"):
            yield asked["name"], template


def device_claim(pod: Object, name: str, template: Object) -> Object:
    """The claim of a template for a pod, of which the pod then knows."""
    made = f"{pod['metadata']['name']}-{name}"
    statuses = pod.setdefault("status", {}).setdefault("resourceClaimStatuses", [])
    statuses.append({"name": name, "resourceClaimName": made})
    metadata = {**(template["spec"].get("metadata") or {}), **_owned_by(pod), "name": made, "uid": f"planned-{made}"}
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": metadata,
        "spec": template["spec"]["spec"],
    }


def _owned_by(pod: Object) -> Object:
    meta = pod["metadata"]
    owner = {"apiVersion": "v1", "kind": "Pod", "name": meta["name"], "uid": meta.get("uid", ""), "controller": True}
    return {"namespace": meta["namespace"], "ownerReferences": [owner]}
