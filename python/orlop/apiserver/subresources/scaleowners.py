"""Who owns a workload's replicas, as its Scale shows it, and back (apimachinery's managedfields/scalehandler.go)."""

from typing import Any

import msgspec
from msgspec import Raw, structs

from orlop.api.types import meta_v1
from orlop.apiserver import ownership

Entry = meta_v1.ManagedFieldsEntry
REPLICAS: dict[str, Any] = {"f:spec": {"f:replicas": {}}}
SCALE_VERSION = "autoscaling/v1"


def read(managed: Raw) -> list[Entry]:
    """The entries of an object's metadata."""
    return msgspec.json.decode(managed, type=list[Entry]) if bytes(managed) not in (b"", b"[]") else []


def _owns(entry: Entry) -> bool:
    return "f:replicas" in ((entry.fields_v1 or {}).get("f:spec") or {})


def _who(entry: Entry) -> tuple[str, str, str]:
    return entry.manager, entry.operation, entry.subresource


def of_scale(managed: Raw) -> Raw:
    """The entries of a workload that own its replicas, as entries of its Scale."""
    owners = [structs.replace(e, api_version=SCALE_VERSION, fields_v1=REPLICAS) for e in read(managed) if _owns(e)]
    return Raw(msgspec.json.encode(owners)) if owners else ownership.NOTHING


def of_workload(managed: Raw, scale: Raw, api_version: str) -> Raw:
    """A workload's entries after its Scale's have become `scale`: who owns the replicas no longer, loses them here."""
    left = {_who(entry): entry for entry in read(scale)}
    entries = []
    for entry in read(managed):
        if _owns(entry) and left.pop(_who(entry), None) is None:
            entry.fields_v1["f:spec"].pop("f:replicas")
            if not entry.fields_v1["f:spec"]:
                del entry.fields_v1["f:spec"]
            if not entry.fields_v1:
                continue
        entries.append(entry)
    entries += [structs.replace(e, api_version=api_version, fields_v1=REPLICAS) for e in left.values()]
    entries.sort(key=lambda e: (e.operation, e.time or "", e.manager))
    return Raw(msgspec.json.encode(entries)) if entries else ownership.NOTHING
