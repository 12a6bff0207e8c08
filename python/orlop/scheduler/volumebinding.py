"""Binds the volumes of a pod before the pod: plans, writes them, and waits until all its claims are bound.

Upstream: pkg/scheduler/framework/plugins/volumebinding/binder.go (AssumePodVolumes, BindPodVolumes).
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any, Generic, NamedTuple, TypeVar

from msgspec import field

from orlop.api import volumes as rules
from orlop.api.types import core_v1, storage_v1
from orlop.api.types.base import ApiStruct
from orlop.client import Client, Informer, Meta, copy
from orlop.clock import Clock, timeout
from orlop.scheduler.podvolumes import Choice, Claim, PodVolumes, Storage, Volume, read
from orlop.scheduler.queue import Key

BIND_TIMEOUT = 600.0
"""Seconds for a pod's claims to be bound (upstream: VolumeBindingArgs.bindTimeoutSeconds)."""

_FREE = "free"
_RESERVED = "reserved"
_CLASS = "class"

T = TypeVar("T", Claim, Volume)


class _LabelledMeta(Meta):
    labels: dict[str, str] = field(default_factory=dict)


class NodeLabels(ApiStruct):
    """What the scheduler's cache holds of a node; all else is in the core's table."""

    __kind__ = core_v1.Node

    metadata: _LabelledMeta = field(default_factory=_LabelledMeta)


class BindingFailed(Exception):
    """The pod's volumes were not bound; it is to be scheduled anew."""


class Plan(NamedTuple):
    """What is to be written before a pod can be bound: volumes with their claims, claims with their node."""

    node: str
    volumes: list[Volume]
    claims: list[Claim]


class Plans(Generic[T]):
    """Objects as they are to be, or as they were written and the cache does not show yet."""

    def __init__(self, cache: Informer[T]) -> None:
        self._cache: Informer[T] = cache
        self._planned: dict[tuple[str, str], tuple[T, bool]] = {}
        cache.on_change(self._changed)

    def set(self, obj: T, *, written: bool) -> None:
        """Takes over a plan, or the answer to its writing."""
        self._planned[obj.metadata.namespace, obj.metadata.name] = (obj, written)
        self._changed(None, self._cache.get(obj.metadata.namespace, obj.metadata.name))

    def drop(self, obj: T) -> None:
        """The plan is given up."""
        self._planned.pop((obj.metadata.namespace, obj.metadata.name), None)

    def get(self, namespace: str, name: str) -> T | None:
        """The object, planned or as it is."""
        planned = self._planned.get((namespace, name))
        return planned[0] if planned is not None else self._cache.get(namespace, name)

    def written(self, namespace: str, name: str) -> T | None:
        """The newest of it that the API has."""
        planned = self._planned.get((namespace, name))
        return planned[0] if planned is not None and planned[1] else self._cache.get(namespace, name)

    def _changed(self, old: T | None, new: T | None) -> None:
        obj = new if new is not None else old
        if obj is None:
            return
        key = (obj.metadata.namespace, obj.metadata.name)
        if key in self._planned:
            mine, written = self._planned[key]
            ahead = _revision(mine) - _revision(obj)
            if new is None or ahead < 0 or (written and ahead == 0):
                del self._planned[key]


class VolumeBinder(Storage):
    """Claims, volumes and classes from watches, and the scheduler's plans over them."""

    def __init__(self, client: Client, clock: Clock, changed: Callable[[Iterable[Key] | None], None]) -> None:
        """`changed` is told which waiting pods a change of storage may help; None: any."""
        self._client = client
        self._clock = clock
        self._changed = changed
        self._claims: Informer[Claim] = Informer(client, Claim)
        self._volumes: Informer[Volume] = Informer(client, Volume)
        self._classes: Informer[storage_v1.StorageClass] = Informer(client, storage_v1.StorageClass)
        self._volumes.add_indexer(_FREE, lambda v: [rules.volume_class(v)] if v.status.phase == "Available" else [])
        self._volumes.add_indexer(_RESERVED, _reserved_index)
        self._nodes: Informer[storage_v1.CSINode] = Informer(client, storage_v1.CSINode)
        self._drivers: Informer[storage_v1.CSIDriver] = Informer(client, storage_v1.CSIDriver)
        self._capacities: Informer[storage_v1.CSIStorageCapacity] = Informer(client, storage_v1.CSIStorageCapacity)
        self._capacities.add_indexer(_CLASS, lambda capacity: [capacity.storage_class_name])
        self._planned_claims = Plans(self._claims)
        self._planned_volumes = Plans(self._volumes)
        self._claims.on_change(self._claim_changed)
        self._volumes.on_change(self._volume_changed)
        self._classes.on_change(lambda old, new: changed(None))
        self._nodes.on_change(lambda old, new: changed(None))
        self._drivers.on_change(lambda old, new: changed(None))
        self._capacities.on_change(lambda old, new: changed(None))
        self._pods: dict[Key, tuple[PodVolumes, bytes]] = {}
        self._placed: set[Key] = set()
        self._reserved: set[Key] = set()
        self._on: dict[str, set[Key]] = {}
        self._at: dict[Key, str] = {}
        """Pods with claims that have a node, or are promised one: by node, and where each is."""
        self._users: dict[tuple[str, str], set[Key]] = {}
        """Pods by the claim they use: those that wait and those that have a node."""
        self._news: dict[Key, asyncio.Event] = {}
        """By the pod whose claims `bind` waits for."""

    @property
    def informers(self) -> list[Informer[Any]]:
        """What must be filled before a pod with claims is decided."""
        return [self._claims, self._volumes, self._classes]

    @property
    def optional_informers(self) -> list[Informer[Any]]:
        """The same of kinds that not every server has, or shows to the scheduler; they stay empty then."""
        return [self._nodes, self._drivers, self._capacities]

    # --- pods

    def pod(self, key: Key, value: bytes | None, *, node: str = "") -> None:
        """Notes a pod's claims, and the node that it has; `value` None: it is gone or has ended."""
        placed = bool(node)
        before = self._pods.pop(key, None)
        self._placed.discard(key)
        if placed or value is None:
            self._reserved.discard(key)
            self._move(key, "")
        for name, _ in before[0].claims() if before is not None else ():
            self._users[key[0], name].discard(key)
            if not self._users[key[0], name]:
                del self._users[key[0], name]
        now = read(value) if value is not None else None
        if now is not None and value is not None:
            self._pods[key] = (now, b"" if placed else value)
            for name, _ in now.claims():
                self._users.setdefault((key[0], name), set()).add(key)
            if placed:
                self._placed.add(key)
                self._move(key, node)
        self.wake([key])

    def _move(self, key: Key, node: str) -> None:
        before = self._at.pop(key, "")
        if before:
            self._on[before].discard(key)
            if not self._on[before]:
                del self._on[before]
        if node:
            self._at[key] = node
            self._on.setdefault(node, set()).add(key)

    def waiting(self, key: Key) -> tuple[PodVolumes, bytes] | None:
        """The claims of a waiting pod, and itself as the API gave it; None for one without claims."""
        return None if key in self._placed else self._pods.get(key)

    # --- deciding

    def claim(self, namespace: str, name: str) -> Claim | None:
        return self._planned_claims.get(namespace, name)

    def volume(self, name: str) -> Volume | None:
        return self._planned_volumes.get("", name)

    def storage_class(self, claim: Claim) -> storage_v1.StorageClass | None:
        return self._classes.get("", rules.claim_class(claim))

    def candidates(self, claim: Claim) -> Iterable[Volume]:
        free = self._volumes.by_index(_FREE, rules.claim_class(claim))
        reserved = self._volumes.by_index(_RESERVED, f"{claim.metadata.namespace}/{claim.metadata.name}")
        names = {v.metadata.name for v in (*free, *reserved)}
        return [volume for name in names if (volume := self.volume(name)) is not None]

    def driver(self, name: str) -> storage_v1.CSIDriver | None:
        return self._drivers.get("", name)

    def capacities(self, storage_class: str) -> Iterable[storage_v1.CSIStorageCapacity]:
        return self._capacities.by_index(_CLASS, storage_class)

    def csi_nodes(self) -> Iterable[storage_v1.CSINode]:
        return self._nodes.items()

    def pods_on(self, node: str) -> Iterable[PodVolumes]:
        return [self._pods[key][0] for key in self._on.get(node, ())]

    def is_taken(self, key: Key, claims: Iterable[Claim]) -> bool:
        for claim in claims:
            if "ReadWriteOncePod" in claim.spec.access_modes:
                users = self._users.get((claim.metadata.namespace, claim.metadata.name), set()) - {key}
                if users & (self._placed | self._reserved):
                    return True
        return False

    def reserve(self, key: Key, node: str, choice: Choice) -> Plan:
        """Promises the pod its volumes on the node, so that no other pod gets them."""
        self._reserved.add(key)
        self._move(key, node)
        plan = Plan(node, [], [])
        for claim, volume in choice.static:
            plan.volumes.append(bound_to(volume, claim))
            self._planned_volumes.set(plan.volumes[-1], written=False)
        for claim in choice.provision:
            planned = copy(claim)
            planned.metadata.annotations[rules.SELECTED_NODE] = node
            plan.claims.append(planned)
            self._planned_claims.set(planned, written=False)
        return plan

    def release(self, key: Key, plan: Plan) -> None:
        """The pod will not be bound: what was promised is free again, as far as it is not written."""
        self._reserved.discard(key)
        if key not in self._placed:
            self._move(key, "")
        for volume in plan.volumes:
            self._planned_volumes.drop(volume)
        for claim in plan.claims:
            self._planned_claims.drop(claim)

    # --- binding

    async def bind(self, pod: PodVolumes, plan: Plan, alive: Callable[[], bool], limit: float = BIND_TIMEOUT) -> None:
        """Writes the plan and returns when all the pod's claims are bound, within `limit` seconds.

        Raises BindingFailed where that cannot be any more, takes too long, or the pod is not `alive`; and what the
        server answers.
        """
        key, news = (pod.metadata.namespace, pod.metadata.name), asyncio.Event()
        for volume in plan.volumes:
            self._planned_volumes.set(await self._client.update(volume), written=True)
        for claim in plan.claims:
            self._planned_claims.set(await self._client.update(claim), written=True)
        self._news[key] = news
        try:
            async with timeout(self._clock, limit):
                while not self._all_bound(pod, plan):
                    if not alive():
                        raise BindingFailed("the pod is gone")
                    news.clear()
                    await news.wait()
        except TimeoutError:
            raise BindingFailed("context deadline exceeded") from None
        finally:
            if self._news.get(key) is news:  # a pod of the same name may have come
                del self._news[key]

    def _all_bound(self, pod: PodVolumes, plan: Plan) -> bool:
        provisioned = {claim.metadata.name for claim in plan.claims}
        for name, _ in pod.claims():
            claim = self._planned_claims.written(pod.metadata.namespace, name)
            if claim is None:
                raise BindingFailed(f'persistentvolumeclaim "{name}" not found')
            if claim.metadata.deletion_timestamp is not None:
                raise BindingFailed(f'PVC "{name}" is being deleted')
            if rules.is_fully_bound(claim):
                continue
            if name in provisioned and claim.metadata.annotations.get(rules.SELECTED_NODE) != plan.node:
                raise BindingFailed(f'provisioning failed for PVC "{name}"')
            return False
        return True

    # --- news

    def wake(self, pods: Iterable[Key]) -> None:
        """Lets `bind` look whether these pods' claims still have to be waited for."""
        for key in pods:
            if (news := self._news.get(key)) is not None:
                news.set()

    def _claim_changed(self, old: Claim | None, new: Claim | None) -> None:
        claim = new if new is not None else old
        assert claim is not None
        if users := self._users.get((claim.metadata.namespace, claim.metadata.name)):
            self.wake(users)
            self._changed(list(users))

    def _volume_changed(self, old: Volume | None, new: Volume | None) -> None:
        if new is not None:
            self._changed(None)


def _reserved_index(volume: Volume) -> list[str]:
    ref = volume.spec.claim_ref
    return [f"{ref.namespace}/{ref.name}"] if ref is not None and volume.status.phase != "Released" else []


def bound_to(volume: Volume, claim: Claim) -> Volume:
    """The volume as it is when it is promised to the claim."""
    planned = copy(volume)
    rules.reserve(planned, claim)
    return planned


def _revision(obj: Any) -> int:
    return int(obj.metadata.resource_version or 0)
