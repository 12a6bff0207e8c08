"""EndpointSlices of Services with a selector (pkg/controller/endpointslice, staging/src/k8s.io/endpointslice).

A change of one endpoint rewrites the slice it stands in and no other; full slices are filled before new ones are made.
"""

import contextlib

import msgspec

from orlop.api import errors, selectors
from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.clock import parse_time, rfc3339
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.control.owners import controller_reference
from orlop.controllers.serviceaccounts import is_terminating
from orlop.controllers.views import PodView

MAX_ENDPOINTS = 100
"""Endpoints a slice (upstream: --max-endpoints-per-slice)."""

MANAGED_BY = "endpointslice-controller.k8s.io"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
SERVICE_LABEL = "kubernetes.io/service-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"
TRIGGER_ANNOTATION = "endpoints.kubernetes.io/last-change-trigger-time"
ZONE_LABEL = "topology.kubernetes.io/zone"

Ports = tuple[tuple[str, str, int, str | None], ...]
"""(name, protocol, port, appProtocol) of a slice, in order: slices of one Service may differ where ports are named."""


class EndpointSliceController(Controller):
    """One Service a key."""

    name = "endpointslice-controller"
    component = "endpoint-slice-controller"

    def setup(self, builder: Builder) -> None:
        self.services = builder.for_(core_v1.Service, indexers={"namespace": lambda s: [s.metadata.namespace]})
        self.pods = builder.watches(PodView, self._services_of, changed=self._pod_changed)
        self.slices = builder.watches(
            discovery_v1.EndpointSlice,
            self._service_of_slice,
            labels=f"{MANAGED_BY_LABEL}={MANAGED_BY}",
            indexers={"service": lambda s: [f"{s.metadata.namespace}/{s.metadata.labels.get(SERVICE_LABEL, '')}"]},
        )
        self.nodes = builder.informer(core_v1.Node)

    def _services_of(self, pod: PodView) -> list[Key]:
        return [
            Key(s.metadata.namespace, s.metadata.name)
            for s in self.services.by_index("namespace", pod.metadata.namespace)
            if s.spec.selector and s.spec.selector.items() <= pod.metadata.labels.items()
        ]

    @staticmethod
    def _pod_changed(old: PodView, new: PodView) -> bool:
        return (
            old.metadata.labels != new.metadata.labels
            or old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
            or old.spec.node_name != new.spec.node_name
            or old.status.pod_ips != new.status.pod_ips
            or old.status.phase != new.status.phase
            or is_ready(old) != is_ready(new)
        )

    @staticmethod
    def _service_of_slice(slice_: discovery_v1.EndpointSlice) -> list[Key]:
        name = slice_.metadata.labels.get(SERVICE_LABEL)
        return [Key(slice_.metadata.namespace, name)] if name else []

    async def reconcile(self, key: Key) -> Result | None:
        service = self.services.get(key.namespace, key.name)
        if service is None or service.spec.type == "ExternalName" or not service.spec.selector:
            # Of a Service that is gone the garbage collector removes the slices.
            return None
        present = [s for s in self.slices.by_index("service", str(key)) if not s.metadata.deletion_timestamp]
        selector = selectors.from_map(service.spec.selector)
        pods = [p for p in self.pods.items(key.namespace, selector) if self._included(service, p)]
        families = service.spec.ip_families or ["IPv4"]
        try:
            for family in families:
                mine = [s for s in present if s.address_type == family]
                await self._family(service, family, pods, mine)
            for stray in (s for s in present if s.address_type not in families):
                await self._delete(stray)
        except errors.Forbidden as error:
            if not is_terminating(error):
                raise
        return None

    @staticmethod
    def _included(service: core_v1.Service, pod: PodView) -> bool:
        if not pod.status.pod_ips or pod.status.phase in ("Succeeded", "Failed"):
            return False
        return bool(pod.spec.node_name)

    async def _family(
        self,
        service: core_v1.Service,
        family: str,
        pods: list[PodView],
        present: list[discovery_v1.EndpointSlice],
    ) -> None:
        wanted: dict[Ports, dict[str, discovery_v1.Endpoint]] = {}
        for pod in pods:
            address = next((p.ip for p in pod.status.pod_ips if (":" in p.ip) == (family == "IPv6")), None)
            if address is not None:
                endpoint = self._endpoint(service, pod, address)
                wanted.setdefault(ports_of(service, pod), {})[identity(endpoint)] = endpoint
        by_ports: dict[Ports, list[discovery_v1.EndpointSlice]] = {}
        for slice_ in present:
            by_ports.setdefault(ports_in(slice_), []).append(slice_)
        if not wanted:
            # A Service without pods keeps one empty slice, so that its readers know that it has none.
            wanted[()] = {}
        labels = self._labels(service)
        spare = [s for ports, group in by_ports.items() if ports not in wanted for s in group]
        for ports, endpoints in wanted.items():
            await self._ports(service, family, ports, endpoints, by_ports.get(ports, []), spare, labels)
        for slice_ in spare:
            await self._delete(slice_)

    async def _ports(
        self,
        service: core_v1.Service,
        family: str,
        ports: Ports,
        endpoints: dict[str, discovery_v1.Endpoint],
        present: list[discovery_v1.EndpointSlice],
        spare: list[discovery_v1.EndpointSlice],
        labels: dict[str, str],
    ) -> None:
        """Brings the slices of one set of ports to hold exactly `endpoints`."""
        missing = dict(endpoints)
        kept: list[tuple[discovery_v1.EndpointSlice, list[discovery_v1.Endpoint], bool]] = []
        for slice_ in present:
            held = []
            changed = slice_.metadata.labels != labels
            for endpoint in slice_.endpoints:
                now = missing.pop(identity(endpoint), None)
                if now is None:
                    changed = True
                    continue
                held.append(now)
                changed = changed or now != endpoint
            kept.append((slice_, held, changed))
        left = list(missing.values())
        # First into slices that are rewritten anyway, then into the fullest that has room for all.
        for index, (slice_, held, changed) in enumerate(kept):
            if changed and left:
                room = MAX_ENDPOINTS - len(held)
                kept[index] = (slice_, held + left[:room], True)
                left = left[room:]
        if left:
            rooms = [
                (MAX_ENDPOINTS - len(held), i)
                for i, (_, held, changed) in enumerate(kept)
                if not changed and MAX_ENDPOINTS - len(held) >= len(left)
            ]
            if rooms:
                slice_, held, _ = kept[min(rooms)[1]]
                kept[min(rooms)[1]] = (slice_, held + left, True)
                left = []
        alive = sum(bool(held) for _, held, _ in kept) + bool(left)
        for slice_, held, changed in kept:
            if not held and (alive or slice_ is not kept[0][0]):
                spare.append(slice_)
            elif changed:
                await self._update(service, slice_, held, labels, ports)
        while left or (not kept and not alive):
            batch, left = left[:MAX_ENDPOINTS], left[MAX_ENDPOINTS:]
            if spare:
                await self._update(service, spare.pop(), batch, labels, ports)
            else:
                await self._create(service, family, ports, batch, labels)
            if not left:
                return

    def _endpoint(self, service: core_v1.Service, pod: PodView, address: str) -> discovery_v1.Endpoint:
        terminating = bool(pod.metadata.deletion_timestamp)
        serving = is_ready(pod)
        ready = service.spec.publish_not_ready_addresses or (serving and not terminating)
        node = self.nodes.get("", pod.spec.node_name)
        hostname = None
        if pod.spec.hostname and pod.spec.subdomain == service.metadata.name:
            hostname = pod.spec.hostname
        return discovery_v1.Endpoint(
            addresses=[address],
            conditions=discovery_v1.EndpointConditions(ready=ready, serving=serving, terminating=terminating),
            hostname=hostname,
            target_ref=core_v1.ObjectReference(
                api_version="",
                kind="Pod",
                namespace=pod.metadata.namespace,
                name=pod.metadata.name,
                uid=pod.metadata.uid,
            ),
            node_name=pod.spec.node_name,
            zone=node.metadata.labels.get(ZONE_LABEL) if node else None,
        )

    def _labels(self, service: core_v1.Service) -> dict[str, str]:
        labels = {
            k: v
            for k, v in service.metadata.labels.items()
            if k not in (MANAGED_BY_LABEL, SERVICE_LABEL, HEADLESS_LABEL)
        }
        labels |= {SERVICE_LABEL: service.metadata.name, MANAGED_BY_LABEL: MANAGED_BY}
        if service.spec.cluster_ip == "None":
            labels[HEADLESS_LABEL] = ""
        return labels

    async def _create(
        self,
        service: core_v1.Service,
        family: str,
        ports: Ports,
        endpoints: list[discovery_v1.Endpoint],
        labels: dict[str, str],
    ) -> None:
        slice_ = discovery_v1.EndpointSlice(
            metadata=meta_v1.ObjectMeta(
                generate_name=f"{service.metadata.name}-",
                namespace=service.metadata.namespace,
                labels=labels,
                annotations=self._trigger(service, endpoints),
                owner_references=[controller_reference(service)],
            ),
            address_type=family,
            endpoints=endpoints,
            ports=struct_ports(ports),
        )
        await self.context.client.create(slice_)

    async def _update(
        self,
        service: core_v1.Service,
        slice_: discovery_v1.EndpointSlice,
        endpoints: list[discovery_v1.Endpoint],
        labels: dict[str, str],
        ports: Ports,
    ) -> None:
        fresh = msgspec.structs.replace(
            slice_,
            metadata=msgspec.structs.replace(
                slice_.metadata,
                labels=labels,
                annotations=slice_.metadata.annotations | self._trigger(service, endpoints),
            ),
            endpoints=endpoints,
            ports=struct_ports(ports),
        )
        await self.context.client.update(fresh)

    async def _delete(self, slice_: discovery_v1.EndpointSlice) -> None:
        with contextlib.suppress(errors.NotFound):
            await self.context.client.delete(
                discovery_v1.EndpointSlice, slice_.metadata.name, slice_.metadata.namespace, uid=slice_.metadata.uid
            )

    def _trigger(self, service: core_v1.Service, endpoints: list[discovery_v1.Endpoint]) -> dict[str, str]:
        """When what caused this write happened: the newest change of readiness, or the Service's creation."""
        times = [parse_time(service.metadata.creation_timestamp)] if service.metadata.creation_timestamp else []
        for endpoint in endpoints:
            pod = self.pods.get(service.metadata.namespace, endpoint.target_ref.name) if endpoint.target_ref else None
            for c in pod.status.conditions if pod else ():
                if c.type == "Ready" and c.last_transition_time:
                    times.append(parse_time(c.last_transition_time))
        return {TRIGGER_ANNOTATION: rfc3339(max(times))} if times else {}


def is_ready(pod: PodView) -> bool:
    """Whether the pod's Ready condition holds."""
    return any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions)


def identity(endpoint: discovery_v1.Endpoint) -> str:
    """The same pod at the same address."""
    return f"{endpoint.target_ref.uid if endpoint.target_ref else ''}/{endpoint.addresses[0]}"


def ports_of(service: core_v1.Service, pod: PodView) -> Ports:
    """The Service's ports as this pod serves them; a named port that it lacks is left out."""
    found = []
    for port in service.spec.ports:
        target: int | str | None = port.target_port or port.port
        if isinstance(target, str):
            target = next(
                (
                    p.container_port
                    for c in [*pod.spec.containers, *(i for i in pod.spec.init_containers if i.restart_policy)]
                    for p in c.ports
                    if p.name == target and (p.protocol or "TCP") == (port.protocol or "TCP")
                ),
                None,
            )
        if target is not None:
            found.append((port.name, port.protocol or "TCP", int(target), port.app_protocol))
    return tuple(found)


def ports_in(slice_: discovery_v1.EndpointSlice) -> Ports:
    """The ports of a slice, in the form of `ports_of`."""
    return tuple((p.name or "", p.protocol or "TCP", p.port or 0, p.app_protocol) for p in slice_.ports)


def struct_ports(ports: Ports) -> list[discovery_v1.EndpointPort]:
    """The form of the API."""
    return [
        discovery_v1.EndpointPort(name=name, protocol=protocol, port=port, app_protocol=app)
        for name, protocol, port, app in ports
    ]
