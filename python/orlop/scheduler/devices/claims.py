"""The plug-in DynamicResources: which nodes a pod's claims allow, what is promised, what is written before it is bound.

Upstream: pkg/scheduler/framework/plugins/dynamicresources.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec import field

from orlop import logging
from orlop.api import errors
from orlop.api.nodeselectors import selects
from orlop.api.types import core_v1, resource_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer, copy
from orlop.clock import Clock
from orlop.native import CelSelector
from orlop.scheduler.devices.allocate import Allocation, AllocationFailed, Search
from orlop.scheduler.devices.slices import Slices
from orlop.scheduler.devices.used import Used
from orlop.scheduler.podvolumes import Nodes, Unfit
from orlop.scheduler.queue import Key
from orlop.scheduler.votes import Vote

DYNAMIC = "DynamicResources"
FINALIZER = "resource.kubernetes.io/delete-protection"
"""Keeps an allocated claim until its devices are free."""
MAX_USERS = 256
"""Pods that one claim is reserved for (resource.k8s.io: ResourceClaimReservedForMaxSize)."""
MAX_REMEMBERED = 64
"""Different sets of claims whose verdicts on nodes are kept."""
MAX_WRITES = 5
"""Times that a claim is written when others change it between (client-go's DefaultRetry)."""
CANNOT = "cannot allocate all claims"
NOT_THERE = "resourceclaim not available on the node"

Claim = resource_v1.ResourceClaim
_log = logging.get("scheduler")


class _Metadata(ApiStruct):
    namespace: str = ""
    name: str = ""
    uid: str = ""


class _Spec(ApiStruct):
    resource_claims: list[core_v1.PodResourceClaim] = field(default_factory=list)
    preemption_policy: str | None = None


class _Status(ApiStruct):
    resource_claim_statuses: list[core_v1.PodResourceClaimStatus] = field(default_factory=list)


class PodClaims(ApiStruct):
    """What of a pod its claims for devices are about."""

    metadata: _Metadata = field(default_factory=_Metadata)
    spec: _Spec = field(default_factory=_Spec)
    status: _Status = field(default_factory=_Status)

    @property
    def never_preempts(self) -> bool:
        return self.spec.preemption_policy == "Never"


_decode = msgspec.json.Decoder(PodClaims).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


class DevicePlan(NamedTuple):
    """What is to be written before a pod is bound: its claims, with devices for those that had none."""

    pod: PodClaims
    claims: list[tuple[Claim, resource_v1.AllocationResult | None]]


class _Verdict(NamedTuple):
    age: tuple[int, int]
    labels: Mapping[str, str]
    found: list[Allocation] | None


class DeviceBinder:
    """Claims, slices and classes from watches, and what the scheduler promises of them."""

    def __init__(self, client: Client, clock: Clock, changed: Callable[[Iterable[Key] | None], None]) -> None:
        """`changed` is told which waiting pods a change of devices may help; None: any."""
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
        self._seen = Slices()
        self._used = Used()
        self._counted: dict[str, list[resource_v1.DeviceRequestAllocationResult]] = {}
        """What is counted as used, by the claim's uid."""
        self._planned: dict[str, resource_v1.AllocationResult] = {}
        """Allocations that the cache does not show yet, by the claim's uid."""
        self._written: set[str] = set()
        """Those of them that the API has."""
        self._selectors: dict[str, CelSelector] = {}
        self._verdicts: OrderedDict[bytes, dict[str, _Verdict]] = OrderedDict()
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
        for name in _names(before) if before is not None else ():
            self._users[key[0], name].discard(key)
            if not self._users[key[0], name]:
                del self._users[key[0], name]
        if value is None or node or b'"resourceClaims"' not in value:
            return
        try:
            pod = _decode(value)
        except msgspec.MsgspecError as error:
            raise ValueError(f"resourceClaims: {error}") from error
        if not pod.spec.resource_claims:
            return
        self._pods[key] = pod
        for name in _names(pod):
            self._users.setdefault((key[0], name), set()).add(key)
        if before is not None and before.status != pod.status:
            self._changed([key])

    def waiting(self, key: Key) -> PodClaims | None:
        """The claims of a waiting pod; None for one without any."""
        return self._pods.get(key)

    # --- deciding

    def wanted(self, pod: PodClaims) -> list[Claim]:
        """The pod's claims. Raises Unfit where one is missing, in use, or its class is."""
        found = []
        namespace, where = pod.metadata.namespace, f"{pod.metadata.namespace}/{pod.metadata.name}"
        statuses = {status.name: status.resource_claim_name for status in pod.status.resource_claim_statuses}
        for asked in pod.spec.resource_claims:
            name = asked.resource_claim_name
            if asked.resource_claim_template_name is not None:
                if asked.name not in statuses:
                    raise Unfit(DYNAMIC, f'pod "{where}": ResourceClaim not created yet')
                name = statuses[asked.name]
            if name is None:
                continue  # the template asked for nothing
            claim = self._claims.get(namespace, name)
            if claim is None:
                raise Unfit(DYNAMIC, f'resourceclaim.resource.k8s.io "{name}" not found')
            if claim.metadata.deletion_timestamp is not None:
                raise Unfit(DYNAMIC, f'resourceclaim "{name}" is being deleted')
            owners = [o.uid for o in claim.metadata.owner_references if o.controller]
            if asked.resource_claim_template_name is not None and owners != [pod.metadata.uid]:
                words = f"ResourceClaim {namespace}/{name} was not created for pod {where} (pod is not owner)"
                raise Unfit(DYNAMIC, words)
            self._check(pod, claim)
            found.append(claim)
        return found

    def _check(self, pod: PodClaims, claim: Claim) -> None:
        if claim.status.allocation is not None:
            if len(claim.status.reserved_for) >= MAX_USERS and not _reserved(claim, pod):
                raise Unfit(DYNAMIC, "resourceclaim in use")
            return
        if claim.metadata.uid in self._planned:
            where = f"{claim.metadata.namespace}/{claim.metadata.name}"
            raise Unfit(DYNAMIC, f"resource claim {where} is in the process of being allocated")
        for request in claim.spec.devices.requests:
            names = [(request.name, request.exactly.device_class_name)] if request.exactly is not None else []
            names += [(f"{request.name}/{sub.name}", sub.device_class_name) for sub in request.first_available]
            for name, device_class in names:
                if self._classes.get("", device_class) is None:
                    raise Unfit(DYNAMIC, f"request {name}: device class {device_class} does not exist")

    def vote(self, claims: Sequence[Claim], nodes: Nodes, feasible: Iterable[str]) -> tuple[Vote, dict[str, int]]:
        """What the claims say of the nodes that others left, and a score of those that they allow.

        Raises AllocationFailed where the claims themselves are at fault."""
        refused: dict[str, str] = {}
        scores: dict[str, int] = {}
        selectors = [s for c in claims if c.status.allocation and (s := c.status.allocation.node_selector) is not None]
        open_claims = [claim for claim in claims if claim.status.allocation is None]
        verdicts = self._remembered(open_claims)
        for node in feasible:
            labels = nodes.labels[node]
            if not all(selects(selector, labels, node) for selector in selectors):
                refused[node] = NOT_THERE
            elif open_claims:
                found = self._verdict(open_claims, verdicts, node, labels)
                if found is None:
                    refused[node] = CANNOT
                else:
                    scores[node] = sum(allocation.score for allocation in found)
        return Vote(DYNAMIC, lambda node: [refused[node]] if node in refused else [], resolvable=True), scores

    def _remembered(self, claims: Sequence[Claim]) -> dict[str, _Verdict]:
        # Messages of failures name the claims, verdicts do not: equal claims share them.
        key = _encode([claim.spec for claim in claims])
        found = self._verdicts.setdefault(key, {})
        self._verdicts.move_to_end(key)
        if len(self._verdicts) > MAX_REMEMBERED:
            self._verdicts.popitem(last=False)
        return found

    def _verdict(
        self, claims: Sequence[Claim], known: dict[str, _Verdict], node: str, labels: Mapping[str, str]
    ) -> list[Allocation] | None:
        age = self._seen.age(node)
        verdict = known.get(node)
        if verdict is None or verdict.age != age or verdict.labels is not labels:
            verdict = known[node] = _Verdict(age, labels, self._search(claims, node, labels))
        return verdict.found

    def _search(self, claims: Sequence[Claim], node: str, labels: Mapping[str, str]) -> list[Allocation] | None:
        search = Search(self._used, self._selector, lambda name: self._classes.get("", name), claims)
        return search.run(node, self._seen.pools(node, labels))

    def _selector(self, text: str) -> CelSelector:
        found = self._selectors.get(text)
        if found is None:
            found = self._selectors[text] = CelSelector(text)
        return found

    def reserve(
        self, pod: PodClaims, claims: Sequence[Claim], node: str, labels: Mapping[str, str]
    ) -> DevicePlan | None:
        """Promises the pod its devices on the node; None where they are gone meanwhile. Raises AllocationFailed."""
        open_claims = [claim for claim in claims if claim.status.allocation is None]
        found = self._search(open_claims, node, labels)
        if found is None:
            return None
        allocations = {c.metadata.uid: self._own(a.result) for c, a in zip(open_claims, found, strict=True)}
        for uid, allocation in allocations.items():
            self._planned[uid] = allocation
            self._count(uid, allocation)
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
                self._count(uid, now.status.allocation if now is not None else None)
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
            if not _reserved(claim, plan.pod):
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
            if now is None or not _reserved(now, plan.pod):
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

    def _count(self, uid: str, allocation: resource_v1.AllocationResult | None) -> None:
        changed = self._used.give_back(self._counted.pop(uid, ()))
        if allocation is not None:
            self._counted[uid] = allocation.devices.results
            changed |= self._used.take(allocation.devices.results)
        for pool in {(id.driver, id.pool) for id in changed}:
            self._seen.touch(pool)

    def _claim_changed(self, old: Claim | None, new: Claim | None) -> None:
        claim = new if new is not None else old
        assert claim is not None
        if old is not None and (new is None or new.metadata.uid != old.metadata.uid):
            self._forget(old.metadata.uid)
            self._count(old.metadata.uid, None)
        if new is not None:
            if new.status.allocation is not None:
                self._forget(new.metadata.uid)
            self._count(new.metadata.uid, new.status.allocation or self._planned.get(new.metadata.uid))
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


def _names(pod: PodClaims) -> set[str]:
    """The claims that a pod uses, as far as they are named."""
    asked = (claim.resource_claim_name for claim in pod.spec.resource_claims)
    made = (status.resource_claim_name for status in pod.status.resource_claim_statuses)
    return {name for name in (*asked, *made) if name is not None}


def _reserved(claim: Claim, pod: PodClaims) -> bool:
    return any(user.uid == pod.metadata.uid for user in claim.status.reserved_for)
