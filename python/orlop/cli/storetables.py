"""How `orlop store` shows what it found."""

from typing import TYPE_CHECKING

import msgspec
import yaml

if TYPE_CHECKING:
    from orlop.store.describe import Description
    from orlop.store.findings import Counted, Finding


def finding(found: "Finding") -> str:
    """One line."""
    at = f" (revision {found.revision})" if found.revision else ""
    return f"{found.where}{at}: {found.what}\n    → {found.advice}"


def summary(findings: "list[Finding]", counted: "Counted | None") -> str:
    """The last line of a check."""
    if counted is None:
        return f"the store is damaged in {len(findings)} places, and could not be read to the end"
    looked = (
        f"{counted.objects} objects, {counted.versions} versions, {counted.times} times, revision {counted.revision}"
    )
    if findings:
        return f"the store is damaged in {len(findings)} places: {looked}"
    return f"the store is sound: {looked}"


def stats(found: "Description", now: float) -> str:
    """A store in figures."""
    age = f"{duration(now - found.oldest_time)} ago" if found.oldest_time else "never written"
    width = max([len("RESOURCE"), *(len(one.resource) for one in found.histories)])
    lines = [
        f"{'store':<18} {found.path}, format {found.format}, {found.uid}",
        f"{'newest revision':<18} {found.revision}",
        f"{'oldest revision':<18} {found.oldest_revision} ({age}); everything can be read from here on",
        f"{'size':<18} {size(found.size)}, of it {size(found.free)} free for new writes",
        f"{'disk':<18} {size(found.disk_available)} available",
        f"{'readers':<18} {_readers(found)}",
        "",
        f"{'RESOURCE':<{width}} {'OBJECTS':>8} {'VERSIONS':>9} {'PRESENT':>10} {'PAST':>10} {'SINCE':>12}",
    ]
    for one in found.histories:
        past = size(one.bytes - one.object_bytes)
        lines.append(
            f"{one.resource:<{width}} {one.objects:>8} {one.versions:>9} {size(one.object_bytes):>10} {past:>10} "
            f"{one.oldest_revision:>12}"
        )
    if found.biggest:
        lines += ["", "BIGGEST OBJECTS"]
        lines += [f"{size(one.bytes):>10}  {one.name}" for one in found.biggest]
    return "\n".join(lines)


def _readers(found: "Description") -> str:
    if not found.readers:
        return "none"
    pids = ", ".join(map(str, sorted(set(found.readers))))
    return f"{len(found.readers)} (processes {pids}), the oldest {found.oldest_reader_lag} transactions behind"


def size(count: float) -> str:
    """Bytes for people."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def duration(seconds: float) -> str:
    """A time for people, its two greatest parts."""
    parts: list[str] = []
    left = max(0, int(seconds))
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, length)
        if count or (unit == "s" and not parts):
            parts.append(f"{count}{unit}")
    return "".join(parts[:2])


def as_yaml(value: bytes) -> str:
    """An object's JSON as YAML."""
    text: str = yaml.dump(
        msgspec.json.decode(value), Dumper=getattr(yaml, "CSafeDumper", yaml.SafeDumper), sort_keys=False
    )
    return text
