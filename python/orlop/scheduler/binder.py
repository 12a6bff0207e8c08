"""What follows a decision: pods get to their nodes, in bulk where the server takes that, and what fails is undone."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from orlop import logging
from orlop.api import errors
from orlop.client import Client, Unreachable, bulk
from orlop.clock import Clock
from orlop.native import SchedulerCore
from orlop.scheduler import metrics
from orlop.scheduler.config import Profile
from orlop.scheduler.cycle import Outcome
from orlop.scheduler.devices import DYNAMIC, AllocationFailed, DeviceBinder, DevicePlan
from orlop.scheduler.events import ClusterEvent
from orlop.scheduler.extenders import Extender, ExtenderError
from orlop.scheduler.plugins import POINTS, Loaded, PluginFailed, PluginRefused, Pod
from orlop.scheduler.podvolumes import BINDING, PodVolumes
from orlop.scheduler.queue import Item, SchedulingQueue
from orlop.scheduler.report import Reporter
from orlop.scheduler.volumebinding import BIND_TIMEOUT, BindingFailed, Plan, VolumeBinder
from orlop.tasks import Group

MAX_SINGLE = 128
"""Bindings in flight at a time, each a request. Beyond it pods wait in the queue, where priorities still count."""
MAX_BULK = 1024
"""The same where one request takes many."""

_log = logging.get("scheduler")


class Parts(NamedTuple):
    """What a binder works with."""

    client: Client
    clock: Clock
    core: SchedulerCore
    queue: SchedulingQueue
    reporter: Reporter
    volumes: VolumeBinder
    devices: DeviceBinder
    profiles: Mapping[str, Profile]
    plugins: Mapping[str, Loaded]
    extenders: Sequence[Extender]


class Binder:
    """Binds pods as the core or others decided, many at a time."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._bulk = False
        self._count = 0
        self._plain = Group(_task_failed)
        self.held = Group(_task_failed)
        """Pods whose volumes are being bound, or that plug-ins hold. How long that takes is up to others: no room of
        the plain bindings is theirs."""
        self._freed = asyncio.Event()

    def __len__(self) -> int:
        return self._count + len(self.held)

    @property
    def tasks(self) -> int:
        """Bindings under way, those that share a request counted once."""
        return len(self._plain) + len(self.held)

    @property
    def groups(self) -> tuple[Group, Group]:
        """To be entered while it works."""
        return self._plain, self.held

    async def look(self) -> None:
        """Asks the server whether it takes bindings in bulk."""
        try:
            self._bulk = await bulk.offered(self._parts.client)
        except (errors.ApiError, Unreachable) as error:
            _log.info("binds one by one", extra={"error": str(error)})

    async def room(self) -> int:
        """How many pods may be bound beside those that are; waits until there is one."""
        while (left := (MAX_BULK if self._bulk else MAX_SINGLE) - self._count) <= 0:
            self._freed.clear()
            await self._freed.wait()
        return left

    def bind(self, placed: Sequence[tuple[Item, Outcome]]) -> None:
        """Binds pods to the nodes that were found for them."""
        plain: list[tuple[Item, str]] = []
        for item, outcome in placed:
            assert outcome.node is not None
            if outcome.plan is not None or outcome.devices is not None or outcome.pod is not None:
                self.held.start("bind", self._bind_held(item, outcome, outcome.node))
            else:
                plain.append((item, outcome.node))
        size = bulk.MAX_BINDINGS if self._bulk else 1
        for at in range(0, len(plain), size):
            part = plain[at : at + size]
            self._count += len(part)
            self._plain.start("bind", self._bind_part(part))

    def forget(self, item: Item, outcome: Outcome) -> None:
        """What was promised to the pod is free again."""
        self.release(item, outcome)
        if outcome.node is not None:
            self._free(item)

    def release(self, item: Item, outcome: Outcome) -> None:
        """The same, but for its place on the node."""
        if outcome.plan is not None:
            self._parts.volumes.release(item.key, outcome.plan)
        if outcome.devices is not None:
            self._parts.devices.release(outcome.devices)

    def fail(self, item: Item, message: str) -> None:
        """Something went wrong that is not about the nodes: the pod backs off and is told."""
        parts = self._parts
        if parts.queue.get(item.key) is not item:
            return
        metrics.attempted("error", item.scheduler_name, parts.clock.monotonic() - item.tried)
        parts.queue.fail(item)
        _log.error("error scheduling pod; retrying", extra={"pod": "/".join(item.key), "error": message})
        parts.reporter.failed(item, "SchedulerError", message)

    # --- plain ones

    async def _bind_part(self, part: Sequence[tuple[Item, str]]) -> None:
        try:
            if len(part) == 1:
                await self._bind(*part[0])
                return
            try:
                asked = [bulk.Assignment(item.namespace, item.name, item.uid, node) for item, node in part]
                answers = await bulk.bind(self._parts.client, asked)
            except errors.NotFound:
                self._bulk = False  # another server is there now
                for item, node in part:
                    await self._bind(item, node)
                return
            except errors.ApiError as error:
                answers = [error] * len(part)
            for (item, node), refused in zip(part, answers, strict=True):
                if refused is None:
                    self._bound(item, node)
                else:
                    self._unbound(item, refused)
        finally:
            self._count -= len(part)
            self._freed.set()

    async def _bind(self, item: Item, node: str, pod: Pod | None = None) -> bool:
        """Whether it is bound."""
        extenders = self._parts.extenders
        binder = next((e for e in extenders if e.settings.bind_verb and pod and e.interested(pod.object)), None)
        try:
            if binder is not None:
                await binder.bind(item.namespace, item.name, item.uid, node)
            else:
                await self._parts.client.bind(item.namespace, item.name, node, uid=item.uid)
        except (errors.ApiError, ExtenderError) as error:
            self._unbound(item, error)
            return False
        self._bound(item, node)
        return True

    def _bound(self, item: Item, node: str) -> None:
        self._parts.queue.done(item)
        self._parts.reporter.scheduled(item, node)
        now = self._parts.clock.monotonic()
        metrics.attempted("scheduled", item.scheduler_name, now - item.tried)
        metrics.scheduled(now - item.created, item.attempts)

    def _unbound(self, item: Item, error: Exception) -> None:
        parts = self._parts
        self._free(item)
        if parts.queue.get(item.key) is not item:
            return  # gone, or bound by somebody else, as the API has told meanwhile
        if isinstance(error, errors.NotFound):
            metrics.attempted("error", item.scheduler_name, parts.clock.monotonic() - item.tried)
            parts.queue.fail(item)
        else:
            told = str(error) if isinstance(error, ExtenderError) else f'running Bind plugin "DefaultBinder": {error}'
            self.fail(item, told)

    def _free(self, item: Item) -> None:
        if freed := self._parts.core.forget(item.namespace, item.name, item.uid):
            self._parts.queue.happened(ClusterEvent.ASSIGNED_POD_FREED, node=freed)

    # --- those in which others have a say

    async def _bind_held(self, item: Item, outcome: Outcome, node: str) -> None:
        """Reserve, Permit and PreBind of those that have a say, then the binding. What is reserved is given back, the
        last one first, where the pod does not get to the node."""
        parts = self._parts
        profile, pod = parts.profiles[item.scheduler_name], outcome.pod
        reserved: list[Loaded] = []
        bound = False
        try:
            await self._run_plugins(profile, "reserve", pod, node, reserved)
            started = parts.clock.monotonic()
            await self._run_plugins(profile, "permit", pod, node)
            if any(name in parts.plugins for name in profile.points["permit"]):
                metrics.waited("allowed", parts.clock.monotonic() - started)
            if outcome.volumes is not None and outcome.plan is not None:
                await self._bind_volumes(item, profile, outcome.volumes, outcome.plan)
            if outcome.devices is not None:
                await self._bind_devices(profile, outcome.devices)
            await self._run_plugins(profile, "pre_bind", pod, node)
            bound = await self._bind(item, node, pod)
        except PluginRefused as refusal:
            self._refuse_late(item, outcome, refusal)
        except (PluginFailed, BindingFailed, errors.ApiError) as error:
            self.forget(item, outcome)
            self.fail(item, str(error))
        finally:
            if not bound:
                for loaded in reversed(reserved):
                    loaded.unreserve(pod, node)
                self.release(item, outcome)
                if outcome.devices is not None:
                    await parts.devices.unreserve(outcome.devices)
        if bound and pod is not None:
            await self._after_binding(profile, pod, node)

    async def _run_plugins(
        self, profile: Profile, method: str, pod: Pod | None, node: str, reserved: list[Loaded] | None = None
    ) -> None:
        """Raises PluginRefused and PluginFailed."""
        plugins, clock = self._parts.plugins, self._parts.clock
        found = [plugins[name] for name in profile.points[POINTS[method]] if name in plugins]
        if pod is None or not found:
            return
        told = POINTS[method][0].upper() + POINTS[method][1:]
        with metrics.point(clock, told, profile.name):
            for loaded in found:
                if reserved is not None:
                    reserved.append(loaded)
                with metrics.plugin(clock, loaded.name, told, profile.name):
                    await loaded.run(method, pod, node)

    async def _bind_volumes(self, item: Item, profile: Profile, volumes: PodVolumes, plan: Plan) -> None:
        """Raises BindingFailed with the words of upstream's PreBind, and ApiError."""
        parts = self._parts
        args = profile.args.get(BINDING)
        limit = getattr(args, "bind_timeout_seconds", None) or BIND_TIMEOUT
        try:
            with metrics.plugin(parts.clock, BINDING, "PreBind", profile.name):
                await parts.volumes.bind(volumes, plan, lambda: parts.queue.get(item.key) is item, limit)
        except (BindingFailed, errors.ApiError) as error:
            raise BindingFailed(f'running PreBind plugin "{BINDING}": binding volumes: {error}') from error

    async def _bind_devices(self, profile: Profile, plan: DevicePlan) -> None:
        """Raises BindingFailed with the words of upstream's PreBind."""
        try:
            with metrics.plugin(self._parts.clock, DYNAMIC, "PreBind", profile.name):
                await self._parts.devices.bind(plan)
        except (AllocationFailed, errors.ApiError) as error:
            raise BindingFailed(f'running PreBind plugin "{DYNAMIC}": {error}') from error

    def _refuse_late(self, item: Item, outcome: Outcome, refusal: PluginRefused) -> None:
        parts = self._parts
        self.forget(item, outcome)
        if parts.queue.get(item.key) is not item:
            return
        metrics.attempted("unschedulable", item.scheduler_name, parts.clock.monotonic() - item.tried)
        message = f"0/{parts.core.stats()[0]} nodes are available: {refusal}."
        parts.reporter.failed(item, "Unschedulable", message)
        parts.queue.refuse(item, [refusal.plugin])

    async def _after_binding(self, profile: Profile, pod: Pod, node: str) -> None:
        """The pod is bound: what goes wrong now is only logged."""
        try:
            await self._run_plugins(profile, "post_bind", pod, node)
        except (PluginRefused, PluginFailed) as error:
            _log.error("error after binding", extra={"pod": f"{pod.namespace}/{pod.name}", "error": str(error)})


def _task_failed(name: str, error: BaseException) -> None:
    _log.error("task failed", extra={"task": name}, exc_info=error)
