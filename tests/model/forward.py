"""The forwarding table, plain and slow: everything computed anew from the objects, in the words of the Service API.

`wanted(services, slices, node, zone)` is what `orlop.native.ForwardTable` must hold, whatever way it got there.
"""

import ipaddress
from typing import Any

from orlop.native import ServicePort

Object = dict[str, Any]
Backend = tuple[str, int, int]
PRECEDENCE = ["ClusterIP", "NodePort", "LoadBalancer", "ExternalIP"]
TIMEOUT_DEFAULT = 10800


def wanted(services: list[Object], slices: list[Object], node: str, zone: str) -> dict[tuple[str, ...], ServicePort]:
    """Every service port with at least one frontend of its own, by its id."""
    claims: dict[tuple[str, str, int], list[tuple[Any, ...]]] = {}
    for service in services:
        for family, port in ports(service):
            for kind, address, number, local in frontends(service, family, port):
                rank = (PRECEDENCE.index(kind), key(service), port.get("name", ""))
                claims.setdefault((protocol(port), address, number), []).append((rank, kind, local))
    table = {}
    for service in services:
        for family, port in ports(service):
            mine = set()
            for kind, address, number, local in frontends(service, family, port):
                winner = min(claims[(protocol(port), address, number)])
                if winner == ((PRECEDENCE.index(kind), key(service), port.get("name", "")), kind, local):
                    mine.add((kind, address, number, local))
            if not mine:
                continue
            meta = service["metadata"]
            id = (meta["namespace"], meta["name"], port.get("name", ""), protocol(port), family)
            endpoints = joined(service, port, family, slices, node, zone)
            cluster, local_ones = chosen(service, endpoints)
            health = health_port(service)
            ready_here = any(e["ready"] and e["local"] for e in endpoints)
            any_endpoint = any(e["ready"] or e["fallback"] for e in endpoints)
            table[id] = ServicePort(
                id, sorted(mine), cluster, local_ones, affinity(service), any_endpoint,
                source_ranges=source_ranges(service, family), health_port=health,
                local_going=bool(health and local_ones and not ready_here),
            )  # fmt: skip
    return table


def key(service: Object) -> str:
    return f"{service['metadata']['namespace']}/{service['metadata']['name']}"


def protocol(port: Object) -> str:
    return port.get("protocol") or "TCP"


def family_of(address: str) -> int:
    return ipaddress.ip_address(address).version


def cluster_ips(service: Object) -> list[str]:
    spec = service["spec"]
    ips = spec.get("clusterIPs") or [spec.get("clusterIP") or ""]
    if spec.get("type") == "ExternalName" or any(ip in ("", "None") for ip in ips):
        return []
    return list(ips)


def ports(service: Object) -> list[tuple[int, Object]]:
    families = sorted({family_of(ip) for ip in cluster_ips(service)})
    return [(family, port) for family in families for port in service["spec"].get("ports") or []]


def frontends(service: Object, family: int, port: Object) -> list[tuple[str, str, int, bool]]:
    spec = service["spec"]
    internal = spec.get("internalTrafficPolicy") == "Local"
    external = spec.get("externalTrafficPolicy") == "Local"
    ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or []
    found = [("ClusterIP", ip, port["port"], internal) for ip in cluster_ips(service)]
    found += [("LoadBalancer", i["ip"], port["port"], external) for i in ingress if i.get("ipMode") != "Proxy"]
    found += [("ExternalIP", ip, port["port"], external) for ip in spec.get("externalIPs") or []]
    found = [f for f in found if family_of(f[1]) == family]
    if spec.get("type") in ("NodePort", "LoadBalancer") and port.get("nodePort"):
        found.append(("NodePort", "0.0.0.0" if family == 4 else "::", port["nodePort"], external))
    return found


def is_external(service: Object) -> bool:
    found = [f for family, port in ports(service) for f in frontends(service, family, port)]
    spec = service["spec"]
    ingress = (service.get("status") or {}).get("loadBalancer", {}).get("ingress") or []
    addresses = (spec.get("externalIPs") or []) + [i for i in ingress if i.get("ipMode") != "Proxy"]
    return bool(addresses) or any(kind != "ClusterIP" for kind, *_ in found)


def affinity(service: Object) -> int:
    spec = service["spec"]
    if spec.get("sessionAffinity") != "ClientIP":
        return 0
    config = (spec.get("sessionAffinityConfig") or {}).get("clientIP") or {}
    return config.get("timeoutSeconds") or TIMEOUT_DEFAULT


def source_ranges(service: Object, family: int) -> list[str]:
    ranges = {ipaddress.ip_network(text) for text in service["spec"].get("loadBalancerSourceRanges") or []}
    of_family = [r for r in ranges if r.version == family]
    return [str(r) for r in sorted(of_family, key=lambda r: (r.network_address, r.prefixlen))]


def health_port(service: Object) -> int:
    spec = service["spec"]
    return int(spec.get("healthCheckNodePort") or 0) if spec.get("externalTrafficPolicy") == "Local" else 0


def joined(service: Object, port: Object, family: int, slices: list[Object], node: str, zone: str) -> list[Object]:
    """The service port's endpoints from all slices; of copies, the most useful one."""
    best: dict[tuple[Any, int], Object] = {}
    for slice in slices:
        meta = slice["metadata"]
        if f"{meta['namespace']}/{meta['labels']['kubernetes.io/service-name']}" != key(service):
            continue
        if slice["addressType"] != f"IPv{family}":
            continue
        for target in slice.get("ports") or []:
            if (target.get("name", ""), protocol(target)) != (port.get("name", ""), protocol(port)):
                continue
            for endpoint in slice.get("endpoints") or []:
                seen = as_seen(endpoint, node, zone)
                at = (ipaddress.ip_address(endpoint["addresses"][0]), target["port"])
                if at not in best or worth(seen) > worth(best[at]):
                    best[at] = seen
    return [{**best[at], "backend": (str(at[0]), at[1], 1)} for at in sorted(best)]


def as_seen(endpoint: Object, node: str, zone: str) -> Object:
    conditions = endpoint.get("conditions") or {}
    ready = conditions.get("ready", True)
    hints = endpoint.get("hints") or {}
    return {
        "ready": ready,
        "fallback": not ready and conditions.get("serving", True) and conditions.get("terminating", False),
        "local": endpoint.get("nodeName") == node,
        "zones": [h["name"] for h in hints.get("forZones") or []],
        "nodes": [h["name"] for h in hints.get("forNodes") or []],
        "here": node,
        "zone": zone,
    }


def worth(endpoint: Object) -> tuple[bool, ...]:
    """Of copies that serve alike, the one whose hints say more; which one is arbitrary, but it must be one."""
    hints = (endpoint["zone"] in endpoint["zones"], bool(endpoint["zones"]),
             endpoint["here"] in endpoint["nodes"], bool(endpoint["nodes"]))  # fmt: skip
    return endpoint["ready"], endpoint["fallback"], endpoint["local"], *hints


def chosen(service: Object, endpoints: list[Object]) -> tuple[list[Backend], list[Backend]]:
    spec = service["spec"]
    internal = spec.get("internalTrafficPolicy") == "Local"
    external = spec.get("externalTrafficPolicy") == "Local"
    ready = [e for e in endpoints if e["ready"]]
    cluster = local = []
    if not internal or is_external(service):
        cluster = hinted(ready) or [e for e in endpoints if e["fallback"]]
    if internal or (external and is_external(service)):
        local = [e for e in ready if e["local"]] or [e for e in endpoints if e["fallback"] and e["local"]]
    return [e["backend"] for e in cluster], [e["backend"] for e in local]


def hinted(ready: list[Object]) -> list[Object]:
    """Topology hints count only when every ready endpoint has them and one is for here."""
    if ready and all(e["nodes"] for e in ready) and any(e["here"] in e["nodes"] for e in ready):
        return [e for e in ready if e["here"] in e["nodes"]]
    if ready and all(e["zones"] for e in ready) and any(e["zone"] in e["zones"] for e in ready):
        return [e for e in ready if e["zone"] in e["zones"]]
    return ready
