"""Claims, volumes and classes as they were listed."""

from collections.abc import Iterable, Mapping

from orlop.api import volumes as rules
from orlop.api.types import storage_v1
from orlop.client.decode import decode
from orlop.scheduler.podvolumes import Claim, PodVolumes, Storage, Volume, read

Key = tuple[str, str]


class ListedStorage(Storage):
    """The storage of one moment. Nothing is planned in it."""

    def __init__(self) -> None:
        self._claims: dict[Key, Claim] = {}
        self._volumes: dict[str, Volume] = {}
        self._classes: dict[str, storage_v1.StorageClass] = {}
        self._users: dict[Key, set[Key]] = {}
        """Pods on nodes, by the claims they use."""

    def fill(self, claims: Iterable[bytes], volumes: Iterable[bytes], classes: Iterable[bytes]) -> None:
        """Takes over what the API listed."""
        for claim in (decode(Claim, value) for value in claims):
            self._claims[claim.metadata.namespace, claim.metadata.name] = claim
        for volume in (decode(Volume, value) for value in volumes):
            self._volumes[volume.metadata.name] = volume
        for found in (decode(storage_v1.StorageClass, value) for value in classes):
            self._classes[found.metadata.name] = found

    def add_claim(self, claim: Claim) -> None:
        """Takes over one more claim."""
        self._claims[claim.metadata.namespace, claim.metadata.name] = claim

    def use(self, key: Key, value: bytes, *, on: bool) -> None:
        """A pod came to a node, or left it."""
        pod: PodVolumes | None = read(value)
        for name, _ in pod.claims() if pod is not None else ():
            users = self._users.setdefault((key[0], name), set())
            (users.add if on else users.discard)(key)

    def claim(self, namespace: str, name: str) -> Claim | None:
        return self._claims.get((namespace, name))

    def volume(self, name: str) -> Volume | None:
        return self._volumes.get(name)

    def storage_class(self, claim: Claim) -> storage_v1.StorageClass | None:
        return self._classes.get(rules.claim_class(claim))

    def has_room(self, claim: Claim, storage_class: storage_v1.StorageClass, labels: Mapping[str, str]) -> bool:
        """What drivers tell of their capacity is not looked at."""
        return True

    def candidates(self, claim: Claim) -> Iterable[Volume]:
        meta, wanted = claim.metadata, rules.claim_class(claim)
        for volume in self._volumes.values():
            ref = volume.spec.claim_ref
            mine = ref is not None and (ref.namespace, ref.name) == (meta.namespace, meta.name)
            free = volume.status.phase == "Available" and rules.volume_class(volume) == wanted
            if free or (mine and volume.status.phase != "Released"):
                yield volume

    def taken(self, key: Key, claims: Iterable[Claim]) -> bool:
        """Whether one of the claims may be used by one pod only, and another one on a node uses it."""
        return any(
            "ReadWriteOncePod" in claim.spec.access_modes
            and self._users.get((claim.metadata.namespace, claim.metadata.name), set()) - {key}
            for claim in claims
        )
