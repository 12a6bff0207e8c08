"""Leader election by a Lease, as client-go's tools/leaderelection: same record, same timings, same rules.

The clocks of the candidates are never compared: a lease counts as held until it has not changed for its duration by
the observer's own clock.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from orlop import logging
from orlop.api import errors
from orlop.api.types import coordination_v1, meta_v1
from orlop.client.client import Client
from orlop.client.events import Recorder
from orlop.clock import Clock, rfc3339_micro, timeout
from orlop.tasks import Group

LEASE_DURATION = 15.0
"""Seconds that others wait before they take over a lease that is not renewed."""
RENEW_DEADLINE = 10.0
"""Seconds that the leader tries to renew before it gives up."""
RETRY_PERIOD = 2.0
"""Seconds between tries."""
JITTER = 1.2
"""Tries to acquire are up to this much of the period later, so that candidates do not meet."""

_log = logging.get("leader")


class LeadershipLost(Exception):
    """The lease could not be renewed in time: the work has been cancelled."""


class LeaderElector:
    """One candidate for one lease."""

    def __init__(
        self,
        client: Client,
        name: str,
        namespace: str,
        identity: str,
        *,
        clock: Clock | None = None,
        recorder: Recorder | None = None,
        lease_duration: float = LEASE_DURATION,
        renew_deadline: float = RENEW_DEADLINE,
        retry_period: float = RETRY_PERIOD,
    ) -> None:
        """Raises ValueError when the timings contradict each other, in upstream's words."""
        if lease_duration <= renew_deadline:
            raise ValueError("leaseDuration must be greater than renewDeadline")
        if renew_deadline <= JITTER * retry_period:
            raise ValueError("renewDeadline must be greater than retryPeriod*JitterFactor")
        self._client = client
        self._clock = clock or client.clock
        self._name = name
        self._namespace = namespace
        self._identity = identity
        self._recorder = recorder
        self._duration = lease_duration
        self._deadline = renew_deadline
        self._period = retry_period
        self._lease: coordination_v1.Lease | None = None
        self._observed_at = 0.0

    @property
    def leader(self) -> str:
        """Who was last seen to hold the lease."""
        return (self._lease.spec.holder_identity or "") if self._lease is not None else ""

    @property
    def is_leader(self) -> bool:
        return self.leader == self._identity

    async def run(self, work: Callable[[], Awaitable[None]]) -> None:
        """Waits for the lease, then does the work while renewing it.

        Ends when the work ends, or when cancelled: the lease is then released after the work has ended. Raises
        LeadershipLost when the lease could not be renewed, and what the work raises.
        """
        await self._acquire()
        failure: list[BaseException] = []
        async with Group(lambda _, error: failure.append(error)) as group:
            task = group.start(f"leader {self._name}", _run(work))
            renewal = group.start(f"renew {self._name}", self._renew())
            try:
                await asyncio.wait({task, renewal}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                task.cancel()
                renewal.cancel()
                await asyncio.wait({task, renewal})
                self._event("stopped leading")
                await asyncio.shield(group.start(f"release {self._name}", self._release()))
        if failure:
            raise failure[0]

    async def _acquire(self) -> None:
        _log.info("attempting to acquire leader lease", extra={"lease": f"{self._namespace}/{self._name}"})
        reported = ""
        while not await self._try():
            if self.leader != reported:
                reported = self.leader
                _log.info("new leader elected", extra={"identity": reported})
            await self._clock.sleep(self._period * (1 + JITTER * self._clock.random.random()))
        _log.info("successfully acquired lease", extra={"lease": f"{self._namespace}/{self._name}"})
        self._event("became leader")

    async def _renew(self) -> None:
        while True:
            await self._clock.sleep(self._period)
            try:
                async with timeout(self._clock, self._deadline):
                    while not await self._try():
                        await self._clock.sleep(self._period)
            except TimeoutError:
                lease = f"{self._namespace}/{self._name}"
                raise LeadershipLost(f"failed to renew lease {lease}: timed out waiting for the condition") from None

    async def _try(self) -> bool:
        """Acquires or renews. False when another holds the lease or the server does not answer."""
        try:
            if self._lease is None or not self.is_leader or not self._valid():
                await self._observe()
            now = rfc3339_micro(self._clock.now())
            if self._lease is None:
                spec = self._spec(now, now, 0)
                meta = meta_v1.ObjectMeta(name=self._name, namespace=self._namespace)
                self._observed(await self._client.create(coordination_v1.Lease(metadata=meta, spec=spec)))
                return True
            spec = self._lease.spec
            if spec.holder_identity and self._valid() and not self.is_leader:
                return False
            if self.is_leader:
                new = self._spec(spec.acquire_time or now, now, spec.lease_transitions or 0)
            else:
                new = self._spec(now, now, (spec.lease_transitions or 0) + 1)
            await self._update(new)
            return True
        except errors.ApiError as error:
            _log.log(
                10 if isinstance(error, errors.Conflict | errors.AlreadyExists) else 30,
                "failed to acquire or renew lease",
                extra={"lease": f"{self._namespace}/{self._name}", "error": str(error)},
            )
            if isinstance(error, errors.Conflict | errors.NotFound):
                self._lease = None if isinstance(error, errors.NotFound) else self._lease
                await self._look()
            return False

    async def _look(self) -> None:
        with suppress(errors.ApiError):
            await self._observe()

    async def _observe(self) -> None:
        try:
            lease = await self._client.get(coordination_v1.Lease, self._name, self._namespace)
        except errors.NotFound:
            self._lease = None
            return
        if self._lease is None or lease.spec != self._lease.spec:
            self._observed(lease)
        else:
            self._lease = lease

    def _observed(self, lease: coordination_v1.Lease) -> None:
        self._lease = lease
        self._observed_at = self._clock.monotonic()

    def _valid(self) -> bool:
        assert self._lease is not None
        return self._observed_at + (self._lease.spec.lease_duration_seconds or 0) > self._clock.monotonic()

    def _spec(self, acquired: str, renewed: str, transitions: int) -> coordination_v1.LeaseSpec:
        return coordination_v1.LeaseSpec(
            holder_identity=self._identity,
            lease_duration_seconds=int(self._duration),
            acquire_time=acquired,
            renew_time=renewed,
            lease_transitions=transitions,
        )

    async def _update(self, spec: coordination_v1.LeaseSpec) -> None:
        assert self._lease is not None
        lease = coordination_v1.Lease(metadata=self._lease.metadata, spec=spec)
        self._observed(await self._client.update(lease))

    async def _release(self) -> None:
        """Gives the lease up so that another need not wait for its end."""
        if not self.is_leader or self._lease is None:
            return
        now = rfc3339_micro(self._clock.now())
        spec = self._spec(now, now, self._lease.spec.lease_transitions or 0)
        spec.holder_identity, spec.lease_duration_seconds = "", 1
        try:
            await self._update(spec)
        except errors.ApiError as error:
            _log.warning("failed to release lock", extra={"lease": self._name, "error": str(error)})

    def _event(self, what: str) -> None:
        if self._recorder is not None and self._lease is not None:
            self._recorder.event(self._lease, "Normal", "LeaderElection", f"{self._identity} {what}")


async def _run(work: Callable[[], Awaitable[None]]) -> None:
    await work()
