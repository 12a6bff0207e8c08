"""One Service a key: reads pods, nodes and slices, and writes the slices that must change."""

import contextlib

import msgspec

from orlop.api import errors, selectors
from orlop.api.types import core_v1, discovery_v1, meta_v1
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.control.owners import controller_reference
from orlop.controllers import pods
from orlop.controllers.endpointslice import topology
from orlop.controllers.endpointslice.endpoints import ZONE_LABEL, endpoint_of, has_endpoint, ports_of, selecting
from orlop.controllers.endpointslice.packing import Content, group, identity, pack
from orlop.controllers.endpointslice.triggers import ANNOTATION, Triggers
from orlop.controllers.serviceaccounts import is_terminating
from orlop.controllers.views import PodView

MANAGED_BY = "endpointslice-controller.k8s.io"
MANAGED_BY_LABEL = "endpointslice.kubernetes.io/managed-by"
SERVICE_LABEL = "kubernetes.io/service-name"
HEADLESS_LABEL = "service.kubernetes.io/headless"


class EndpointSliceController(Controller):
    """Slices of a Service that is gone are the garbage collector's."""

    name = "endpointslice-controller"
    component = "endpoint-slice-controller"

    def __init__(self) -> None:
        self.triggers = Triggers()
        self.told: dict[tuple[Key, str], str] = {}
        """The last that was told of a Service's topology hints, by address family."""

    def setup(self, builder: Builder) -> None:
        self.services = builder.for_(
            core_v1.Service,
            indexers={
                "namespace": lambda s: [s.metadata.namespace],
                "hinted": lambda s: ["yes"] if topology.is_wanted(s) else [],
            },
        )
        self.pods = builder.watches(
            PodView, self._selecting, changed=endpoint_changed, indexers={"node": lambda p: [p.spec.node_name]}
        )
        self.slices = builder.watches(
            discovery_v1.EndpointSlice,
            _service_of,
            labels=f"{MANAGED_BY_LABEL}={MANAGED_BY}",
            indexers={"service": lambda s: [f"{s.metadata.namespace}/{s.metadata.labels.get(SERVICE_LABEL, '')}"]},
        )
        self.nodes = builder.watches(core_v1.Node, self._on_node, changed=_zone_changed)
        builder.watches(
            core_v1.Node,
            lambda node: map(key_of, self.services.by_index("hinted", "yes")),
            changed=lambda old, new: topology.capacity(old) != topology.capacity(new),
        )

    def _selecting(self, pod: PodView) -> list[Key]:
        return selecting(self.services, pod)

    def _on_node(self, node: core_v1.Node) -> list[Key]:
        """The Services of pods on that node: endpoints carry its zone, and are none while it is not there."""
        found = {key: None for pod in self.pods.by_index("node", node.metadata.name) for key in self._selecting(pod)}
        return list(found)

    async def reconcile(self, key: Key) -> Result | None:
        service = self.services.get(key.namespace, key.name)
        if service is None:
            self.triggers.forget(key)
            self.told = {about: what for about, what in self.told.items() if about[0] != key}
            return None
        if service.spec.type == "ExternalName" or not service.spec.selector:
            # Its slices, if it has any, are whoever's who made them.
            return None
        selected = self.pods.list(key.namespace, selectors.from_map(service.spec.selector))
        slices = [s for s in self.slices.by_index("service", str(key)) if s.metadata.deletion_timestamp is None]
        trigger = self.triggers.oldest_change(key, service, selected)
        try:
            for family in service.spec.ip_families or ["IPv4"]:
                mine = [s for s in slices if s.address_type == family and _owned(s, service)]
                await self._reconcile_family(service, family, selected, mine, trigger)
                slices = [s for s in slices if s not in mine]
            for stray in slices:
                await self._delete(stray)
        except errors.Forbidden as error:
            if not is_terminating(error):
                raise
        return None

    async def _reconcile_family(
        self,
        service: core_v1.Service,
        family: str,
        selected: list[PodView],
        present: list[discovery_v1.EndpointSlice],
        trigger: str | None,
    ) -> None:
        members = []
        for pod in selected:
            node = self.nodes.get("", pod.spec.node_name)
            # A pod of a node that is not there is about to be removed, and not to be sent to.
            if has_endpoint(pod) and (node is not None or service.spec.publish_not_ready_addresses):
                endpoint = endpoint_of(service, pod, node, family)
                if endpoint is not None:
                    members.append((ports_of(service, pod), endpoint))
        if topology.is_wanted(service):
            self._hint(service, family, [endpoint for _, endpoint in members], present)
        elif self.told.get((key_of(service), family)) == topology.ENABLED:
            self._tell(service, family, topology.DISABLED)
        plan = pack(group(members), present, _labels(service))
        if service.metadata.deletion_timestamp is None:
            for content in plan.create:
                await self._create(service, family, content, trigger)
        for slice_, content in plan.update:
            await self._update(service, slice_, content, trigger)
        for slice_ in plan.delete:
            await self._delete(slice_)

    def _hint(
        self,
        service: core_v1.Service,
        family: str,
        endpoints: list[discovery_v1.Endpoint],
        present: list[discovery_v1.EndpointSlice],
    ) -> None:
        """Gives the endpoints the hints that spread them over the zones; none where that cannot be."""
        before = {
            identity(endpoint): endpoint.hints.for_zones[0].name
            for slice_ in present
            for endpoint in slice_.endpoints
            if endpoint.hints is not None and endpoint.hints.for_zones
        }
        try:
            zones = topology.assign(endpoints, before, topology.ratios(self.nodes.items()))
            self._tell(service, family, topology.ENABLED)
        except topology.Refused as why:
            zones = {}
            self._tell(service, family, str(why))
        for endpoint in endpoints:
            zone = zones.get(identity(endpoint))
            endpoint.hints = discovery_v1.EndpointHints(for_zones=[discovery_v1.ForZone(name=zone)]) if zone else None

    def _tell(self, service: core_v1.Service, family: str, what: str) -> None:
        about = (key_of(service), family)
        if self.told.get(about) == what:
            return
        self.told[about] = what
        enabled = what == topology.ENABLED
        self.context.recorder.event(
            service,
            "Normal" if enabled else "Warning",
            "TopologyAwareHintsEnabled" if enabled else "TopologyAwareHintsDisabled",
            f"{what}, addressType: {family}",
        )

    async def _create(self, service: core_v1.Service, family: str, content: Content, trigger: str | None) -> None:
        await self.context.client.create(
            discovery_v1.EndpointSlice(
                metadata=meta_v1.ObjectMeta(
                    generate_name=f"{service.metadata.name}-",
                    namespace=service.metadata.namespace,
                    labels=_labels(service),
                    annotations={ANNOTATION: trigger} if trigger else {},
                    owner_references=[controller_reference(service)],
                ),
                address_type=family,
                endpoints=content.endpoints,
                ports=content.ports,
            )
        )

    async def _update(
        self, service: core_v1.Service, slice_: discovery_v1.EndpointSlice, content: Content, trigger: str | None
    ) -> None:
        annotations = {k: v for k, v in slice_.metadata.annotations.items() if k != ANNOTATION}
        if trigger:
            annotations[ANNOTATION] = trigger
        metadata = msgspec.structs.replace(slice_.metadata, labels=_labels(service), annotations=annotations)
        await self.context.client.update(
            msgspec.structs.replace(slice_, metadata=metadata, endpoints=content.endpoints, ports=content.ports)
        )

    async def _delete(self, slice_: discovery_v1.EndpointSlice) -> None:
        with contextlib.suppress(errors.NotFound):
            await self.context.client.delete(
                discovery_v1.EndpointSlice, slice_.metadata.name, slice_.metadata.namespace, uid=slice_.metadata.uid
            )


def _labels(service: core_v1.Service) -> dict[str, str]:
    """The Service's own labels, and those by which slices are found."""
    reserved = (MANAGED_BY_LABEL, SERVICE_LABEL, HEADLESS_LABEL)
    labels = {k: v for k, v in service.metadata.labels.items() if k not in reserved}
    if service.spec.cluster_ip in ("", "None"):
        labels[HEADLESS_LABEL] = ""
    return labels | {SERVICE_LABEL: service.metadata.name, MANAGED_BY_LABEL: MANAGED_BY}


def _owned(slice_: discovery_v1.EndpointSlice, service: core_v1.Service) -> bool:
    """False for what an older Service of the same name has left."""
    return any(
        ref.uid == service.metadata.uid and (ref.api_version, ref.kind) == ("v1", "Service")
        for ref in slice_.metadata.owner_references
    )


def _service_of(slice_: discovery_v1.EndpointSlice) -> list[Key]:
    name = slice_.metadata.labels.get(SERVICE_LABEL)
    return [Key(slice_.metadata.namespace, name)] if name else []


def endpoint_changed(old: PodView, new: PodView) -> bool:
    """Whether what a pod's endpoints are made of is different."""
    return (
        old.metadata.labels != new.metadata.labels
        or old.metadata.deletion_timestamp != new.metadata.deletion_timestamp
        or old.spec.node_name != new.spec.node_name
        or old.status.pod_ips != new.status.pod_ips
        or pods.is_terminal(old) != pods.is_terminal(new)
        or pods.is_ready(old) != pods.is_ready(new)
    )


def _zone_changed(old: core_v1.Node, new: core_v1.Node) -> bool:
    return old.metadata.labels.get(ZONE_LABEL) != new.metadata.labels.get(ZONE_LABEL)
