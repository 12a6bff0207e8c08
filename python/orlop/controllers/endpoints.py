"""Endpoints of Services with a selector: what came before EndpointSlices, kept for programs that still read it.

Upstream: pkg/controller/endpoint. They know one address family, the Service's first, and at most `CAPACITY` addresses.
"""

import math
from collections.abc import Iterable, Iterator
from contextlib import suppress

import msgspec

from orlop.api import errors, selectors
from orlop.api.types import core_v1, meta_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.controllers import pods
from orlop.controllers.endpointslice.controller import HEADLESS_LABEL, endpoint_changed
from orlop.controllers.endpointslice.endpoints import has_endpoint, ports_of, selecting
from orlop.controllers.endpointslice.triggers import ANNOTATION, Triggers
from orlop.controllers.serviceaccounts import is_terminating
from orlop.controllers.views import PodView

MANAGED_BY_LABEL = "endpoints.kubernetes.io/managed-by"
MANAGED_BY = "endpoint-controller"
OVER_CAPACITY = "endpoints.kubernetes.io/over-capacity"
LEADER = "control-plane.alpha.kubernetes.io/leader"
"""An annotation of Endpoints that are no endpoints but a lock."""
CAPACITY = 1000
"""Addresses of one object: more would make every change of one a megabyte."""

Port = tuple[str, int, str, str]
Address = tuple[str, str, bool]
"""IP, the pod's uid, and whether it is ready."""


class EndpointsController(Controller):
    """One Service a key."""

    name = "endpoints-controller"
    account = "endpoint-controller"
    component = "endpoint-controller"

    def __init__(self) -> None:
        self.triggers = Triggers()

    def setup(self, builder: Builder) -> None:
        self.services = builder.for_(core_v1.Service, indexers={"namespace": lambda s: [s.metadata.namespace]})
        self.pods = builder.watches(PodView, lambda pod: selecting(self.services, pod), changed=endpoint_changed)
        self.endpoints = builder.informer(core_v1.Endpoints)
        self.endpoints.on_change(self._changed)

    def _changed(self, old: core_v1.Endpoints | None, new: core_v1.Endpoints | None) -> None:
        """Ours are put right; others' are left alone until they are deleted: they may come before their Service."""
        found = new or old
        assert found is not None
        if new is None or (old is not None and new.metadata.labels.get(MANAGED_BY_LABEL) == MANAGED_BY):
            self.context.enqueue(key_of(found), 0)

    async def prepare(self) -> None:
        """Looks at all that there are: their Services may have gone while nobody looked."""
        for found in self.endpoints.items():
            self.context.enqueue(key_of(found), 0)

    async def reconcile(self, key: Key) -> Result | None:
        service = self.services.get(key.namespace, key.name)
        present = self.endpoints.get(key.namespace, key.name)
        if service is None:
            self.triggers.forget(key)
            if present is not None and LEADER not in present.metadata.annotations:
                with suppress(errors.NotFound, errors.Conflict):
                    await self.context.client.delete(
                        core_v1.Endpoints, key.name, key.namespace, uid=present.metadata.uid
                    )
            return None
        if service.spec.type == "ExternalName" or not service.spec.selector:
            return None  # theirs are whoever's who makes them
        selected = self.pods.list(key.namespace, selectors.from_map(service.spec.selector))
        trigger = self.triggers.oldest_change(key, service, selected)
        subsets, truncated = fit(repack(_members(service, selected)))
        labels = {k: v for k, v in service.metadata.labels.items() if k != HEADLESS_LABEL}
        labels[MANAGED_BY_LABEL] = MANAGED_BY
        if service.spec.cluster_ip in ("", "None"):
            labels[HEADLESS_LABEL] = ""
        before = present.metadata.annotations if present is not None else {}
        if (
            present is not None
            and present.subsets == subsets
            and present.metadata.labels == labels
            and (OVER_CAPACITY in before) == truncated
        ):
            return None
        annotations = {k: v for k, v in before.items() if k not in (ANNOTATION, OVER_CAPACITY)}
        if trigger:
            annotations[ANNOTATION] = trigger
        if truncated:
            annotations[OVER_CAPACITY] = "truncated"
        if present is None:
            meta = meta_v1.ObjectMeta(name=key.name, namespace=key.namespace)
        else:
            meta = msgspec.structs.replace(present.metadata)
        meta.labels, meta.annotations = labels, annotations
        await self._write(service, core_v1.Endpoints(metadata=meta, subsets=subsets), new=present is None)
        return None

    async def _write(self, service: core_v1.Service, endpoints: core_v1.Endpoints, *, new: bool) -> None:
        try:
            if new:
                await self.context.client.create(endpoints)
            else:
                await self.context.client.update(endpoints)
        except errors.ApiError as error:
            if new and is_terminating(error):
                return
            named = f"{endpoints.metadata.namespace}/{endpoints.metadata.name}"
            if new:
                reason, why = "FailedToCreateEndpoint", f"Failed to create endpoint for service {named}: {error}"
            else:
                reason, why = "FailedToUpdateEndpoint", f"Failed to update endpoint {named}: {error}"
            self.context.recorder.event(endpoints, "Warning", reason, why)
            raise


Member = tuple[core_v1.EndpointAddress, bool, core_v1.EndpointPort | None]
"""One address at one port, and whether it is ready."""


def _members(service: core_v1.Service, selected: Iterable[PodView]) -> Iterator[Member]:
    every = service.spec.publish_not_ready_addresses
    family = (service.spec.ip_families or ["IPv4"])[0]
    for pod in selected:
        ip = next((p.ip for p in pod.status.pod_ips if (":" in p.ip) == (family == "IPv6")), None)
        if ip is None or not has_endpoint(pod) or (pod.metadata.deletion_timestamp is not None and not every):
            continue
        meta = pod.metadata
        address = core_v1.EndpointAddress(
            ip=ip,
            node_name=pod.spec.node_name or None,
            target_ref=core_v1.ObjectReference(kind="Pod", namespace=meta.namespace, name=meta.name, uid=meta.uid),
        )
        if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
            address.hostname = pod.spec.hostname
        ready = every or pods.is_ready(pod)
        if not service.spec.ports:
            if service.spec.cluster_ip == "None":
                yield address, ready, None
            continue
        for port in ports_of(service, pod):
            yield (
                address,
                ready,
                core_v1.EndpointPort(
                    name=port.name or "",
                    port=port.port or 0,
                    protocol=port.protocol or "",
                    app_protocol=port.app_protocol,
                ),
            )


def repack(members: Iterable[Member]) -> list[core_v1.EndpointSubset]:
    """As few subsets as say it all: ports that the very same addresses serve stand together, in a fixed order."""
    addresses: dict[Address, core_v1.EndpointAddress] = {}
    ports: dict[Port, core_v1.EndpointPort | None] = {}
    by_port: dict[Port, set[Address]] = {}
    for address, ready, port in members:
        assert address.target_ref is not None
        who = (address.ip, address.target_ref.uid, ready)
        what = (port.name, port.port, port.protocol, port.app_protocol or "") if port is not None else ("", 0, "", "")
        addresses[who], ports[what] = address, port
        by_port.setdefault(what, set()).add(who)
    by_addresses: dict[frozenset[Address], list[Port]] = {}
    for what, members_ in by_port.items():
        by_addresses.setdefault(frozenset(members_), []).append(what)
    subsets = []
    for whos, whats in sorted(by_addresses.items(), key=lambda item: min(item[1])):
        found = [port for what in sorted(whats) if (port := ports[what]) is not None]
        ready_ = [addresses[who] for who in sorted(whos) if who[2]]
        not_ready = [addresses[who] for who in sorted(whos) if not who[2]]
        subsets.append(core_v1.EndpointSubset(addresses=ready_, not_ready_addresses=not_ready, ports=found))
    return subsets


def fit(subsets: list[core_v1.EndpointSubset]) -> tuple[list[core_v1.EndpointSubset], bool]:
    """At most `CAPACITY` addresses, ready ones first, each subset its share; and whether any was left out."""
    ready = sum(len(s.addresses) for s in subsets)
    not_ready = sum(len(s.not_ready_addresses) for s in subsets)
    if ready + not_ready <= CAPACITY:
        return subsets, False
    room = left = CAPACITY if ready > CAPACITY else CAPACITY - ready
    kept = []
    for subset in subsets:
        mine = subset.addresses if ready > CAPACITY else subset.not_ready_addresses
        share = min(left, math.ceil(len(mine) * room / (ready if ready > CAPACITY else not_ready)))
        left -= min(share, len(mine))
        if ready > CAPACITY:
            kept.append(msgspec.structs.replace(subset, addresses=mine[:share], not_ready_addresses=[]))
        else:
            kept.append(msgspec.structs.replace(subset, not_ready_addresses=mine[:share]))
    return kept, True
