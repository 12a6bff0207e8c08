"""Services of type LoadBalancer get addresses from a pool, and a node that bears them.

Upstream: staging/src/k8s.io/cloud-provider/controllers/service, whose events and finalizer these are; what a cloud does
there is done here by one of the nodes, which binds the addresses (`kubelet.network.balancers`). The node is named by an
annotation. It stays while it can bear; of several the one that bears the fewest Services is chosen.

Only the slices that this cluster's own controller makes are read for the nodes of endpoints.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from typing import Any, NamedTuple

from orlop.api import errors, loadbalancers
from orlop.api.types import core_v1, discovery_v1
from orlop.clock import rfc3339
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.controllers.addresspool import Pool
from orlop.controllers.endpointslice.controller import MANAGED_BY, MANAGED_BY_LABEL, SERVICE_LABEL

CONDITION = "orlop/LoadBalancerReady"
GOING = "ToBeDeletedByClusterAutoscaler"
"""A taint: the node is about to go."""
NO_NODE = f"no node is Ready and without the label {loadbalancers.EXCLUDED}"
VERSIONS = {"IPv4": 4, "IPv6": 6}


class Decision(NamedTuple):
    """What a Service is to have."""

    addresses: list[str]
    node: str
    reason: str
    message: str


class ServiceLoadBalancerController(Controller):
    """One Service a key."""

    name = "service-lb-controller"
    account = "service-controller"
    component = "service-controller"

    def __init__(self, pool: Sequence[str]) -> None:
        """`pool`: ranges of addresses."""
        self.pool = Pool(pool)
        self.bearers: dict[Key, str] = {}
        """The Services that are ours, and the node of each."""
        self.waiting: set[Key] = set()
        """Those that got no address."""

    def setup(self, builder: Builder) -> None:
        self.services = builder.for_(core_v1.Service)
        self.services.on_change(self._tell_change)
        self.nodes = builder.watches(core_v1.Node, lambda node: self.bearers, changed=_eligibility_changed)
        self.slices = builder.watches(
            discovery_v1.EndpointSlice,
            self._of_slice,
            labels=f"{MANAGED_BY_LABEL}={MANAGED_BY}",
            indexers={"service": lambda one: [str(key) for key in _service_of(one)]},
        )

    async def prepare(self) -> None:
        """What has been given stays with those who have it."""
        for service in self.services.items():
            if loadbalancers.wanted(service) and loadbalancers.NODE in service.metadata.annotations:
                self.bearers[key_of(service)] = service.metadata.annotations[loadbalancers.NODE]
                for address in _given(service):
                    self.pool.claim(key_of(service), address)

    async def reconcile(self, key: Key) -> Result | None:
        service = self.services.get(*key)
        if service is not None and loadbalancers.wanted(service):
            await self._ensure(key, service)
            return None
        if service is not None and loadbalancers.NODE in service.metadata.annotations:
            await self._remove(service)
        self.bearers.pop(key, None)
        self.waiting.discard(key)
        self._forget(key)
        return None

    # --- giving

    async def _ensure(self, key: Key, service: core_v1.Service) -> None:
        decided = self._decide(key, service)
        before = service.metadata.annotations.get(loadbalancers.NODE)
        had = _given(service)
        status, finalizers = service.status, service.metadata.finalizers
        ready = next((c for c in status.conditions if c.type == CONDITION), None)
        same = ready is not None and (ready.reason, ready.message) == (decided.reason, decided.message)
        if same and before == decided.node and had == decided.addresses and loadbalancers.FINALIZER in finalizers:
            return
        tell = self.context.recorder.event
        if had != decided.addresses or before is None:
            tell(service, "Normal", "EnsuringLoadBalancer", "Ensuring load balancer")
        as_it_was = ready is not None and ready.status == _status(decided)
        condition = {
            "type": CONDITION,
            "status": _status(decided),
            "reason": decided.reason,
            "message": decided.message,
            "lastTransitionTime": ready.last_transition_time
            if ready is not None and as_it_was
            else rfc3339(self.context.clock.now()),
        }
        await self._patch(
            key,
            {
                "metadata": {
                    "finalizers": [loadbalancers.FINALIZER],
                    "annotations": {loadbalancers.NODE: decided.node},
                },
                "status": {
                    "loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"} for ip in decided.addresses] or None},
                    "conditions": [condition],
                },
            },
        )
        if not decided.addresses:
            message = f"Error syncing load balancer: failed to ensure load balancer: {decided.message}"
            tell(service, "Warning", "SyncLoadBalancerFailed", message)
            return
        if had != decided.addresses:
            tell(service, "Normal", "EnsuredLoadBalancer", "Ensured load balancer")
        if not decided.node:
            tell(service, "Warning", "UnAvailableLoadBalancer", "There are no available nodes for LoadBalancer")
        elif before is not None and before != decided.node and had == decided.addresses:
            tell(service, "Normal", "UpdatedLoadBalancer", "Updated load balancer with new hosts")

    def _decide(self, key: Key, service: core_v1.Service) -> Decision:
        """What the Service is to have. Nothing is awaited here: two Services never get the same."""
        addresses, problem = self._addresses(key, service)
        self._keep(key, addresses)
        if problem:
            self.waiting.add(key)
            self.bearers[key] = ""
            return Decision([], "", "NoAddress", problem)
        self.waiting.discard(key)
        node = self.bearers[key] = self._bearer(key, service)
        if not node:
            return Decision(addresses, "", "NoNode", f"{', '.join(addresses)}: {NO_NODE}")
        return Decision(addresses, node, "Announced", f"{', '.join(addresses)} on node {node}")

    def _addresses(self, key: Key, service: core_v1.Service) -> tuple[list[str], str]:
        """One of each of the Service's families that the pool has; or none, and why."""
        given: dict[int, str] = {
            ip_address(one).version: one for one in _given(service) if self.pool.holder(one) == key
        }
        asked: dict[int, str] = {}
        for one in loadbalancers.asked(service):
            if problem := self.pool.claim(key, one):
                return [], problem
            asked[ip_address(one).version] = one
        families = [VERSIONS[family] for family in service.spec.ip_families]
        if strangers := [one for version, one in asked.items() if version not in families]:
            return [], f"{strangers[0]} is of an IP family that spec.ipFamilies does not name"
        found = []
        for version in families:
            if one := asked.get(version) or given.get(version) or self.pool.take(key, version, self._is_a_nodes):
                found.append(one)
            elif self.pool.has_family(version):
                return [], f"no IPv{version} address of the pool {', '.join(map(str, self.pool.networks))} is free"
        if not found:
            return [], f"the pool {', '.join(map(str, self.pool.networks))} has no IPv{families[0]} addresses"
        return found, ""

    def _is_a_nodes(self, address: str) -> bool:
        return any(a.address == address for node in self.nodes.items() for a in node.status.addresses)

    def _keep(self, key: Key, addresses: Iterable[str]) -> None:
        if self.pool.keep(key, addresses):
            for other in self.waiting - {key}:
                self.context.enqueue(other, 0)

    def _forget(self, key: Key) -> None:
        """The Service has nothing any more."""
        self._keep(key, [])

    def _able(self, key: Key, service: core_v1.Service) -> set[str]:
        """The nodes that may answer; of policy Local those with endpoints, where there are any."""
        able = {node.metadata.name for node in self.nodes.items() if eligible(node)}
        if service.spec.external_traffic_policy == "Local":
            able = able & self._serving(key) or able
        return able

    def _bearer(self, key: Key, service: core_v1.Service) -> str:
        able = self._able(key, service)
        now = self.bearers.get(key, "")
        if now in able or not able:
            return now if now in able else ""
        loads = Counter(self.bearers.values())
        return min(able, key=lambda name: (loads[name], name))

    def _serving(self, key: Key) -> set[str]:
        """The nodes with a ready endpoint."""
        return {
            one.node_name
            for found in self.slices.by_index("service", str(key))
            for one in found.endpoints
            if one.node_name and one.conditions.ready is not False
        }

    # --- taking back

    async def _remove(self, service: core_v1.Service) -> None:
        tell = self.context.recorder.event
        tell(service, "Normal", "DeletingLoadBalancer", "Deleting load balancer")
        await self._patch(
            key_of(service),
            {
                "metadata": {
                    "$deleteFromPrimitiveList/finalizers": [loadbalancers.FINALIZER],
                    "annotations": {loadbalancers.NODE: None},
                },
                "status": {
                    "loadBalancer": {"ingress": None},
                    "conditions": [{"$patch": "delete", "type": CONDITION}],
                },
            },
        )
        tell(service, "Normal", "DeletedLoadBalancer", "Deleted load balancer")

    async def _patch(self, key: Key, patch: dict[str, Any]) -> None:
        with suppress(errors.NotFound):
            await self.context.client.patch(
                core_v1.Service, key.name, key.namespace, patch, type="strategic", subresource="status"
            )

    # --- looking

    def _of_slice(self, found: discovery_v1.EndpointSlice) -> Iterable[Key]:
        return [key for key in _service_of(found) if key in self.bearers]

    def _tell_change(self, old: core_v1.Service | None, new: core_v1.Service | None) -> None:
        """What a person changed of a load balancer, the first of it, as upstream tells it."""
        if old is None or new is None or not (loadbalancers.wanted(old) or loadbalancers.wanted(new)):
            return
        a, b = old.spec, new.spec
        for reason, before, after in (
            ("Type", a.type, b.type),
            ("LoadBalancerSourceRanges", _go(a.load_balancer_source_ranges), _go(b.load_balancer_source_ranges)),
            ("LoadbalancerIP", a.load_balancer_ip, b.load_balancer_ip),
            ("ExternalTrafficPolicy", a.external_traffic_policy, b.external_traffic_policy),
        ):
            if before != after:
                self.context.recorder.event(new, "Normal", reason, f"{before} -> {after}")
                return


def eligible(node: core_v1.Node) -> bool:
    """Whether a node may bear addresses: what upstream asks of a load balancer's nodes."""
    ready = next((c.status for c in node.status.conditions if c.type == "Ready"), "Unknown")
    return (
        ready == "True"
        and node.metadata.deletion_timestamp is None
        and loadbalancers.EXCLUDED not in node.metadata.labels
        and not any(taint.key == GOING for taint in node.spec.taints)
    )


def _eligibility_changed(old: core_v1.Node, new: core_v1.Node) -> bool:
    return eligible(old) != eligible(new)


def _service_of(found: discovery_v1.EndpointSlice) -> list[Key]:
    name = found.metadata.labels.get(SERVICE_LABEL)
    return [Key(found.metadata.namespace, name)] if name else []


def _given(service: core_v1.Service) -> list[str]:
    return [one.ip for one in service.status.load_balancer.ingress if one.ip]


def _status(decided: Decision) -> str:
    return "True" if decided.node else "False"


def _go(values: Sequence[str]) -> str:
    """As upstream's messages show a list."""
    return f"[{' '.join(values)}]"
