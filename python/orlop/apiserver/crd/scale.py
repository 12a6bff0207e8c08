"""scale of custom resources: replicas and selector stand where the definition says."""

from typing import Any

import msgspec

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import autoscaling_v1, meta_v1
from orlop.apiserver.crd.kind import CustomKind
from orlop.apiserver.crd.objects import CustomObject
from orlop.apiserver.crd.strategy import at


def scale_of(kind: Kind, obj: CustomObject) -> autoscaling_v1.Scale:
    """The Scale of an object. Raises InternalError where what it should show is of another type."""
    assert isinstance(kind, CustomKind)
    paths = kind.definition.scale
    assert paths is not None
    tree = obj.tree()
    old = obj.metadata
    selector = at(tree, paths.label_selector_path) if paths.label_selector_path else None
    return autoscaling_v1.Scale(
        metadata=meta_v1.ObjectMeta(
            name=old.name,
            namespace=old.namespace,
            uid=old.uid,
            resource_version=old.resource_version,
            creation_timestamp=old.creation_timestamp,
        ),
        spec=autoscaling_v1.ScaleSpec(replicas=_number(tree, paths.spec_replicas_path)),
        status=autoscaling_v1.ScaleStatus(
            replicas=_number(tree, paths.status_replicas_path), selector=selector if isinstance(selector, str) else ""
        ),
    )


def _number(tree: Any, path: str) -> int:
    value = at(tree, path)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        raise errors.InternalError(f"Internal error occurred: {path} accessor error: {value} is no integer")
    return value


def set_replicas(kind: Kind, obj: CustomObject, replicas: int) -> None:
    """Writes the replicas into the object."""
    assert isinstance(kind, CustomKind)
    paths = kind.definition.scale
    assert paths is not None
    first, *rest = paths.spec_replicas_path.removeprefix(".").split(".")
    members = obj.members()
    part: Any = msgspec.json.decode(members[first]) if first in members else {}
    place = part
    for name in rest[:-1]:
        place = place.setdefault(name, {})
    place[rest[-1]] = replicas
    members[first] = msgspec.Raw(msgspec.json.encode(part, order="sorted"))
    obj.replace({name: members[name] for name in sorted(members)})
