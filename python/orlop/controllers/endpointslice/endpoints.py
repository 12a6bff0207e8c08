"""What a pod is to a Service: its address, its state and the ports it serves."""

from orlop.api.types import core_v1, discovery_v1
from orlop.client import Informer
from orlop.control.controller import Key
from orlop.controllers import pods
from orlop.controllers.views import PodView

ZONE_LABEL = "topology.kubernetes.io/zone"
NEAR = ("PreferClose", "PreferSameZone", "PreferSameNode")
"""Values of trafficDistribution that give endpoints hints."""


def selecting(services: Informer[core_v1.Service], pod: PodView) -> list[Key]:
    """The Services whose selector matches the pod; `services` has an index `namespace`."""
    labels = pod.metadata.labels.items()
    return [
        Key(s.metadata.namespace, s.metadata.name)
        for s in services.by_index("namespace", pod.metadata.namespace)
        if s.spec.selector and s.spec.selector.items() <= labels
    ]


def has_endpoint(pod: PodView) -> bool:
    """Whether the pod is an endpoint of whatever selects it: it has an address and has not ended."""
    return bool(pod.status.pod_ips) and not pods.is_terminal(pod)


def endpoint_of(
    service: core_v1.Service, pod: PodView, node: core_v1.Node | None, family: str
) -> discovery_v1.Endpoint | None:
    """The pod as an endpoint of one address family; None if it has no address of it."""
    addresses = [p.ip for p in pod.status.pod_ips if (":" in p.ip) == (family == "IPv6")]
    if not addresses:
        return None
    meta = pod.metadata
    serving, terminating = pods.is_ready(pod), meta.deletion_timestamp is not None
    # A pod that is ending is never ready, whatever its condition says: older readers know only `ready`.
    ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
    endpoint = discovery_v1.Endpoint(
        addresses=addresses,
        conditions=discovery_v1.EndpointConditions(ready=ready, serving=serving, terminating=terminating),
        target_ref=core_v1.ObjectReference(
            kind="Pod", api_version="", namespace=meta.namespace, name=meta.name, uid=meta.uid
        ),
        node_name=pod.spec.node_name or None,
        zone=(node.metadata.labels.get(ZONE_LABEL) or None) if node is not None else None,
    )
    if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
        endpoint.hostname = pod.spec.hostname
    if ready:
        endpoint.hints = _hints(service.spec.traffic_distribution, endpoint)
    return endpoint


def _hints(distribution: str | None, endpoint: discovery_v1.Endpoint) -> discovery_v1.EndpointHints | None:
    """Who should use the endpoint first, where the Service wants its traffic near."""
    if distribution not in NEAR:
        return None
    zones = [discovery_v1.ForZone(name=endpoint.zone)] if endpoint.zone else []
    nodes = (
        [discovery_v1.ForNode(name=endpoint.node_name)]
        if endpoint.node_name and distribution == "PreferSameNode"
        else []
    )
    return discovery_v1.EndpointHints(for_zones=zones, for_nodes=nodes) if zones or nodes else None


def ports_of(service: core_v1.Service, pod: PodView) -> list[discovery_v1.EndpointPort]:
    """The Service's ports as this pod serves them; a named port that the pod does not have is left out."""
    found = []
    for port in service.spec.ports:
        number = _number(port, pod)
        if number is not None:
            found.append(
                discovery_v1.EndpointPort(
                    name=port.name, protocol=port.protocol, port=number, app_protocol=port.app_protocol
                )
            )
    return found


def _number(port: core_v1.ServicePort, pod: PodView) -> int | None:
    target = port.target_port or port.port
    if isinstance(target, int):
        return target
    sidecars = (c for c in pod.spec.init_containers if c.restart_policy == "Always")
    for container in (*pod.spec.containers, *sidecars):
        for offered in container.ports:
            if offered.name == target and (offered.protocol or "TCP") == port.protocol:
                return offered.container_port
    return None
