"""Large worlds quickly: objects that were made through the API, copied within the store while no server has it open."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import msgspec

from orlop.clock import SystemClock
from orlop.store.base import Parts, Record, Write
from orlop.store.lmdb import LmdbStore

AT_ONCE = 2000
"""Writes in flight."""


class _Head(msgspec.Struct):
    uid: str


class _Object(msgspec.Struct):
    metadata: _Head


async def multiply(path: Path, resources: list[str], namespace: str, mark: str, count: int) -> int:
    """Copies what is in the namespace and has `mark` in its name, which ends in a number of fixed width, `count` times.

    A copy has the next number wherever the mark was, and a uid of its own. Gives how many objects were made.
    """
    store = LmdbStore(str(path), SystemClock())
    await store.open()
    try:
        family: list[Record] = []
        for resource in resources:
            records, _ = await store.range(resource, namespace)
            family += [record for record in records if mark in record.key.name]
        writes = _writes(family, mark, count)

        async def write() -> None:
            for one in writes:
                await store.commit(one)

        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(write())
        return len(family) * count
    finally:
        await store.close()


def _writes(family: list[Record], mark: str, count: int) -> Iterator[Write]:
    uids = [msgspec.json.decode(record.value, type=_Object).metadata.uid for record in family]
    stem = mark.rstrip("0123456789")
    width = len(mark) - len(stem)
    for i in range(1, count + 1):
        name = f"{stem}{i:0{width}}"
        for record in family:
            value = record.value.replace(mark.encode(), name.encode())
            for uid in uids:
                value = value.replace(uid.encode(), f"{uid[:24]}{i:012x}".encode())
            before, revision, after = value.partition(b'"resourceVersion":"%d"' % record.revision)
            head, tail = before + revision.rpartition(b"%d" % record.revision)[0], b'"' + after
            key = record.key._replace(name=record.key.name.replace(mark, name))
            yield Write(key, Parts(head, tail), expected=0)
