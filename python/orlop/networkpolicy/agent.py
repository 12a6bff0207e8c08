"""Watch → wanted table → kernel, for one node.

Where there is no policy nothing else is watched and nothing is in the kernel. With the first one pods and namespaces
are followed too; with the last one the table goes. Nothing is programmed before all of it is known, so a restart opens
nothing and closes nothing: the table that is there holds until then.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from orlop import logging
from orlop.api.types import networking_v1
from orlop.client import Client, Informer
from orlop.clock import Clock, timeout
from orlop.networkpolicy.config import ADMIT_SECONDS, PolicyConfig
from orlop.networkpolicy.metrics import Metrics, process_metrics
from orlop.networkpolicy.table import Table
from orlop.networkpolicy.views import NamespaceView, NodeView, PodView
from orlop.networkpolicy.wanted import Wanted
from orlop.nftables.command import ProgramError, Unsupported
from orlop.nftables.ruleset import Ruleset
from orlop.tasks import first, run_all

RETRY_BASE, RETRY_MAX = 1.0, 30.0
"""Seconds before what the kernel refused is tried again: doubled each time up to the second."""

_log = logging.get("networkpolicy")


class NetworkPolicies:
    """Enforces all NetworkPolicies on the pods of one node."""

    def __init__(
        self,
        client: Client,
        clock: Clock,
        config: PolicyConfig,
        *,
        prefix: Sequence[str] = (),
        metrics: Metrics | None = None,
    ) -> None:
        """`prefix` comes before every program that is run, as `("ip", "netns", "exec", NAME)`."""
        self.config = config
        self._client = client
        self._clock = clock
        self._table = Table(config.table, prefix)
        self.metrics = metrics or process_metrics()
        self._policies: Informer[networking_v1.NetworkPolicy] = Informer(client, networking_v1.NetworkPolicy)
        self._policies.on_change(self._policy)
        self.wanted: Wanted | None = None
        """What is programmed or soon will be; None while there is no policy."""
        self._decided = False
        """Whether it is known if there are policies, and where there are, whether they are programmed."""
        self._noted = self._programmed = 0
        self._wake = asyncio.Event()
        self._moved = asyncio.Event()

    async def run(self) -> None:
        """Works until cancelled; the table stays. Raises Unsupported where this machine cannot enforce policies."""
        try:
            await self._table.check()
        except Unsupported:
            self._decide()  # no pod is to wait for what will not come
            raise
        await run_all(self._policies.run(), self._follow())

    async def admit(self, pod: str, ips: Sequence[str]) -> None:
        """Returns when the traffic of a pod of this node ("namespace/name") with these addresses is held to its
        policies: to be waited for before anything runs in it. After ADMIT_SECONDS it returns in any case, as the
        kernel drops the traffic of pods that are not known to it."""
        namespace, _, name = pod.partition("/")
        try:
            async with timeout(self._clock, ADMIT_SECONDS):
                await self._until(lambda: self._decided)
                await self._until(lambda: self.wanted is None or self.wanted.knows(namespace, name))
                if self.wanted is not None:
                    self.wanted.place(namespace, name, ips)
                    number = self._note()
                    await self._until(lambda: self.wanted is None or self._programmed >= number)
        except TimeoutError:
            _log.warning("a pod starts before its policies are in place, and is cut off until then", extra={"pod": pod})

    async def cleanup(self) -> None:
        """Takes away everything that is programmed here, now or by an earlier life. Raises ProgramError."""
        await self._table.remove()

    async def settled(self) -> None:
        """Returns when everything that is known now is programmed."""
        await self._until(lambda: self._decided)
        number = self._noted
        await self._until(lambda: self.wanted is None or self._programmed >= number)

    # --- following

    async def _follow(self) -> None:
        await self._policies.synced()
        while True:
            if not len(self._policies):
                await self._nothing()
            await first(self._enforce(), self._until(lambda: not len(self._policies)))

    async def _nothing(self) -> None:
        """While there is no policy."""
        self.wanted = None
        self.metrics.policies.set(0)
        await self._insist(self._table.remove)
        self._decide()
        await self._until(lambda: len(self._policies) > 0)
        self._decided = False

    async def _enforce(self) -> None:
        wanted = self.wanted = Wanted(self.config.node_name)
        for policy in self._policies.list():
            self._policy(None, policy)
        pods: Informer[PodView] = Informer(self._client, PodView)
        namespaces: Informer[NamespaceView] = Informer(self._client, NamespaceView)
        node: Informer[NodeView] = Informer(self._client, NodeView, fields=f"metadata.name={self.config.node_name}")

        def pod_changed(old: PodView | None, new: PodView | None) -> None:
            if new is not None:
                wanted.set_pod(new)
            elif old is not None:
                wanted.delete_pod(old.metadata.namespace, old.metadata.name)
            self._note()

        def namespace_changed(old: NamespaceView | None, new: NamespaceView | None) -> None:
            if new is not None:
                wanted.set_namespace(new.metadata.name, new.metadata.labels)
            elif old is not None:
                wanted.delete_namespace(old.metadata.name)
            self._note()

        def node_changed(old: NodeView | None, new: NodeView | None) -> None:
            if new is not None:
                wanted.set_ranges(new.spec.pod_cidrs)
                self._note()

        pods.on_change(pod_changed)
        namespaces.on_change(namespace_changed)
        node.on_change(node_changed)
        informers: list[Informer[Any]] = [pods, namespaces, node]
        await run_all(*(one.run() for one in informers), self._program(wanted, informers))

    def _policy(self, old: networking_v1.NetworkPolicy | None, new: networking_v1.NetworkPolicy | None) -> None:
        if self.wanted is not None:
            if new is not None:
                for wrong in self.wanted.set_policy(new):
                    name = f"{new.metadata.namespace}/{new.metadata.name}"
                    _log.warning("%s", wrong, extra={"object": name})
            elif old is not None:
                self.wanted.delete_policy(old.metadata.namespace, old.metadata.name)
        self._note()

    def _note(self) -> int:
        """Something may have changed. Returns the number that `_programmed` has when it is in the kernel."""
        self._noted += 1
        self._wake.set()
        self._moved.set()
        return self._noted

    # --- programming

    async def _program(self, wanted: Wanted, informers: Sequence[Informer[Any]]) -> None:
        await asyncio.gather(*(one.synced() for one in informers))
        whole, retry = True, RETRY_BASE
        while True:
            number = self._noted
            self._wake.clear()
            try:
                await self._once(wanted, whole)
            except ProgramError as error:
                self.metrics.failures.inc()
                _log.error("cannot program the policies", extra={"error": str(error), "retry_in": retry})
                whole = True
                await self._clock.sleep(retry)
                retry = min(retry * 2, RETRY_MAX)
                continue
            whole, retry = False, RETRY_BASE
            self._programmed = number
            self._decide()
            await self._clock.sleep(self.config.min_sync_period)
            try:
                async with timeout(self._clock, self.config.sync_period):
                    await self._wake.wait()
            except TimeoutError:
                whole = True

    async def _once(self, wanted: Wanted, whole: bool) -> None:
        started = self._clock.monotonic()
        before, after = wanted.drain()
        if whole:
            rules = wanted.rules
            copied = Ruleset(dict(rules.chains), dict(rules.sets), dict(rules.elements))
            changed = await self._table.sync(copied)
        else:
            changed = await self._table.apply(before, after)
        self.metrics.policies.set(len(wanted.policies))
        if changed:
            self.metrics.sync.observe(self._clock.monotonic() - started)

    async def _insist(self, work: Callable[[], Any]) -> None:
        """Until the kernel has taken it."""
        retry = RETRY_BASE
        while True:
            try:
                await work()
                return
            except ProgramError as error:
                _log.error("cannot take the table of policies away", extra={"error": str(error), "retry_in": retry})
                await self._clock.sleep(retry)
                retry = min(retry * 2, RETRY_MAX)

    def _decide(self) -> None:
        self._decided = True
        self._moved.set()

    async def _until(self, holds: Callable[[], bool]) -> None:
        while not holds():
            self._moved.clear()
            await self._moved.wait()
