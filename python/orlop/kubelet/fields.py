"""Fields of a pod that a container may see: `fieldRef` and `resourceFieldRef` (downward API)."""

import re
from math import ceil

from orlop.api import quantity
from orlop.api.types import core_v1

_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['([^']+)'\]$")


class NodeFacts:
    """What the downward API tells of the node."""

    def __init__(self, name: str, addresses: list[str], allocatable: dict[str, str]) -> None:
        self.name = name
        self.addresses = addresses
        self.allocatable = allocatable


def field_value(pod: core_v1.Pod, path: str, pod_ips: list[str], node: NodeFacts) -> str:
    """The value of a `fieldPath`. Raises ValueError for one that is not supported."""
    subscript = _SUBSCRIPT.match(path)
    if subscript:
        values = pod.metadata.labels if subscript.group(1) == "labels" else pod.metadata.annotations
        return values.get(subscript.group(2), "")
    simple = {
        "metadata.name": pod.metadata.name,
        "metadata.namespace": pod.metadata.namespace,
        "metadata.uid": pod.metadata.uid,
        "spec.nodeName": pod.spec.node_name,
        "spec.serviceAccountName": pod.spec.service_account_name,
        "status.hostIP": node.addresses[0] if node.addresses else "",
        "status.hostIPs": ",".join(node.addresses),
        "status.podIP": pod_ips[0] if pod_ips else "",
        "status.podIPs": ",".join(pod_ips),
    }
    if path in simple:
        return simple[path]
    if path == "metadata.labels":
        return format_map(pod.metadata.labels)
    if path == "metadata.annotations":
        return format_map(pod.metadata.annotations)
    raise ValueError(f"unsupported fieldPath: {path}")


def format_map(values: dict[str, str]) -> str:
    """Lines `key="value"`, sorted by key, with Go's quoting."""
    lines = []
    for key in sorted(values):
        escaped = values[key].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
        lines.append(f'{key}="{escaped}"')
    return "\n".join(lines)


def resource_value(pod: core_v1.Pod, selector: core_v1.ResourceFieldSelector, container: str, node: NodeFacts) -> str:
    """The value of a `resourceFieldRef`, divided by its divisor and rounded up. Raises ValueError."""
    name = selector.container_name or container
    found = next((c for c in [*pod.spec.containers, *pod.spec.init_containers] if c.name == name), None)
    if found is None:
        raise ValueError(f"container {name} not found")
    kind, _, resource = selector.resource.partition(".")
    if kind not in ("limits", "requests") or not resource:
        raise ValueError(f"unsupported container resource : {selector.resource}")
    values = found.resources.limits if kind == "limits" else found.resources.requests
    text = values.get(resource)
    if text is None and kind == "limits":
        # Upstream: a container without a limit may use all that the node can give.
        text = node.allocatable.get(resource)
    amount = quantity.parse(text or "0")
    divisor = quantity.parse(selector.divisor) if selector.divisor and selector.divisor != "0" else quantity.parse("1")
    return str(ceil(amount / divisor))
