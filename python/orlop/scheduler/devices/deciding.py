"""Which nodes a pod's claims for devices allow; who keeps claims, classes and slices says how.

Upstream: pkg/scheduler/framework/plugins/dynamicresources (PreFilter, Filter, Score).
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import field

from orlop.api.nodeselectors import selects
from orlop.api.types import core_v1, resource_v1
from orlop.api.types.base import ApiStruct
from orlop.native import CelSelector
from orlop.scheduler.devices.allocate import Allocation, Search
from orlop.scheduler.devices.slices import Slices
from orlop.scheduler.devices.used import Used
from orlop.scheduler.podvolumes import Nodes, Unfit
from orlop.scheduler.votes import Vote

DYNAMIC = "DynamicResources"
MAX_USERS = 256
"""Pods that one claim is reserved for (resource.k8s.io: ResourceClaimReservedForMaxSize)."""
MAX_REMEMBERED = 64
"""Different sets of claims whose verdicts on nodes are kept."""
CANNOT = "cannot allocate all claims"
NOT_THERE = "resourceclaim not available on the node"

Claim = resource_v1.ResourceClaim


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

    def names(self) -> set[str]:
        """The claims that it uses, as far as they are named."""
        asked = (claim.resource_claim_name for claim in self.spec.resource_claims)
        made = (status.resource_claim_name for status in self.status.resource_claim_statuses)
        return {name for name in (*asked, *made) if name is not None}


_decode = msgspec.json.Decoder(PodClaims).decode
_encode = msgspec.json.Encoder(order="deterministic").encode


def read(value: bytes) -> PodClaims | None:
    """The claims of a pod as the API gives it; None if it has none. Raises ValueError where they cannot be read."""
    if b'"resourceClaims"' not in value:
        return None
    try:
        pod = _decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"resourceClaims: {error}") from error
    return pod if pod.spec.resource_claims else None


def reserved(claim: Claim, pod: PodClaims) -> bool:
    """Whether the pod is among those that use the claim."""
    return any(user.uid == pod.metadata.uid for user in claim.status.reserved_for)


class _Verdict(NamedTuple):
    age: tuple[int, int]
    labels: Mapping[str, str]
    found: list[Allocation] | None


class Devices:
    """Claims, classes and slices, and what of the devices is used."""

    def __init__(self) -> None:
        self._seen = Slices()
        self._used = Used()
        self._counted: dict[str, list[resource_v1.DeviceRequestAllocationResult]] = {}
        """What is counted as used, by the claim's uid."""
        self._selectors: dict[str, CelSelector] = {}
        self._verdicts: OrderedDict[bytes, dict[str, _Verdict]] = OrderedDict()

    def claim(self, namespace: str, name: str) -> Claim | None:
        """The claim of this name."""
        raise NotImplementedError

    def device_class(self, name: str) -> resource_v1.DeviceClass | None:
        """The class of this name."""
        raise NotImplementedError

    def is_promised(self, uid: str) -> bool:
        """Whether a claim without an allocation is about to get one."""
        raise NotImplementedError

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
            claim = self.claim(namespace, name)
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
            if len(claim.status.reserved_for) >= MAX_USERS and not reserved(claim, pod):
                raise Unfit(DYNAMIC, "resourceclaim in use")
            return
        if self.is_promised(claim.metadata.uid):
            where = f"{claim.metadata.namespace}/{claim.metadata.name}"
            raise Unfit(DYNAMIC, f"resource claim {where} is in the process of being allocated")
        for request in claim.spec.devices.requests:
            names = [(request.name, request.exactly.device_class_name)] if request.exactly is not None else []
            names += [(f"{request.name}/{sub.name}", sub.device_class_name) for sub in request.first_available]
            for name, device_class in names:
                if self.device_class(device_class) is None:
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
            verdict = known[node] = _Verdict(age, labels, self.find(claims, node, labels))
        return verdict.found

    def find(self, claims: Sequence[Claim], node: str, labels: Mapping[str, str]) -> list[Allocation] | None:
        """Devices on a node for claims that have none, one allocation each. Raises AllocationFailed."""
        search = Search(self._used, self._selector, self.device_class, claims)
        return search.run(node, self._seen.pools(node, labels))

    def _selector(self, text: str) -> CelSelector:
        found = self._selectors.get(text)
        if found is None:
            found = self._selectors[text] = CelSelector(text)
        return found

    def count(self, uid: str, allocation: resource_v1.AllocationResult | None) -> None:
        """Counts what a claim holds, in place of what it held before."""
        changed = self._used.give_back(self._counted.pop(uid, ()))
        if allocation is not None:
            self._counted[uid] = allocation.devices.results
            changed |= self._used.take(allocation.devices.results)
        for pool in {(id.driver, id.pool) for id in changed}:
            self._seen.touch(pool)
