"""The forwarding table as text."""

from collections.abc import Iterable, Iterator, Mapping

from orlop.proxy.explain.kernel import Entry

Key = tuple[str, str, str]
"""Service, frontend, backend."""
HEAD = ("SERVICE", "MODE", "FRONTEND", "BACKEND", "SHARE", "CONNECTIONS", "TOTAL")


def table(entries: Iterable[Entry]) -> list[str]:
    """Lines with columns, one for each backend."""
    rows: list[tuple[str, ...]] = [HEAD]
    for entry in entries:
        first = (entry.service or "-", entry.mode, frontend(entry))
        if not entry.targets:
            rows.append((*first, f"({entry.verdict})", "", "", ""))
        for target in entry.targets:
            total = "" if target.total is None else str(target.total)
            to = _at(target.address, target.port)
            rows.append((*first, to, f"{target.share:.1%}", str(target.connections), total))
            first = ("", "", "")
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEAD))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def frontend(entry: Entry) -> str:
    """`10.96.0.10:80/TCP`; a node port is on `*`."""
    return f"{_at(entry.address or '*', entry.port)}/{entry.protocol}"


def connections(entries: Iterable[Entry]) -> dict[Key, int]:
    """How many each backend has through each frontend."""
    return {
        (entry.service or "-", frontend(entry), _at(t.address, t.port)): t.connections
        for entry in entries
        for t in entry.targets
    }


def moves(before: Mapping[Key, int], now: Mapping[Key, int]) -> Iterator[str]:
    """A line for each backend whose connections are others than before; for those that came, and those that went."""
    for key in sorted(before.keys() | now.keys()):
        old, new = before.get(key), now.get(key)
        if old == new:
            continue
        service, at, to = key
        if new is None:
            yield f"{service}  {at} → {to}  gone (had {old})"
        else:
            change = "new" if old is None else f"{new - old:+}"
            yield f"{service}  {at} → {to}  {new} ({change})"


def _at(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
