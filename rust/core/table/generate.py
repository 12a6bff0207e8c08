"""Writes `types.txt` beside this file: the field table of every type of Kubernetes' API.

    python rust/core/table/generate.py TYPES.json

TYPES.json holds one object: type key (`core/v1.Pod`) → {"fields": [...]} for a struct or {"is": underlying} for a named
type, as Kubernetes' Go sources declare them. Only this script reads it; `build.rs` compiles `types.txt`.

The table, one line a thing:

    struct core/v1.Pod                            `atomic` behind it: its fields have one owner
      + TypeMeta meta/v1.TypeMeta                 an embedded struct: Go name, type, protobuf number if it is a message
      metadata meta/v1.ObjectMeta 1 omitempty optional
      | json name, type (`*` before it: a pointer), protobuf number (0: not on the wire), flags
    named core/v1.RestartPolicy string enum=Always,OnFailure,Never

Flags: omitempty, omitzero, optional, list=atomic|set|map, mapkeys=a,b, map=atomic|granular,
patch=merge,retainKeys, key=name, default=JSON.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

OUT = Path(__file__).with_name("types.txt")

BUILTIN = {
    "meta/v1.Time",
    "meta/v1.MicroTime",
    "meta/v1.Duration",
    "meta/v1.FieldsV1",
    "api/resource.Quantity",
    "util/intstr.IntOrString",
    "runtime.RawExtension",
    "apiextensions/v1.JSON",
    "apiextensions/v1.JSONSchemaPropsOrArray",
    "apiextensions/v1.JSONSchemaPropsOrBool",
    "apiextensions/v1.JSONSchemaPropsOrStringArray",
}
"""Types with their own JSON form: `wire` knows them by name."""

MESSAGES = {"ExtraValue", "Verbs", "AttestationValue"}
"""Named string lists that are a message with one repeated field on the protobuf wire."""

CONSTANTS = {"AzureDataDiskCachingReadWrite": "ReadWrite", "AzureSharedBlobDisk": "Shared"}
"""The Go constants that defaults refer to."""

KEEP = re.compile(r"^(?!runtime\.|util/)[a-z]+(/v\w+)?\.[A-Z]")
"""The rest are Go's own machinery: codecs, schemes, interfaces."""


def flags(field: dict[str, Any]) -> list[str]:
    out: list[str] = []
    markers = field.get("markers", [])
    if "omit" in field:
        out.append(field["omit"])
    if ("optional" in markers or "omit" in field) and "required" not in markers:
        out.append("optional")
    keys = [m.split("=", 1)[1] for m in markers if m.startswith("listMapKey=")]
    for marker, name in (("listType=", "list="), ("mapType=", "map="), ("structType=", "map=")):
        out += [name + m[len(marker) :] for m in markers if m.startswith(marker)][:1]
    if keys:
        out.append("mapkeys=" + ",".join(keys))
    if field.get("patchStrategy"):
        out.append("patch=" + field["patchStrategy"])
    if field.get("patchMergeKey"):
        out.append("key=" + field["patchMergeKey"])
    for marker in markers:
        if marker.startswith("default="):
            text = marker[8:]
            value = CONSTANTS[text[4:-1]] if text.startswith("ref(") else json.loads(text)
            out.append("default=" + json.dumps(value, separators=(",", ":")))
    return out


def struct(key: str, value: dict[str, Any], types: dict[str, Any]) -> list[str]:
    atomic = " atomic" if "structType=atomic" in value.get("markers", []) else ""
    lines = [f"struct {key}{atomic}"]
    for field in value["fields"]:
        type_ = field["type"]
        number = field["proto"].split()[1] if "proto" in field else "0"
        if field.get("inline"):
            lines.append(" ".join(["  +", field["go"], type_, number]))
        elif field.get("json") and field["json"] != "-":
            if type_ in types and types[type_].get("is") == "any":
                continue
            pointer = "*" if field.get("pointer") else ""
            lines.append(" ".join(["  " + field["json"], pointer + type_, number, *flags(field)]))
    return lines


def named(key: str, value: dict[str, Any]) -> list[str]:
    line = f"named {key} {value['is']}"
    if key.rsplit(".", 1)[1] in MESSAGES:
        line += " message"
    if "enum" in value.get("markers", []) and value.get("values"):
        # An empty value among the constants says that the field may be empty.
        line += " enum=" + ",".join(str(v) for v in value["values"])
    return [line]


def empty(types: dict[str, Any]) -> set[str]:
    """Structs without a field are only seen where a field has their type."""
    used = {re.sub(r"^(\[\]|map\[[^\]]*\])+", "", f["type"]) for v in types.values() for f in v.get("fields", [])}
    return {key for key in used if "/v" in key and KEEP.match(key) and key not in types and key not in BUILTIN}


def main() -> None:
    types = json.loads(Path(sys.argv[1]).read_text())
    lines = [
        "# Every type of the Kubernetes 1.37 API, written by generate.py (which explains the format).",
    ]
    for key in sorted(types):
        value = types[key]
        if not KEEP.match(key) or key in BUILTIN or value.get("is") in {"any", "watch.Event"}:
            continue
        lines += struct(key, value, types) if "fields" in value else named(key, value)
    lines += [f"struct {key}" for key in sorted(empty(types))]
    OUT.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
