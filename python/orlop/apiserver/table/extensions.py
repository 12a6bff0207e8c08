"""Definitions of custom kinds: which versions of what they serve."""

from typing import Any

from orlop.apiserver.table.printer import NAME, Column, Loose, Metadata, Printer, wide


def _version(version: dict[str, Any]) -> str:
    marks = [mark for mark in ("storage", "deprecated") if version.get(mark)]
    return f"{version.get('name', '')}({','.join(marks)})" if marks else str(version.get("name", ""))


def _definition(obj: Loose, metadata: Metadata, now: float) -> list[Any]:
    names = obj.spec.get("names") or {}
    served = [_version(version) for version in obj.spec.get("versions") or () if version.get("served")]
    conditions = obj.status.get("conditions") or ()
    return [
        metadata.name,
        obj.spec.get("scope", ""),
        ",".join(served),
        metadata.creation_timestamp,
        obj.spec.get("group", ""),
        names.get("kind", ""),
        ",".join(names.get("shortNames") or ()),
        any(c.get("type") == "Established" and c.get("status") == "True" for c in conditions),
    ]


DEFINITION = Printer(
    Loose,
    _definition,
    NAME,
    Column("Scope", description="Cluster or Namespaced."),
    Column("Versions", description="The versions that are served."),
    Column("Created At", "date", description="Time at which it was created."),
    wide("Group", "The kind's group."),
    wide("Kind", "The kind's name."),
    wide("ShortNames", "Its shorter names."),
    wide("Established", "Whether it is served.", "boolean"),
)
