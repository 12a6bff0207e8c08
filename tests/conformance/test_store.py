"""What every store does, whichever it is."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from orlop.clock import FakeClock
from orlop.store.base import (
    NOBODY,
    Attribution,
    Batch,
    Change,
    Compacted,
    Conflict,
    FutureRevision,
    Key,
    Parts,
    Store,
    StoreClosed,
    Write,
)
from orlop.store.broadcast import BACKLOG
from orlop.store.lmdb import LmdbStore
from tests.conformance.etcd_shaped import EtcdShapedStore
from tests.model.store import PlainStore
from tests.store.support import STORES, Make, delete, opened, parts, pod, until, write
from tests.support.campaign import campaign, times

ALL: dict[str, Make] = {**STORES, "etcd-shaped": lambda clock, path: EtcdShapedStore(clock)}


@pytest.fixture(params=sorted(ALL))
def make(request: pytest.FixtureRequest) -> Make:
    return ALL[request.param]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def store(make: Make, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Store]:
    async with opened(make(clock, str(tmp_path / "store"))) as store:
        yield store


@pytest.fixture(params=sorted(STORES))
async def ours(request: pytest.FixtureRequest, clock: FakeClock, tmp_path: Path) -> AsyncIterator[Store]:
    """A store that does more than the protocol asks: revisions without gaps, one for each write, that followers have
    before its writer; a history for each resource; attribution."""
    async with opened(STORES[request.param](clock, str(tmp_path / "store"))) as store:
        yield store


async def take(changes: AsyncIterator[Batch], count: int) -> list[Change]:
    """Changes, from batches that keep their promises."""
    found: list[Change] = []
    reached = 0
    async with asyncio.timeout(10):
        while len(found) < count:
            batch = await anext(changes)
            assert batch.revision > reached
            assert all(reached < change.revision <= batch.revision for change in batch.changes)
            reached = batch.revision
            found += batch.changes
    return found


async def test_an_object_lives_and_dies(store: Store, clock: FakeClock) -> None:
    by = Attribution("jane", "kubectl", "1234", "00-abc-def-01")
    assert (store.revision, await store.get(pod("a"))) == (0, None)
    assert await store.commit(write(pod("a"), "one", expected=0, by=by)) == 1
    clock_then = clock.now()
    await clock.advance(5)
    assert await store.commit(write(pod("a"), "two", expected=1)) == 2
    record = await store.get(pod("a"))
    assert record is not None
    assert (record.revision, record.value, record.time) == (2, b'{"resourceVersion":"2","text":"two"}', clock.now())
    first = await store.get(pod("a"), revision=1)
    assert first is not None
    assert (first.revision, first.key, first.time) == (1, pod("a"), clock_then)
    assert first.by in (by, NOBODY)
    assert await store.commit(delete(pod("a"), "last", expected=2)) == 3
    assert await store.get(pod("a")) is None
    assert await store.get(pod("a"), revision=2) == record
    assert await store.commit(write(pod("a"), expected=0)) == 4
    assert store.revision == 4


@pytest.mark.parametrize("expected", [0, 2, 99])
async def test_compare_and_set(store: Store, expected: int) -> None:
    await store.commit(write(pod("a")))
    for attempt in (write(pod("a"), expected=expected), delete(pod("a"), expected=expected)):
        with pytest.raises(Conflict) as conflict:
            await store.commit(attempt)
        assert (conflict.value.key, conflict.value.actual) == (pod("a"), 1)
    with pytest.raises(Conflict) as absent:
        await store.commit(write(pod("b"), expected=1))
    assert absent.value.actual == 0
    with pytest.raises(Conflict):
        await store.commit(delete(pod("b")))
    assert store.revision == 1


async def test_only_one_of_many_writers_wins(store: Store) -> None:
    await store.commit(write(pod("a")))
    attempts = [store.commit(write(pod("a"), str(n), expected=1)) for n in range(50)]
    results = await asyncio.gather(*attempts, return_exceptions=True)
    assert sum(isinstance(result, Conflict) for result in results) == 49
    assert [result for result in results if isinstance(result, int)] == [2]


EVENT, NODE = Key("events", "default", "e"), Key("nodes", "", "n")


async def test_a_transaction_is_all_or_nothing(store: Store) -> None:
    first = await store.commit_all([write(pod("a"), expected=0), write(EVENT, expected=0)])
    assert first == sorted(first)
    assert first[-1] == store.revision
    with pytest.raises(Conflict) as conflict:
        await store.commit_all([write(NODE, expected=0), write(EVENT, expected=first[1] + 1), delete(pod("a"))])
    assert (conflict.value.key, conflict.value.actual) == (EVENT, first[1])
    assert await store.get(NODE) is None
    second = await store.commit_all([write(NODE, expected=0), delete(pod("a"), expected=first[0])])
    assert first[-1] < second[0] <= second[1] == store.revision
    for revision, there in ((first[-1], {pod("a"), EVENT}), (second[-1], {EVENT, NODE})):
        found, _ = await store.range(None, revision=revision)
        assert {record.key for record in found} == there
    assert await store.commit_all([]) == []
    for twice in (pod("x"), pod("y")):
        with pytest.raises(ValueError, match="each resource at most once"):
            await store.commit_all([write(pod("x")), write(twice)])


async def test_pages_in_order(store: Store) -> None:
    keys = [Key("pods", space, name) for space in ("a", "a-b", "a0", "b") for name in ("x", "x-1", "x.y", "z")]
    keys += [Key("nodes", "", "n1"), Key("podtemplates", "a", "x"), Key("pod", "a", "x")]
    for key in reversed(keys):
        await store.commit(write(key))
    for revision in (None, store.revision - 1, store.revision):
        wanted = sorted(keys[0 if revision != store.revision - 1 else 1 :])  # keys[0] was written last
        after, found = None, []
        while True:
            page, more = await store.range("pods", after=after, limit=5, revision=revision)
            found += [record.key for record in page]
            if not more:
                break
            assert len(page) == 5
            after = found[-1]
        assert found == [key for key in wanted if key.resource == "pods"]
        assert list(dict.fromkeys(key.namespace for key in found)) == ["a-b", "a", "a0", "b"]
        everything, more = await store.range(None, revision=revision)
        assert ([record.key for record in everything], more) == (wanted, False)
        some, _ = await store.range("pods", "a-b", revision=revision)
        assert [record.key.name for record in some] == ["x", "x-1", "x.y", "z"]
    assert await store.range("pods", limit=0) == ([], True)
    assert await store.range("none") == ([], False)


LONG = "n" * 325
"""Names this long begin to share their place in LMDB's index (in the namespace used here)."""


async def test_long_names_keep_their_order(store: Store) -> None:
    names = [LONG + tail for tail in ("", "a", "b", "b" * 200, "ba" + "c" * 400, "bb" * 200, "z", "é" * 150, "z" * 150)]
    keys = sorted(Key("very-long." * 30 + "example.com/things", "s" * 120, name) for name in [*names, "a", "zz", "nn"])
    for key in reversed(keys):
        await store.commit(write(key, key.name))
    await store.commit(write(Key(keys[0].resource, "t", "next")))
    for revision in (None, store.revision - 1):
        for limit in (1, 2, 5, 100):
            after, found = None, []
            while True:
                page, more = await store.range(keys[0].resource, "s" * 120, after=after, limit=limit, revision=revision)
                found += [record.key for record in page]
                if not more:
                    break
                after = found[-1]
            assert found == keys
    for key in keys:
        record = await store.get(key)
        assert record is not None
        assert record.key == key
        await store.commit(delete(key, expected=record.revision))
    assert len((await store.range(keys[0].resource))[0]) == 1
    await store.compact(store.revision)
    assert (await store.stats()).records[keys[0].resource] == 1


IMPOSSIBLE = [
    Key("pods", "a", ""),
    Key("", "a", "b"),
    Key("pods", "a\0", "b"),
    Key("pods", "a", "\0"),
    Key("pods", "a", "\ud800"),
    Key("pods", "n" * 129, "b"),
    Key("pods", "a", "n" * 8193),
    Key("r" * 501, "a", "b"),
]


@pytest.mark.parametrize("key", IMPOSSIBLE, ids=repr)
async def test_impossible_keys_are_refused(store: Store, key: Key) -> None:
    with pytest.raises(ValueError):
        await store.commit(write(key))
    with pytest.raises(ValueError):
        await store.commit_all([write(NODE), write(key)])
    assert store.revision == 0


async def test_a_write_that_cannot_be_stored_harms_no_other(ours: Store) -> None:
    bad = Write(pod("bad"), Parts(b"", "no bytes"))  # type: ignore[arg-type]
    results = await asyncio.gather(
        *(ours.commit(w) for w in (write(pod("a")), bad, write(pod("b")))), return_exceptions=True
    )
    assert isinstance(results[1], TypeError)
    assert [results[0], results[2], ours.revision] == [1, 2, 2]
    odd = Attribution("\ud800" * 3, "m" * 5000, "id", "")
    assert await ours.commit(write(pod("c"), by=odd)) == 3
    record = await ours.get(pod("c"))
    assert record is not None
    assert record.by.request_id == "id"


async def test_changes_come_from_the_log_and_then_as_they_are_made(store: Store) -> None:
    await store.commit(write(pod("a"), "one"))
    await store.commit(write(pod("a"), "two"))
    changes = store.changes(0)
    seen = await take(changes, 2)
    await store.commit(delete(pod("a"), "two"))
    together = await store.commit_all([write(pod("a")), write(Key("events", "", "e"))])
    seen += await take(changes, 3)
    assert [(c.revision, c.key.name, c.type, c.previous_revision) for c in seen] == [
        (1, "a", "ADDED", 0),
        (2, "a", "MODIFIED", 1),
        (3, "a", "DELETED", 2),
        (together[0], "a", "ADDED", 0),
        (together[1], "e", "ADDED", 0),
    ]
    assert seen[2].value == b'{"resourceVersion":"3","text":"two"}'
    assert await take(store.changes(0), 5) == seen
    assert await take(store.changes(3), 2) == seen[3:]


async def test_a_transaction_comes_in_one_batch(store: Store) -> None:
    changes = store.changes(0)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0)
    keys = [pod("a"), Key("nodes", "", "n"), Key("events", "", "e")]
    revisions = await store.commit_all([write(key) for key in keys])
    batch = await waiting
    assert [(change.revision, change.key) for change in batch.changes] == list(zip(revisions, keys, strict=True))
    assert batch.revision == revisions[-1] == store.revision


async def test_a_follower_hears_of_other_writers_and_of_progress(clock: FakeClock) -> None:
    """What etcd adds: revisions that nothing here has made."""
    async with opened(EtcdShapedStore(clock)) as store:
        assert isinstance(store, EtcdShapedStore)
        changes = store.changes(0)
        revision = store.elsewhere(write(pod("a")))
        assert [change.revision for change in await take(changes, 1)] == [revision]
        assert store.revision == revision
        store.progress()
        batch = await anext(changes)
        assert (batch.changes, batch.revision, store.revision) == ([], revision + 1, revision + 1)
        record = await store.get(pod("a"))
        assert record is not None
        assert record.value == parts().at(revision), "put in on the way out"


async def test_a_follower_that_waits_has_a_change_before_its_writer_goes_on(ours: Store) -> None:
    seen = 0

    async def follow() -> None:
        nonlocal seen
        async for batch in ours.changes(0):
            seen = batch.revision

    async def write_some(writer: int) -> None:
        for n in range(20):
            revision = await ours.commit(write(pod(f"{writer}-{n}")))
            assert seen >= revision

    follower = asyncio.ensure_future(follow())
    await asyncio.sleep(0.05)  # it has read the log, which is empty
    await asyncio.gather(*(write_some(writer) for writer in range(10)))
    follower.cancel()


async def test_a_follower_that_sleeps_misses_nothing_and_costs_nothing(store: Store) -> None:
    changes = store.changes(0)
    await store.commit(write(pod("a")))
    await take(changes, 1)
    count = BACKLOG + 50
    for _ in range(count):
        await store.commit(write(pod("a")))
    (follower,) = store._broadcast._followers  # type: ignore[attr-defined]
    assert len(follower.batches) <= BACKLOG
    seen = await take(changes, count)
    assert [change.revision for change in seen] == list(range(2, count + 2))


async def test_followers_that_go_leave_nothing(store: Store) -> None:
    tasks = [asyncio.ensure_future(anext(store.changes(0))) for _ in range(10)]
    await until(lambda: len(store._broadcast) == 10)  # type: ignore[attr-defined]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await until(lambda: len(store._broadcast) == 0)  # type: ignore[attr-defined]


async def test_a_writer_that_is_cancelled_harms_nobody(store: Store) -> None:
    tasks = [asyncio.ensure_future(store.commit(write(pod(str(n))))) for n in range(10)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert sorted(r for r in results[1::2] if isinstance(r, int)) == sorted(set(results[1::2]))  # type: ignore[type-var]
    assert await store.commit(write(pod("after"))) == store.revision


async def test_the_past_until_it_is_compacted(store: Store) -> None:
    for n in range(10):
        await store.commit(write(pod("a"), str(n)))
    await store.commit(delete(pod("a")))
    await store.commit(write(pod("b")))
    await store.compact(5)
    assert store.compacted == 5
    for revision in range(5):
        with pytest.raises(Compacted):
            await store.get(pod("a"), revision=revision)
        with pytest.raises(Compacted):
            await store.range("pods", revision=revision)
        with pytest.raises(Compacted):
            await anext(store.changes(revision))
    for revision in range(5, 11):
        record = await store.get(pod("a"), revision=revision)
        assert record is not None
        assert record.revision == revision
    assert [change.revision for change in await take(store.changes(5), 7)] == list(range(6, 13))
    with pytest.raises(FutureRevision):
        await store.get(pod("a"), revision=13)
    with pytest.raises(FutureRevision):
        await store.compact(13)
    await store.compact(3)
    assert store.compacted == 5
    await store.compact(12)
    assert (await store.stats()).records["pods"] == 1
    assert [record.key.name for record in (await store.range("pods", revision=12))[0]] == ["b"]


async def test_each_resource_has_a_history_of_its_own(ours: Store) -> None:
    lease = Key("coordination.k8s.io/leases", "kube-node-lease", "n1")
    for _ in range(10):
        await ours.commit(write(lease))
        await ours.commit(write(pod("a")))
    await ours.compact(15, lease.resource)
    assert (ours.compacted, ours.compacted_of(lease.resource), ours.compacted_of("pods")) == (15, 15, 0)
    assert sorted(ours.resources) == [lease.resource, "pods"]
    assert await ours.get(pod("a"), revision=3) is not None
    with pytest.raises(Compacted):
        await ours.get(lease, revision=14)
    with pytest.raises(Compacted):
        await ours.range(None, revision=14)
    with pytest.raises(Compacted):
        await anext(ours.changes(14))
    stats = await ours.stats()
    assert (stats.records, stats.objects) == ({"pods": 10, lease.resource: 3}, {lease.resource: 1, "pods": 1})
    await ours.compact_each({"pods": 12, lease.resource: 3, "never": 1})
    assert (ours.compacted, ours.compacted_of(lease.resource), ours.compacted_of("pods")) == (15, 15, 12)
    assert (await ours.stats()).records == {"pods": 5, lease.resource: 3}
    with pytest.raises(FutureRevision):
        await ours.compact_each({"pods": 12, lease.resource: 21})


async def test_a_resource_whose_writes_were_refused_has_no_past(store: Store) -> None:
    await store.commit(write(pod("a")))
    with pytest.raises(Conflict):
        await store.commit_all([write(EVENT), delete(NODE)])
    await store.commit(write(pod("a")))
    await store.compact_each({"pods": 0, "events": 2, "nodes": 2})
    assert store.compacted_of("events") == store.compacted == 0
    assert await store.range("events", revision=1) == ([], False)


async def test_from_time_to_revision(store: Store, clock: FakeClock) -> None:
    start = clock.now()
    assert await store.revision_at(start) == 0
    await clock.advance(10)
    _, first = await store.commit_all([write(pod("a")), write(NODE)])
    await clock.advance(10)
    second = await store.commit(write(pod("c")))
    found = [await store.revision_at(start + seconds) for seconds in (0, 9.9, 10, 19.9, 20, 1000)]
    assert found == [0, 0, first, first, second, second]
    await store.compact(second)
    assert await store.revision_at(start + 20) == second


async def test_from_time_to_revision_within_a_second(store: Store, clock: FakeClock) -> None:
    start = clock.now()
    for n in range(50):
        await store.commit(write(pod(str(n % 3))))
        await clock.advance(0.125)
    for n in range(50):
        assert await store.revision_at(start + n * 0.125) == n + 1
        assert await store.revision_at(start + n * 0.125 - 0.01) == n
    await store.compact(30)
    assert [await store.revision_at(start + n * 0.125) for n in range(29, 50)] == list(range(30, 51))


async def test_from_a_number_of_changes_to_a_revision(store: Store) -> None:
    made = [await store.commit_all([write(pod("a")), write(Key("events", "", "e"))]) for _ in range(5)]
    pods, events = zip(*made, strict=True)
    assert [await store.revision_back("pods", changes) for changes in (0, 1, 4)] == [pods[4], pods[3], pods[0]]
    assert [await store.revision_back("pods", changes) for changes in (5, 99)] == [0, 0]
    assert await store.revision_back("events", 2) == events[2]
    assert await store.revision_back("never", 0) == 0
    await store.compact(pods[2])
    assert [await store.revision_back("pods", changes) for changes in (0, 1, 2, 3)] == [pods[4], pods[3], 0, 0]


async def test_from_a_size_to_a_revision(store: Store) -> None:
    for _ in range(10):
        await store.commit(write(pod("a"), "x" * 1000))
        await store.commit(write(Key("events", "", "e"), "x" * 5000))
    assert await store.revision_back("pods", 99, 100_000) == 0
    assert await store.revision_back("pods", 99, 3500) == 13
    assert await store.revision_back("pods", 2, 3500) == 15
    assert await store.revision_back("pods", 99, 10) == 19


async def test_a_clock_that_goes_back(store: Store, clock: FakeClock) -> None:
    await clock.advance(100)
    await store.commit(write(pod("a")))
    later = clock.now()
    clock._elapsed -= 50
    await store.commit(write(pod("b")))
    record = await store.get(pod("b"))
    assert record is not None
    assert record.time == later
    assert await store.revision_at(later) == 2


async def test_a_snapshot_is_a_store(ours: Store, clock: FakeClock, tmp_path: Path) -> None:
    for n in range(20):
        await ours.commit(write(pod(str(n % 7)), str(n), by=Attribution("jane")))
    await ours.commit(delete(pod("0")))
    await ours.compact(9)
    path = tmp_path / "snapshot"
    await ours.snapshot(str(path))
    before, _ = await ours.range(None)
    past, _ = await ours.range(None, revision=12)
    changes = await take(ours.changes(9), 12)
    await ours.commit(write(pod("later")))
    assert [entry.name for entry in path.iterdir()] == ["data.mdb"]
    async with opened(LmdbStore(str(path), clock)) as copy:
        assert (copy.uid, copy.revision, copy.compacted) == (ours.uid, 21, 9)
        assert (await copy.range(None))[0] == before
        assert (await copy.range(None, revision=12))[0] == past
        assert await take(copy.changes(9), 12) == changes
        assert await copy.commit(write(pod("new"))) == 22
    with pytest.raises(OSError):
        await ours.snapshot(str(path))


async def test_nothing_works_when_it_is_closed(make: Make, clock: FakeClock, tmp_path: Path) -> None:
    store = make(clock, str(tmp_path / "store"))
    with pytest.raises(StoreClosed):
        await store.commit(write(pod("a")))
    await store.open()
    last = asyncio.ensure_future(store.commit(write(pod("a"))))
    follower = asyncio.ensure_future(take(store.changes(0), 100))
    await asyncio.sleep(0)
    await store.close()
    assert await last == 1
    with pytest.raises(StoreClosed):
        await follower
    with pytest.raises(StoreClosed):
        await store.get(pod("a"))
    with pytest.raises(StoreClosed):
        await store.commit(write(pod("b")))
    await store.close()


NAMES = st.sampled_from(["a", "b", "a-b", LONG + "x" * 200, LONG + "y" * 200, LONG + "a"])
KEYS = st.builds(
    Key,
    st.sampled_from(["pods", "apps/deployments", "coordination.k8s.io/leases"]),
    st.sampled_from(["", "s" * 120]),
    NAMES,
)
EXPECTED = st.sampled_from(["any", "right", "absent", "wrong"])
WRITES = st.lists(
    st.tuples(KEYS, EXPECTED, st.booleans()), min_size=1, max_size=4, unique_by=lambda one: one[0].resource
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commit"), WRITES),
        st.tuples(
            st.just("compact"), st.integers(0, 30), st.sampled_from([None, "pods", "coordination.k8s.io/leases"])
        ),
        st.tuples(st.just("reopen")),
    ),
    max_size=25,
)


@campaign(120)
@pytest.mark.parametrize("kind", sorted(STORES))
@settings(max_examples=times(40, 40), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=STEPS)
def test_any_history_is_as_a_plain_list_has_it(kind: str, steps: list[tuple[Any, ...]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(_compare(STORES[kind], folder, steps, reopens=kind != "memory"))


async def _compare(make: Make, folder: str, steps: list[tuple[Any, ...]], reopens: bool) -> None:
    model = PlainStore()
    store = make(FakeClock(), folder + "/store")
    await store.open()
    for kind, *rest in steps:
        if kind == "compact":
            target, resource = min(rest[0], model.revision), rest[1]
            await store.compact(target, resource)
            model.compact(target, resource)
        elif kind == "reopen" and reopens:
            await store.close()
            store = make(FakeClock(), folder + "/store")
            await store.open()
        elif kind == "commit":
            await _commit_both(store, model, rest[0])
    await _same(store, model)
    await store.close()


async def _commit_both(store: Store, model: PlainStore, writes: list[tuple[Key, str, bool]]) -> None:
    now = model.state(model.revision)
    plain, real = [], []
    for key, expected, deleted in writes:
        actual = now[key].revision if key in now else 0
        number = {"any": None, "right": actual, "absent": 0, "wrong": actual + 1}[expected]
        plain.append((key, *parts(key.name), number, deleted))
        real.append(Write(key, Parts(*parts(key.name)), number, deleted))
    try:
        outcome: Any = await store.commit_all(real)
    except Conflict as conflict:
        outcome = conflict.key, conflict.actual
    assert outcome == model.commit(plain)


async def _same(store: Store, model: PlainStore) -> None:
    assert store.revision == model.revision
    assert (await store.stats()).records == model.records()
    for revision in range(model.revision + 1):
        for resource in (None, "pods", "coordination.k8s.io/leases"):
            if not model.readable(resource, revision):
                with pytest.raises(Compacted):
                    await store.range(resource, revision=revision)
                continue
            for namespace, after in ((None, None), ("s" * 120, None), (None, Key("pods", "", LONG + "x" * 200))):
                found, _ = await store.range(resource, namespace, after=after, revision=revision)
                got = [(record.revision, record.key, record.value) for record in found]
                assert got == model.range(resource, namespace, after, revision)
        for key, one in model.state(revision).items():
            if model.readable(key.resource, revision):
                record = await store.get(key, revision=revision)
                assert record is not None
                assert (record.revision, record.value) == (one.revision, one.value)
    since = max(model.compacted.values(), default=0)
    if since < model.revision:
        changes = await take(store.changes(since), model.revision - since)
        assert [(c.revision, c.key, c.type == "DELETED", c.value, c.previous_revision) for c in changes] == [
            tuple(one) for one in model.all[since:]
        ]
