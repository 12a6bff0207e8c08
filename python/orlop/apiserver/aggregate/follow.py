"""Follows APIServices and the Services behind them: who serves what, and whether it can be reached.

kube-aggregator's remote and local availability controllers, told by the hub; a server that is reached is asked again
now and then, one that is not more often.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

import msgspec

from orlop import logging
from orlop.api import errors, scheme
from orlop.api.types import apiregistration_v1, core_v1, discovery_v1
from orlop.apiserver.aggregate import local
from orlop.apiserver.aggregate.backends import Backend, Backends
from orlop.apiserver.aggregate.remote import DiscoveryFailed, Documents, Remote, describe, discover
from orlop.apiserver.webhooks import services
from orlop.apiserver.webhooks.failures import explain
from orlop.clock import rfc3339, timeout
from orlop.pki.folder import KeyPair
from orlop.store.base import StoreError
from orlop.tasks import run_all

if TYPE_CHECKING:
    from orlop.apiserver.core import Core

APIService = apiregistration_v1.APIService
CHUNK = 1 << 16
"""Bytes of events taken at a time; what they say is looked up, not read."""
CHECK_SECONDS = 5.0
"""How long an extension server may take to say what it serves."""
PASSED_AGAIN = 30.0
"""Seconds until one that was reached is asked again: upstream's resync."""
FAILED_AGAIN = (0.25, 5.0)
"""Seconds until one that was not reached is asked again: the first time, and at most."""
RETRY = 1.0
"""Seconds until a status that the store refused is tried again."""

log = logging.get("apiserver")


class Verdict(msgspec.Struct, frozen=True):
    """The condition Available, as a check found it."""

    status: str
    reason: str
    message: str


PASSED = Verdict("True", "Passed", "all checks passed")


class Aggregator:
    """What a server knows of the others. `remote` is looked up by every request for a group that may be theirs."""

    def __init__(self, core: "Core", pair: Callable[[], KeyPair]) -> None:
        self._core = core
        self.backends = Backends(core.objects, pair)
        self.remote: dict[tuple[str, str], Remote] = core.custom.remote
        self._row = scheme.of(APIService)
        self._due: dict[str, float] = {}
        """When each remote APIService is looked at again, by the monotonic clock."""
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()
        self._changed = True

    async def load(self) -> None:
        """Registers what is served here and takes over what is registered: before the first request is answered."""
        await self._settle()

    async def run(self) -> None:
        """Follows until cancelled."""
        kinds = (core_v1.Service, discovery_v1.EndpointSlice)
        await run_all(
            self._follow(self._row.resource, self._note_services),
            *(self._follow(scheme.of(kind).resource, self._note_endpoints) for kind in kinds),
            self._work(),
        )

    async def close(self) -> None:
        """Ends the connections."""
        await self.backends.close()

    def look_again(self, name: str) -> None:
        """An extension server did not answer: it is checked at once."""
        self._due[name] = 0.0
        self._wake.set()

    def changed(self) -> None:
        """What this server itself serves has changed."""
        self._changed = True
        self._wake.set()

    # --- what is there ----------------------------------------------------------------------------

    def _list(self) -> dict[str, APIService]:
        core = self._core
        found = core.hub.list(self._row.resource, None, "", "", 0, None).items
        return {one.metadata.name: one for one in (core.objects.decode(self._row, value) for value in found)}

    async def _follow(self, resource: str, note: Callable[[], None]) -> None:
        core = self._core
        while True:
            watcher = core.hub.watch(resource, None, "", "", None, True, False, False)
            try:
                while watcher.state == "live":
                    if watcher.take(CHUNK):
                        note()
                    else:
                        await core.waker.wait(watcher.id)
            finally:
                watcher.close()
                core.waker.forget(watcher.id)

    def _note_services(self) -> None:
        self.changed()

    def _note_endpoints(self) -> None:
        if self.remote:
            for remote in self.remote.values():
                self._due[remote.name] = 0.0
            self._wake.set()

    def _take(self, service: APIService) -> None:
        spec = service.spec
        key = (spec.group, spec.version)
        backend = Backend.of(spec)
        before = self.remote.get(key)
        if backend is None:
            if before is not None:
                self._drop(key)
            return
        made = Remote(
            service.metadata.name,
            spec.group,
            spec.version,
            backend,
            spec.group_priority_minimum,
            spec.version_priority,
            available=_available(service),
        )
        if before is None or before._replace(available=made.available, documents=Documents()) != made:
            kept = Documents() if before is None or before.backend != backend else before.documents
            self._put(made._replace(documents=kept))
            self._due[made.name] = 0.0
            self._failures.pop(made.name, None)

    def _put(self, remote: Remote) -> None:
        key = (remote.group, remote.version)
        before = self.remote.get(key)
        if before != remote:
            self.remote[key] = remote
            self._core.custom.memo.clear()

    def _drop(self, key: tuple[str, str]) -> None:
        gone = self.remote.pop(key, None)
        if gone is not None:
            self._due.pop(gone.name, None)
            self._core.custom.memo.clear()

    # --- what is to be done -----------------------------------------------------------------------

    async def _work(self) -> None:
        core = self._core
        while True:
            try:
                if self._changed:
                    self._changed = False
                    await self._settle()
                await asyncio.gather(*(self._check(name) for name in self._now_due()))
            except (errors.ApiError, StoreError) as error:
                log.warning("an APIService could not be settled, will try again: %s", error)
                self._changed = True
                await core.clock.sleep(RETRY)
            if not self._changed and not self._now_due():
                await self._rest()

    def _now_due(self) -> list[str]:
        now = self._core.clock.monotonic()
        return [name for name, at in self._due.items() if at <= now]

    async def _rest(self) -> None:
        """Until something changes or the next check is due."""
        self._wake.clear()
        clock = self._core.clock
        seconds = max(0.0, min(self._due.values()) - clock.monotonic()) if self._due else None
        with suppress(TimeoutError):
            async with timeout(clock, seconds):
                await self._wake.wait()

    async def _settle(self) -> None:
        """Registers what is served here; takes over what is registered of others."""
        there = self._list()
        await local.register(self._core, there)
        for service in there.values():
            self._take(service)
            if service.spec.service is None and not _available(service, "Local"):
                await self._say(service.metadata.name, None)
        named = {(s.spec.group, s.spec.version) for s in there.values() if s.spec.service is not None}
        for key in [key for key in self.remote if key not in named]:
            self._drop(key)

    async def _check(self, name: str) -> None:
        """Looks at one; notes what it says of itself, and whether it was there."""
        remote = next((r for r in self.remote.values() if r.name == name), None)
        if remote is None:
            self._due.pop(name, None)
            return
        self._due[name] = self._core.clock.monotonic() + PASSED_AGAIN
        documents, verdict = remote.documents, self._reachable(remote)
        if verdict is None:
            documents, verdict = await self._asked(remote)
        if verdict is PASSED:
            self._failures.pop(name, None)
        else:
            failures = self._failures.get(name, 0)
            self._failures[name] = failures + 1
            first, most = FAILED_AGAIN
            wait = min(most, first * 2.0 ** min(failures, 10))
            self._due[name] = self._core.clock.monotonic() + wait
        key = (remote.group, remote.version)
        now = self.remote.get(key)
        if now is None or now.backend != remote.backend:
            return  # it is another meanwhile, and due
        self._put(now._replace(available=verdict.status == "True", documents=documents))
        await self._say(name, verdict)

    def _reachable(self, remote: Remote) -> Verdict | None:
        """What is wrong with its Service; None if nothing is."""
        objects, at = self._core.objects, remote.backend
        where = f'service/{at.name} in "{at.namespace}"'
        try:
            service, port = services.service_port(objects, at.namespace, at.name, at.port)
        except errors.NotFound:
            return Verdict("False", "ServiceNotFound", f"{where} is not present")
        except errors.ServiceUnavailable:
            return Verdict("False", "ServicePortError", f"{where} is not listening on port {at.port}")
        if service.spec.type == "ExternalName":
            return None
        if not services.has_slices(objects, at.namespace, at.name):
            return Verdict("False", "EndpointsNotFound", f"cannot find endpointslices for {where}")
        if not services.addresses(objects, at.namespace, at.name, port):
            words = f'endpointslices for {where} have no addresses with port name "{port.name}"'
            return Verdict("False", "MissingEndpoints", words)
        return None

    async def _asked(self, remote: Remote) -> tuple[Documents, Verdict]:
        import aiohttp

        backends, at = self.backends, remote.backend
        host, number = backends.resolve(at)
        netloc = f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
        url = f"https://{netloc}/apis/{remote.group}/{remote.version}"
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                resources = await discover(backends, at, remote.group, remote.version)
                documents = Documents(resources, *await describe(backends, at, remote.group, remote.version))
        except TimeoutError:
            words = f'Get "{url}": context deadline exceeded'
        except (aiohttp.ClientError, OSError) as error:
            words = f'Get "{url}": {explain(error)}'
        except DiscoveryFailed as error:
            words = str(error).replace(f"/apis/{remote.group}/{remote.version}", url, 1)
        except (msgspec.MsgspecError, AttributeError, TypeError, KeyError, ValueError) as error:
            words = f"what it says of itself cannot be read: {error}"
        else:
            return documents, PASSED
        verdict = Verdict("False", "FailedDiscoveryCheck", f"failing or missing response from {url}: {words}")
        return remote.documents, verdict

    async def _say(self, name: str, verdict: Verdict | None) -> None:
        """Writes the condition where it is another; None: it is served here."""
        core = self._core
        now = rfc3339(core.clock.now())

        async def change(old: APIService) -> APIService:
            new: APIService = core.objects.get(self._row, "", name) or old
            if verdict is None:
                made = local.local_condition(now)
            else:
                made = apiregistration_v1.APIServiceCondition(
                    type="Available",
                    status=verdict.status,
                    reason=verdict.reason,
                    message=verdict.message,
                    last_transition_time=now,
                )
            before = next((c for c in new.status.conditions if c.type == "Available"), None)
            if before is not None and before.status == made.status:
                made.last_transition_time = before.last_transition_time
            new.status.conditions = [*(c for c in new.status.conditions if c.type != "Available"), made]
            return new

        try:
            strategy = core.strategies[self._row.type_key]
            await core.objects.update(strategy, "", name, change, by=local.BY, subresource="status")
        except errors.NotFound:
            return


def _available(service: APIService, reason: str = "") -> bool:
    return any(
        c.type == "Available" and c.status == "True" and (not reason or c.reason == reason)
        for c in service.status.conditions
    )
