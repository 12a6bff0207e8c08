"""What a cluster still has to do, as a user would see it: nothing, once all has come to rest."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

from orlop.api import scheme, selectors
from orlop.api.types import apps_v1, batch_v1, core_v1, discovery_v1, policy_v1
from orlop.client.client import Client
from orlop.control import controller_of
from orlop.controllers.views import owned
from orlop.testing.look import active, name, ready

TRACKED = "batch.kubernetes.io/job-tracking"


async def unsettled(client: Client) -> list[str]:
    """What is not as it is to be, a line each: rollouts, Jobs, budgets, endpoints, quotas, nodes, things that go."""
    pods = (await client.list(core_v1.Pod)).items
    left = [*_nodes((await client.list(core_v1.Node)).items), *_of_nobody(pods)]
    left += _deployments((await client.list(apps_v1.Deployment)).items)
    left += _sets((await client.list(apps_v1.ReplicaSet)).items, pods)
    left += _sets((await client.list(apps_v1.StatefulSet)).items, pods)
    left += _jobs((await client.list(batch_v1.Job)).items, pods)
    left += _budgets((await client.list(policy_v1.PodDisruptionBudget)).items, pods)
    slices = (await client.list(discovery_v1.EndpointSlice)).items
    left += _endpoints((await client.list(core_v1.Service)).items, slices, pods)
    left += _quotas((await client.list(core_v1.ResourceQuota)).items, pods)
    left += await _orphans(client)
    return left


def _nodes(nodes: list[core_v1.Node]) -> Iterator[str]:
    for node in nodes:
        if not any(c.type == "Ready" and c.status == "True" for c in node.status.conditions):
            yield f"node {node.metadata.name} is not ready"
        if node.spec.taints:
            yield f"node {node.metadata.name} is tainted"


def _of_nobody(pods: list[core_v1.Pod]) -> Iterator[str]:
    for pod in pods:
        if pod.metadata.deletion_timestamp is not None:
            yield f"pod {name(pod)} is being deleted"
        elif pod.status.phase not in ("Succeeded", "Failed") and not ready(pod):
            yield f"pod {name(pod)} is {pod.status.phase} and not ready"


def _deployments(deployments: list[apps_v1.Deployment]) -> Iterator[str]:
    for d in deployments:
        wanted, s = d.spec.replicas, d.status
        if not s.replicas == s.updated_replicas == s.available_replicas == wanted or s.unavailable_replicas:
            shown = f"{s.replicas} pods, {s.updated_replicas} updated, {s.available_replicas} available"
            yield f"Deployment {name(d)} wants {wanted}: {shown}"
        if s.observed_generation != d.metadata.generation:
            yield f"Deployment {name(d)} has changes that nobody has seen"


def _sets(sets: "list[Any]", pods: list[core_v1.Pod]) -> Iterator[str]:
    count = Counter(ref.uid for pod in pods if active(pod) and (ref := controller_of(pod)) is not None)
    for one in sets:
        found, s = count[one.metadata.uid], one.status
        kind = type(one).__name__
        if not found == s.replicas == s.ready_replicas == one.spec.replicas:
            shown = f"there are {found}, its status says {s.replicas}, {s.ready_replicas} ready"
            yield f"{kind} {name(one)} wants {one.spec.replicas}: {shown}"


def _jobs(jobs: list[batch_v1.Job], pods: list[core_v1.Pod]) -> Iterator[str]:
    for job in jobs:
        ends = {c.type for c in job.status.conditions if c.status == "True"}
        if not ends & {"Complete", "Failed"} and not job.spec.suspend:
            yield f"Job {name(job)} has not ended"
        mine = [pod for pod in pods if (ref := controller_of(pod)) is not None and ref.uid == job.metadata.uid]
        if job.status.active != sum(map(active, mine)):
            yield f"Job {name(job)} counts {job.status.active} active pods"
        for pod in mine:
            if not active(pod) and TRACKED in pod.metadata.finalizers:
                yield f"pod {name(pod)} has ended and was not counted"


def _budgets(budgets: list[policy_v1.PodDisruptionBudget], pods: list[core_v1.Pod]) -> Iterator[str]:
    for budget in budgets:
        selector = selectors.from_struct(budget.spec.selector)
        namespace = budget.metadata.namespace
        healthy = sum(
            ready(p) for p in pods if p.metadata.namespace == namespace and selector.matches(p.metadata.labels)
        )
        if budget.status.current_healthy != healthy or budget.status.disrupted_pods:
            yield f"PodDisruptionBudget {name(budget)} counts {budget.status.current_healthy} of {healthy} healthy pods"


def _endpoints(
    services: list[core_v1.Service], slices: list[discovery_v1.EndpointSlice], pods: list[core_v1.Pod]
) -> Iterator[str]:
    found: dict[str, set[str]] = defaultdict(set)
    for piece in slices:
        of = piece.metadata.labels.get("kubernetes.io/service-name", "")
        for endpoint in piece.endpoints:
            if endpoint.conditions.ready:
                found[f"{piece.metadata.namespace}/{of}"].update(endpoint.addresses)
    for service in services:
        if not service.spec.selector:
            continue
        wanted = {
            pod.status.pod_ip
            for pod in pods
            if ready(pod)
            and pod.metadata.namespace == service.metadata.namespace
            and service.spec.selector.items() <= pod.metadata.labels.items()
        }
        if found[name(service)] != wanted:
            yield f"Service {name(service)} has the endpoints {sorted(found[name(service)])}, not {sorted(wanted)}"


def _quotas(quotas: list[core_v1.ResourceQuota], pods: list[core_v1.Pod]) -> Iterator[str]:
    for quota in quotas:
        count = sum(
            pod.metadata.namespace == quota.metadata.namespace and pod.status.phase not in ("Succeeded", "Failed")
            for pod in pods
        )
        if "pods" in quota.spec.hard and quota.status.used.get("pods") != str(count):
            yield f"ResourceQuota {name(quota)} counts {quota.status.used.get('pods')} of {count} pods"


async def _orphans(client: Client) -> list[str]:
    """Objects that outlive their owners, and such as never end being deleted."""
    objects = []
    for kind in scheme.KINDS:
        if kind.kind in OWNED_AND_OWNERS and kind.version == "v1":
            objects += [(kind.kind, item.metadata) for item in (await client.list(owned(kind))).items]
    uids = {meta.uid for _, meta in objects}
    left = []
    for kind_name, meta in objects:
        where = f"{kind_name} {meta.namespace}/{meta.name}"
        if meta.deletion_timestamp is not None:
            left.append(f"{where} is being deleted")
        if meta.owner_references and not any(ref.uid in uids for ref in meta.owner_references):
            left.append(f"{where} has lost its owners")
    return left


OWNED_AND_OWNERS = {
    "ControllerRevision",
    "CronJob",
    "DaemonSet",
    "Deployment",
    "EndpointSlice",
    "Job",
    "Namespace",
    "Node",
    "Pod",
    "ReplicaSet",
    "ReplicationController",
    "Service",
    "StatefulSet",
}
"""Kinds whose objects own others or are owned."""
