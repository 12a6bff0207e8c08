"""The seeded world itself: time that only jumps, histories by seed, and a watch that sees what must not be."""

import asyncio
from collections.abc import Sequence

import pytest

from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.control import Builder, Controller, Key, Result
from orlop.testing import NO_FAULTS, World, simulate
from orlop.testing.loop import Stalled, VirtualClock, VirtualLoop
from orlop.testing.world import Broken
from tests.testing.history import History


def run(work: object) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)  # type: ignore[arg-type]


def test_time_jumps_where_all_wait() -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        clock = VirtualClock(loop, seed=1)
        begin = clock.now()
        woken: list[str] = []

        async def wake(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(name)

        with pytest.raises(TimeoutError):
            async with asyncio.timeout(86_400):
                await asyncio.gather(wake("late", 3600), wake("soon", 1), clock.sleep(10 * 86_400))
        assert woken == ["soon", "late"]
        assert round(clock.now() - begin) == 86_400
        assert await asyncio.to_thread(lambda: loop.time()) == clock.monotonic()

    run(work())


def test_waiting_for_nothing_is_told() -> None:
    async def work() -> None:
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Stalled):
        run(work())


async def rollout(world: World) -> None:
    """A Deployment made, changed and at rest."""
    web = History(world).deployment("web")
    web.spec.replicas = 3
    await world.client.create(web)
    await world.sleep(20)
    image = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "app:2"}]}}}}
    await world.client.patch(apps_v1.Deployment, "web", "default", image, type="strategic")
    await world.settle()


def test_a_seed_gives_one_history() -> None:
    histories = [simulate(rollout, seed, nodes=1) for seed in (1, 2, 1)]
    assert histories[0] == histories[2]
    assert histories[0] != histories[1]


class Vandal(Controller):
    """Deletes pods that are ready, which no controller of a Deployment may."""

    name = "vandal-controller"

    def setup(self, builder: Builder) -> None:
        self.pods = builder.for_(core_v1.Pod)

    async def reconcile(self, key: Key) -> Result | None:
        pod = self.pods.get(*key)
        if pod is not None and any(c.type == "Ready" and c.status == "True" for c in pod.status.conditions):
            await self.context.client.delete(core_v1.Pod, key.name, key.namespace)
        return None


def test_what_must_not_be_ends_the_world_and_tells_the_seed() -> None:
    def own() -> Sequence[Controller]:
        return [Vandal()]

    with pytest.raises(Broken, match=r"Deployment default/web: \d pods are ready") as caught:
        simulate(rollout, 3, nodes=1, faults=NO_FAULTS, controllers=own)
    assert "seed 3" in caught.value.__notes__[0]
    assert "DELETE /api/v1/namespaces/default/pods/web-" in caught.value.__notes__[1]


class Greeter(Controller):
    """A user's own: gives each Namespace a ConfigMap."""

    name = "greeter-controller"

    def setup(self, builder: Builder) -> None:
        self.namespaces = builder.for_(core_v1.Namespace)
        self.maps = builder.watches(core_v1.ConfigMap, lambda m: [Key("", m.metadata.namespace)])

    async def reconcile(self, key: Key) -> Result | None:
        if self.namespaces.get("", key.name) is not None and self.maps.get(key.name, "hello") is None:
            meta = meta_v1.ObjectMeta(name="hello", namespace=key.name)
            await self.context.client.create(core_v1.ConfigMap(metadata=meta))
        return None


def test_controllers_of_ones_own_under_faults() -> None:
    async def greeted(world: World) -> None:
        for name in ("a", "b", "c"):
            await world.client.create(core_v1.Namespace(metadata=meta_v1.ObjectMeta(name=name)))
            await world.sleep(5)
        await world.heal()

        async def all_are() -> bool:
            maps = (await world.client.list(core_v1.ConfigMap)).items
            return {"a", "b", "c"} <= {m.metadata.namespace for m in maps if m.metadata.name == "hello"}

        await world.until("all are greeted", all_are)

    simulate(greeted, 5, nodes=0, controllers=lambda: [Greeter()])
