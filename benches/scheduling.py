"""Nodes and pods of the workloads in scheduling.yaml, and whether pods are bound rightly."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Object = dict[str, Any]
ZONES = 3
NAMESPACES = 10
ZONE, HOSTNAME = "topology.kubernetes.io/zone", "kubernetes.io/hostname"
TOPOLOGY = {"zone": ZONE, "hostname": HOSTNAME}
CPU, MEMORY, PODS = 32_000, 256 * 2**30, 500
"""What a node has: thousandths, bytes, count."""
CLASS = "waits"
UNITS = {"Mi": 2**20, "Gi": 2**30}


class Step(NamedTuple):
    """Pods that are made together."""

    pods: list[Object]
    gated: bool
    hopeless: list[Object]
    """Pods without a place that come meanwhile."""
    refused: bool
    """None of the pods has a place."""
    before: list[Object]
    """What is there before the pods are: volumes, claims, groups."""


def workloads() -> dict[str, Object]:
    """The workloads by name."""
    found: dict[str, Object] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return found


def node(index: int) -> Object:
    """One of the nodes."""
    labels = {HOSTNAME: f"n{index}", ZONE: f"z{index % ZONES}"}
    has = {"cpu": f"{CPU}m", "memory": "256Gi", "pods": str(PODS), "ephemeral-storage": "100Gi"}
    ready = {"type": "Ready", "status": "True", "reason": "KubeletReady", "message": "", "lastHeartbeatTime": None}
    status = {"capacity": has, "allocatable": has, "conditions": [{k: v for k, v in ready.items() if v is not None}]}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": f"n{index}", "labels": labels}, "status": status}


def steps(workload: Object, nodes: int, pods: int) -> Iterator[Step]:
    """The workload's steps over so many nodes, `pods` of them measured."""
    number = 0
    pods = max(2, round(pods * workload.get("pods", 1.0)))
    for step in workload["steps"]:
        count = step["per_node"] * nodes if "per_node" in step else max(1, round(pods * step["share"]))
        made = [_pod(step, number + index, nodes) for index in range(count)]
        number += count
        churn = step.get("churn")
        hopeless = []
        if churn is not None:
            hopeless = [_pod({"cpu": churn["cpu"]}, number + index, nodes) for index in range(count // churn["every"])]
            number += len(hopeless)
        before = [obj for pod in made for obj in _needed(step, pod)]
        yield Step(made, bool(step.get("gated")), hopeless, step.get("cpu") == "900", before)


def _needed(step: Object, pod: Object) -> Iterator[Object]:
    """What has to be there for a pod."""
    name, namespace = pod["metadata"]["name"], pod["metadata"]["namespace"]
    if step.get("claims"):
        common = {"accessModes": ["ReadWriteOnce"], "storageClassName": CLASS}
        volume = {**common, "capacity": {"storage": "1Gi"}, "hostPath": {"path": f"/nowhere/{name}"}}
        claim = {**common, "resources": {"requests": {"storage": "1Gi"}}}
        yield {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}, "spec": volume}
        metadata = {"name": name, "namespace": namespace}
        yield {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": claim}
    group = pod["spec"].get("schedulingGroup")
    if group is not None and int(name[1:]) % step["group"] == 0:
        yield {
            "apiVersion": "scheduling.k8s.io/v1beta1",
            "kind": "PodGroup",
            "metadata": {"name": group["podGroupName"], "namespace": namespace},
            "spec": {"schedulingPolicy": {"gang": {"minCount": step["group"]}}},
        }


def namespaces(workload: Object) -> list[Object]:
    """The namespaces that its pods are in."""
    spread = any(step.get("namespaces") for step in workload["steps"])
    names = [f"ns-{index}" for index in range(NAMESPACES)] if spread else ["default"]
    return [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": of, "labels": {"team": "bench"}}} for of in names
    ]


def _pod(step: Object, index: int, nodes: int) -> Object:
    labels = step.get("labels") or {}
    requests = {"cpu": step.get("cpu", "100m"), "memory": step.get("memory", "500Mi")}
    container = {"name": "pause", "image": "registry.k8s.io/pause:3.10", "resources": {"requests": requests}}
    spec: Object = {"containers": [container], "terminationGracePeriodSeconds": 0}
    affinity: Object = {}
    selected = {"namespaceSelector": {"matchLabels": {"team": "bench"}}} if step.get("namespaces") else {}
    for kind, by in (step.get("affinity") or {}).items():
        term = {"topologyKey": TOPOLOGY[by], "labelSelector": {"matchLabels": labels}, **selected}
        affinity[kind] = {"requiredDuringSchedulingIgnoredDuringExecution": [term]}
    for kind, by in (step.get("preferred") or {}).items():
        term = {"topologyKey": TOPOLOGY[by], "labelSelector": {"matchLabels": labels}}
        wish = [{"weight": 1, "podAffinityTerm": term}]
        affinity[kind] = {"preferredDuringSchedulingIgnoredDuringExecution": wish}
    terms: list[Object] = []
    if "zones" in step:
        terms.append({"matchExpressions": [{"key": ZONE, "operator": "In", "values": step["zones"]}]})
    if step.get("one_node"):
        field = {"key": "metadata.name", "operator": "In", "values": [f"n{index % nodes}"]}
        terms.append({"matchFields": [field]})
    if terms:
        required = {"nodeSelectorTerms": terms}
        affinity["nodeAffinity"] = {"requiredDuringSchedulingIgnoredDuringExecution": required}
    if affinity:
        spec["affinity"] = affinity
    if "spread" in step:
        constraint = {"maxSkew": 5, "topologyKey": ZONE, "whenUnsatisfiable": step["spread"]}
        spec["topologySpreadConstraints"] = [{**constraint, "labelSelector": {"matchLabels": labels}}]
    if step.get("gated"):
        spec["schedulingGates"] = [{"name": "example.com/gate"}]
    if step.get("claims"):
        spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": f"p{index}"}}]
    if "group" in step:
        spec["schedulingGroup"] = {"podGroupName": f"g{index // step['group']}"}
    if "priority" in step:
        spec |= {"priorityClassName": "bench-high", "priority": step["priority"]}
    where = f"ns-{index % NAMESPACES}" if step.get("namespaces") else "default"
    metadata = {"namespace": where, "name": f"p{index}", "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def check(placed: Iterable[Object]) -> int:
    """Checks that pods on nodes may be there: room, affinity, anti-affinity, spread, names. Returns their count."""
    used: Counter[tuple[str, str]] = Counter()
    apart: set[tuple[str, str]] = set()
    spread: dict[str, Counter[str]] = {}
    together: dict[str, set[str]] = {}
    count = 0
    for pod in placed:
        spec, name = pod["spec"], pod["spec"].get("nodeName", "")
        if not name:
            continue
        count += 1
        zone = f"z{int(name[1:]) % ZONES}"
        requests = spec["containers"][0]["resources"]["requests"]
        used[name, "cpu"] += _amount(requests["cpu"])
        used[name, "memory"] += _amount(requests["memory"])
        used[name, "pods"] += 1
        color = (pod["metadata"].get("labels") or {}).get("color", "")
        affinity = spec.get("affinity") or {}
        if _required(affinity, "podAntiAffinity"):
            assert (color, name) not in apart, f"two pods {color} are on {name}"
            apart.add((color, name))
        if _required(affinity, "podAffinity"):
            together.setdefault(color, set()).add(zone)
        for constraint in spec.get("topologySpreadConstraints") or ():
            if constraint["whenUnsatisfiable"] == "DoNotSchedule":
                spread.setdefault(color, Counter({f"z{index}": 0 for index in range(ZONES)}))[zone] += 1
        for term in (_required(affinity, "nodeAffinity") or {}).get("nodeSelectorTerms", ()):
            for field in term.get("matchFields") or ():
                assert name in field["values"], f"{pod['metadata']['name']} is on {name}"
            for expression in term.get("matchExpressions") or ():
                assert zone in expression["values"], f"{pod['metadata']['name']} is in {zone}"
    limits = {"cpu": CPU, "memory": MEMORY, "pods": PODS}
    for (name, resource), amount in used.items():
        assert amount <= limits[resource], f"{name} holds too much {resource}"
    assert all(len(zones) == 1 for zones in together.values()), "pods that are to be together are not"
    assert all(max(c.values()) - min(c.values()) <= 5 for c in spread.values()), "pods are not spread"
    return count


def _required(affinity: Object, kind: str) -> Any:
    return (affinity.get(kind) or {}).get("requiredDuringSchedulingIgnoredDuringExecution")


def _amount(text: str) -> int:
    for suffix, unit in UNITS.items():
        if text.endswith(suffix):
            return int(text.removesuffix(suffix)) * unit
    return int(text[:-1]) if text.endswith("m") else int(text) * 1000
