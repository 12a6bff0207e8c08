"""The rules of custom resources: apiextensions' pkg/registry/customresource."""

from collections.abc import Callable
from typing import Any

import msgspec

from orlop.api import selectors
from orlop.api.errors import FieldError, invalid_value
from orlop.api.kind import Kind
from orlop.api.types import meta_v1
from orlop.apiserver.crd.definition import Version
from orlop.apiserver.crd.objects import CustomObject, read
from orlop.apiserver.registry import meta
from orlop.apiserver.registry.common import told
from orlop.apiserver.registry.objects import encode
from orlop.apiserver.registry.strategy import Strategy
from orlop.native import CustomSchema

_METADATA = (
    "metadata.annotations",
    "metadata.deletionTimestamp",
    "metadata.finalizers",
    "metadata.labels",
    "metadata.ownerReferences",
)
"""What of the metadata has owners."""
INT32_MAX = (1 << 31) - 1
_QUALIFIED = "name is neither a standard finalizer name nor is it fully qualified"
_PREFER = "prefer a domain-qualified finalizer name"


class CustomResources(Strategy):
    """One version of a custom resource."""

    unconditional_update = False

    def __init__(
        self, kind: Kind, version: Version, schema: CustomSchema, to_served: Callable[[bytes], bytes] | None
    ) -> None:
        super().__init__(kind)
        self.version = version
        self.schema = schema
        self.has_status = version.has_status
        self._to_served = to_served
        names = [field.json_path.removeprefix(".") for field in version.selectable_fields]
        self.fields = tuple((name, name) for name in names)  # type: ignore[misc]  # of the kind, not of the class

    def as_stored(self) -> "CustomResources":
        """The same for objects as they are stored, which no webhook is asked for."""
        if self.kind.converter is None:
            return self
        return CustomResources(msgspec.structs.replace(self.kind, by_webhook=None), self.version, self.schema, None)

    def _json(self, obj: CustomObject) -> bytes:
        value = encode(obj)
        return value if self._to_served is None else self._to_served(value)

    def _metadata(self, wrong: list[FieldError]) -> list[FieldError]:
        """Finalizers of any name are taken: the author is warned."""
        return [e for e in wrong if e.detail != _QUALIFIED]

    def before_create(self, obj: CustomObject) -> list[FieldError]:
        if self.has_status:
            members = obj.members()
            if members.pop("status", None) is not None:
                obj.replace(members)
                if self._to_served is None and (filled := self.schema.normalize(encode(obj))) is not None:
                    # What the schema has for a status that nobody gave stands in the answer too.
                    obj.rest = read(type(obj), filled).rest
        obj.metadata.generation = 1
        wrong = self._metadata(meta.validate(obj.metadata, self.kind.namespaced, self.name_rule))
        wrong += told(self.schema.validate(self._json(obj), None, False))
        return wrong + self._scale(obj, spec=True)

    def before_update(self, new: CustomObject, old: CustomObject) -> list[FieldError]:
        self.carry(new, old)
        if self.has_status:
            theirs, before = new.members(), old.members()
            if theirs.get("status") != before.get("status"):
                theirs.pop("status", None)
                if "status" in before:
                    theirs["status"] = before["status"]
                new.replace({name: theirs[name] for name in sorted(theirs)})
        if new.rest != old.rest:
            new.metadata.generation = old.metadata.generation + 1
        wrong = self._metadata(meta.validate_update(new.metadata, old.metadata))
        wrong += told(self.schema.validate(self._json(new), self._json(old), False))
        return wrong + self._scale(new, spec=True)

    def before_status_update(self, new: CustomObject, old: CustomObject) -> list[FieldError]:
        theirs, kept = new.members(), old.members()
        kept.pop("status", None)
        if "status" in theirs:
            kept["status"] = theirs["status"]
        new.replace({name: kept[name] for name in sorted(kept)})
        given = new.metadata
        new.metadata = msgspec.structs.replace(
            old.metadata, managed_fields=given.managed_fields, resource_version=given.resource_version
        )
        if given.uid:
            new.metadata.uid = given.uid
        wrong = self._metadata(meta.validate_update(new.metadata, old.metadata))
        wrong += told(self.schema.validate(self._json(new), self._json(old), True))
        return wrong + self._scale(new, spec=False)

    def not_owned(self, subresource: str) -> list[str]:
        if subresource == "status":
            return ["spec", *_METADATA]
        return ["status"] if self.has_status else []

    def warnings(self, new: CustomObject, old: CustomObject | None = None) -> list[str]:
        return finalizer_warnings(new.metadata)

    def _scale(self, obj: CustomObject, *, spec: bool) -> list[FieldError]:
        """What the scale subresource reads must be what it shows."""
        scale = self.version.scale
        if scale is None:
            return []
        tree = obj.tree()
        wrong: list[FieldError] = []
        for path, checked in ((scale.spec_replicas_path, spec), (scale.status_replicas_path, True)):
            if not checked:
                continue
            value = at(tree, path)
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool):
                words = f"{path} accessor error: {value} is of the type {go_type(value)}, expected int64"
                wrong.append(invalid_value(path, 0, words))
            elif value < 0:
                wrong.append(invalid_value(path, value, "should be a non-negative integer"))
            elif value > INT32_MAX:
                wrong.append(invalid_value(path, value, f"should be less than or equal to {INT32_MAX}"))
        if scale.label_selector_path:
            value = at(tree, scale.label_selector_path)
            if value is not None and not isinstance(value, str):
                path = scale.label_selector_path
                words = f"{path} accessor error: {value} is of the type {go_type(value)}, expected string"
                wrong.append(invalid_value(path, "", words))
        return wrong


def at(tree: Any, path: str) -> Any:
    """The value at a dotted path; None if it is not there."""
    for part in path.removeprefix(".").split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    return tree


def go_type(value: Any) -> str:
    """How Go calls the type of a decoded JSON value."""
    names = {bool: "bool", int: "int64", float: "float64", str: "string", list: "[]interface {}"}
    return names.get(type(value), "map[string]interface {}")


def finalizer_warnings(metadata: meta_v1.ObjectMeta) -> list[str]:
    """Advice on finalizers that may be taken for another's."""
    out = []
    for name in sorted(set(metadata.finalizers)):
        out += [f'metadata.finalizers: "{name}": {m}' for m in selectors.key_errors(name)]
        if "/" not in name and name not in meta.STANDARD_FINALIZERS:
            more = " including a path (/)" if "." in name else ""
            words = f"{_PREFER}{more} to avoid accidental conflicts with other finalizer writers"
            out.append(f'metadata.finalizers: "{name}": {words}')
    return out
