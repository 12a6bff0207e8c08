"""The frame that runs one controller: queue, workers, retries."""

import asyncio
from collections.abc import Callable

from orlop import logging
from orlop.api import errors
from orlop.client import Client, Informers, QueueClosed, Recorder, WorkQueue
from orlop.client.dryrun import DryRun
from orlop.client.transport import Transport
from orlop.clock import Clock
from orlop.control.builder import Builder
from orlop.control.controller import Context, Controller, Key
from orlop.control.writes import OwnWrites, TrackingClient
from orlop.tasks import run_all

RESTART_BASE = 1.0
RESTART_MAX = 60.0
"""Seconds before a controller whose `prepare` failed is tried again: doubled each time up to the second."""
NO_ROLE = (
    "bind a role to the ServiceAccount kube-system/{account}; those that only orlop has are printed by "
    "`orlop controller-manager --print-roles`"
)
"""What to do where the server does not let a controller do its work."""


class Loop:
    """One controller at work. Its failures stay its own."""

    def __init__(
        self,
        controller: Controller,
        client: Client,
        informers: Informers,
        dry_run: Callable[[str], None] | None = None,
        accounts: Callable[[str], Transport] | None = None,
    ) -> None:
        """With `dry_run` nothing is written; it is told what would be. `accounts` gives the way to the API server of a
        ServiceAccount, for a controller that has one; caches are filled with the manager's identity all the same."""
        self.controller = controller
        clock = client.clock
        self._clock: Clock = clock
        self._log = logging.get(controller.name)
        self.queue: WorkQueue[Key] = WorkQueue(clock, name=controller.name.removesuffix("-controller"))
        self._builder = Builder(informers, lambda key, patient: self.queue.add(key, patient=patient))
        self._writes = OwnWrites(clock, self._builder.asked)
        reader = client
        self._account: str | None = None
        """The ServiceAccount that it acts as."""
        if accounts is not None and controller.account is not None:
            self._account = controller.account or controller.name
            client = Client(accounts(self._account), clock=clock, user_agent=f"{client.user_agent}/{self._account}")
        writing: Client = TrackingClient(client.transport, clock=clock, user_agent=client.user_agent)
        if dry_run is not None:
            # There are no own writes to wait for: no cache will ever show them.
            dry = DryRun(client.transport, lambda line: dry_run(f"{controller.name}: {line}"))
            writing = client = Client(dry, clock=clock, user_agent=client.user_agent)
        self.recorder = Recorder(client, clock, controller.component or controller.name)
        controller.context = Context(
            writing, reader, informers, clock, self.recorder, self._log, self.queue.add_after, self._writes.own
        )
        controller.setup(self._builder)
        self.started = asyncio.Event()

    @property
    def idle(self) -> bool:
        """Nothing waits, nothing is in work, and every event is written. Delayed keys do not count."""
        return self.started.is_set() and self.queue.idle and self.recorder.idle

    async def run(self) -> None:
        """Works until cancelled."""
        try:
            await run_all(self.recorder.run(), self._run())
        finally:
            await self.queue.close()

    async def _run(self) -> None:
        for informer in self._builder.asked:
            await informer.synced()
        await self._prepare()
        self.started.set()
        await run_all(*(self._work() for _ in range(self._builder.concurrency)))

    async def _prepare(self) -> None:
        wait = RESTART_BASE
        while True:
            try:
                await self.controller.prepare()
                return
            except Exception as error:
                self._failed("controller could not start", None, error)
            await self._clock.sleep(wait)
            wait = min(wait * 2, RESTART_MAX)

    async def _work(self) -> None:
        queue = self.queue
        while True:
            try:
                key = await queue.get()
            except QueueClosed:
                return
            try:
                await self._one(key)
            finally:
                queue.done(key)

    async def _one(self, key: Key) -> None:
        await self._writes.seen(key)
        self._writes.begin(key)
        try:
            result = await self.controller.reconcile(key)
        except Exception as error:
            self._failed("reconcile failed", key, error)
            self.queue.add_rate_limited(key)
        else:
            self.queue.forget(key)
            if result is not None and result.requeue_after is not None:
                self.queue.add_after(key, result.requeue_after)
        finally:
            self._writes.end(key)

    def _failed(self, what: str, key: Key | None, error: Exception) -> None:
        """The one place that logs a controller's errors."""
        extra = {"error": str(error) or repr(error), **({"key": str(key)} if key is not None else {})}
        if isinstance(error, errors.Conflict | errors.AlreadyExists):
            self._log.debug(what, extra=extra)  # another was faster: part of the game
        elif isinstance(error, errors.ApiError):
            if isinstance(error, errors.Forbidden) and self._account is not None:
                extra["fix"] = NO_ROLE.format(account=self._account)
            self._log.warning(what, extra=extra)
        else:
            self._log.error(what, extra=extra, exc_info=error)
