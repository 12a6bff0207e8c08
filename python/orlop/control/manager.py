"""Runs controllers over one set of caches, if asked only while it holds the leader lease."""

import asyncio
from collections.abc import Callable, Sequence
from socket import gethostname

from orlop import logging
from orlop.client import Client, Informers, LeaderElector, Recorder
from orlop.client.transport import Transport
from orlop.clock import Clock
from orlop.control.controller import Controller
from orlop.control.loop import Loop
from orlop.tasks import Group, run_all

LEASE_NAME = "kube-controller-manager"
LEASE_NAMESPACE = "kube-system"

_log = logging.get("controller-manager")


class Manager:
    """The controllers of one process. They share caches; each fails alone."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        controllers: Sequence[Controller],
        *,
        leader_elect: bool = False,
        identity: str = "",
        lease_name: str = LEASE_NAME,
        dry_run: Callable[[str], None] | None = None,
        accounts: Callable[[str], Transport] | None = None,
    ) -> None:
        """`identity` names this candidate; by default, as upstream, the host's name and a UUID.

        `accounts` gives the way to the API server of a ServiceAccount of kube-system: each controller then acts as its
        own (`control.accounts`). Without it all act as `client` does.

        With `dry_run` the controllers write nothing, not even events: it gets a line for each write that they would
        make (`client.dryrun`). They look at the world as it is, so what would follow from a write is not told. No
        lease is taken.
        """
        self._dry_run = dry_run
        self._accounts = accounts
        self._client = client
        self._clock = clock
        self._controllers = list(controllers)
        self._leader_elect = leader_elect and dry_run is None
        self._identity = identity or f"{gethostname()}_{clock.uuid()}"
        self._lease_name = lease_name
        self.informers = Informers(client)
        self.loops: list[Loop] = []
        self._ready = asyncio.Event()

    async def ready(self) -> None:
        """Returns when every controller works (with leader election: when this process leads)."""
        await self._ready.wait()

    @property
    def idle(self) -> bool:
        """Every controller has done all it knows of. What is on its way from the server does not count."""
        return self._ready.is_set() and all(loop.idle for loop in self.loops)

    async def run(self) -> None:
        """Runs until cancelled. Raises LeadershipLost when the lease is lost: end the process then."""
        if not self._leader_elect:
            await self._run()
            return
        recorder = Recorder(self._client, self._clock, self._lease_name)
        elector = LeaderElector(
            self._client, self._lease_name, LEASE_NAMESPACE, self._identity, clock=self._clock, recorder=recorder
        )
        async with Group(lambda name, error: _log.error("task failed", exc_info=error)) as group:
            group.start("leader events", recorder.run())
            await elector.run(self._run)

    async def _run(self) -> None:
        for controller in self._controllers:
            try:
                self.loops.append(Loop(controller, self._client, self.informers, self._dry_run, self._accounts))
            except Exception:
                _log.exception("controller could not be set up", extra={"controller": controller.name})
        async with Group(self._ended) as group:
            for loop in self.loops:
                group.start(loop.controller.name, loop.run())
            await run_all(self.informers.run(), self._announce())

    async def _announce(self) -> None:
        for loop in self.loops:
            await loop.started.wait()
        _log.info("controllers work", extra={"count": len(self.loops)})
        self._ready.set()

    def _ended(self, name: str, error: BaseException) -> None:
        _log.error("controller ended", extra={"controller": name}, exc_info=error)
