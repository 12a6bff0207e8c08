"""Services and EndpointSlices as the API sends them."""

import json
from collections.abc import Sequence
from typing import Any


def service(name: str, ips: Sequence[str], port: int = 80, protocol: str = "TCP", **spec: Any) -> bytes:
    """A Service with one unnamed port. `node_port`, `ingress` (a load balancer's addresses) and the fields of the spec
    come as keywords."""
    node_port = spec.pop("node_port", None)
    ingress = spec.pop("ingress", ())
    ports = {"port": port, "protocol": protocol, "targetPort": 8080, **({"nodePort": node_port} if node_port else {})}
    type = "LoadBalancer" if ingress else "NodePort" if node_port else "ClusterIP"
    status = {"loadBalancer": {"ingress": [{"ip": address} for address in ingress]}}
    whole = {"type": type, "clusterIP": ips[0], "clusterIPs": list(ips), "ports": [ports], **spec}
    return json.dumps({"metadata": {"name": name, "namespace": "default"}, "spec": whole, "status": status}).encode()


def endpoint_slice(
    name: str,
    addresses: Sequence[str],
    protocol: str = "TCP",
    *,
    node: str = "here",
    port: int = 8080,
    suffix: str = "",
    **conditions: bool,
) -> bytes:
    """The slice of a Service's endpoints in one family."""
    ipv6 = any(":" in address for address in addresses)
    endpoints = [{"addresses": [address], "conditions": conditions, "nodeName": node} for address in addresses]
    labels = {"kubernetes.io/service-name": name}
    return json.dumps(
        {
            "metadata": {"name": f"{name}-{6 if ipv6 else 4}{suffix}", "namespace": "default", "labels": labels},
            "addressType": "IPv6" if ipv6 else "IPv4",
            "endpoints": endpoints,
            "ports": [{"name": "", "port": port, "protocol": protocol}],
        }
    ).encode()
