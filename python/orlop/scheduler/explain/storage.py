"""Claims, volumes and classes as they were listed."""

from collections.abc import Iterable

from orlop.api import volumes as rules
from orlop.api.types import storage_v1
from orlop.client import copy
from orlop.client.decode import decode
from orlop.scheduler.podvolumes import Claim, PodVolumes, Storage, Volume, read
from orlop.scheduler.volumebinding import bound_to

Key = tuple[str, str]

RESOURCES = {
    "persistentvolumeclaims": "/api/v1/persistentvolumeclaims",
    "persistentvolumes": "/api/v1/persistentvolumes",
    "storageclasses": "/apis/storage.k8s.io/v1/storageclasses",
    "csinodes": "/apis/storage.k8s.io/v1/csinodes",
    "csidrivers": "/apis/storage.k8s.io/v1/csidrivers",
    "csistoragecapacities": "/apis/storage.k8s.io/v1/csistoragecapacities",
}
"""What is listed, in the order in which `fill` takes it."""


class ListedStorage(Storage):
    """The storage of one moment."""

    def __init__(self) -> None:
        self._claims: dict[Key, Claim] = {}
        self._volumes: dict[str, Volume] = {}
        self._classes: dict[str, storage_v1.StorageClass] = {}
        self._nodes: dict[str, storage_v1.CSINode] = {}
        self._drivers: dict[str, storage_v1.CSIDriver] = {}
        self._capacities: dict[str, list[storage_v1.CSIStorageCapacity]] = {}
        self._on: dict[str, dict[Key, PodVolumes]] = {}
        """Pods with claims, by their nodes."""
        self._users: dict[Key, set[Key]] = {}
        """Pods on nodes, by the claims they use."""

    def fill(
        self,
        claims: Iterable[bytes] = (),
        volumes: Iterable[bytes] = (),
        classes: Iterable[bytes] = (),
        nodes: Iterable[bytes] = (),
        drivers: Iterable[bytes] = (),
        capacities: Iterable[bytes] = (),
    ) -> None:
        """Takes over what the API listed."""
        for claim in (decode(Claim, value) for value in claims):
            self._claims[claim.metadata.namespace, claim.metadata.name] = claim
        for volume in (decode(Volume, value) for value in volumes):
            self._volumes[volume.metadata.name] = volume
        for found in (decode(storage_v1.StorageClass, value) for value in classes):
            self._classes[found.metadata.name] = found
        for node in (decode(storage_v1.CSINode, value) for value in nodes):
            self._nodes[node.metadata.name] = node
        for driver in (decode(storage_v1.CSIDriver, value) for value in drivers):
            self._drivers[driver.metadata.name] = driver
        for capacity in (decode(storage_v1.CSIStorageCapacity, value) for value in capacities):
            self._capacities.setdefault(capacity.storage_class_name, []).append(capacity)

    def add_claim(self, claim: Claim) -> None:
        """Takes over one more claim."""
        self._claims[claim.metadata.namespace, claim.metadata.name] = claim

    def settle(self, pod: PodVolumes, node: str, labels: dict[str, str]) -> None:
        """Binds the pod's claims as if it had come to the node: no other gets its volumes."""
        choice = self.choose(self.known(pod), node, labels)
        for claim, volume in choice.static:
            self._volumes[volume.metadata.name] = bound_to(volume, claim)
        for claim in choice.provision:
            planned = copy(claim)
            planned.metadata.annotations[rules.SELECTED_NODE] = node
            self.add_claim(planned)

    def use(self, key: Key, value: bytes, node: str, *, on: bool) -> None:
        """A pod came to a node, or left it."""
        pod = read(value)
        if pod is None:
            return
        there = self._on.setdefault(node, {})
        if on:
            there[key] = pod
        else:
            there.pop(key, None)
        for name, _ in pod.claims():
            users = self._users.setdefault((key[0], name), set())
            (users.add if on else users.discard)(key)

    def claim(self, namespace: str, name: str) -> Claim | None:
        return self._claims.get((namespace, name))

    def volume(self, name: str) -> Volume | None:
        return self._volumes.get(name)

    def storage_class(self, claim: Claim) -> storage_v1.StorageClass | None:
        return self._classes.get(rules.claim_class(claim))

    def driver(self, name: str) -> storage_v1.CSIDriver | None:
        return self._drivers.get(name)

    def capacities(self, storage_class: str) -> Iterable[storage_v1.CSIStorageCapacity]:
        return self._capacities.get(storage_class, ())

    def candidates(self, claim: Claim) -> Iterable[Volume]:
        meta, wanted = claim.metadata, rules.claim_class(claim)
        for volume in self._volumes.values():
            ref = volume.spec.claim_ref
            mine = ref is not None and (ref.namespace, ref.name) == (meta.namespace, meta.name)
            free = ref is None and volume.status.phase == "Available" and rules.volume_class(volume) == wanted
            if free or (mine and volume.status.phase != "Released"):
                yield volume

    def csi_nodes(self) -> Iterable[storage_v1.CSINode]:
        return self._nodes.values()

    def pods_on(self, node: str) -> Iterable[PodVolumes]:
        return self._on.get(node, {}).values()

    def is_taken(self, key: Key, claims: Iterable[Claim]) -> bool:
        return any(
            "ReadWriteOncePod" in claim.spec.access_modes
            and self._users.get((claim.metadata.namespace, claim.metadata.name), set()) - {key}
            for claim in claims
        )
