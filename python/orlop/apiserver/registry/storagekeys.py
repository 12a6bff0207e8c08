"""Where upstream's API server keeps an object in etcd: its errors name the place, so ours do."""

from orlop.api import scheme
from orlop.store.base import Key

PREFIX = "/registry"
PLACES = {
    "endpoints": "services/endpoints",
    "ingresses": "ingress",
    "nodes": "minions",
    "replicationcontrollers": "controllers",
    "services": "services/specs",
}
"""Resources that are kept under another name, by their plural."""
BY_GROUP = frozenset({"apiextensions.k8s.io", "apiregistration.k8s.io"})
"""Groups of upstream's own whose name is a part of the place."""


def storage_key(key: Key) -> str:
    """`/registry/services/specs/default/web`; custom resources stand below their group."""
    group, _, plural = key.resource.rpartition("/")
    place = PLACES.get(plural, plural)
    if group in BY_GROUP or (group and all(group != known for known, _ in scheme.group_versions())):
        place = f"{group}/{plural}"
    return "/".join(part for part in (PREFIX, place, key.namespace, key.name) if part)
