"""The Service `kube-dns` in kube-system, where tools and pods of other nodes look for DNS, and this server behind it.

Each server keeps an EndpointSlice of its own, which goes with its Node. Its hint says that the node's own clients use
it, so that a question to the Service's address stays on the node.
"""

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

from orlop import logging
from orlop.api import errors
from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.client import Client
from orlop.client.transport import Unreachable
from orlop.clock import Clock

NAMESPACE, NAME = "kube-system", "kube-dns"
"""Upstream's names, by which tools know it."""
MANAGED_BY = "dns.orlop"
RETRY = 5.0
"""Seconds until what the API server did not take is tried again."""
_PORTS = (("dns", "UDP"), ("dns-tcp", "TCP"))

_log = logging.get("dns")


class Publisher:
    """Keeps the Service and the slice until cancelled."""

    def __init__(
        self, client: Client, clock: Clock, node_name: str, service_ip: str, addresses: Sequence[str], port: int
    ) -> None:
        self._client = client
        self._clock = clock
        self._node_name = node_name
        self._service_ip = service_ip
        self._addresses = addresses
        self._port = port
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Looks whether all is as it should be."""
        self._wake.set()

    async def run(self) -> None:
        while True:
            self._wake.clear()
            try:
                if await self._service():
                    await self._slices()
            except (errors.ApiError, Unreachable) as error:
                _log.warning("cannot publish the Service kube-dns, will try again", extra={"err": str(error)})
                await self._clock.sleep(RETRY)
            else:
                await self._wake.wait()

    async def _service(self) -> bool:
        """Whether the Service is ours to stand behind: one with a selector has pods of its own (a CoreDNS)."""
        try:
            found = await self._client.get(core_v1.Service, NAME, NAMESPACE)
        except errors.NotFound:
            try:
                found = await self._client.create(service(self._service_ip))
            except errors.AlreadyExists:
                found = await self._client.get(core_v1.Service, NAME, NAMESPACE)
        return not found.spec.selector

    async def _slices(self) -> None:
        node = await self._client.get(core_v1.Node, self._node_name)
        for wanted in slices(node, self._addresses, self._port):
            meta = wanted.metadata
            try:
                found = await self._client.get(discovery_v1.EndpointSlice, meta.name, NAMESPACE)
            except errors.NotFound:
                await self._client.create(wanted)
                continue
            if (found.endpoints, found.ports) != (wanted.endpoints, wanted.ports):
                wanted.metadata.resource_version = found.metadata.resource_version
                await self._client.update(wanted)


def service(ip: str) -> core_v1.Service:
    """As kubeadm makes it, without a selector."""
    labels = {"k8s-app": "kube-dns", "kubernetes.io/cluster-service": "true", "kubernetes.io/name": "CoreDNS"}
    ports = [core_v1.ServicePort(name=name, protocol=protocol, port=53) for name, protocol in _PORTS]
    return core_v1.Service(
        metadata=meta_v1.ObjectMeta(name=NAME, namespace=NAMESPACE, labels=labels),
        spec=core_v1.ServiceSpec(type="ClusterIP", cluster_ip=ip, ports=ports),
    )


def slices(node: core_v1.Node, addresses: Sequence[str], port: int) -> list[discovery_v1.EndpointSlice]:
    """One of each IP family, owned by the node. Loopback addresses are left out: they are each pod's own."""
    made = []
    for family, mark in (("IPv4", "."), ("IPv6", ":")):
        own = [address for address in addresses if mark in address and not ip_address(address).is_loopback]
        if not own:
            continue
        endpoint = discovery_v1.Endpoint(
            addresses=own[:1],
            conditions=discovery_v1.EndpointConditions(ready=True, serving=True, terminating=False),
            node_name=node.metadata.name,
            hints=discovery_v1.EndpointHints(for_nodes=[discovery_v1.ForNode(name=node.metadata.name)]),
        )
        owner = meta_v1.OwnerReference(api_version="v1", kind="Node", name=node.metadata.name, uid=node.metadata.uid)
        labels = {
            "kubernetes.io/service-name": NAME,
            "endpointslice.kubernetes.io/managed-by": MANAGED_BY,
        }
        name = f"{NAME}-{node.metadata.name}" + ("-ipv6" if family == "IPv6" else "")
        made.append(
            discovery_v1.EndpointSlice(
                metadata=meta_v1.ObjectMeta(name=name, namespace=NAMESPACE, labels=labels, owner_references=[owner]),
                address_type=family,
                endpoints=[endpoint],
                ports=[discovery_v1.EndpointPort(name=n, protocol=p, port=port) for n, p in _PORTS],
            )
        )
    return made
