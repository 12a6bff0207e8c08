"""The frame's promises, held by small controllers over the real API server in memory."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

import pytest

from orlop.api import errors
from orlop.api.types import core_v1, meta_v1
from orlop.client import Client, Response, Unreachable
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock
from orlop.control import Builder, Controller, Key, Manager, Result, controller_reference, key_of
from tests.support.worlds import ADMIN, server


class Bench(Controller):
    """A controller whose reconcile is a test's function."""

    name = "bench-controller"

    def __init__(self, work: Callable[["Bench", Key], Awaitable[Result | None]], *, workers: int = 5) -> None:
        self.work = work
        self.workers = workers
        self.keys: list[Key] = []

    def setup(self, builder: Builder) -> None:
        self.maps = builder.for_(core_v1.ConfigMap, namespace="default")
        self.secrets = builder.owns(core_v1.Secret, namespace="default")
        builder.watches(
            core_v1.Namespace, lambda n: [Key("default", v) for k, v in n.metadata.labels.items() if k == "map"]
        )
        builder.workers(self.workers)

    async def reconcile(self, key: Key) -> Result | None:
        self.keys.append(key)
        return await self.work(self, key)


async def until(holds: Callable[[], bool]) -> None:
    """Returns when it holds; fails after five seconds."""
    async with asyncio.timeout(5):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


async def nothing(bench: Bench, key: Key) -> None:
    return None


class World:
    def __init__(self, client: Client, clock: FakeClock, app: object) -> None:
        self.client = client
        self.clock = clock
        self.app = app

    @asynccontextmanager
    async def running(self, controllers: Sequence[Controller], **options: object) -> AsyncIterator[Manager]:
        manager = Manager(self.client, self.clock, controllers, **options)  # type: ignore[arg-type]
        task = asyncio.ensure_future(manager.run())
        try:
            await asyncio.wait_for(manager.ready(), 10)
            yield manager
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def quiet(self, manager: Manager) -> None:
        calm = 0
        while calm < 50:
            await asyncio.sleep(0)
            calm = calm + 1 if manager.idle else 0

    async def make(self, name: str, **data: str) -> core_v1.ConfigMap:
        return await self.client.create(
            core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name=name, namespace="default"), data=data)
        )


@pytest.fixture
async def world() -> AsyncIterator[World]:
    async with server() as (app, clock):
        transport = ASGITransport(app, ADMIN)
        yield World(Client(transport, clock=clock, user_agent="bench"), clock, app)
        await transport.close()


async def test_for_owns_and_watches_enqueue_keys(world: World) -> None:
    bench = Bench(nothing)
    async with world.running([bench]) as manager:
        await world.quiet(manager)
        bench.keys.clear()
        owner = await world.make("a")
        await world.quiet(manager)
        assert bench.keys == [Key("default", "a")]
        meta = meta_v1.ObjectMeta(name="s", namespace="default", owner_references=[controller_reference(owner)])
        await world.client.create(core_v1.Secret(metadata=meta))
        await world.quiet(manager)
        assert bench.keys == [Key("default", "a")] * 2
        label = {"metadata": {"labels": {"map": "b"}}}
        await world.client.patch(core_v1.Namespace, "default", None, label)
        await world.quiet(manager)
        assert bench.keys[2:] == [Key("default", "b")]
        await world.client.patch(core_v1.Namespace, "default", None, {"metadata": {"labels": {"map": "c"}}})
        await world.quiet(manager)
        assert set(bench.keys[3:]) == {Key("default", "b"), Key("default", "c")}  # of the old state and of the new
        await world.client.delete(core_v1.ConfigMap, "a", "default")
        await world.quiet(manager)
        assert bench.keys[5:] == [Key("default", "a")]


async def test_a_key_is_never_reconciled_twice_at_a_time_but_others_are(world: World) -> None:
    running: list[Key] = []
    most = 0
    gate = asyncio.Event()

    async def work(bench: Bench, key: Key) -> None:
        nonlocal most
        assert key not in running
        running.append(key)
        most = max(most, len(running))
        await gate.wait()
        running.remove(key)

    bench = Bench(work, workers=3)
    async with world.running([bench]) as manager:
        for name in ("a", "b", "c", "d"):
            await world.make(name)
        for data in ("1", "2"):
            await world.client.patch(core_v1.ConfigMap, "a", "default", {"data": {"x": data}})
        await until(lambda: len(running) == 3)
        for _ in range(50):
            await asyncio.sleep(0)
        assert most == 3
        gate.set()
        await world.quiet(manager)
    assert bench.keys.count(Key("default", "a")) == 2  # what came while it was in work, once more


async def test_a_controller_reads_its_own_writes(world: World) -> None:
    """Without the promise this makes several Secrets: each event comes before the cache of the other kind has moved."""

    async def work(bench: Bench, key: Key) -> Result | None:
        owner = bench.maps.get(*key)
        if owner is None:
            return None
        owned = [s for s in bench.secrets.list() if s.metadata.owner_references[0].uid == owner.metadata.uid]
        if not owned:
            meta = meta_v1.ObjectMeta(
                generate_name="s-", namespace="default", owner_references=[controller_reference(owner)]
            )
            await bench.context.client.create(core_v1.Secret(metadata=meta))
            bench.context.enqueue(key, 0)  # at once, before any event can have come
        return None

    bench = Bench(work)
    async with world.running([bench]) as manager:
        for i in range(20):
            await world.make(f"m{i}")
        await world.quiet(manager)
        assert len((await world.client.list(core_v1.Secret, "default")).items) == 20


class Deaf(ASGITransport):
    """Does what it is asked, and loses the answers to what is made; watches tell nothing until they may."""

    def __init__(self, app: object, clock: FakeClock) -> None:
        super().__init__(app, ADMIN)  # type: ignore[arg-type]
        self.clock = clock
        self.deaf = False

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        response = await super().request(method, target, headers, body)
        if method == "POST" and self.deaf:
            raise Unreachable("reset before the answer", sent=True)
        return response

    @asynccontextmanager
    async def stream(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> AsyncIterator[Any]:
        async with super().stream(method, target, headers, body) as stream:
            inner = stream.chunks

            async def chunks() -> AsyncIterator[bytes]:
                async for chunk in inner():
                    while self.deaf and "secrets" in target:
                        await self.clock.sleep(1)
                    yield chunk

            stream.chunks = chunks  # type: ignore[method-assign]
            yield stream


async def test_a_write_whose_answer_was_lost_is_not_done_again(world: World) -> None:
    async def work(bench: Bench, key: Key) -> Result | None:
        owner = bench.maps.get(*key)
        if owner is not None and not bench.secrets.list():
            meta = meta_v1.ObjectMeta(
                generate_name="s-", namespace="default", owner_references=[controller_reference(owner)]
            )
            await bench.context.client.create(core_v1.Secret(metadata=meta))
        return None

    transport = Deaf(world.app, world.clock)
    deaf = World(Client(transport, clock=world.clock, user_agent="bench"), world.clock, world.app)
    bench = Bench(work)
    async with deaf.running([bench]) as manager:
        await deaf.quiet(manager)
        transport.deaf = True
        await world.make("a")
        for _ in range(100):  # the key is tried again, and waits for a cache that shows nothing
            await world.clock.advance(1)
        assert len((await world.client.list(core_v1.Secret, "default")).items) == 1
        transport.deaf = False
        await world.clock.advance(5)
        await deaf.quiet(manager)
        assert len((await world.client.list(core_v1.Secret, "default")).items) == 1
        assert len(bench.keys) > 1, "it has been looked at again"
    await transport.close()


async def test_a_deletion_is_seen_too(world: World) -> None:
    counts: list[int] = []

    async def work(bench: Bench, key: Key) -> None:
        if bench.maps.get(*key) is None:
            return
        secrets = bench.secrets.list()
        counts.append(len(secrets))
        if secrets:
            await bench.context.client.delete(core_v1.Secret, secrets[0].metadata.name, "default")
            bench.context.enqueue(key, 0)

    for i in range(5):
        meta = meta_v1.ObjectMeta(name=f"s{i}", namespace="default")
        await world.client.create(core_v1.Secret(metadata=meta))
    async with world.running([Bench(work)]) as manager:
        await world.quiet(manager)
        counts.clear()
        await world.make("a")
        await world.quiet(manager)
    assert counts[:6] == [5, 4, 3, 2, 1, 0]


async def test_failures_back_off_for_each_key_and_are_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    times: list[float] = []

    async def work(bench: Bench, key: Key) -> None:
        if key.name == "bad":
            times.append(world.clock.monotonic())
            if len(times) < 5:
                raise RuntimeError("defect")

    async with world.running([Bench(work)]) as manager:
        with caplog.at_level(logging.DEBUG, "orlop.bench-controller"):
            await world.make("bad")
            for _ in range(100):
                await world.quiet(manager)
                await world.clock.advance(0.005)
    assert [round(b - a, 3) for a, b in pairwise(times)] == [0.005, 0.01, 0.02, 0.04]
    failed = [r for r in caplog.records if r.message == "reconcile failed"]
    assert len(failed) == 4
    assert failed[0].__dict__["key"] == "default/bad"
    assert failed[0].exc_info is not None


async def test_a_conflict_is_no_news(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async def work(bench: Bench, key: Key) -> None:
        if key.name == "a" and len(bench.keys) < 3:
            raise errors.conflict("configmaps", "", "a", errors.MODIFIED)

    async with world.running([Bench(work)]) as manager:
        await world.make("a")
        await world.quiet(manager)
    assert not [r for r in caplog.records if r.levelno > logging.DEBUG and r.message == "reconcile failed"]


async def test_requeue_after_waits_by_the_clock(world: World) -> None:
    async def work(bench: Bench, key: Key) -> Result | None:
        return Result(requeue_after=30) if key.name == "a" else None

    bench = Bench(work)
    async with world.running([bench]) as manager:
        await world.make("a")
        await world.quiet(manager)
        for count in (1, 2, 3):
            assert bench.keys.count(Key("default", "a")) == count
            await world.clock.advance(29)
            assert bench.keys.count(Key("default", "a")) == count
            await world.clock.advance(1)
            await world.quiet(manager)


class Broken(Controller):
    name = "broken-controller"

    def setup(self, builder: Builder) -> None:
        raise RuntimeError("defect")

    async def reconcile(self, key: Key) -> Result | None:
        return None


class Late(Bench):
    """Cannot start at first."""

    name = "late-controller"
    tries = 0

    async def prepare(self) -> None:
        self.tries += 1
        if self.tries < 3:
            raise errors.ServiceUnavailable("not yet")


async def test_controllers_fail_alone(world: World) -> None:
    bench, late = Bench(nothing), Late(nothing)
    manager = Manager(world.client, world.clock, [Broken(), late, bench])
    task = asyncio.ensure_future(manager.run())
    await world.make("a")
    await until(lambda: Key("default", "a") in bench.keys)
    assert late.keys == []
    await world.clock.advance(5)
    await asyncio.wait_for(manager.ready(), 5)
    await world.quiet(manager)
    assert Key("default", "a") in late.keys
    task.cancel()
    await asyncio.wait({task})


async def test_only_the_leader_works_and_another_takes_over_at_once_when_it_ends(world: World) -> None:
    first, second = Bench(nothing), Bench(nothing)
    with_lease = {"leader_elect": True}
    manager = Manager(world.client, world.clock, [second], identity="second", **with_lease)  # type: ignore[arg-type]
    async with world.running([first], identity="first", **with_lease):
        waiting = asyncio.ensure_future(manager.run())
        await world.make("a")
        await world.clock.advance(60)
        assert first.keys
        assert not second.keys
    await world.clock.advance(5)  # the lease was released: no need to wait for its end
    await asyncio.wait_for(manager.ready(), 5)
    await world.quiet(manager)
    assert Key("default", "a") in second.keys
    waiting.cancel()
    await asyncio.wait({waiting})


def test_a_key_names_its_object() -> None:
    config_map = core_v1.ConfigMap(metadata=meta_v1.ObjectMeta(name="a", namespace="b"))
    assert str(key_of(config_map)) == "b/a"
    assert str(Key("", "node-1")) == "node-1"
