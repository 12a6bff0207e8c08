"""Which nodes a pod's claims allow, and why not the others: VolumeBinding.

Upstream: pkg/scheduler/framework/plugins/volumebinding. The core knows nothing of claims: it is told which nodes they
allow (`votes`).
"""

from collections.abc import Callable, Container, Iterable, Mapping
from heapq import merge
from typing import NamedTuple

import msgspec
from msgspec import field

from orlop.api import volumes as rules
from orlop.api.quantity import parse
from orlop.api.types import core_v1, storage_v1
from orlop.api.types.base import ApiStruct
from orlop.scheduler.storagecapacity import NOT_ENOUGH, suffices, tracked

BINDING = "VolumeBinding"
NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
NO_VOLUME = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"
UNBOUND = "pod has unbound immediate PersistentVolumeClaims"

Claim = core_v1.PersistentVolumeClaim
Volume = core_v1.PersistentVolume
HOSTNAME = "kubernetes.io/hostname"


class Nodes:
    """Labels of all nodes by name; and the nodes by host name, since local volumes name hosts."""

    def __init__(self) -> None:
        self.labels: dict[str, Mapping[str, str]] = {}
        self._hosts: dict[str, set[str]] = {}

    def __len__(self) -> int:
        return len(self.labels)

    def set(self, name: str, labels: Mapping[str, str] | None) -> None:
        """Takes over a node's labels; None: it is gone."""
        before = self.labels.pop(name, {}).get(HOSTNAME, "")
        self._hosts.get(before, set()).discard(name)
        if labels is not None:
            self.labels[name] = labels
            self._hosts.setdefault(labels.get(HOSTNAME, ""), set()).add(name)
        if not self._hosts.get(before, True):
            del self._hosts[before]

    def at(self, hosts: Iterable[str]) -> list[str]:
        """The nodes of these host names."""
        return [name for host in hosts for name in self._hosts.get(host, ())]


class Allowed(NamedTuple):
    """The nodes that a pod's claims allow."""

    names: list[str] | None
    """None: all."""
    reasons: Callable[[str], list[str]]
    """Why a node is not among them."""


class _Source(ApiStruct):
    claim_name: str = ""


class _PodVolume(ApiStruct):
    name: str = ""
    persistent_volume_claim: _Source | None = None
    ephemeral: dict[str, msgspec.Raw] | None = None


class _Metadata(ApiStruct):
    namespace: str = ""
    name: str = ""
    uid: str = ""


class _Spec(ApiStruct):
    volumes: list[_PodVolume] = field(default_factory=list)
    preemption_policy: str | None = None


class PodVolumes(ApiStruct):
    """What of a pod its volumes are about."""

    metadata: _Metadata = field(default_factory=_Metadata)
    spec: _Spec = field(default_factory=_Spec)

    @property
    def never_preempts(self) -> bool:
        return self.spec.preemption_policy == "Never"

    def claims(self) -> Iterable[tuple[str, bool]]:
        """The names of its claims, and whether each was made for it."""
        for volume in self.spec.volumes:
            if name := rules.claim_name(self.metadata.name, volume):
                yield name, volume.ephemeral is not None


_decode = msgspec.json.Decoder(PodVolumes).decode


def read(value: bytes) -> PodVolumes | None:
    """The volumes of a pod as the API gives it; None if no claim is among them, which shows without decoding it.

    Raises ValueError where they cannot be read."""
    if b'"persistentVolumeClaim"' not in value and b'"ephemeral"' not in value:
        return None
    try:
        pod = _decode(value)
    except msgspec.MsgspecError as error:
        raise ValueError(f"volumes: {error}") from error
    return pod if any(True for _ in pod.claims()) else None


class Options(NamedTuple):
    """The volumes that a claim may have, the best first, by where they can be used."""

    claim: Claim
    ranked: list[Volume]
    anywhere: list[int]
    """Those that are not for certain host names, by their ranks."""
    at: dict[str, list[int]]
    """The others, by host name: local volumes are many, and a node can use few of them."""

    @classmethod
    def of(cls, claim: Claim, candidates: Iterable[Volume]) -> "Options":
        """What of the candidates fits."""
        found = cls(claim, rules.fitting(claim, candidates), [], {})
        for rank, volume in enumerate(found.ranked):
            hosts = _hosts(volume)
            for host in hosts or ():
                found.at.setdefault(host, []).append(rank)
            if hosts is None:
                found.anywhere.append(rank)
        return found

    @property
    def everywhere(self) -> bool:
        """Whether every node can use the same volumes."""
        return not any(_has_affinity(volume) for volume in self.ranked)

    def best(self, node: str, labels: Mapping[str, str], taken: Container[str]) -> Volume | None:
        """The best volume on a node that is not taken."""
        for rank in merge(self.anywhere, self.at.get(labels.get(HOSTNAME, ""), ())):
            volume = self.ranked[rank]
            if volume.metadata.name not in taken and rules.usable_on(volume, labels, node):
                return volume
        return None


class Choice(NamedTuple):
    """What is to be bound for a pod on one node."""

    static: list[tuple[Claim, Volume]]
    provision: list[Claim]


class Unfit(Exception):
    """No node is right, for a reason in the pod's volumes themselves; the message is upstream's."""

    def __init__(self, plugin: str, message: str) -> None:
        super().__init__(message)
        self.plugin = plugin


class Storage:
    """Claims, volumes and classes as the scheduler sees them, its own plans included; who keeps them says how."""

    def claim(self, namespace: str, name: str) -> Claim | None:
        """The claim of this name."""
        raise NotImplementedError

    def volume(self, name: str) -> Volume | None:
        """The volume of this name."""
        raise NotImplementedError

    def storage_class(self, claim: Claim) -> storage_v1.StorageClass | None:
        """The class that a claim asks for."""
        raise NotImplementedError

    def driver(self, name: str) -> storage_v1.CSIDriver | None:
        """What a driver says of itself."""
        raise NotImplementedError

    def capacities(self, storage_class: str) -> Iterable[storage_v1.CSIStorageCapacity]:
        """Where there is how much room for volumes of a class."""
        raise NotImplementedError

    def candidates(self, claim: Claim) -> Iterable[Volume]:
        """Free volumes of the claim's class, and those that are reserved for it."""
        raise NotImplementedError

    def csi_nodes(self) -> Iterable[storage_v1.CSINode]:
        """What drivers say of the nodes."""
        raise NotImplementedError

    def pods_on(self, node: str) -> Iterable[PodVolumes]:
        """The pods with claims that are on a node, or promised it."""
        raise NotImplementedError

    def is_taken(self, key: tuple[str, str], claims: Iterable[Claim]) -> bool:
        """Whether one of the claims may be used by one pod only, and another pod with a node uses it."""
        raise NotImplementedError

    def has_room(self, claim: Claim, storage_class: storage_v1.StorageClass, labels: Mapping[str, str]) -> bool:
        """Whether the class's driver has room for the claim near a node with these labels, as far as it tells."""
        if not tracked(self.driver(storage_class.provisioner)):
            return True
        name = storage_class.metadata.name
        return suffices(self.capacities(name), name, rules.storage_of(claim), labels)

    def known(self, pod: PodVolumes) -> list[Claim]:
        """The pod's claims that there are."""
        found = (self.claim(pod.metadata.namespace, name) for name, _ in pod.claims())
        return [claim for claim in found if claim is not None]

    def wanted(self, pod: PodVolumes) -> list[Claim]:
        """The pod's claims. Raises Unfit where one is missing, lost, being deleted, another's, or yet to be bound."""
        found = []
        for name, ephemeral in pod.claims():
            claim = self.claim(pod.metadata.namespace, name)
            if claim is None:
                if ephemeral:
                    words = f'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'
                    raise Unfit(BINDING, words)
                raise Unfit(BINDING, f'persistentvolumeclaim "{name}" not found')
            if claim.status.phase == "Lost":
                lost = claim.spec.volume_name
                raise Unfit(BINDING, f'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{lost}"')
            if claim.metadata.deletion_timestamp is not None:
                raise Unfit(BINDING, f'persistentvolumeclaim "{name}" is being deleted')
            if ephemeral and not rules.is_made_for(claim, pod.metadata.uid):
                where = f"{pod.metadata.namespace}/{pod.metadata.name}"
                words = f"PVC {pod.metadata.namespace}/{name} was not created for pod {where} (pod is not owner)"
                raise Unfit(BINDING, words)
            found.append(claim)
        if any(not rules.is_fully_bound(claim) and not self._is_delayed(claim) for claim in found):
            raise Unfit(BINDING, UNBOUND)
        return found

    def _is_delayed(self, claim: Claim) -> bool:
        """Whether the scheduler is to bind it: not one that names its volume, which the binder binds at once."""
        return not claim.spec.volume_name and rules.waits_for_consumer(self.storage_class(claim))

    def allowed(self, claims: list[Claim], nodes: Nodes) -> Allowed:
        """The nodes on which every claim is, or can be had."""
        bound = [self.volume(c.spec.volume_name) for c in claims if rules.is_fully_bound(c)]
        pinned = [volume for volume in bound if volume is not None and _has_affinity(volume)]
        missing = None in bound
        unbound = self._options(claims)
        everywhere = None  # whether the unbound ones can be bound, where that is the same on all nodes
        if not any(self._depends_on_node(options) for options in unbound):
            everywhere = self._choose(unbound, "", {})

        def reasons(name: str) -> list[str]:
            labels = nodes.labels[name]
            why = []
            if any(not rules.usable_on(volume, labels, name) for volume in pinned):
                why.append(NODE_CONFLICT)
            chosen = self._choose(unbound, name, labels) if everywhere is None else everywhere
            if isinstance(chosen, str):
                why.append(chosen)
            if missing:
                why.append(NO_VOLUME)
            return why

        if not pinned and not missing and isinstance(everywhere, Choice):
            return Allowed(None, reasons)
        hosts = next((h for volume in pinned if (h := _hosts(volume)) is not None), None)
        candidates: Iterable[str] = nodes.labels if hosts is None else nodes.at(hosts)
        return Allowed([name for name in candidates if not reasons(name)], reasons)

    def _options(self, claims: Iterable[Claim]) -> list[Options]:
        """What there is for the claims that are not bound, the smallest first."""
        unbound = (claim for claim in claims if not rules.is_fully_bound(claim))
        return [Options.of(c, self.candidates(c)) for c in sorted(unbound, key=lambda c: parse(rules.storage_of(c)))]

    def _depends_on_node(self, options: Options) -> bool:
        """Whether an unbound claim may be bound on one node and not on another."""
        claim, storage_class = options.claim, self.storage_class(options.claim)
        return (
            rules.SELECTED_NODE in claim.metadata.annotations
            or not options.everywhere
            or (storage_class is not None and bool(storage_class.allowed_topologies))
            or (storage_class is not None and not self.has_room(claim, storage_class, {}))
        )

    def choose(self, claims: list[Claim], node: str, labels: Mapping[str, str]) -> Choice:
        """What to bind on a node that was not refused: volumes that there are, smallest claims first, else new ones."""
        chosen = self._choose(self._options(claims), node, labels)
        return Choice([], []) if isinstance(chosen, str) else chosen

    def _choose(self, unbound: Iterable[Options], node: str, labels: Mapping[str, str]) -> Choice | str:
        """What to bind; or why that cannot be."""
        choice = Choice([], [])
        taken: set[str] = set()
        for options in unbound:
            claim = options.claim
            chosen = claim.metadata.annotations.get(rules.SELECTED_NODE)
            if chosen is not None and chosen != node:
                return BIND_CONFLICT
            if chosen is None and (volume := options.best(node, labels, taken)) is not None:
                taken.add(volume.metadata.name)
                choice.static.append((claim, volume))
                continue
            storage_class = self.storage_class(claim)
            provisioner = storage_class.provisioner if storage_class is not None else ""
            if storage_class is None or provisioner in ("", rules.NO_PROVISIONER):
                return BIND_CONFLICT
            if not rules.topology_allows(storage_class, labels):
                return BIND_CONFLICT
            if not self.has_room(claim, storage_class, labels):
                return NOT_ENOUGH
            choice.provision.append(claim)
        return choice


def _has_affinity(volume: Volume) -> bool:
    affinity = volume.spec.node_affinity
    return affinity is not None and affinity.required is not None


def _hosts(volume: Volume) -> list[str] | None:
    """The host names that a volume is for, if that is what its affinity says."""
    affinity = volume.spec.node_affinity
    terms = affinity.required.node_selector_terms if affinity is not None and affinity.required is not None else []
    if len(terms) == 1:
        for expression in terms[0].match_expressions:
            if expression.key == HOSTNAME and expression.operator == "In":
                return expression.values
    return None
