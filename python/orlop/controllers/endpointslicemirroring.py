"""EndpointSlices from the Endpoints that people and programs write for Services without a selector.

Upstream: pkg/controller/endpointslicemirroring. A subset is one slice of each address family that it has.
"""

import ipaddress
from collections.abc import Iterable
from contextlib import suppress

import msgspec

from orlop.api import errors
from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.control.owners import controller_reference
from orlop.controllers.endpoints import LEADER
from orlop.controllers.endpointslice.controller import MANAGED_BY_LABEL, SERVICE_LABEL
from orlop.controllers.endpointslice.packing import PortKey, identity, port_key
from orlop.controllers.endpointslice.triggers import ANNOTATION
from orlop.controllers.serviceaccounts import is_terminating

MANAGED_BY = "endpointslicemirroring-controller.k8s.io"
SKIP_LABEL = "endpointslice.kubernetes.io/skip-mirror"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
MAX_ADDRESSES = 1000
"""Addresses of a subset that are mirrored (upstream: --mirroring-max-endpoints-per-subset)."""

Place = tuple[str, PortKey]
"""An address family and ports: what a slice is for."""


class EndpointSliceMirroringController(Controller):
    """One Endpoints a key, which has its Service's name."""

    name = "endpointslice-mirroring-controller"
    account = "endpointslicemirroring-controller"

    def setup(self, builder: Builder) -> None:
        self.endpoints = builder.for_(core_v1.Endpoints)
        self.services = builder.watches(core_v1.Service, lambda s: [key_of(s)], changed=_selector_came_or_went)
        self.slices = builder.watches(
            discovery_v1.EndpointSlice,
            _service_of,
            labels=f"{MANAGED_BY_LABEL}={MANAGED_BY}",
            indexers={"service": lambda s: [str(key) for key in _service_of(s)]},
        )

    async def reconcile(self, key: Key) -> Result | None:
        endpoints = self.endpoints.get(*key)
        service = self.services.get(*key)
        present = self.slices.by_index("service", str(key))
        if endpoints is None or service is None or service.spec.selector or not _mirrored(endpoints):
            for slice_ in present:
                await self._delete(slice_)
            return None
        wanted = self._wanted(endpoints)
        spare: list[discovery_v1.EndpointSlice] = []
        kept: dict[Place, discovery_v1.EndpointSlice] = {}
        for slice_ in present:
            place = (slice_.address_type, port_key(slice_.ports))
            if place in wanted and place not in kept:
                kept[place] = slice_
            else:
                spare.append(slice_)
        for place, made in wanted.items():
            # A slice that is no longer needed may take what is new: one write where there would be two.
            old = kept.get(place) or next((s for s in spare if s.address_type == place[0]), None)
            if old is None:
                await self._create(endpoints, made)
                continue
            if old in spare:
                spare.remove(old)
            if not _same(old, made):
                made.metadata = msgspec.structs.replace(
                    old.metadata, labels=made.metadata.labels, annotations=made.metadata.annotations
                )
                await self.context.client.update(made)
        for slice_ in spare:
            await self._delete(slice_)
        return None

    def _wanted(self, endpoints: core_v1.Endpoints) -> dict[Place, discovery_v1.EndpointSlice]:
        made: dict[Place, discovery_v1.EndpointSlice] = {}
        seen: dict[Place, set[tuple[str, ...]]] = {}
        invalid = skipped = 0
        for subset in endpoints.subsets:
            every = [(a, True) for a in subset.addresses] + [(a, False) for a in subset.not_ready_addresses]
            ports = [
                discovery_v1.EndpointPort(name=p.name, port=p.port, protocol=p.protocol, app_protocol=p.app_protocol)
                for p in subset.ports
            ]
            added = 0
            for address, ready in every:
                if added == MAX_ADDRESSES:
                    break
                try:
                    ip = ipaddress.ip_address(address.ip)
                except ValueError:
                    invalid += 1
                    continue
                added += 1
                place = (f"IPv{ip.version}", port_key(ports))
                if place not in made:
                    made[place], seen[place] = _slice(endpoints, place[0], ports), set()
                endpoint = discovery_v1.Endpoint(
                    addresses=[str(ip)],
                    conditions=discovery_v1.EndpointConditions(ready=ready),
                    target_ref=address.target_ref,
                    node_name=address.node_name,
                    hostname=address.hostname or None,
                )
                if identity(endpoint) not in seen[place]:
                    seen[place].add(identity(endpoint))
                    made[place].endpoints.append(endpoint)
            skipped += len(every) - added
        if invalid:
            why = f"Skipped {invalid} invalid IP addresses when mirroring to EndpointSlices"
            self.context.recorder.event(endpoints, "Warning", "InvalidIPAddress", why)
        if skipped > invalid:
            why = (
                f"A max of {MAX_ADDRESSES} addresses can be mirrored to EndpointSlices per Endpoints subset. "
                f"{skipped} addresses were skipped"
            )
            self.context.recorder.event(endpoints, "Warning", "TooManyAddressesToMirror", why)
        return made

    async def _create(self, endpoints: core_v1.Endpoints, made: discovery_v1.EndpointSlice) -> None:
        if endpoints.metadata.deletion_timestamp is not None:
            return
        try:
            await self.context.client.create(made)
        except errors.Forbidden as error:
            if not is_terminating(error):
                raise

    async def _delete(self, slice_: discovery_v1.EndpointSlice) -> None:
        meta = slice_.metadata
        with suppress(errors.NotFound, errors.Conflict):
            await self.context.client.delete(discovery_v1.EndpointSlice, meta.name, meta.namespace, uid=meta.uid)


def _slice(
    endpoints: core_v1.Endpoints, family: str, ports: list[discovery_v1.EndpointPort]
) -> discovery_v1.EndpointSlice:
    meta = endpoints.metadata
    return discovery_v1.EndpointSlice(
        metadata=meta_v1.ObjectMeta(
            generate_name=f"{meta.name}-",
            namespace=meta.namespace,
            labels={**meta.labels, SERVICE_LABEL: meta.name, MANAGED_BY_LABEL: MANAGED_BY},
            annotations={k: v for k, v in meta.annotations.items() if k not in (ANNOTATION, LAST_APPLIED)},
            owner_references=[controller_reference(endpoints)],
        ),
        address_type=family,
        ports=ports,
    )


def _same(old: discovery_v1.EndpointSlice, made: discovery_v1.EndpointSlice) -> bool:
    return (
        sorted(old.endpoints, key=identity) == sorted(made.endpoints, key=identity)
        and port_key(old.ports) == port_key(made.ports)
        and old.metadata.labels == made.metadata.labels
        and old.metadata.annotations == made.metadata.annotations
    )


def _mirrored(endpoints: core_v1.Endpoints) -> bool:
    return endpoints.metadata.labels.get(SKIP_LABEL) != "true" and LEADER not in endpoints.metadata.annotations


def _selector_came_or_went(old: core_v1.Service, new: core_v1.Service) -> bool:
    return bool(old.spec.selector) != bool(new.spec.selector)


def _service_of(slice_: discovery_v1.EndpointSlice) -> Iterable[Key]:
    name = slice_.metadata.labels.get(SERVICE_LABEL)
    return [Key(slice_.metadata.namespace, name)] if name else []
