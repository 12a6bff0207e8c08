"""Ranges of Service addresses: ready to be used, and gone only when no Service would lose its range with them.

Upstream: pkg/controller/servicecidrs (KEP-1880).
"""

from collections.abc import Iterable
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from orlop.api import errors
from orlop.api.types import networking_v1
from orlop.clock import parse_time, rfc3339
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result
from orlop.controllers.serviceaddresses import MANAGED_BY_LABEL, MANAGER

FINALIZER = "networking.k8s.io/service-cidr-finalizer"
GRACE = 10.0
"""Seconds a range stays after its deletion, for servers that have not heard of it and may give out an address yet."""
READY = "Kubernetes Service CIDR is ready"
IN_USE = "There are still IPAddresses referencing the ServiceCIDR, please remove them or create a new ServiceCIDR"

Network = IPv4Network | IPv6Network


class ServiceCIDRController(Controller):
    """One range a key."""

    name = "service-cidr-controller"
    account = "service-cidrs-controller"

    def setup(self, builder: Builder) -> None:
        # One that comes may take over from one that is to go.
        self.ranges = builder.for_(networking_v1.ServiceCIDR)
        self.ranges.on_change(self._overlapping)
        self.addresses = builder.watches(networking_v1.IPAddress, self._around)

    def _overlapping(self, old: networking_v1.ServiceCIDR | None, new: networking_v1.ServiceCIDR | None) -> None:
        changed = new or old
        assert changed is not None
        for other in self.ranges.items():
            if any(_overlap(a, b) for a in networks(changed) for b in networks(other)):
                self.context.enqueue(Key("", other.metadata.name), 0)

    def _around(self, address: networking_v1.IPAddress) -> Iterable[Key]:
        if address.metadata.labels.get(MANAGED_BY_LABEL) != MANAGER:
            return []
        return [Key("", found.metadata.name) for found in self.ranges.items() if _holds(found, address)]

    async def reconcile(self, key: Key) -> Result | None:
        found = self.ranges.get("", key.name)
        if found is None:
            return None
        meta = found.metadata
        if meta.deletion_timestamp is None:
            if FINALIZER not in meta.finalizers:
                await self._patch(key, {"metadata": {"finalizers": [FINALIZER]}})
            await self._tell(found, "True", "", READY)
            return None
        if FINALIZER not in meta.finalizers:
            return None
        if self._in_use(found):
            await self._tell(found, "False", "Terminating", IN_USE)
            return None
        left = parse_time(meta.deletion_timestamp) + GRACE - self.context.clock.now()
        if left > 0:
            return Result(requeue_after=left)
        await self._patch(key, {"metadata": {"$deleteFromPrimitiveList/finalizers": [FINALIZER]}})
        return None

    def _in_use(self, going: networking_v1.ServiceCIDR) -> bool:
        """Whether an address that is given out would be in no range without this one."""
        others = [r for r in self.ranges.items() if r.metadata.name != going.metadata.name]
        if all(any(_within(mine, theirs) for r in others for theirs in networks(r)) for mine in networks(going)):
            return False
        return any(
            _holds(going, address) and not any(_holds(other, address) for other in others)
            for address in self.addresses.items()
            if address.metadata.labels.get(MANAGED_BY_LABEL) == MANAGER
        )

    async def _tell(self, found: networking_v1.ServiceCIDR, status: str, reason: str, message: str) -> None:
        ready = next((c for c in found.status.conditions if c.type == "Ready"), None)
        if ready is not None and (ready.status, ready.reason, ready.message) == (status, reason, message):
            return
        same = ready is not None and ready.status == status
        since = ready.last_transition_time if ready is not None and same else rfc3339(self.context.clock.now())
        condition = {
            "type": "Ready",
            "status": status,
            "reason": reason,
            "message": message,
            "lastTransitionTime": since,
        }
        await self._patch(Key("", found.metadata.name), {"status": {"conditions": [condition]}}, "status")

    async def _patch(self, key: Key, patch: dict[str, object], subresource: str = "") -> None:
        with suppress(errors.NotFound):
            await self.context.client.patch(
                networking_v1.ServiceCIDR, key.name, None, patch, type="strategic", subresource=subresource
            )


def networks(found: networking_v1.ServiceCIDR) -> list[Network]:
    return [ip_network(cidr) for cidr in found.spec.cidrs]


def _holds(found: networking_v1.ServiceCIDR, address: networking_v1.IPAddress) -> bool:
    return any(ip_address(address.metadata.name) in network for network in networks(found))


def _overlap(a: Network, b: Network) -> bool:
    return a.version == b.version and (_within(a, b) or _within(b, a))


def _within(a: Network, b: Network) -> bool:
    return a.version == b.version and a.network_address in b and a.prefixlen >= b.prefixlen
