"""The schemas of OpenAPI, from the field table that the wire reads too, under upstream's names."""

from collections.abc import Iterable, Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Any

import msgspec

from orlop import native

Schema = dict[str, Any]

PACKAGES = {
    "meta": "io.k8s.apimachinery.pkg.apis.meta",
    "apiextensions": "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions",
    "apiregistration": "io.k8s.kube-aggregator.pkg.apis.apiregistration",
}
"""Where a type's folder is not below `io.k8s.api`."""

OWN_NAMES = {
    "api/resource.Quantity": "io.k8s.apimachinery.pkg.api.resource.Quantity",
    "util/intstr.IntOrString": "io.k8s.apimachinery.pkg.util.intstr.IntOrString",
    "runtime.RawExtension": "io.k8s.apimachinery.pkg.runtime.RawExtension",
}
PATCH = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch"

SCALARS: dict[str, Schema] = {
    "bool": {"type": "boolean"},
    "int32": {"type": "integer", "format": "int32"},
    "int64": {"type": "integer", "format": "int64"},
    "float64": {"type": "number", "format": "double"},
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "duration": {"type": "string"},
    "any": {},
}
ZEROS: dict[str, Any] = {"bool": False, "int32": 0, "int64": 0, "float64": 0, "string": ""}
"""What the document says of a field that is always written and is no pointer."""


UNIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "core/v1.AppArmorProfile": ("type", ("localhostProfile",)),
    "core/v1.PodSchedulingGroup": ("", ("podGroupName",)),
    "core/v1.SeccompProfile": ("type", ("localhostProfile",)),
    "flowcontrol/v1.LimitResponse": ("type", ("queuing",)),
    "flowcontrol/v1.PriorityLevelConfigurationSpec": ("type", ("exempt", "limited")),
    "flowcontrol/v1.Subject": ("kind", ("group", "serviceAccount", "user")),
    "scheduling/v1alpha3.WorkloadPodGroupDisruptionMode": ("", ("all", "single")),
    "scheduling/v1alpha3.WorkloadPodGroupSchedulingPolicy": ("", ("basic", "gang")),
}
"""Types of which one field is set, by the value of another where one is named."""
ENUMS = {
    "certificates/v1.CertificateSigningRequestSpec.usages": (
        *("any", "cert sign", "client auth", "code signing", "content commitment", "crl sign", "data encipherment"),
        *("decipher only", "digital signature", "email protection", "encipher only", "ipsec end system"),
        *("ipsec tunnel", "ipsec user", "key agreement", "key encipherment", "microsoft sgc", "netscape sgc"),
        *("ocsp signing", "s/mime", "server auth", "signing", "timestamping"),
    ),
    "discovery/v1.EndpointSlice.addressType": ("FQDN", "IPv4", "IPv6"),
    "networking/v1.HTTPIngressPath.pathType": ("Exact", "ImplementationSpecific", "Prefix"),
    "resource/v1.DeviceSubRequest.allocationMode": ("All", "ExactCount"),
    "resource/v1.ExactDeviceRequest.allocationMode": ("All", "ExactCount"),
}
"""Values of fields that the wire's table does not have."""


@lru_cache(1)
def words() -> dict[str, str]:
    """Short descriptions by type key or by field (`core/v1.Pod`, `core/v1.PodSpec.containers`)."""
    text = files("orlop.apiserver").joinpath("openapi_words.txt").read_text("utf-8")
    lines = (line.partition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {key: about.replace("\\n", "\n") for key, _, about in lines}


@lru_cache(2048)
def described(key: str) -> dict[str, Any]:
    """A type of the table. Raises LookupError for a key that it does not have."""
    text = native.wire_describe(key)
    if text is None:
        raise LookupError(f"the field table has no type {key!r}")
    out: dict[str, Any] = msgspec.json.decode(text)
    return out


def name_of(key: str) -> str:
    """The schema's name for a type key: `core/v1.Pod` → `io.k8s.api.core.v1.Pod`."""
    if key in OWN_NAMES:
        return OWN_NAMES[key]
    folder, _, rest = key.partition("/")
    return f"{PACKAGES.get(folder, f'io.k8s.api.{folder}')}.{rest}"


class Dialect:
    """How one version of OpenAPI says things: v2 (Swagger 2.0) or v3."""

    def __init__(self, version: int) -> None:
        self.v3 = version == 3
        self.prefix = "#/components/schemas/" if self.v3 else "#/definitions/"
        self._schemas: dict[str, Schema] = {}

    def ref(self, key: str) -> Schema:
        return {"$ref": self.prefix + name_of(key)}

    def schema(self, key: str) -> Schema:
        """The schema of a type that others refer to by name."""
        found = self._schemas.get(key)
        if found is None:
            found = self._schemas[key] = self._build(key)
        return found

    def _build(self, key: str) -> Schema:
        type_ = described(key)
        shape = type_["shape"]
        out: Schema = {}
        if about := words().get(key):
            out["description"] = about
        if shape == "struct":
            out |= self._struct(key, type_)
        elif shape == "quantity":
            out |= {"oneOf": [{"type": "string"}, {"type": "number"}]} if self.v3 else {"type": "string"}
        elif shape == "intorstring":
            union = {"oneOf": [{"type": "integer"}, {"type": "string"}]} if self.v3 else {"type": "string"}
            out |= {"format": "int-or-string"} | union
        elif shape in ("time", "microtime"):
            out |= {"type": "string", "format": "date-time"}
        elif shape == "raw" and not key.startswith("apiextensions/"):
            out["type"] = "object"
        return out

    def _struct(self, key: str, type_: dict[str, Any]) -> Schema:
        fields = type_["fields"]
        out: Schema = {"type": "object"}
        if fields:
            out["properties"] = {f["name"]: self._property(key, f) for f in fields}
        if required := [f["name"] for f in fields if not f.get("optional")]:
            out["required"] = required
        if union := UNIONS.get(key):
            discriminator, members = union
            said = {"discriminator": discriminator} if discriminator else {}
            shown = {name: name[0].upper() + name[1:] for name in members}
            out["x-kubernetes-unions"] = [said | {"fields-to-discriminateBy": shown}]
        if type_.get("atomic"):
            out["x-kubernetes-map-type"] = "atomic"
        return out

    def _property(self, owner: str, field: dict[str, Any]) -> Schema:
        key = field["type"]
        out: Schema = {}
        shape = described(key)["shape"]
        pointer = field.get("pointer", False)
        if self._named(key):
            # A $ref stands alone in v3, so that anything said beside it needs allOf.
            out |= {"allOf": [self.ref(key)]} if self.v3 else self.ref(key)
            if shape == "struct" and not pointer and self.v3:
                out["default"] = {}
        else:
            out |= self.inline(key)
            if shape in ZEROS and not pointer and not field.get("omitEmpty") and self.v3:
                out["default"] = ZEROS[shape]
        if "default" in field and self.v3:
            out["default"] = msgspec.json.decode(field["default"].encode())
        if about := words().get(f"{owner}.{field['name']}", words().get(f"*.{field['name']}")):
            out["description"] = about
        if "list" in field:
            out["x-kubernetes-list-type"] = field["list"]
        if "mapKeys" in field:
            out["x-kubernetes-list-map-keys"] = field["mapKeys"]
        if "map" in field:
            out["x-kubernetes-map-type"] = field["map"]
        if "mergeKey" in field:
            out["x-kubernetes-patch-merge-key"] = field["mergeKey"]
        strategy = [s for s in (field.get("patch"), "retainKeys" if field.get("retainKeys") else None) if s]
        if strategy:
            out["x-kubernetes-patch-strategy"] = ",".join(strategy)
        if values := ENUMS.get(f"{owner}.{field['name']}"):
            out.get("items", out)["enum"] = list(values)
        return self.ref(key) if out.keys() == {"allOf"} else out

    @staticmethod
    def _named(key: str) -> bool:
        """Whether the type has a schema of its own."""
        shape = described(key)["shape"]
        return shape in ("struct", "quantity", "intorstring", "time", "microtime", "raw", "props")

    def inline(self, key: str) -> Schema:
        """The schema of a value where it stands."""
        type_ = described(key)
        shape = type_["shape"]
        if self._named(key):
            return self.ref(key)
        if shape == "list":
            return {"type": "array", "items": self.inline(type_["of"])}
        if shape == "map":
            return {"type": "object", "additionalProperties": self.inline(type_["of"])}
        out = dict(SCALARS[shape])
        if "values" in type_:
            out["enum"] = sorted(type_["values"])
        return out

    def closure(self, keys: Iterable[str]) -> Iterator[str]:
        """These types and every named type that they lead to, sorted."""
        seen: set[str] = set()
        todo = list(keys)
        while todo:
            key = todo.pop()
            if key in seen:
                continue
            if self._named(key):
                seen.add(key)
            type_ = described(key)
            if "of" in type_:
                todo.append(type_["of"])
            todo += (f["type"] for f in type_.get("fields", ()))
        return iter(sorted(seen, key=name_of))
