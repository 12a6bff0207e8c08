"""The words of an eviction, as upstream's (eviction/helpers.go): tools read them."""

from collections.abc import Sequence

from orlop.api import quantity
from orlop.api.types import core_v1
from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.signals import Observations
from orlop.kubelet.eviction.thresholds import Threshold
from orlop.kubelet.eviction.usage import PodUse


def node_low(
    resource: str, pod: core_v1.Pod, use: PodUse | None, thresholds: Sequence[Threshold], seen: Observations
) -> tuple[str, dict[str, str]]:
    """Why a pod goes when the node is short of a resource: the message, and the annotations of the event."""
    message = f"The node was low on resource: {resource}. "
    for threshold in thresholds:
        if signals.RESOURCE_OF[threshold.signal] == resource and threshold.signal in seen:
            observed = seen[threshold.signal]
            wanted = _shown(threshold.value.of(observed.capacity), resource)
            message += f"Threshold quantity: {wanted}, available: {_shown(observed.available, resource)}. "
            break
    if use is None:
        return message, {}
    names, amounts = [], []
    for container in (*pod.spec.containers, *pod.spec.init_containers):
        has = use.containers.get(container.name)
        if has is None or resource not in ("memory", "ephemeral-storage"):
            continue
        used = has.memory if resource == "memory" else has.layer.bytes + has.logs.bytes
        request = container.resources.requests.get(resource, "0")
        if used > quantity.parse(request):
            shown = quantity.format_binary(used)
            message += (
                f"Container {container.name} was using {shown}, request is {request}, "
                f"has larger consumption of {resource}. "
            )
            names.append(container.name)
            amounts.append(shown)
    return message, {
        "offending_containers": ",".join(names),
        "offending_containers_usage": ",".join(amounts),
        "starved_resource": resource,
    }


def node_condition(conditions: Sequence[str]) -> str:
    """Why a pod is not admitted."""
    return f"The node had condition: [{' '.join(conditions)}]. "


def _shown(amount: int, resource: str) -> str:
    decimal = resource in ("inodes", "pids")
    return quantity.format_decimal(amount) if decimal else quantity.format_binary(amount)
