"""What an object uses of a quota, and which quotas count it. Upstream: pkg/quota/v1, apiserver/pkg/quota/v1/generic.

The API server charges by these rules what is made, and the quota controller counts by them what is there.
"""

from collections.abc import Callable, Iterable, Mapping
from decimal import ROUND_CEILING
from typing import Any, NamedTuple

from orlop.api import amounts
from orlop.api.amounts import ONE, Amount, Amounts
from orlop.api.kind import Kind
from orlop.api.podresources import pod_limits, pod_requests
from orlop.api.types import core_v1
from orlop.clock import parse_time

IGNORED = frozenset({"events", "events.k8s.io/events"})
"""Resources that no quota counts."""
LEGACY_COUNTS = frozenset(
    {"services", "replicationcontrollers", "resourcequotas", "secrets", "configmaps", "persistentvolumeclaims"}
)
"""Counted by their bare names as well."""
COMPUTE = ("cpu", "memory", "ephemeral-storage")
MUST_BE_SET = frozenset({"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"})
"""Where a quota limits these, every container has to name them."""
REQUESTS = "requests."
LIMITS = "limits."
HUGE_PAGES = "hugepages-"
CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"

Selector = core_v1.ScopedResourceSelectorRequirement
Scope = Callable[[Selector, Any], bool]


class Evaluator(NamedTuple):
    """How one kind is counted."""

    usage: Callable[[Any, float], Amounts]
    """What the object uses at that wall-clock time."""
    names: Callable[[str], bool]
    """Whether a name of spec.hard is one that this kind uses."""
    scope: Scope
    """Whether the object is in a scope."""
    scoped: bool = False
    """Whether scopes tell objects of the kind apart."""
    grows: bool = False
    """Whether an object may use more, or less, after an update; else what it uses is that it is there."""


def count_name(kind: Kind) -> str:
    """`count/deployments.apps`, `count/pods`."""
    return f"count/{kind.plural}.{kind.group}" if kind.group else f"count/{kind.plural}"


def evaluator(kind: Kind) -> Evaluator | None:
    """How the kind is counted; None if no quota counts it."""
    if not kind.namespaced or not kind.stored or kind.resource in IGNORED:
        return None
    match kind.resource:
        case "pods":
            return Evaluator(_pod_usage, _is_pod_name, _pod_scope, scoped=True, grows=True)
        case "services":
            return Evaluator(_service_usage, _SERVICE_NAMES.__contains__, _no_scope, grows=True)
        case "persistentvolumeclaims":
            return Evaluator(_claim_usage, _is_claim_name, _claim_scope, scoped=True, grows=True)
    names = {count_name(kind)} | ({kind.resource} & LEGACY_COUNTS)
    return Evaluator(lambda obj, now: dict.fromkeys(names, ONE), names.__contains__, _no_scope)


def matches(quota: core_v1.ResourceQuota, hard: Iterable[str], by: Evaluator, obj: Any) -> bool:
    """Whether the quota counts the object: by a name that it limits, and by all of its scopes."""
    return any(map(by.names, hard)) and in_scopes(quota, by, obj)


def in_scopes(quota: core_v1.ResourceQuota, by: Evaluator, obj: Any) -> bool:
    selectors = [Selector(scope_name=scope, operator="Exists") for scope in quota.spec.scopes]
    if quota.spec.scope_selector is not None:
        selectors += quota.spec.scope_selector.match_expressions
    return all(by.scope(selector, obj) for selector in selectors)


def unset(pod: core_v1.Pod, hard: Iterable[str]) -> str:
    """What the pod's containers have to name and do not, as upstream says it; "" if nothing is missing."""
    required = MUST_BE_SET & set(hard)
    if pod.spec.resources is not None:
        required -= compute_usage(
            amounts.parsed(pod.spec.resources.requests), amounts.parsed(pod.spec.resources.limits)
        ).keys()
    missing: dict[str, set[str]] = {}
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        given = compute_usage(amounts.parsed(container.resources.requests), amounts.parsed(container.resources.limits))
        for name in required - given.keys():
            missing.setdefault(name, set()).add(container.name)
    return "; ".join(f"{name} for: {','.join(sorted(missing[name]))}" for name in sorted(missing))


# --- pods


def compute_usage(requests: Mapping[str, Amount], limits: Mapping[str, Amount]) -> Amounts:
    """Requests and limits by the names that quotas have for them."""
    used: Amounts = {}
    for name, amount in requests.items():
        if name in COMPUTE or name.startswith(HUGE_PAGES):
            used[name] = amount
            used[REQUESTS + name] = amount
        elif "/" in name:
            used[REQUESTS + name] = amount
    used.update({LIMITS + name: limits[name] for name in COMPUTE if name in limits})
    return used


def _pod_usage(pod: core_v1.Pod, now: float) -> Amounts:
    used = {"count/pods": ONE}
    if counts_compute(pod, now):
        used["pods"] = ONE
        used.update(compute_usage(pod_requests(pod), pod_limits(pod)))
    return used


def counts_compute(pod: core_v1.Pod, now: float) -> bool:
    """False for a pod that has ended, or that should have been gone by now."""
    meta = pod.metadata
    if pod.status.phase in ("Failed", "Succeeded"):
        return False
    if meta.deletion_timestamp is None or meta.deletion_grace_period_seconds is None:
        return True
    # The timestamp has the grace period in it already; upstream gives as much again.
    return now <= parse_time(meta.deletion_timestamp) + meta.deletion_grace_period_seconds


_POD_NAMES = frozenset(
    {"count/pods", "pods", *COMPUTE, *(REQUESTS + name for name in COMPUTE), *(LIMITS + name for name in COMPUTE)}
)


def _is_pod_name(name: str) -> bool:
    if name in _POD_NAMES or name.startswith((HUGE_PAGES, REQUESTS + HUGE_PAGES)):
        return True
    return name.startswith(REQUESTS) and "/" in name


def _pod_scope(selector: Selector, pod: core_v1.Pod) -> bool:
    match selector.scope_name:
        case "Terminating":
            return pod.spec.active_deadline_seconds is not None
        case "NotTerminating":
            return pod.spec.active_deadline_seconds is None
        case "BestEffort":
            return _best_effort(pod)
        case "NotBestEffort":
            return not _best_effort(pod)
        case "PriorityClass":
            return _selected(selector, pod.spec.priority_class_name)
        case "CrossNamespacePodAffinity":
            return _crosses_namespaces(pod)
    return False


def _best_effort(pod: core_v1.Pod) -> bool:
    if pod.spec.resources is not None and (pod.spec.resources.requests or pod.spec.resources.limits):
        return False
    given = (
        text
        for container in (*pod.spec.containers, *pod.spec.init_containers)
        for listed in (container.resources.requests, container.resources.limits)
        for name, text in listed.items()
        if name in ("cpu", "memory")
    )
    return not any(amounts.parse(text).number > 0 for text in given)


def _selected(selector: Selector, value: str) -> bool:
    match selector.operator:
        case "Exists":
            return value != ""
        case "DoesNotExist":
            return value == ""
        case "In":
            return value != "" and value in selector.values
        case "NotIn":
            return value == "" or value not in selector.values
    return False


def _crosses_namespaces(pod: core_v1.Pod) -> bool:
    affinity = pod.spec.affinity
    terms: list[core_v1.PodAffinityTerm] = []
    for side in (affinity.pod_affinity, affinity.pod_anti_affinity) if affinity is not None else ():
        if side is not None:
            terms += side.required_during_scheduling_ignored_during_execution
            weighted = side.preferred_during_scheduling_ignored_during_execution
            terms += (term.pod_affinity_term for term in weighted)
    return any(term.namespaces or term.namespace_selector is not None for term in terms)


def _no_scope(selector: Selector, obj: Any) -> bool:
    return False


# --- services

_SERVICE_NAMES = frozenset({"services", "count/services", "services.nodeports", "services.loadbalancers"})


def _service_usage(service: core_v1.Service, now: float) -> Amounts:
    spec = service.spec
    ports = 0
    if spec.type == "NodePort" or (spec.type == "LoadBalancer" and spec.allocate_load_balancer_node_ports is not False):
        ports = len(spec.ports)
    elif spec.type == "LoadBalancer":
        ports = sum(bool(port.node_port) for port in spec.ports)
    return {
        "services": ONE,
        "count/services": ONE,
        "services.nodeports": Amount(ONE.number * ports),
        "services.loadbalancers": Amount(ONE.number * (spec.type == "LoadBalancer")),
    }


# --- claims

_CLAIM_NAMES = frozenset({"persistentvolumeclaims", "count/persistentvolumeclaims", "requests.storage"})


def _is_claim_name(name: str) -> bool:
    return name in _CLAIM_NAMES or name.endswith(
        (f"{CLASS_SUFFIX}requests.storage", f"{CLASS_SUFFIX}persistentvolumeclaims")
    )


def _claim_usage(claim: core_v1.PersistentVolumeClaim, now: float) -> Amounts:
    used = {"persistentvolumeclaims": ONE, "count/persistentvolumeclaims": ONE}
    class_ = claim.metadata.annotations.get(CLASS_ANNOTATION) or claim.spec.storage_class_name or ""
    storage = amounts.largest(
        amounts.parsed(claim.spec.resources.requests), amounts.parsed(claim.status.allocated_resources)
    ).get("storage")
    if storage is not None:
        storage = Amount(storage.number.to_integral_value(ROUND_CEILING), storage.binary)
        used["requests.storage"] = storage
    if class_:
        used[f"{class_}{CLASS_SUFFIX}persistentvolumeclaims"] = ONE
        if storage is not None:
            used[f"{class_}{CLASS_SUFFIX}requests.storage"] = storage
    return used


def _claim_scope(selector: Selector, claim: core_v1.PersistentVolumeClaim) -> bool:
    if selector.scope_name != "VolumeAttributesClass":
        return False
    named = claim.spec.volume_attributes_class_name or ""
    modifying = claim.status.modify_volume_status
    names = {named, claim.status.current_volume_attributes_class_name or ""}
    names.add(modifying.target_volume_attributes_class_name if modifying is not None else "")
    names.discard("")
    return any(_selected(selector, name) for name in names or {""})
