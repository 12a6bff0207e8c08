"""What the filters that look at volumes say of the nodes for one pod; the core knows nothing of claims.

Upstream: pkg/scheduler/framework/plugins/volumerestrictions, nodevolumelimits, volumebinding, volumezone.
"""

from collections.abc import Container, Iterable

from orlop.scheduler.podvolumes import BINDING, Claim, Nodes, PodVolumes, Storage
from orlop.scheduler.volumelimits import EXCEEDED, LIMITS, Attachment, exceeds, limits
from orlop.scheduler.volumezone import CONFLICT, ZONE, conflicts, places
from orlop.scheduler.votes import Vote

RESTRICTIONS = "VolumeRestrictions"
ONE_POD = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


def votes(storage: Storage, key: tuple[str, str], pod: PodVolumes, nodes: Nodes, filters: Container[str]) -> list[Vote]:
    """The votes of those among the profile's filters. Raises Unfit."""
    claims = storage.wanted(pod) if BINDING in filters else storage.known(pod)
    found = []
    if RESTRICTIONS in filters and storage.is_taken(key, claims):
        found.append(Vote(RESTRICTIONS, lambda name: [ONE_POD], only=(), resolvable=True))
    if LIMITS in filters and (full := _full(storage, claims, nodes)):
        found.append(Vote(LIMITS, lambda name: [EXCEEDED] if name in full else [], resolvable=True))
    if BINDING in filters:
        allowed = storage.allowed(claims, nodes)
        if allowed.names is not None:
            found.append(Vote(BINDING, allowed.reasons, only=allowed.names))
    bound = [v for c in claims if c.spec.volume_name and (v := storage.volume(c.spec.volume_name)) is not None]
    if ZONE in filters and (wanted := places(bound)):
        found.append(Vote(ZONE, lambda name: [CONFLICT] if conflicts(wanted, nodes.labels[name]) else []))
    return found


def _full(storage: Storage, claims: list[Claim], nodes: Nodes) -> set[str]:
    """The nodes whose limits of volumes leave no room for those of the claims."""
    wanted = attachments(storage, claims)
    full = set()
    for node in storage.csi_nodes() if wanted else ():
        most = limits(node)
        name = node.metadata.name
        if most.keys() & {driver for driver, _ in wanted} and name in nodes.labels:
            there = [a for pod in storage.pods_on(name) for a in attachments(storage, storage.known(pod))]
            if exceeds(most, there, wanted):
                full.add(name)
    return full


def attachments(storage: Storage, claims: Iterable[Claim]) -> list[Attachment]:
    """The volumes of CSI drivers that the claims are, or will be."""
    return [found for claim in claims if (found := _attachment(storage, claim)) is not None]


def _attachment(storage: Storage, claim: Claim) -> Attachment | None:
    if claim.spec.volume_name:
        volume = storage.volume(claim.spec.volume_name)
        source = volume.spec.csi if volume is not None else None
        return (source.driver, source.volume_handle) if source is not None else None
    storage_class = storage.storage_class(claim)
    if storage_class is None:
        return None
    return storage_class.provisioner, f"{claim.metadata.namespace}/{claim.metadata.name}"
