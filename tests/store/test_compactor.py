"""How long the past is kept."""

import asyncio
import logging

import pytest

from orlop.clock import FakeClock
from orlop.store.base import Key, StoreFull
from orlop.store.compactor import INTERVAL, Compactor, Keep
from orlop.store.memory import MemoryStore
from tests.store.support import opened, pod, write

LEASE = Key("coordination.k8s.io/leases", "kube-node-lease", "n1")
RETENTION = {"main": Keep(1000, 50, "pods"), "leases": Keep(100, 1000, LEASE.resource)}


async def test_by_age_and_by_count() -> None:
    clock = FakeClock()
    async with opened(MemoryStore(clock)) as store:
        compactor = asyncio.ensure_future(Compactor(store, clock, RETENTION).run())
        for _ in range(20):
            await store.commit_all([write(LEASE), write(pod("a"))])
        await clock.advance(INTERVAL)
        assert (store.compacted, store.compacted_of(LEASE.resource)) == (0, 0)
        await clock.advance(2 * INTERVAL)
        assert (store.compacted, store.compacted_of(LEASE.resource)) == (0, 40)
        for _ in range(40):
            await store.commit(write(pod("a")))
            await store.commit(write(LEASE))  # does not count for pods
        await clock.advance(INTERVAL)
        # 60 changes of the pod, of which the first ten were at 2, 4, ...; 50 are kept.
        assert store.compacted == 20
        await clock.advance(1000 + INTERVAL)
        assert store.compacted == store.revision
        assert (await store.stats()).records == {"main": 1, "leases": 1, "events": 0}
        compactor.cancel()


async def test_a_quiet_store_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = FakeClock()
    async with opened(MemoryStore(clock)) as store:
        compactor = asyncio.ensure_future(Compactor(store, clock, RETENTION).run())
        await store.commit(write(pod("a")))
        await clock.advance(2000)

        async def revision_at(time: float) -> int:
            raise AssertionError("nothing has changed")

        monkeypatch.setattr(store, "revision_at", revision_at)
        await clock.advance(2000)
        assert not compactor.done()
        compactor.cancel()


async def test_a_full_disk_does_not_end_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    clock = FakeClock()
    async with opened(MemoryStore(clock)) as store:
        compact, full = store.compact, True

        async def refuse(revision: int, resource: str | None = None) -> None:
            if full:
                raise StoreFull("no room")
            await compact(revision, resource)

        monkeypatch.setattr(store, "compact", refuse)
        compactor = asyncio.ensure_future(Compactor(store, clock, RETENTION).run())
        await store.commit(write(pod("a")))
        with caplog.at_level(logging.WARNING):
            await clock.advance(2000)
        assert "no room" in caplog.text
        full = False
        await clock.advance(2 * INTERVAL)
        assert store.compacted == 1
        compactor.cancel()
