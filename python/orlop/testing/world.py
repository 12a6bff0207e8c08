"""A whole cluster in one process on a virtual clock: API server, controllers, scheduler and simulated nodes.

One seed decides all that chance decides: names, orders, delays, what gets lost, who is killed and when. The same seed
gives the same history, to the request; another gives another. Minutes of the cluster take seconds.

```python
async def scenario(world: World) -> None:
    await world.client.create(deployment)
    await world.sleep(120)          # with faults
    await world.heal()              # nothing gets lost any more
    await world.until("all pods are ready", lambda: ready(world))


@pytest.mark.parametrize("seed", range(100))
def test_it_gets_there(seed: int) -> None:
    simulate(scenario, seed, controllers=lambda: [MyController()])
```
"""

import asyncio
import hashlib
import tempfile
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from orlop import logging, tasks
from orlop.client.client import Client
from orlop.client.transport import Response
from orlop.control import Controller
from orlop.testing.faults import NO_FAULTS, Done, Faults, FaultyTransport, Network, ObservedTransport
from orlop.testing.loop import VirtualClock, VirtualLoop
from orlop.testing.server import Server

TOLD = 60
"""Requests that a failure tells of: the last before it."""
REST = 5.0
"""Seconds of the cluster between two looks at whether all is at rest."""
POLL = 1.0
"""Seconds of the cluster between two looks at a condition."""

Make = Callable[[], Sequence[Controller]]
_log = logging.get("testing")


class Broken(AssertionError):
    """What must never be, was."""


class World:
    """What a scenario works with. Made by `simulate`."""

    def __init__(
        self, clock: VirtualClock, *, nodes: int, faults: Faults, controllers: Make | None, watch_over: bool
    ) -> None:
        from orlop.apiserver.config import Config

        self.clock = clock
        self._stack = AsyncExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="orlop-")))
        self._server = Server(Config(data_dir=self._folder, store="memory", secure_port=None), clock)
        self.network = Network(clock, NO_FAULTS, self._done, self._server)
        self.history = hashlib.sha256()
        """Of every request that was done."""
        self.last: deque[str] = deque(maxlen=TOLD)
        self.requests = 0
        self.listeners: list[Done] = []
        """Told of every request that was done."""
        self.runtimes: dict[str, Any] = {}
        """The simulated runtime of each node, which knows what really runs there."""
        self.nodes = [f"node-{i}" for i in range(nodes)]
        self._faults = faults
        self._make = controllers
        self._watch_over = watch_over
        self._broken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._away: dict[str, asyncio.Event] = {}

    # --- what a scenario does

    @property
    def client(self) -> Client:
        """A user's client, which sees no faults: nothing of it gets lost."""
        return self._client

    async def sleep(self, seconds: float) -> None:
        """Lets the cluster work for so long."""
        await self.clock.sleep(seconds)

    async def heal(self) -> None:
        """From now on nothing is late or lost, and who is away comes back."""
        self.network.faults = NO_FAULTS
        for event in self._away.values():
            event.set()

    async def until(self, what: str, holds: Callable[[], Awaitable[Any]], seconds: float = 1200) -> None:
        """Returns when the condition holds. Raises AssertionError if it does not within so many seconds."""
        end = self.clock.monotonic() + seconds
        while not (found := await holds()):
            if self.clock.monotonic() > end:
                raise AssertionError(f"not within {seconds:g} s: {what}; last: {found!r}")
            await self.clock.sleep(POLL)

    async def settle(self, seconds: float = 1200) -> None:
        """Heals the network, and returns when nothing is left to do (`settled.unsettled`). Raises AssertionError."""
        from orlop.testing.settled import unsettled

        await self.heal()
        end = self.clock.monotonic() + seconds
        while left := await unsettled(self.client):
            if self.clock.monotonic() > end:
                raise AssertionError("\n".join([f"not at rest {seconds:g} s after the storm:", *left]))
            await self.clock.sleep(REST)

    def away(self, component: str) -> None:
        """Cuts a component off until `back`: a node by its name, `controllers` or `scheduler`."""
        self._away[component].clear()

    def back(self, component: str) -> None:
        self._away[component].set()

    def broken(self, what: str) -> None:
        """Ends the scenario: this must never be."""
        if not self._broken.done():
            self._broken.set_exception(Broken(f"at {self.clock.monotonic():.3f} s: {what}"))

    # --- putting it together

    async def run(self, scenario: Callable[["World"], Coroutine[Any, Any, None]]) -> None:
        async with self._stack:
            await self._start()
            self.network.faults = self._faults

            async def watched() -> None:
                await self._broken

            await tasks.first(scenario(self), watched())

    async def _start(self) -> None:
        await self._server.start()
        self._stack.push_async_callback(self._server.kill)
        self._client = self._observed("kubernetes-admin", "system:masters")
        group = await self._stack.enter_async_context(tasks.Group(self._failed))
        if self._watch_over:
            from orlop.testing.invariants import KINDS, Invariants
            from orlop.testing.truth import Truth

            group.start("invariants", Invariants(self, Truth(self._server, *KINDS)).run())
        group.start("apiserver", self._serve())
        self._keep(group, "controllers", self._controllers)
        self._keep(group, "scheduler", self._scheduler)
        for name in self.nodes:
            self._keep(group, name, self._node(name))

    def _keep(self, group: tasks.Group, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._away[name] = asyncio.Event()
        self._away[name].set()
        group.start(name, self._live(name, work))

    async def _live(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """One life after another, each ended wherever it is."""
        chance = self.clock.random
        while True:
            await self._away[name].wait()
            life = asyncio.ensure_future(work())
            ends = {life, asyncio.ensure_future(self._end_of(name))}
            try:
                done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in ends:
                    task.cancel()
                await asyncio.gather(*ends, return_exceptions=True)
            if life in done and not life.cancelled() and (error := life.exception()) is not None:
                _log.debug("a component ended", extra={"component": name, "error": repr(error)})
            self._note(f"{name} ends")
            if (down := self.network.faults.down) > 0:
                await self.clock.sleep(chance.expovariate(1 / down))

    async def _serve(self) -> None:
        """The API server's lives."""
        chance, network = self.clock.fork(), self.network
        while True:
            while (mean := network.faults.server_life) <= 0:
                await self.clock.sleep(POLL * 3600)
            await self.clock.sleep(chance.expovariate(1 / mean))
            if network.faults.server_life > 0:
                await self._server.kill()
                self._note("the API server ends")
                if (down := network.faults.down) > 0:
                    await self.clock.sleep(chance.expovariate(1 / down))
                await self._server.start()

    async def _end_of(self, name: str) -> None:
        """Returns when the life is to end: it is sent away, or its time has come and there are still faults."""
        away = asyncio.ensure_future(self._gone(name))
        try:
            while True:
                mean = self.network.faults.life
                seconds = self.clock.random.expovariate(1 / mean) if mean > 0 else POLL * 3600
                done, _ = await asyncio.wait({away}, timeout=seconds)
                if done or self.network.faults.life > 0:
                    return
        finally:
            away.cancel()

    async def _gone(self, name: str) -> None:
        while self._away[name].is_set():
            await self.clock.sleep(POLL)

    async def _controllers(self) -> None:
        from orlop.control.manager import Manager
        from orlop.controllers import Options, all_controllers

        more = self._make() if self._make is not None else ()
        own = all_controllers(Options())  # without the authority, whose keys are not of the seed
        async with self._at_sea("system:kube-controller-manager") as client:
            await Manager(client, self.clock, [*more, *own]).run()

    async def _scheduler(self) -> None:
        from orlop.scheduler.scheduler import Scheduler

        async with self._at_sea("system:kube-scheduler") as client:
            await Scheduler(client, self.clock).run()

    def _node(self, name: str) -> Callable[[], Coroutine[Any, Any, None]]:
        from orlop.kubelet.config import KubeletConfig
        from orlop.kubelet.kubelet import Kubelet
        from orlop.kubelet.network.hollow import HollowNetwork
        from orlop.kubelet.runtime.hollow import HollowRuntime

        network = HollowNetwork()
        runtime = self.runtimes[name] = HollowRuntime(self.clock, network)  # containers outlive their kubelet
        config = KubeletConfig(
            node_name=name, root_dir=self._folder / name, node_ips=["127.0.0.1"], simulated=True, capacity=CAPACITY
        )

        async def work() -> None:
            async with self._at_sea(f"system:node:{name}", "system:nodes") as client:
                await Kubelet(client, self.clock, config, runtime, network).run()

        return work

    def _at_sea(self, user: str, *groups: str) -> "_Boat":
        return _Boat(self, user, groups)

    def _observed(self, user: str, *groups: str) -> Client:
        transport = ObservedTransport(identity(user, *groups), self.network)
        self._stack.push_async_callback(transport.close)
        return Client(transport, clock=self.clock, user_agent=user)

    # --- what happened

    def _done(self, who: str, method: str, target: str, body: bytes, response: Response | None, heard: bool) -> None:
        self.requests += 1
        status = response.status if response is not None else "cut off"
        self._note(f"{who}: {method} {target} {status}{'' if heard else ', unheard'}")
        for listener in self.listeners:
            listener(who, method, target, body, response, heard)

    def _note(self, line: str) -> None:
        line = f"{self.clock.monotonic():.3f} {line}"
        self.history.update(line.encode())
        if " GET " not in line:
            self.last.append(line)

    def _failed(self, name: str, error: BaseException) -> None:
        self.broken(f"{name} ended: {error!r}")


CAPACITY = {"cpu": "8", "memory": "16Gi", "ephemeral-storage": "100Gi", "pods": "110"}
"""What each node claims to have."""


class _Boat:
    """A client for one life of a component: with it ends all that it was about to do."""

    def __init__(self, world: World, user: str, groups: Sequence[str]) -> None:
        self._transport = FaultyTransport(identity(user, *groups), world.network)
        self._client = Client(self._transport, clock=world.clock, user_agent=user)

    async def __aenter__(self) -> Client:
        return self._client

    async def __aexit__(self, *exc: object) -> None:
        await self._transport.close()


def identity(user: str, *groups: str) -> Any:
    from orlop.apiserver.auth import User

    return User(name=user, groups=(*groups, "system:authenticated"))


def simulate(
    scenario: Callable[[World], Coroutine[Any, Any, None]],
    seed: int,
    *,
    nodes: int = 3,
    faults: Faults | None = None,
    controllers: Make | None = None,
    invariants: bool = True,
) -> str:
    """Runs a scenario in a world of its own; gives a hash of its history: of one seed always the same.

    `controllers` makes your own, which run beside orlop's; it is called for each life of the process they are in.
    `invariants` watches over what must never be (`orlop.testing.invariants`). What goes wrong is raised with the seed
    and the last requests as its notes. Not to be called on an event loop: it brings its own.
    """
    world: World | None = None

    async def main() -> str:
        nonlocal world
        clock = VirtualClock(asyncio.get_running_loop(), seed)
        chosen = Faults() if faults is None else faults
        world = World(clock, nodes=nodes, faults=chosen, controllers=controllers, watch_over=invariants)
        await world.run(scenario)
        return world.history.hexdigest()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        try:
            return runner.run(main())
        except Exception as error:
            error.add_note(f"seed {seed}")
            if world is not None:
                error.add_note("\n".join(["the last requests:", *world.last]))
            raise
