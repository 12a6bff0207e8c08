"""Writes `orlop/api/types/*.py`: one msgspec struct for each struct of Kubernetes' API, one module a group-version.

    python -m orlop.api.generate TYPES.json

TYPES.json holds one object: type key (`core/v1.Pod`) → {"fields": [{json, type, pointer, omit, inline}]} for a struct,
{"is": underlying} for a named type, as Kubernetes' Go sources declare them. What is written out when empty follows Go:
`omitempty` drops zero scalars, lists and maps and nil pointers but never a struct; `omitzero` drops a struct too.
"""

import builtins
import json
import keyword
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).parent / "types"

VERSIONS = re.compile(r"^(v1|v2)$")
"""Stable versions only: beta and alpha kinds are reached untyped."""

EXTRA = {"coordination/v1beta1", "scheduling/v1beta1"}
"""Groups of kinds that have no stable version yet and are served where it is asked for."""

SKIP_GROUPS = {"runtime", "util/intstr", "apps/v1beta1", "imagepolicy"}

SCALARS = {
    "string": ("str", '""'),
    "bool": ("bool", "False"),
    "int": ("int", "0"),
    "int32": ("int", "0"),
    "int64": ("int", "0"),
    "uint32": ("int", "0"),
    "uint64": ("int", "0"),
    "float32": ("float", "0.0"),
    "float64": ("float", "0.0"),
    "types.UID": ("str", '""'),
    "types.NodeName": ("str", '""'),
    "types.NamespacedName": ("str", '""'),
    "resource.Quantity": ("str", '"0"'),
    "api/resource.Quantity": ("str", '"0"'),
    "meta/v1.Duration": ("str", '"0s"'),
}
TIMES = {"meta/v1.Time", "meta/v1.MicroTime"}
ANY = {
    "any",
    "interface{}",
    "runtime.RawExtension",
    "runtime.Object",
    "meta/v1.FieldsV1",
    "apiextensions/v1.JSON",
    "apiextensions/v1.JSONSchemaPropsOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray",
}
SHADOWED = {"list", "dict", "str", "int", "bool", "float", "bytes"}


class Generator:
    """Turns the table into Python source."""

    def __init__(self, types: dict[str, Any]) -> None:
        self.types = types

    def groups(self) -> list[str]:
        names = {key.rsplit(".", 1)[0] for key in self.types}
        stable = {n for n in names if "/" in n and VERSIONS.match(n.split("/")[1]) and n not in SKIP_GROUPS}
        return sorted(stable | (EXTRA & names))

    def resolve(self, type_: str) -> str:
        """Follows named types to a struct, scalar, list or map."""
        while type_ in self.types and "fields" not in self.types[type_] and type_ not in ANY:
            under = self.types[type_].get("is", "string")
            if under in {"string", "int", "int32", "int64", "bool"}:
                return str(under)
            type_ = under
        return type_

    def python(self, type_: str, module: str) -> tuple[str, str]:
        """(annotation, kind) where kind is scalar, time, any, list, map or struct."""
        if type_ in ANY or type_.startswith("*ast"):
            return "Any", "any"
        if type_ in TIMES:
            return "str", "time"
        if type_.endswith("intstr.IntOrString") or type_ == "util/intstr.IntOrString":
            return "int | str", "intorstring"
        one = not type_.startswith(("[]", "map["))
        if one and type_.endswith("Quantity") and "resource" in type_.rsplit(".", 1)[0]:
            return "str", "quantity"
        if type_ in SCALARS:
            return SCALARS[type_][0], "scalar"
        type_ = self.resolve(type_)
        if type_ in SCALARS:
            return SCALARS[type_][0], "scalar"
        if type_ in {"[]byte", "[]uint8"}:
            return "bytes", "bytes"
        if type_.startswith("[]"):
            return f"list[{self.python(type_[2:].lstrip('*'), module)[0]}]", "list"
        if type_.startswith("map["):
            value = type_[type_.index("]") + 1 :].lstrip("*")
            return f"dict[str, {self.python(value, module)[0]}]", "map"
        if type_ in self.types and "fields" in self.types[type_]:
            group, name = type_.rsplit(".", 1)
            if group == module:
                return f'"{name}"' if name in self._pending else name, "struct"
            if group not in self.groups():
                return "Any", "any"
            self._imports.add(group)
            return f"{alias(group)}.{name}", "struct"
        return "Any", "any"

    def fields(self, key: str) -> list[dict[str, Any]]:
        """The fields in order, inline structs opened."""
        out: list[dict[str, Any]] = []
        for f in self.types[key]["fields"]:
            if f.get("inline"):
                inner = self.resolve(f["type"])
                if inner in self.types and inner.rsplit(".", 1)[1] not in {"TypeMeta"}:
                    out += self.fields(inner)
                elif inner.endswith(".TypeMeta"):
                    out.append({"json": "apiVersion", "type": "string", "typemeta": True})
                    out.append({"json": "kind", "type": "string", "typemeta": True})
            elif f.get("json") and f["json"] != "-":
                out.append(f)
        return out

    def struct(self, key: str, module: str) -> str:
        name = key.rsplit(".", 1)[1]
        lines = [f"class {name}(ApiStruct):"]
        for f in self.fields(key):
            lines.append("    " + self.field(f, name, module))
        if len(lines) == 1:
            lines.append("    pass")
        return "\n".join(lines) + "\n"

    def field(self, f: dict[str, Any], owner: str, module: str) -> str:
        json_name = f["json"]
        attribute = snake(json_name)
        if keyword.iskeyword(attribute) or attribute in SHADOWED:
            attribute += "_"
        rename = "" if camel(attribute) == json_name else f', name="{json_name}"'
        if f.get("typemeta"):
            value = api_version(module) if json_name == "apiVersion" else owner
            return f'{attribute}: str = _f(default_factory=lambda: "{value}"{rename})'
        if json_name == "managedFields":
            # Read and written by the wire alone; as Python objects it would cost more than the rest of most objects.
            return "managed_fields: Raw = Raw()"
        annotation, kind = self.python(f["type"], module)
        omit = bool(f.get("omit"))
        if f.get("pointer") or (kind == "any"):
            if kind == "any":
                annotation = "Any"
                default = "default=None" if omit or f.get("pointer") else "default_factory=_none"
            else:
                quoted = annotation.strip(chr(34))
                annotation = f"{annotation} | None" if quoted == annotation else f'"{quoted} | None"'
                default = "default=None" if omit else "default_factory=_none"
        elif kind in {"scalar", "quantity", "intorstring"}:
            zero = {"str": '""', "bool": "False", "int": "0", "float": "0.0"}.get(annotation, "0")
            if kind == "quantity":
                zero = '"0"'
            elif kind == "intorstring":
                omit = f.get("omit") == "omitzero"
            if f["type"] == "meta/v1.Duration":
                zero = '"0s"'
            default = f"default={zero}" if omit else f"default_factory=lambda: {zero}"
            if not omit and zero in {'""', "0", "False", "0.0"} and kind == "scalar":
                default = f"default_factory={annotation}"
        elif kind == "time":
            if f.get("omit") == "omitzero":
                default = 'default=""'
            else:
                annotation, default = "str | None", "default_factory=_none"
        elif kind == "bytes":
            default = 'default=b""' if omit else "default_factory=bytes"
        elif kind in {"list", "map"}:
            factory = "list" if kind == "list" else "dict"
            default = f"default_factory={factory}" if omit else f"default_factory=lambda: {factory}()"
        elif f.get("omit") == "omitzero":
            annotation, default = f"{annotation} | None", "default=None"
        else:
            default = f"default_factory=lambda: {annotation.strip(chr(34))}()"
        default = f"_f({default}{rename})"
        if not rename and default.startswith("_f(default=") and default.endswith(")"):
            default = default[len("_f(default=") : -1]
        return f"{attribute}: {annotation} = {default}"

    def references(self, key: str, module: str) -> set[str]:
        out = set()
        for f in self.fields(key):
            t = self.resolve(f["type"])
            while t.startswith(("[]", "map[", "*")):
                t = self.resolve(t[t.index("]") + 1 :].lstrip("*") if t[0] != "*" else t[1:])
            if t in self.types and "fields" in self.types[t] and t.rsplit(".", 1)[0] == module:
                out.add(t)
        return out

    def module(self, module: str) -> str:
        keys = [k for k in self.types if k.rsplit(".", 1)[0] == module and "fields" in self.types[k] and k not in ANY]
        keys = [k for k in keys if k not in TIMES and k.rsplit(".", 1)[1][0].isupper() and not k.endswith(".Duration")]
        ordered: list[str] = []
        state: dict[str, int] = {}

        def visit(key: str) -> None:
            if state.get(key):
                return
            state[key] = 1
            for other in sorted(self.references(key, module)):
                if other in keys:
                    visit(other)
            ordered.append(key)

        for key in sorted(keys):
            visit(key)
        self._imports: set[str] = set()
        bodies = []
        self._pending = {k.rsplit(".", 1)[1] for k in ordered}
        for key in ordered:
            bodies.append(self.struct(key, module))
            self._pending.discard(key.rsplit(".", 1)[1])
        text = "\n\n".join(bodies)
        head = (
            f'"""{api_version(module)}, generated from Kubernetes\' type declarations by `orlop.api.generate`."""\n\n'
        )
        if "Any" in text:
            head += "from typing import Any\n\n"
        if "_f(" in text:
            raw = "Raw, " if "Raw()" in text else ""
            head += f"from msgspec import {raw}field as _f\n\n"
        names = ["ApiStruct"] + (["_none"] if "_none" in text else [])
        for group in sorted(self._imports):
            head += f"from orlop.api.types import {alias(group)}\n"
        head += f"from orlop.api.types.base import {', '.join(names)}\n\n\n"
        return head + text


def alias(group: str) -> str:
    return group.replace("/", "_")


GROUPS = {
    "core": "",
    "rbac": "rbac.authorization.k8s.io",
    "admissionregistration": "admissionregistration.k8s.io",
    "apiextensions": "apiextensions.k8s.io",
    "apiregistration": "apiregistration.k8s.io",
    "authentication": "authentication.k8s.io",
    "authorization": "authorization.k8s.io",
    "certificates": "certificates.k8s.io",
    "coordination": "coordination.k8s.io",
    "discovery": "discovery.k8s.io",
    "events": "events.k8s.io",
    "flowcontrol": "flowcontrol.apiserver.k8s.io",
    "meta": "meta.k8s.io",
    "networking": "networking.k8s.io",
    "node": "node.k8s.io",
    "resource": "resource.k8s.io",
    "scheduling": "scheduling.k8s.io",
    "storage": "storage.k8s.io",
    "storagemigration": "storagemigration.k8s.io",
    "apidiscovery": "apidiscovery.k8s.io",
    "admission": "admission.k8s.io",
}
UNGROUPED_META = "v1"
"""Status, DeleteOptions and the other meta kinds travel as apiVersion v1."""


def api_version(module: str) -> str:
    folder, version = module.split("/")
    if folder == "meta":
        return UNGROUPED_META
    group = GROUPS.get(folder, folder)
    return f"{group}/{version}" if group else version


def snake(name: str) -> str:
    """`podIPs` → `pod_ips`, `clusterIP` → `cluster_ip`, `$ref` → `ref`."""
    name = name.lstrip("$").replace("-", "_")
    name = re.sub(r"([A-Z]+)s(?=$|[A-Z])", lambda m: m.group(1).capitalize() + "s", name)
    name = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", name)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    return name.lower()


def camel(name: str) -> str:
    """What msgspec's `rename="camel"` makes of an attribute."""
    head, *rest = name.strip("_").split("_")
    return head + "".join(part.title() for part in rest)


def main() -> None:
    types = json.loads(Path(sys.argv[1]).read_text())
    generator = Generator(types)
    OUT.mkdir(exist_ok=True)
    written = []
    for module in generator.groups():
        path = OUT / f"{alias(module)}.py"
        path.write_text(generator.module(module))
        written.append(str(path))
    subprocess.run(["ruff", "format", "--quiet", *written], check=True)
    print(f"{len(written)} modules in {OUT}", file=builtins.__dict__.get("stderr", sys.stderr))


if __name__ == "__main__":
    main()
