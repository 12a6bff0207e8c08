"""The plug-in DynamicResources in the scheduler: what it promises of devices, and writes before a pod is bound.

Upstream: pkg/scheduler/framework/plugins/dynamicresources.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from orlop import logging
from orlop.api import errors
from orlop.api.nodeselectors import selects
from orlop.api.types import resource_v1
from orlop.client import Client, Informer, copy
from orlop.clock import Clock
from orlop.scheduler.devices.allocate import AllocationFailed
from orlop.scheduler.devices.deciding import Claim, Devices, PodClaims, read, reserved
from orlop.scheduler.podvolumes import Nodes
from orlop.scheduler.queue import Key

FINALIZER = "resource.kubernetes.io/delete-protection"
"""Keeps an allocated claim until its devices are free."""
MAX_WRITES = 5
"""Times that a claim is written when others change it between (client-go's DefaultRetry)."""

_log = logging.get("scheduler")


class DevicePlan(NamedTuple):
    """What is to be written before a pod is bound: its claims, with devices for those that had none."""

    pod: PodClaims
    claims: list[tuple[Claim, resource_v1.AllocationResult | None]]


class DeviceBinder(Devices):
    """Claims, slices and classes from watches, and what the scheduler promises of them."""

    def __init__(self, client: Client, clock: Clock, changed: Callable[[Iterable[Key] | None], None]) -> None:
        """`changed` is told which waiting pods a change of devices may help; None: any."""
        super().__init__()
        self._client = client
        self._clock = clock
        self._changed = changed
        self._claims: Informer[Claim] = Informer(client, Claim)
        self._classes: Informer[resource_v1.DeviceClass] = Informer(client, resource_v1.DeviceClass)
        self._slices: Informer[resource_v1.ResourceSlice] = Informer(client, resource_v1.ResourceSlice)
        self._rules: Informer[resource_v1.DeviceTaintRule] = Informer(client, resource_v1.DeviceTaintRule)
        self._claims.on_change(self._claim_changed)
        self._classes.on_change(self._class_changed)
        self._slices.on_change(self._slice_changed)
        self._rules.on_change(self._rule_changed)
        self._planned: dict[str, resource_v1.AllocationResult] = {}
        """Allocations that the cache does not show yet, by the claim's uid."""
        self._written: set[str] = set()
        """Those of them that the API has."""
        self._pods: dict[Key, PodClaims] = {}
        self._users: dict[Key, set[Key]] = {}
        """Waiting pods by the claim that they use."""

    @property
    def optional_informers(self) -> list[Informer[Any]]:
        """What a server need not have, or not show to the scheduler."""
        return [self._claims, self._classes, self._slices, self._rules]

    # --- pods

    def pod(self, key: Key, value: bytes | None, *, node: str = "") -> None:
        """A pod as it is now; `value` None: it is gone or has ended. Raises ValueError where it cannot be read."""
        before = self._pods.pop(key, None)
        for name in before.names() if before is not None else ():
            self._users[key[0], name].discard(key)
            if not self._users[key[0], name]:
                del self._users[key[0], name]
        pod = read(value) if value is not None and not node else None
        if pod is None:
            return
        self._pods[key] = pod
        for name in pod.names():
            self._users.setdefault((key[0], name), set()).add(key)
        if before is not None and before.status != pod.status:
            self._changed([key])

    def waiting(self, key: Key) -> PodClaims | None:
        """The claims of a waiting pod; None for one without any."""
        return self._pods.get(key)

    # --- deciding

    def claim(self, namespace: str, name: str) -> Claim | None:
        return self._claims.get(namespace, name)

    def device_class(self, name: str) -> resource_v1.DeviceClass | None:
        return self._classes.get("", name)

    def is_promised(self, uid: str) -> bool:
        return uid in self._planned

    def reserve(
        self, pod: PodClaims, claims: Sequence[Claim], node: str, labels: Mapping[str, str]
    ) -> DevicePlan | None:
        """Promises the pod its devices on the node; None where they are gone meanwhile. Raises AllocationFailed."""
        open_claims = [claim for claim in claims if claim.status.allocation is None]
        found = self.find(open_claims, node, labels)
        if found is None:
            return None
        allocations = {c.metadata.uid: self._own(a.result) for c, a in zip(open_claims, found, strict=True)}
        for uid, allocation in allocations.items():
            self._planned[uid] = allocation
            self.count(uid, allocation)
        return DevicePlan(pod, [(claim, allocations.get(claim.metadata.uid)) for claim in claims])

    def _own(self, allocation: resource_v1.AllocationResult) -> resource_v1.AllocationResult:
        """The allocation with names for its shares, which must be unique."""
        for result in allocation.devices.results:
            if result.share_id is not None:
                result.share_id = self._clock.uuid()
        return allocation

    def release(self, plan: DevicePlan) -> None:
        """The pod will not be bound: devices that were not written are free again."""
        for claim, allocation in plan.claims:
            uid = claim.metadata.uid
            if allocation is not None and uid not in self._written and self._planned.pop(uid, None) is not None:
                now = self._claims.get(claim.metadata.namespace, claim.metadata.name)
                self.count(uid, now.status.allocation if now is not None else None)
        self._changed(None)

    async def deallocate(self, pod: PodClaims, claims: Sequence[Claim], nodes: Nodes) -> None:
        """Frees one claim that nobody uses and that is not where the pod could run, as upstream's PostFilter."""
        for claim in claims:
            allocation, users = claim.status.allocation, claim.status.reserved_for
            selector = allocation.node_selector if allocation is not None else None
            if selector is None or any(user.uid != pod.metadata.uid for user in users):
                continue
            if all(selects(selector, labels, name) for name, labels in nodes.labels.items()):
                continue
            freed = copy(claim)
            freed.status.allocation, freed.status.reserved_for = None, []
            try:
                await self._client.update_status(freed)
            except errors.ApiError as error:
                _log.info("cannot free a claim", extra={"claim": claim.metadata.name, "error": str(error)})
            return

    # --- binding

    async def bind(self, plan: DevicePlan) -> None:
        """Writes what was promised, and that the pod uses its claims. Raises ApiError, AllocationFailed."""
        for claim, allocation in plan.claims:
            if not reserved(claim, plan.pod):
                await self._write(claim, allocation, plan.pod)

    async def _write(self, claim: Claim, allocation: resource_v1.AllocationResult | None, pod: PodClaims) -> None:
        where = f"claim {claim.metadata.namespace}/{claim.metadata.name}"
        user = resource_v1.ResourceClaimConsumerReference(resource="pods", name=pod.metadata.name, uid=pod.metadata.uid)
        current = copy(claim)
        for left in reversed(range(MAX_WRITES)):
            try:
                if current.metadata.deletion_timestamp is not None:
                    raise AllocationFailed(f"{where} got deleted in the meantime")
                if allocation is not None:
                    if current.status.allocation is not None:
                        raise AllocationFailed(f"{where} got allocated elsewhere in the meantime")
                    if FINALIZER not in current.metadata.finalizers:
                        current.metadata.finalizers.append(FINALIZER)
                        current = await self._client.update(current)
                    current.status.allocation = allocation
                current.status.reserved_for.append(user)
                await self._client.update_status(current)
            except errors.Conflict:
                if not left:
                    raise
                current = await self._client.get(Claim, claim.metadata.name, claim.metadata.namespace)
            else:
                if claim.metadata.uid in self._planned:
                    self._written.add(claim.metadata.uid)
                return

    async def unreserve(self, plan: DevicePlan) -> None:
        """The pod did not get to its node: it uses its claims no more."""
        for claim, _ in plan.claims:
            now = self._claims.get(claim.metadata.namespace, claim.metadata.name)
            if now is None or not reserved(now, plan.pod):
                continue
            gone = {"$patch": "delete", "uid": plan.pod.metadata.uid}
            patch = {"metadata": {"uid": claim.metadata.uid}, "status": {"reservedFor": [gone]}}
            try:
                name, namespace = claim.metadata.name, claim.metadata.namespace
                await self._client.patch(Claim, name, namespace, patch, type="strategic", subresource="status")
            except errors.ApiError as error:
                # We get here again when scheduling is tried again.
                _log.error("unreserve", extra={"claim": claim.metadata.name, "error": str(error)})

    # --- what the API tells

    def _claim_changed(self, old: Claim | None, new: Claim | None) -> None:
        claim = new if new is not None else old
        assert claim is not None
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._forget(old.metadata.uid)
            self.count(old.metadata.uid, None)
        if new is not None:
            if new.status.allocation is not None:
                self._forget(new.metadata.uid)
            self.count(new.metadata.uid, new.status.allocation or self._planned.get(new.metadata.uid))
        freed = old is not None and old.status.allocation is not None and (new is None or new.status.allocation is None)
        users = self._users.get((claim.metadata.namespace, claim.metadata.name), ())
        self._changed(None if freed else list(users))

    def _forget(self, uid: str) -> None:
        self._planned.pop(uid, None)
        self._written.discard(uid)

    def _class_changed(self, old: resource_v1.DeviceClass | None, new: resource_v1.DeviceClass | None) -> None:
        self._verdicts.clear()
        self._changed(None)

    def _slice_changed(self, old: resource_v1.ResourceSlice | None, new: resource_v1.ResourceSlice | None) -> None:
        self._seen.replace(old, new)
        self._changed(None)

    def _rule_changed(self, old: resource_v1.DeviceTaintRule | None, new: resource_v1.DeviceTaintRule | None) -> None:
        self._seen.rule(old, new)
        self._changed(None)
