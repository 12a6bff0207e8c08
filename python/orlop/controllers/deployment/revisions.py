"""Which ReplicaSet stands for which revision: template hash, numbering, annotations, history."""

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client.decode import encode
from orlop.control import controller_reference

HASH_LABEL = "pod-template-hash"
REVISION = "deployment.kubernetes.io/revision"
REVISION_HISTORY = "deployment.kubernetes.io/revision-history"
DESIRED_REPLICAS = "deployment.kubernetes.io/desired-replicas"
MAX_REPLICAS = "deployment.kubernetes.io/max-replicas"
HISTORY_MAX = 2000
"""Longest text of the annotation that remembers a set's earlier numbers."""

_NOT_COPIED = frozenset(
    {
        "kubectl.kubernetes.io/last-applied-configuration",
        REVISION,
        REVISION_HISTORY,
        DESIRED_REPLICAS,
        MAX_REPLICAS,
        "deprecated.deployment.rollback.to",
    }
)
_SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""apimachinery's alphabet for generated names: no vowels and no digits that look like letters."""


def template_hash(template: core_v1.PodTemplateSpec, collisions: int | None) -> str:
    """The value of pod-template-hash: 32 bits of the template's canonical JSON, as upstream writes its own hash.

    It depends on nothing but the template and the number of collisions met, so it is the same after any restart. The
    hash itself differs from upstream's, which hashes a dump of Go memory.
    """
    digest = hashlib.blake2b(msgspec.json.encode(template, order="deterministic"), digest_size=4)
    if collisions is not None:
        digest.update(collisions.to_bytes(8, "little"))
    number = int.from_bytes(digest.digest(), "big")
    return "".join(_SAFE[ord(c) % len(_SAFE)] for c in str(number))


def same_template(a: core_v1.PodTemplateSpec, b: core_v1.PodTemplateSpec) -> bool:
    """Whether the templates are equal, pod-template-hash apart."""
    return a.spec == b.spec and _without_hash(a.metadata) == _without_hash(b.metadata)


def _without_hash(meta: meta_v1.ObjectMeta) -> bytes:
    labels = {k: v for k, v in meta.labels.items() if k != HASH_LABEL}
    plain = meta_v1.ObjectMeta(
        name=meta.name,
        generate_name=meta.generate_name,
        labels=dict(sorted(labels.items())),
        annotations=dict(sorted(meta.annotations.items())),
        finalizers=meta.finalizers,
    )
    return encode(plain)


def oldest_first(sets: Iterable[apps_v1.ReplicaSet]) -> list[apps_v1.ReplicaSet]:
    """By creation, then by name."""
    return sorted(sets, key=lambda rs: (rs.metadata.creation_timestamp, rs.metadata.name))


def find_new(d: apps_v1.Deployment, sets: Iterable[apps_v1.ReplicaSet]) -> apps_v1.ReplicaSet | None:
    """The set of the present template; of several (made under different hashes) the oldest."""
    return next((rs for rs in oldest_first(sets) if same_template(rs.spec.template, d.spec.template)), None)


def revision_of(rs: apps_v1.ReplicaSet) -> int:
    """The set's number; 0 if it has none that can be read."""
    text = rs.metadata.annotations.get(REVISION, "")
    return int(text) if text.isdecimal() else 0


def make_new(d: apps_v1.Deployment, revision: int, max_replicas: int) -> apps_v1.ReplicaSet:
    """The set of the present template, not yet made, with no pods asked for."""
    hash_ = template_hash(d.spec.template, d.status.collision_count)
    template = core_v1.PodTemplateSpec(
        metadata=meta_v1.ObjectMeta(
            name=d.spec.template.metadata.name,
            labels={**d.spec.template.metadata.labels, HASH_LABEL: hash_},
            annotations=d.spec.template.metadata.annotations,
            finalizers=d.spec.template.metadata.finalizers,
        ),
        spec=d.spec.template.spec,
    )
    selector = d.spec.selector or meta_v1.LabelSelector()
    rs = apps_v1.ReplicaSet(
        metadata=meta_v1.ObjectMeta(
            name=f"{d.metadata.name}-{hash_}",
            namespace=d.metadata.namespace,
            labels=dict(template.metadata.labels),
            owner_references=[controller_reference(d)],
        ),
        spec=apps_v1.ReplicaSetSpec(
            replicas=0,
            min_ready_seconds=d.spec.min_ready_seconds,
            selector=meta_v1.LabelSelector(
                match_labels={**selector.match_labels, HASH_LABEL: hash_},
                match_expressions=selector.match_expressions,
            ),
            template=template,
        ),
    )
    annotate_new(d, rs, revision)
    annotate_size(rs, replicas_of(d), max_replicas)
    return rs


def annotate_new(d: apps_v1.Deployment, rs: apps_v1.ReplicaSet, revision: int) -> bool:
    """Copies the deployment's annotations to its newest set and numbers it. True if that changed anything.

    A set that gets a higher number was rolled back to: the number it had is kept in its history.
    """
    annotations = rs.metadata.annotations
    changed = False
    for key, value in d.metadata.annotations.items():
        if key not in _NOT_COPIED and annotations.get(key) != value:
            annotations[key] = value
            changed = True
    old = annotations.get(REVISION)
    if revision_of(rs) < revision:
        annotations[REVISION] = str(revision)
        changed = True
        if old is not None:
            history = [h for h in annotations.get(REVISION_HISTORY, "").split(",") if h] + [old]
            while len(",".join(history)) > HISTORY_MAX:
                history.pop(0)
            annotations[REVISION_HISTORY] = ",".join(history)
    return changed


def annotate_size(rs: apps_v1.ReplicaSet, desired: int, max_replicas: int) -> bool:
    """Notes the deployment's size on the set, to tell scaling from rolling out. True if that changed anything."""
    annotations = rs.metadata.annotations
    wanted = {DESIRED_REPLICAS: str(desired), MAX_REPLICAS: str(max_replicas)}
    if all(annotations.get(key) == value for key, value in wanted.items()):
        return False
    annotations.update(wanted)
    return True


def noted(rs: apps_v1.ReplicaSet, annotation: str) -> int | None:
    """A size noted by `annotate_size`."""
    text = rs.metadata.annotations.get(annotation, "")
    return int(text) if text.isdecimal() else None


def replicas_of(d: apps_v1.Deployment | apps_v1.ReplicaSet) -> int:
    """The number asked for; 1 if it does not say."""
    return 1 if d.spec.replicas is None else d.spec.replicas


def to_clean_up(d: apps_v1.Deployment, old: Sequence[apps_v1.ReplicaSet]) -> list[apps_v1.ReplicaSet]:
    """Old sets beyond the history limit, lowest numbers first, that have ended in every respect."""
    limit = d.spec.revision_history_limit
    if limit is None:
        return []
    alive = [rs for rs in old if rs.metadata.deletion_timestamp is None]
    alive.sort(key=lambda rs: (revision_of(rs), rs.metadata.creation_timestamp, rs.metadata.name))
    return [
        rs
        for rs in alive[: max(0, len(alive) - limit)]
        if rs.status.replicas == 0 and replicas_of(rs) == 0 and rs.metadata.generation <= rs.status.observed_generation
    ]
