"""How a version of an object is written: record format 1.

| bytes | |
| --- | --- |
| 1 | the format: 1 |
| 4 | CRC-32 of the revision (8 bytes, big-endian) and of all that follows |
| 1 | what happened: 1 ADDED, 2 MODIFIED, 3 DELETED |
| 8 | the object's previous revision; 0 when there was none |
| 8 | commit time, microseconds since 1970 |
| 4 | the resource's number |
| 6 × 2 | lengths of the texts |
| | namespace, name, user, field manager, request ID, trace context, in UTF-8 |
| | the value |

Numbers are big-endian. The revision itself is the record's key; the checksum covers it, so that a record under
another's key is found out as well.
"""

import struct
from typing import NamedTuple
from zlib import crc32

from orlop.store.base import Attribution, Change, ChangeType, Key, Record, StoreCorrupt

FORMAT = 1

MAX_ATTRIBUTION = 1024
"""Characters kept of each text of an attribution, which is for people: what is longer is cut."""

_HEADER = struct.Struct(">BIBQQI6H")
_CHECKED = struct.Struct(">BQQI6H")
_CHECKED_FROM = 5
_TIME = slice(14, 22)
SECOND = 1_000_000
"""Microseconds."""

TYPES: tuple[ChangeType, ...] = ("ADDED", "MODIFIED", "DELETED")
DELETED = 3
_NUMBERS = {what: number for number, what in enumerate(TYPES, 1)}
_FIRST = bytes([FORMAT])


class Header(NamedTuple):
    """Everything of a record but the attribution and the value."""

    type: int
    previous: int
    time: int
    """Microseconds since 1970."""
    resource: int
    namespace: str
    name: str


def encode(change: Change, resource: int) -> bytes:
    """The record of a change; `resource` is its resource's number."""
    by = change.by
    _, namespace, name = change.key
    texts = (
        namespace.encode(),
        name.encode(),
        by.user[:MAX_ATTRIBUTION].encode(errors="replace"),
        by.manager[:MAX_ATTRIBUTION].encode(errors="replace"),
        by.request_id[:MAX_ATTRIBUTION].encode(errors="replace"),
        by.trace[:MAX_ATTRIBUTION].encode(errors="replace"),
    )
    kind = _NUMBERS[change.type]
    fixed = _CHECKED.pack(kind, change.previous_revision, microseconds(change.time), resource, *map(len, texts))
    head = b"".join((fixed, *texts))
    value = change.value
    checksum = crc32(value, _checksum(change.revision, head))
    return b"".join((_FIRST, checksum.to_bytes(4), head, value))


def _checksum(revision: int, body: bytes | memoryview) -> int:
    return crc32(body, crc32(revision.to_bytes(8)))


def time(record: bytes) -> int:
    """When it was committed, microseconds since 1970; the record is not checked."""
    return int.from_bytes(record[_TIME])


def header(revision: int, record: bytes) -> Header:
    """The header alone; the record is checked all the same. Raises StoreCorrupt."""
    found, _, _ = _open(revision, record)
    return found


def _open(revision: int, record: bytes) -> tuple[Header, list[int], int]:
    """The header, the lengths of the other texts, and where they begin."""
    if len(record) < _HEADER.size or record[0] != FORMAT:
        raise StoreCorrupt(f"the record of revision {revision} is not of record format {FORMAT}")
    _, checksum, kind, previous, time, resource, *lengths = _HEADER.unpack_from(record)
    if _checksum(revision, memoryview(record)[_CHECKED_FROM:]) != checksum:
        raise StoreCorrupt(f"the record of revision {revision} is damaged: its checksum does not match")
    start = _HEADER.size
    middle, end = start + lengths[0], start + lengths[0] + lengths[1]
    namespace, name = record[start:middle].decode(), record[middle:end].decode()
    return Header(kind, previous, time, resource, namespace, name), lengths[2:], end


def _rest(record: bytes, lengths: list[int], at: int) -> tuple[Attribution, bytes]:
    texts = []
    for length in lengths:
        texts.append(record[at : at + length].decode())
        at += length
    return Attribution(*texts), record[at:]


def decode_record(revision: int, record: bytes, resources: list[str]) -> Record:
    """The object as it was stored; `resources` by number. Raises StoreCorrupt."""
    found, lengths, at = _open(revision, record)
    by, value = _rest(record, lengths, at)
    key = Key(resources[found.resource], found.namespace, found.name)
    return Record(revision, key, value, found.time / SECOND, by)


def decode_change(revision: int, record: bytes, resources: list[str]) -> Change:
    """The change as it was committed; `resources` by number. Raises StoreCorrupt."""
    found, lengths, at = _open(revision, record)
    by, value = _rest(record, lengths, at)
    key = Key(resources[found.resource], found.namespace, found.name)
    return Change(revision, key, TYPES[found.type - 1], value, found.previous, found.time / SECOND, by)


def microseconds(time: float) -> int:
    """As records and the index of times have it."""
    return round(time * SECOND)
