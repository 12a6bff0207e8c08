"""The revisions of a StatefulSet or DaemonSet: ControllerRevisions. Upstream: pkg/controller/history.

The data of a revision is the strategic merge patch that brings its template back: `kubectl rollout undo` sends it as it
is, and compares its bytes to tell whether there is anything to undo.
"""

from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

import msgspec

from orlop.api import errors, selectors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client, Informer
from orlop.client.decode import encode
from orlop.control import Claims, controller_of, controller_reference
from orlop.controllers import pods

REVISION_HASH = "controller-revision-hash"
"""The label of pods: which revision they are of."""
NAME_PREFIX_MAX = 223
"""So that a name with its hash is at most 253 bytes."""
SAFE = "bcdfghjklmnpqrstvwxz2456789"
"""apimachinery's alphabet for generated names: no vowels and no digits that look like letters."""

_encoder = msgspec.json.Encoder(order="deterministic")
_FNV_START, _FNV_PRIME = 0x811C9DC5, 0x01000193

Revision = apps_v1.ControllerRevision


def owner_index(revision: Revision) -> list[str]:
    """The indexer of BY_OWNER, as of pods."""
    ref = controller_of(revision)
    return [ref.uid if ref is not None else pods.orphans(revision.metadata.namespace)]


def template_patch(template: core_v1.PodTemplateSpec) -> dict[str, Any]:
    """The data of the template's revision."""
    plain: dict[str, Any] = msgspec.json.decode(encode(template))
    plain["$patch"] = "replace"
    return {"spec": {"template": plain}}


def template_of(revision: Revision) -> core_v1.PodTemplateSpec:
    """The template that the revision keeps. Raises msgspec.ValidationError if it keeps none."""
    plain = {k: v for k, v in revision.data["spec"]["template"].items() if k != "$patch"}
    return msgspec.convert(plain, core_v1.PodTemplateSpec, str_keys=True)


def same_data(a: Any, b: Any) -> bool:
    return _encoder.encode(a) == _encoder.encode(b)


def data_hash(data: Any, collisions: int) -> str:
    """Upstream's hash of a revision's data (FNV-1, 32 bits) and the number of collisions met."""
    value = _FNV_START
    for byte in _encoder.encode(data) + str(collisions).encode():
        value = (value * _FNV_PRIME & 0xFFFFFFFF) ^ byte
    return "".join(SAFE[ord(c) % len(SAFE)] for c in str(value))


def in_order(revisions: Iterable[Revision]) -> list[Revision]:
    """By number, then age, then name."""
    return sorted(revisions, key=lambda r: (r.revision, r.metadata.creation_timestamp, r.metadata.name))


def make(
    owner: Any, name: str, hash_label: str, hash_: str, template: core_v1.PodTemplateSpec, number: int
) -> Revision:
    """A revision of the owner's template, not yet created."""
    return Revision(
        metadata=meta_v1.ObjectMeta(
            name=name,
            namespace=owner.metadata.namespace,
            labels={**template.metadata.labels, hash_label: hash_},
            annotations=dict(owner.metadata.annotations),
            owner_references=[controller_reference(owner)],
        ),
        data=template_patch(template),
        revision=number,
    )


async def claimed(client: Client, informer: Informer[Revision], owner: Any) -> list[Revision]:
    """The owner's revisions in order, after adopting those without one that match its selector."""
    meta = owner.metadata

    async def live() -> Any:
        return await client.get(type(owner), meta.name, meta.namespace)

    values = (meta.uid, pods.orphans(meta.namespace))
    candidates = [r for value in values for r in informer.by_index(pods.BY_OWNER, value)]
    claims = Claims(client, owner, selectors.from_struct(owner.spec.selector), live)
    return in_order(await claims.claim(candidates))


async def renumber(client: Client, revision: Revision, number: int) -> Revision:
    """The revision under another number: it is the newest again."""
    if revision.revision == number:
        return revision
    return await client.update(msgspec.structs.replace(revision, revision=number))


async def truncate(client: Client, revisions: Sequence[Revision], live: set[str], limit: int | None) -> None:
    """Deletes the oldest of the revisions whose names are not in `live`, until `limit` of them are left."""
    old = [r for r in revisions if r.metadata.name not in live]
    if limit is None or limit < 0:
        return
    for revision in old[: max(0, len(old) - limit)]:
        with suppress(errors.NotFound):
            await client.delete(Revision, revision.metadata.name, revision.metadata.namespace)
