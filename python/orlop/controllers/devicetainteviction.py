"""Moves pods away from devices with NoExecute taints that their claims do not tolerate, or not that long (KEP-5055).

Upstream: pkg/controller/devicetainteviction. A device is tainted by its driver, in the ResourceSlice that lists it, or
by anybody with a DeviceTaintRule, whose status says which pods it makes leave.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from orlop.api.taints import tolerates
from orlop.api.types import core_v1, resource_v1
from orlop.clock import parse_time, rfc3339
from orlop.control.builder import Builder
from orlop.control.controller import Controller, Key, Result, key_of
from orlop.controllers import devicetaintrules, evictions, pods
from orlop.controllers.views import PodView

REASON = "DeviceTaintManagerEviction"
NO_EXECUTE = "NoExecute"


class DeviceTaintEvictionController(Controller):
    """One pod a key, or one rule, which has no namespace."""

    name = "device-taint-eviction-controller"

    def __init__(self) -> None:
        self.waiting: dict[Key, core_v1.ObjectReference] = {}
        """The pods that are to go later."""
        self._evicted: Counter[str] = Counter()
        """Pods by the uid of a rule because of which they went."""

    def setup(self, builder: Builder) -> None:
        self.pods = builder.watches(
            PodView,
            self._concerned,
            changed=lambda old, new: old.spec.node_name != new.spec.node_name,
        )
        self.claims = builder.watches(
            resource_v1.ResourceClaim,
            _consumers,
            changed=lambda old, new: old.status != new.status,
            indexers={
                "pod": lambda c: map(str, _consumers(c)),
                "pool": lambda c: {f"{r.driver}/{r.pool}" for r in _results(c)},
            },
        )
        self.slices = builder.watches(
            resource_v1.ResourceSlice,
            lambda s: self._of_pool(_pool(s)),
            changed=lambda old, new: old.spec != new.spec,
            indexers={"pool": lambda s: [_pool(s)]},
        )
        self.rules = builder.watches(
            resource_v1.DeviceTaintRule,
            lambda rule: [key_of(rule), *self._of_rule(rule)],
            changed=lambda old, new: old.spec != new.spec,
        )

    def _concerned(self, pod: PodView) -> Iterable[Key]:
        """The pod where it has claims. Most have none."""
        key = key_of(pod)
        return (key,) if key in self.waiting or self.claims.by_index("pod", str(key)) else ()

    def _of_pool(self, pool: str) -> Iterator[Key]:
        for claim in self.claims.by_index("pool", pool):
            yield from _consumers(claim)

    def _of_rule(self, rule: resource_v1.DeviceTaintRule) -> Iterator[Key]:
        for claim in self.claims.items():
            if any(_selects(rule, result) for result in _results(claim)):
                yield from _consumers(claim)

    async def reconcile(self, key: Key) -> Result | None:
        return await (self._pod(key) if key.namespace else self._rule(key))

    async def _pod(self, key: Key) -> Result | None:
        pod = self.pods.get(*key)
        waiting = self.waiting.get(key)
        if pod is None or (waiting is not None and waiting.uid != pod.metadata.uid):
            self.waiting.pop(key, None)  # it is gone: nothing to tell of
        if (
            pod is None
            or not pod.spec.node_name
            or pods.is_terminal(pod)
            or pod.metadata.deletion_timestamp is not None
        ):
            return None
        times = (self._evicted_at(claim) for claim in self.claims.by_index("pod", str(key)) if _is_for(claim, pod))
        at = min((time for time in times if time is not None), default=None)
        if at is None:
            if cancelled := self.waiting.pop(key, None):
                self.context.recorder.event(cancelled, "Normal", REASON, "Cancelling deletion")
            return None
        left = at - self.context.clock.now()
        if left > 0:
            m = pod.metadata
            self._tell_rules(pod, 0)
            self.waiting[key] = core_v1.ObjectReference(
                api_version="v1", kind="Pod", namespace=m.namespace, name=m.name, uid=m.uid
            )
            return Result(requeue_after=left)
        await self._evict(key, pod)
        return None

    def _evicted_at(self, claim: resource_v1.ResourceClaim) -> float | None:
        """The wall-clock time at which the claim's pods have to leave; None if they may stay."""
        times = (
            leaves_at(taint, result.tolerations, self.context.clock.now())
            for result in _results(claim)
            for taint in self._taints(result)
        )
        return min((time for time in times if time is not None), default=None)

    def _taints(self, result: resource_v1.DeviceRequestAllocationResult) -> Iterator[resource_v1.DeviceTaint]:
        """The device's, by its driver and by rules. Slices of an older generation of the pool say nothing any more."""
        slices = self.slices.by_index("pool", f"{result.driver}/{result.pool}")
        newest = max((s.spec.pool.generation for s in slices), default=0)
        for slice_ in slices:
            if slice_.spec.pool.generation == newest:
                for device in slice_.spec.devices:
                    if device.name == result.device:
                        yield from device.taints
        for rule in self.rules.items():
            if _selects(rule, result):
                yield rule.spec.taint

    async def _evict(self, key: Key, pod: PodView) -> None:
        self.context.recorder.event(pod, "Normal", REASON, "Marking for deletion")
        message = "Device Taint manager: deleting due to NoExecute taint"
        await evictions.evict(self.context, pod, "DeletionByDeviceTaintManager", message, observed=False)
        self.waiting.pop(key, None)
        self._tell_rules(pod, 1)

    # --- what rules say of themselves

    def _tell_rules(self, pod: PodView, evicted: int) -> None:
        """The rules because of which the pod has to leave, or has been evicted, are looked at."""
        for rule in self.rules.items():
            if rule.spec.taint.effect == NO_EXECUTE and key_of(pod) in self._leaving(rule):
                self._evicted[rule.metadata.uid] += evicted
                self.context.enqueue(key_of(rule), devicetaintrules.PERIOD if evicted else 0.0)

    def _leaving(self, rule: resource_v1.DeviceTaintRule) -> set[Key]:
        """The pods that leave because of the rule, sooner or later; as if its effect were NoExecute."""
        taint, now = replace(rule.spec.taint, effect=NO_EXECUTE), self.context.clock.now()
        found: set[Key] = set()
        for claim in self.claims.items():
            if any(_selects(rule, r) and leaves_at(taint, r.tolerations, now) is not None for r in _results(claim)):
                for key in _consumers(claim):
                    pod = self.pods.get(*key)
                    if pod is not None and pod.spec.node_name and _is_for(claim, pod) and not pods.is_terminal(pod):
                        found.add(key)
        return found

    async def _rule(self, key: Key) -> Result | None:
        rule = self.rules.get(*key)
        if rule is None:
            return None
        now = self.context.clock.now()
        known = next((c for c in rule.status.conditions if c.type == devicetaintrules.IN_PROGRESS), None)
        if known is not None and known.observed_generation == rule.metadata.generation:
            left = parse_time(known.last_transition_time or rfc3339(0)) + devicetaintrules.PERIOD - now
            if left > 0:
                return Result(requeue_after=left)
        new = devicetaintrules.condition(rule, self._look(rule))
        if known is not None and replace(known, last_transition_time=new.last_transition_time) == new:
            return None
        condition = {
            "type": new.type,
            "status": new.status,
            "reason": new.reason,
            "message": new.message,
            "observedGeneration": new.observed_generation,
            "lastTransitionTime": rfc3339(now),
        }
        said = {
            "apiVersion": rule.api_version,
            "kind": rule.kind,
            "metadata": {"name": key.name, "uid": rule.metadata.uid},
            "status": {"conditions": [condition]},
        }
        await self.context.client.patch(
            resource_v1.DeviceTaintRule,
            key.name,
            None,
            said,
            type="apply",
            subresource="status",
            manager=self.name,
            force=True,
        )
        return None

    def _look(self, rule: resource_v1.DeviceTaintRule) -> devicetaintrules.Found:
        effect = rule.spec.taint.effect
        leaving = self._leaving(rule) if effect in (NO_EXECUTE, "None") else set()
        going = [key for key in sorted(leaving) if not _is_going(self.pods.get(*key))]
        found = devicetaintrules.Found(pods=list(going), evicted=self._evicted[rule.metadata.uid])
        if effect == "None":
            found.published = sum(_names(rule, *device) for device in self._published())
            found.allocated = sum(_selects(rule, result) for claim in self.claims.items() for result in _results(claim))
        return found

    def _published(self) -> Iterator[tuple[str, str, str]]:
        """Driver, pool and name of each device; slices of an older generation of a pool say nothing any more."""
        slices = list(self.slices.items())
        newest: dict[str, int] = {}
        for slice_ in slices:
            newest[_pool(slice_)] = max(newest.get(_pool(slice_), 0), slice_.spec.pool.generation)
        for slice_ in slices:
            if slice_.spec.pool.generation == newest[_pool(slice_)]:
                for device in slice_.spec.devices:
                    yield slice_.spec.driver, slice_.spec.pool.name, device.name


def leaves_at(
    taint: resource_v1.DeviceTaint, tolerations: Iterable[resource_v1.DeviceToleration], now: float
) -> float | None:
    """When who has these tolerations leaves a device with that taint; None for never.

    As in upstream only a toleration that names NoExecute keeps anybody there; one for all effects helps in scheduling.
    """
    if taint.effect != NO_EXECUTE:
        return None
    since = parse_time(taint.time_added) if taint.time_added else now
    matching = [t for t in tolerations if t.effect == NO_EXECUTE and tolerates(t, taint)]
    if not matching:
        return since
    limits = [t.toleration_seconds for t in matching if t.toleration_seconds is not None]
    return since + max(0, min(limits)) if limits else None


def _pool(slice_: resource_v1.ResourceSlice) -> str:
    return f"{slice_.spec.driver}/{slice_.spec.pool.name}"


def _results(claim: resource_v1.ResourceClaim) -> list[resource_v1.DeviceRequestAllocationResult]:
    allocation = claim.status.allocation
    return allocation.devices.results if allocation is not None else []


def _consumers(claim: resource_v1.ResourceClaim) -> list[Key]:
    """The pods that may use the claim."""
    namespace = key_of(claim).namespace
    return [Key(namespace, c.name) for c in claim.status.reserved_for if not c.api_group and c.resource == "pods"]


def _is_for(claim: resource_v1.ResourceClaim, pod: PodView) -> bool:
    """Not for an older pod of the same name."""
    return any(consumer.uid == pod.metadata.uid for consumer in claim.status.reserved_for)


def _selects(rule: resource_v1.DeviceTaintRule, result: resource_v1.DeviceRequestAllocationResult) -> bool:
    return _names(rule, result.driver, result.pool, result.device)


def _is_going(pod: PodView | None) -> bool:
    return pod is None or pod.metadata.deletion_timestamp is not None


def _names(rule: resource_v1.DeviceTaintRule, driver: str, pool: str, device: str) -> bool:
    """Whether the rule is about the device: all that its selector names fits; one without a selector selects none."""
    selector = rule.spec.device_selector
    if selector is None:
        return False
    pairs = ((selector.driver, driver), (selector.pool, pool), (selector.device, device))
    return all(wanted is None or wanted == given for wanted, given in pairs)
