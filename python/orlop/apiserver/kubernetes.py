"""The Service `kubernetes` and where it leads: made at the start, repaired whenever somebody changes or deletes it.

As upstream's kubernetesservice controller and its master-count reconciler, but told by the hub instead of looking every
ten seconds. One server owns the store, so its address is the only endpoint.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from orlop.api import errors, scheme
from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.apiserver.core import Core
from orlop.apiserver.following import Follower
from orlop.store.base import Attribution

NAMESPACE, NAME = "default", "kubernetes"
HTTPS_PORT = 443
LABELS = {"component": "apiserver", "provider": "kubernetes"}
SLICE_LABELS = {"kubernetes.io/service-name": NAME}
ENDPOINTS_LABELS = {"endpointslice.kubernetes.io/skip-mirror": "true"}
BY = Attribution("system:apiserver", "kube-apiserver")
_KINDS = (core_v1.Service, discovery_v1.EndpointSlice, core_v1.Endpoints)


class KubernetesService:
    """`endpoint` is where pods reach this server, (address, port); None while they do not."""

    def __init__(self, core: Core, endpoint: tuple[str, int] | None) -> None:
        self._core = core
        self.endpoint = endpoint
        resources = [scheme.of(kind).resource for kind in _KINDS]
        self._follower = Follower(
            core,
            "the Service kubernetes",
            resources,
            self.reconcile,
            namespace=NAMESPACE,
            fields=f"metadata.name={NAME}",
        )

    async def run(self) -> None:
        """Repairs until cancelled."""
        await self._follower.run()

    async def reconcile(self) -> None:
        """Makes what is missing and sets right what is not as it should be; writes nothing where all is."""
        await self._service()
        if self.endpoint is not None:
            await self._slice(*self.endpoint)
            await self._endpoints(*self.endpoint)

    async def _service(self) -> None:
        target = self.endpoint[1] if self.endpoint else HTTPS_PORT
        ports = [core_v1.ServicePort(name="https", protocol="TCP", port=HTTPS_PORT, target_port=target)]
        first = str(self._core.config.service_cidrs[0].network_address + 1)

        def settle(service: core_v1.Service) -> None:
            service.metadata.labels.update(LABELS)
            service.spec.cluster_ip = service.spec.cluster_ip or first
            service.spec.type = "ClusterIP"
            service.spec.selector = {}
            if [(p.name, p.protocol, p.port, p.target_port) for p in service.spec.ports] != [
                ("https", "TCP", HTTPS_PORT, target)
            ]:
                service.spec.ports = ports

        await self._settle(core_v1.Service, settle)

    async def _slice(self, address: str, port: int) -> None:
        """A slice of the other IP family cannot be changed (addressType is immutable), so it is made anew."""
        family = "IPv6" if ":" in address else "IPv4"
        found = self._find(discovery_v1.EndpointSlice)
        if found is not None and found.address_type != family:
            await self._delete(discovery_v1.EndpointSlice)

        def settle(slice_: discovery_v1.EndpointSlice) -> None:
            slice_.metadata.labels.update(SLICE_LABELS)
            slice_.address_type = family
            ready = discovery_v1.EndpointConditions(ready=True)
            slice_.endpoints = [discovery_v1.Endpoint(addresses=[address], conditions=ready)]
            slice_.ports = [discovery_v1.EndpointPort(name="https", port=port, protocol="TCP")]

        await self._settle(discovery_v1.EndpointSlice, settle)

    async def _endpoints(self, address: str, port: int) -> None:
        def settle(endpoints: core_v1.Endpoints) -> None:
            endpoints.metadata.labels.update(ENDPOINTS_LABELS)
            endpoints.subsets = [
                core_v1.EndpointSubset(
                    addresses=[core_v1.EndpointAddress(ip=address)],
                    ports=[core_v1.EndpointPort(name="https", port=port, protocol="TCP")],
                )
            ]

        await self._settle(core_v1.Endpoints, settle)

    # --- objects as the server itself

    def _find(self, type_: type[Any]) -> Any:
        return self._core.objects.get(scheme.of(type_), NAMESPACE, NAME)

    async def _settle(self, type_: type[Any], settle: Callable[[Any], None]) -> None:
        """Creates the object or changes it. A change that changes nothing is no write."""
        core = self._core
        strategy = core.strategies[scheme.of(type_).type_key]
        if self._find(type_) is None:
            made = type_(metadata=meta_v1.ObjectMeta(name=NAME, namespace=NAMESPACE))
            settle(made)
            strategy.default(made)
            try:
                await core.objects.create(strategy, made, by=BY)
            except errors.AlreadyExists:
                return
            return

        async def change(old: Any) -> Any:
            new = msgspec.json.decode(msgspec.json.encode(old), type=type_)
            settle(new)
            strategy.default(new)
            return new

        try:
            await core.objects.update(strategy, NAMESPACE, NAME, change, by=BY)
        except errors.NotFound:
            self._follower.wake()

    async def _delete(self, type_: type[Any]) -> None:
        strategy = self._core.strategies[scheme.of(type_).type_key]
        await self._core.objects.delete(strategy, NAMESPACE, NAME, meta_v1.DeleteOptions(), by=BY)
