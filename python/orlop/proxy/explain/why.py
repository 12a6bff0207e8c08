"""Walks the way of a connection to a Service against live state, up to the first thing that breaks.

The walk asks the API server what is wanted, and this node what is: its rules, its routes, and whoever should listen. It
is made on the node of the client, as it is there that a Service is translated.
"""

import ipaddress
import re
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orlop.api import loadbalancers
from orlop.api.errors import NotFound
from orlop.api.types.core_v1 import Node, Pod, Service
from orlop.api.types.discovery_v1 import EndpointSlice
from orlop.client import Client
from orlop.proxy.backends.base import ProgramError, Unsupported
from orlop.proxy.backends.command import Command
from orlop.proxy.config import DEFAULT_SCOPE
from orlop.proxy.explain import kernel
from orlop.proxy.explain.kernel import Entry, Kernel

CONNECT_SECONDS = 3
"""How long an endpoint may take to answer: TCP sends again after one."""
SHOWN = 5
"""Endpoints that a line names."""
CONNECT = (
    "import socket, sys\n"
    "try:\n"
    "    socket.create_connection((sys.argv[1], int(sys.argv[2])), float(sys.argv[3])).close()\n"
    "except OSError as error:\n"
    "    print(error.strerror or 'timed out'); sys.exit(1)\n"
)


@dataclass(frozen=True)
class Step:
    """One part of the way."""

    name: str
    text: str
    fix: str = ""
    """What to do; empty where it works."""

    @property
    def broken(self) -> bool:
        """Whether the way ends here."""
        return bool(self.fix)


class _Broken(Exception):
    def __init__(self, name: str, text: str, fix: str) -> None:
        self.step = Step(name, text, fix)


class Finding(Protocol):
    """What NetworkPolicies make of a connection."""

    @property
    def text(self) -> str: ...

    @property
    def fix(self) -> str:
        """Empty where they allow it."""
        ...


Judge = Callable[[str, str, str, int], Awaitable[Finding]]
"""Asked about a connection: (source address, destination address, protocol, port)."""


@dataclass(frozen=True)
class _Source:
    namespace: str
    address: str
    """Empty for the node itself."""
    node: str


@dataclass(frozen=True)
class _Endpoint:
    address: str
    port: int
    ready: bool
    node: str
    pod: str


async def why(
    client: Client,
    source: str,
    to: str,
    *,
    prefix: Sequence[str] = (),
    scope: str = DEFAULT_SCOPE,
    judge: Judge | None = None,
) -> list[Step]:
    """The steps of the way from `source` (`[NAMESPACE/]POD`, `node`, or an address outside) to `to`
    (`SERVICE[.NAMESPACE[.svc…]][:PORT]`, `NAMESPACE/SERVICE`, an address of a Service, or a pod's address and port);
    the last one is where it breaks, if it does. `prefix` leads to the node's network namespace, `scope` is the
    cluster's name in the kernel, `judge` knows the NetworkPolicies. Raises ApiError where the API server refuses,
    ValueError where `to` cannot be read."""
    walk = _Walk(client, prefix, scope, judge)
    try:
        await walk.all(source, to)
    except _Broken as broken:
        walk.steps.append(broken.step)
    return walk.steps


class _Walk:
    def __init__(self, client: Client, prefix: Sequence[str], scope: str, judge: Judge | None) -> None:
        self._client = client
        self._scope = scope
        self._judge = judge
        self._prefix = prefix
        self.steps: list[Step] = []

    def _ok(self, name: str, text: str) -> None:
        self.steps.append(Step(name, text))

    async def all(self, source: str, to: str) -> None:
        """Every step in turn."""
        host, port = _split(to)
        start = await self._source(source)
        if (pod := await self._pod_at(host)) is not None:
            await self._to_pod(start, pod, host, port)
            return
        service, address = await self._resolve(host, start.namespace)
        number, protocol, target_name = self._port(service, port)
        endpoints = await self._endpoints(service, target_name, protocol, address)
        await self._balancer(service, address, start, endpoints)
        found = await kernel.read(self._prefix, self._scope)
        entry = self._table(found, service, protocol, address, number)
        entry = await self._policy(service, start, endpoints, entry)
        self._choice(entry, endpoints)
        for target in entry.targets:
            await self._policies(entry.mode, start, target.address, protocol, target.port)
        for target in entry.targets:
            await self._route(target.address)
        self._nat(entry, start)
        await self._listening(entry, endpoints)

    async def _to_pod(self, start: _Source, pod: Pod, address: str, port: str) -> None:
        """Without a Service between."""
        name = f"{pod.metadata.namespace}/{pod.metadata.name}"
        if not port.isdigit():
            raise _Broken("resolve", f"{address} is Pod {name}: which of its ports?", f"ask {address}:PORT")
        self._ok("resolve", f"{address} is Pod {name} on node {pod.spec.node_name}: nothing is translated")
        await self._policies("", start, address, "TCP", int(port))
        await self._route(address)
        target = kernel.Target(address, int(port), 1.0)
        entry = Entry("", "TCP", address, int(port), "", "translate", (target,))
        await self._listening(entry, [_Endpoint(address, int(port), True, pod.spec.node_name, pod.metadata.name)])

    # --- the parts

    async def _pod_at(self, host: str) -> Pod | None:
        try:
            address = str(ipaddress.ip_address(host))
        except ValueError:
            return None
        for pod in (await self._client.list(Pod)).items:
            if pod.status and address in {one.ip for one in pod.status.pod_ips} and not pod.spec.host_network:
                return pod
        return None

    async def _policies(self, mode: str, start: _Source, address: str, protocol: str, port: int) -> None:
        """NetworkPolicies, between the client and the endpoint that was chosen."""
        if self._judge is None:
            return
        if not start.address:
            self._ok("netpolicy", "no NetworkPolicy is between a node and its own pods")
        elif mode == "userspace":
            self._ok("netpolicy", "the relay connects from the node, so NetworkPolicies see the node, not the client")
        else:
            found = await self._judge(start.address, address, protocol, port)
            if found.fix:
                raise _Broken("netpolicy", found.text, found.fix)
            self._ok("netpolicy", found.text)

    async def _source(self, text: str) -> _Source:
        if text == "node":
            return _Source("default", "", "")
        try:
            return _Source("default", str(ipaddress.ip_address(text)), "")
        except ValueError:
            pass
        namespace, _, name = text.rpartition("/")
        namespace = namespace or "default"
        try:
            pod = await self._client.get(Pod, name, namespace)
        except NotFound:
            raise _Broken(
                "from", f"there is no Pod {name} in namespace {namespace}",
                f"name one of `kubectl get pods -n {namespace}` as NAMESPACE/POD, or `node`, or an address",
            ) from None  # fmt: skip
        address = pod.status.pod_ip if pod.status else ""
        if not address:
            raise _Broken(
                "from", f"the Pod {namespace}/{name} has no address: it is {pod.status.phase or 'not started'}",
                f"see why it does not run: kubectl describe pod -n {namespace} {name}",
            )  # fmt: skip
        self._ok("from", f"Pod {namespace}/{name} has {address} on node {pod.spec.node_name}")
        return _Source(namespace, address, pod.spec.node_name)

    async def _resolve(self, host: str, namespace: str) -> tuple[Service, str]:
        try:
            address = str(ipaddress.ip_address(host))
        except ValueError:
            pass
        else:
            for service in (await self._client.list(Service)).items:
                if address in _addresses(service):
                    self._ok("resolve", f"{address} belongs to Service {_name(service)}")
                    return service, address
            raise _Broken(
                "resolve", f"{address} belongs to no Service",
                "if it is a pod's, nothing is translated: look at its routes and at what listens there",
            )  # fmt: skip
        if "/" in host:
            where, _, name = host.partition("/")
        else:
            name, _, rest = host.partition(".")
            where = rest.partition(".")[0] or namespace
        try:
            service = await self._client.get(Service, name, where)
        except NotFound:
            elsewhere = [s for s in (await self._client.list(Service)).items if s.metadata.name == name]
            fix = f"create it: kubectl expose … --name {name} -n {where}"
            if elsewhere:
                other = elsewhere[0].metadata.namespace
                fix = f"there is one in namespace {other}: ask {name}.{other}"
            raise _Broken("resolve", f"there is no Service {name} in namespace {where}", fix) from None
        ips = service.spec.cluster_ips or ([service.spec.cluster_ip] if service.spec.cluster_ip else [])
        if service.spec.type == "ExternalName":
            raise _Broken(
                "resolve", f"Service {_name(service)} is another name for {service.spec.external_name}",
                "nothing is translated: ask that name",
            )  # fmt: skip
        if not ips or ips[0] == "None":
            raise _Broken(
                "resolve", f"Service {_name(service)} is headless: its name leads to the pods' own addresses",
                "nothing is translated and no port is changed: connect to the port that the pods listen on",
            )  # fmt: skip
        self._ok("resolve", f"{name}.{service.metadata.namespace}.svc is {', '.join(ips)}")
        return service, ips[0]

    def _port(self, service: Service, port: str) -> tuple[int, str, str]:
        ports = service.spec.ports
        if port:
            match = [p for p in ports if port in (str(p.port), p.name, str(p.node_port or ""))]
        else:
            match = ports[:1] if len(ports) == 1 else []
        if not match:
            has = ", ".join(f"{p.port}{f' ({p.name})' if p.name else ''}/{p.protocol or 'TCP'}" for p in ports)
            what = f"has no port {port}" if port else "has several ports"
            raise _Broken(
                "service", f"Service {_name(service)} {what}; it has {has or 'none'}",
                "ask one of these, or add the port to spec.ports",
            )  # fmt: skip
        chosen = match[0]
        protocol = chosen.protocol or "TCP"
        self._ok("service", f"port {chosen.port}/{protocol} leads to port {chosen.target_port} of the pods")
        return chosen.port, protocol, chosen.name or ""

    async def _endpoints(self, service: Service, port_name: str, protocol: str, address: str) -> list[_Endpoint]:
        labels = f"kubernetes.io/service-name={service.metadata.name}"
        slices = (await self._client.list(EndpointSlice, service.metadata.namespace, labels=labels)).items
        family = "IPv6" if ":" in address else "IPv4"
        found: list[_Endpoint] = []
        for each in slices:
            number = next((p.port for p in each.ports or [] if (p.name or "") == port_name and p.port), None)
            if each.address_type != family or number is None:
                continue
            for endpoint in each.endpoints or []:
                ready = endpoint.conditions is None or endpoint.conditions.ready is not False
                pod = endpoint.target_ref.name if endpoint.target_ref else ""
                found.append(_Endpoint(endpoint.addresses[0], number, ready, endpoint.node_name or "", pod))
        if not any(e.ready for e in found):
            raise await self._no_endpoints(service, port_name, found, bool(slices))
        serving = [e for e in found if e.ready]
        self._ok(
            "endpoints", f"{len(serving)} ready of {len(found)}: {_some(f'{e.address}:{e.port}' for e in serving)}"
        )
        return found

    async def _no_endpoints(self, service: Service, port_name: str, found: list[_Endpoint], any_slice: bool) -> _Broken:
        namespace, selector = service.metadata.namespace, service.spec.selector or {}
        if found:
            names = _some(e.pod or e.address for e in found)
            return _Broken(
                "endpoints", f"none of {len(found)} endpoints is ready: {names}",
                f"see what their readiness probes say: kubectl describe pod -n {namespace} {found[0].pod}".rstrip(),
            )  # fmt: skip
        if not selector:
            return _Broken(
                "endpoints", f"Service {_name(service)} has no selector, and no EndpointSlice names endpoints for it",
                "add a selector, or an EndpointSlice with the label kubernetes.io/service-name",
            )  # fmt: skip
        labels = ",".join(f"{key}={value}" for key, value in selector.items())
        pods = (await self._client.list(Pod, namespace, labels=labels)).items
        if not pods:
            return _Broken(
                "endpoints", f"no Pod in namespace {namespace} has the labels {labels}",
                "make the Service's selector and the Pods' labels the same",
            )  # fmt: skip
        states = _some(f"{p.metadata.name} is {p.status.phase or 'Pending'}" for p in pods)
        if any_slice and port_name:
            return _Broken(
                "endpoints", f"no Pod with the labels {labels} has a port for {port_name!r}: {states}",
                "targetPort names a port that must be in the containers' ports",
            )  # fmt: skip
        return _Broken(
            "endpoints", f"no Pod with the labels {labels} can serve: {states}",
            f"see why: kubectl describe pod -n {namespace} {pods[0].metadata.name}",
        )  # fmt: skip

    async def _balancer(self, service: Service, address: str, start: _Source, endpoints: list[_Endpoint]) -> None:
        """Who answers for a load balancer's address, where that is what was asked."""
        if address not in _balancers(service):
            return
        bearer = service.metadata.annotations.get(loadbalancers.NODE)
        if bearer is None:
            self._ok("balancer", f"{address} was given by another load balancer ({service.spec.load_balancer_class})")
            return
        if bearer == loadbalancers.EVERY_NODE:
            self._ok("balancer", f"{address} is a node's own address")
            return
        if not bearer:
            said = next((c.message for c in service.status.conditions if c.reason == "NoNode"), "no node can")
            raise _Broken(
                "balancer", f"no node bears {said}",
                "kubectl get nodes --show-labels: one must be Ready and not left out",
            )  # fmt: skip
        _, out, _ = await Command("ip", "iproute2", self._prefix).run("-o", "address")
        here = {word.partition("/")[0] for word in out.split() if "/" in word}
        try:
            node = await self._client.get(Node, bearer)
        except NotFound:
            raise _Broken(
                "balancer", f"{address} is on node {bearer}, which is gone", "see the log of the controllers"
            ) from None  # fmt: skip
        on_it = any(one.address in here for one in node.status.addresses if one.type == "InternalIP")
        if on_it and address not in here:
            raise _Broken(
                "balancer", f"{address} belongs on this node, {bearer}, and is not bound here",
                "see the node's log: it cannot bind the address, or does not follow the API server",
            )  # fmt: skip
        outside = bool(start.address) and not start.node
        serving = {e.node for e in endpoints if e.ready}
        if outside and service.spec.external_traffic_policy == "Local" and bearer not in serving:
            raise _Broken(
                "balancer", f"externalTrafficPolicy is Local, and node {bearer}, where {address} is, has no endpoint; "
                f"they are on {_some(sorted(serving))}",
                "set externalTrafficPolicy: Cluster, or run a pod of it on every node (a DaemonSet)",
            )  # fmt: skip
        self._ok("balancer", f"{address} is bound to node {bearer}{', this one' if on_it else ''}")

    def _table(self, found: Kernel, service: Service, protocol: str, address: str, port: int) -> Entry:
        if not found.modes:
            raise _Broken(
                "table", "nothing is programmed on this node: no service proxy has run here",
                "start one (orlop proxy, or the node's own), or run this on the client's node",
            )  # fmt: skip
        entry = found.find(protocol, address, port)
        if entry is None:
            raise _Broken(
                "table", f"{address}:{port}/{protocol} is not in the {'/'.join(found.modes)} table of this node",
                "the proxy does not follow the API server, or runs with another kubeconfig: see its log and /healthz",
            )  # fmt: skip
        self._ok("table", f"{entry.mode} knows {address}:{port}/{protocol}: {entry.verdict}")
        return entry

    async def _policy(self, service: Service, start: _Source, endpoints: list[_Endpoint], entry: Entry) -> Entry:
        if entry.verdict == "refuse":
            raise _Broken(
                "policy", "the node still refuses it, as if there were no endpoint, and there are",
                "the proxy is behind: see its log and /healthz",
            )  # fmt: skip
        local = service.spec.internal_traffic_policy == "Local"
        if entry.verdict == "drop":
            nodes = _some(sorted({e.node for e in endpoints if e.ready}))
            text = f"internalTrafficPolicy is Local and no endpoint is on this node; they are on {nodes}"
            fix = "set internalTrafficPolicy: Cluster, or run a pod of it on every node (a DaemonSet)"
            if not local:
                text, fix = "the node drops it, and no policy says so", "the proxy is behind: see its log and /healthz"
            raise _Broken("policy", text, fix)
        said = "this node's endpoints only (internalTrafficPolicy: Local)" if local else "all endpoints"
        if entry.affinity or service.spec.session_affinity == "ClientIP":
            said += "; a client stays with one (sessionAffinity: ClientIP)"
        self._ok("policy", said)
        return entry

    def _choice(self, entry: Entry, endpoints: list[_Endpoint]) -> None:
        known = {(e.address, e.port) for e in endpoints}
        strangers = [t for t in entry.targets if (t.address, t.port) not in known]
        if strangers:
            raise _Broken(
                "choice", f"the node sends to {strangers[0].address}:{strangers[0].port}, which is no endpoint now",
                "the proxy is behind: see its log and /healthz",
            )  # fmt: skip
        parts = (f"{t.address}:{t.port} {t.share:.0%} ({t.connections} now)" for t in entry.targets)
        self._ok("choice", _some(parts))

    async def _route(self, address: str) -> None:
        code, out, err = await Command("ip", "iproute2", self._prefix).run("route", "get", address)
        if code or out.startswith(("unreachable", "blackhole", "prohibit")):
            said = (err or out).strip().splitlines()[0]
            raise _Broken(
                "route", f"this node has no route to {address}: {said}",
                "the pods' network is not up on this node: add a route to the pod CIDR of the endpoint's node",
            )  # fmt: skip
        self._ok("route", " ".join(out.split("\n")[0].split()))

    def _nat(self, entry: Entry, start: _Source) -> None:
        if entry.mode == "userspace":
            self._ok("nat", "redirected to the relay, which connects from the node's own address")
        elif start.address in {t.address for t in entry.targets}:
            self._ok("nat", "translated; where the pod is sent to itself, it is masqueraded too")
        elif start.address and start.node:
            self._ok("nat", "translated; a pod's own address is kept")
        else:
            self._ok("nat", "translated, and masqueraded as it comes from outside of the pods' network")

    async def _listening(self, entry: Entry, endpoints: list[_Endpoint]) -> None:
        if entry.protocol != "TCP":
            self._ok("listening", f"not asked: {entry.protocol} does not tell")
            return
        connect = Command(sys.executable, "python3", self._prefix)
        pods = {(e.address, e.port): e.pod for e in endpoints}
        kept_out: list[kernel.Target] = []
        for target in entry.targets:
            code, out, err = await connect.run("-c", CONNECT, target.address, str(target.port), str(CONNECT_SECONDS))
            if code:
                pod = pods.get((target.address, target.port)) or "the endpoint"
                said = (out or err).strip().splitlines()[-1:] or ["failed"]
                refused = "refused" in said[0].lower()
                if not refused and await self._is_held(target):
                    kept_out.append(target)
                    continue
                raise _Broken(
                    "listening", f"{target.address}:{target.port} ({pod}): {said[0]}",
                    f"nothing listens on port {target.port} of the pod's own address: set targetPort to the port that "
                    "it listens on, and have it listen on 0.0.0.0, not 127.0.0.1" if refused else
                    "the pod's machine or its network does not answer, or a firewall drops it: try from its node",
                )  # fmt: skip
        if kept_out:
            names = _some(f"{t.address}:{t.port}" for t in kept_out)
            self._ok("listening", f"not known of {names}: NetworkPolicies keep this node, which asks, from them")
        else:
            self._ok("listening", f"all {len(entry.targets)} answer")

    async def _is_held(self, target: kernel.Target) -> bool:
        """Whether NetworkPolicies keep this node itself from an endpoint: of its own pods none do."""
        _, out, _ = await Command("ip", "iproute2", self._prefix).run("route", "get", target.address)
        own = re.search(r" src (\S+)", out)
        if self._judge is None or own is None:
            return False
        return bool((await self._judge(own[1], target.address, "TCP", target.port)).fix)


def _split(to: str) -> tuple[str, str]:
    match = re.fullmatch(r"\[([0-9a-fA-F:.]+)](?::(\w[\w-]*))?|([^:\s]+)(?::(\w[\w-]*))?", to)
    if match:
        return match[1] or match[3], match[2] or match[4] or ""
    if to.count(":") > 1:
        return to, ""  # IPv6 without a port
    raise ValueError(f"TO: Invalid value: {to!r}: must be SERVICE[.NAMESPACE][:PORT] or IP[:PORT]")


def _addresses(service: Service) -> list[str]:
    return [*(service.spec.cluster_ips or []), *(service.spec.external_ips or []), *_balancers(service)]


def _balancers(service: Service) -> list[str]:
    return [one.ip for one in service.status.load_balancer.ingress if one.ip]


def _name(service: Service) -> str:
    return f"{service.metadata.namespace}/{service.metadata.name}"


def _some(parts: "Any") -> str:
    all = [str(part) for part in parts]
    return ", ".join(all[:SHOWN]) + (f" and {len(all) - SHOWN} more" if len(all) > SHOWN else "")


__all__ = ["ProgramError", "Step", "Unsupported", "why"]
