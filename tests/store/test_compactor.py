"""How long the past is kept."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

import pytest

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.clock import FakeClock
from orlop.store.base import Key, Parts, StoreFull, Write
from orlop.store.compactor import INTERVAL, Compactor
from orlop.store.memory import MemoryStore
from orlop.store.retention import RETENTION as USUAL, Keep, Retention, parse_retention
from tests.store.support import opened, pod, write

LEASE = Key("coordination.k8s.io/leases", "kube-node-lease", "n1")
RETENTION = Retention(Keep(1000, 50, 1 << 30), {LEASE.resource: Keep(100, 1000, 1 << 30)})


async def test_by_age_and_by_count() -> None:
    clock = FakeClock()
    async with opened(MemoryStore(clock)) as store:
        compactor = asyncio.ensure_future(Compactor(store, clock, RETENTION).run())
        for _ in range(20):
            await store.commit_all([write(LEASE), write(pod("a"))])
        await clock.advance(INTERVAL)
        assert (store.compacted_of("pods"), store.compacted_of(LEASE.resource)) == (0, 0)
        await clock.advance(2 * INTERVAL)
        assert (store.compacted_of("pods"), store.compacted_of(LEASE.resource)) == (0, 40)
        for _ in range(40):
            await store.commit(write(pod("a")))
            await store.commit(write(LEASE))  # does not count for pods
        await clock.advance(INTERVAL)
        # 60 changes of the pod, of which the first ten were at 2, 4, ...; 50 are kept.
        assert store.compacted_of("pods") == 20
        await clock.advance(1000 + INTERVAL)
        assert store.compacted == store.revision
        assert (await store.stats()).records == {"pods": 1, LEASE.resource: 1}
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
        compact_each, full = store.compact_each, True

        async def refuse(targets: Mapping[str, int]) -> None:
            if full:
                raise StoreFull("no room")
            await compact_each(targets)

        monkeypatch.setattr(store, "compact_each", refuse)
        compactor = asyncio.ensure_future(Compactor(store, clock, RETENTION).run())
        await store.commit(write(pod("a")))
        with caplog.at_level(logging.WARNING):
            await clock.advance(2000)
        assert "no room" in caplog.text
        full = False
        await clock.advance(2 * INTERVAL)
        assert store.compacted == 1
        compactor.cancel()


async def test_by_size_and_each_resource_for_itself() -> None:
    clock = FakeClock()
    retention = Retention(Keep(1000, 1000, 10_000), {"secrets": Keep(1000, 1000, 1 << 30)})
    async with opened(MemoryStore(clock)) as store:
        for _ in range(30):
            await store.commit(write(pod("a"), "x" * 1000))
            await store.commit(write(Key("secrets", "default", "s"), "x" * 1000))
        await Compactor(store, clock, retention).compact()
        assert (await store.stats()).records == {"pods": 10, "secrets": 30}


@pytest.mark.parametrize(
    ("texts", "pods", "leases"),
    [
        ([], USUAL.usual, USUAL.of(LEASE.resource)),
        (["7d,10,1Gi"], Keep(7 * 86400, 10, 1 << 30), USUAL.of(LEASE.resource)),
        (["1h30m,,"], Keep(5400, USUAL.usual.changes, USUAL.usual.size), USUAL.of(LEASE.resource)),
        (["leases=5m"], USUAL.usual, Keep(300, 10_000, 16 << 20)),
        (["1h", "leases.coordination.k8s.io=,7"], Keep(3600, 100_000, 512 << 20), Keep(600, 7, 16 << 20)),
        (
            ["1h", "po=2h", "coordination.k8s.io/leases=,,1Mi"],
            Keep(7200, 100_000, 512 << 20),
            Keep(600, 10_000, 1 << 20),
        ),
        (["things.example.com=1h"], USUAL.usual, USUAL.of(LEASE.resource)),
    ],
)
def test_what_a_person_says(texts: list[str], pods: Keep, leases: Keep) -> None:
    retention = parse_retention(texts)
    assert (retention.of("pods"), retention.of(LEASE.resource)) == (pods, leases)
    assert retention.of("example.com/things").seconds == (3600 if "=1h" in str(texts) else retention.usual.seconds)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is not"),
        (",,", "is not"),
        ("1h,2,3,4", "is not"),
        ("soon", "the age 'soon' is not a duration such as 10m, 24h or 7d"),
        ("1h,many", "'many' is not a number of changes"),
        ("1h,1,big", "the size 'big' is not a quantity such as 512Mi"),
        ("1h,1,-1", "is negative"),
        ("nothings=1h", "'nothings' is no resource that is served"),
    ],
)
def test_what_is_wrong_is_named(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_retention([text])


async def test_an_api_server_keeps_what_it_is_told(tmp_path: Path) -> None:
    clock = FakeClock()
    config = Config(data_dir=tmp_path, store="memory", secure_port=None, history=("configmaps=,5,",))
    async with ApiServer(config, clock) as server:
        store = server.core.store
        settings = Key("configmaps", "default", "settings")
        parts = Parts(b'{"metadata":{"name":"settings","namespace":"default","resourceVersion":"', b'"}}')
        own = (await store.stats()).records["configmaps"]
        for _ in range(20):
            await store.commit(Write(settings, parts))
        await clock.advance(2 * INTERVAL)
        kept = (await store.stats()).records["configmaps"] - own
        assert kept == 6, "the one there is, and five that came after one"
        assert store.compacted_of("configmaps") == store.revision - 5
