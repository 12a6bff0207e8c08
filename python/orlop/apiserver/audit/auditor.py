"""The audit of a server: its policy, and where events go."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orlop.api.types import authentication_v1
from orlop.apiserver.audit import metrics
from orlop.apiserver.audit.event import Event
from orlop.apiserver.audit.logfile import LogFile
from orlop.apiserver.audit.policy import Policy, load
from orlop.apiserver.audit.record import Record, lasts, new_event
from orlop.apiserver.audit.settings import AuditSettings, BatchSettings, TruncateSettings
from orlop.apiserver.audit.sinks import Backend, Batch, Blocking, Form, Sink, Start
from orlop.apiserver.audit.webhook import Webhook
from orlop.clock import Clock

if TYPE_CHECKING:
    from orlop.apiserver.auth import User
    from orlop.apiserver.request import Request


class Auditor:
    """Records requests. One a server; `close` writes what is left."""

    def __init__(self, policy: Policy, clock: Clock, sinks: Sequence[Sink]) -> None:
        self.clock = clock
        self._policy = policy
        self._sinks = sinks

    @classmethod
    async def open(cls, settings: AuditSettings, clock: Clock, start: Start) -> "Auditor":
        """Reads the policy and opens what events go to. `start` starts a task of the server's own.

        Raises AuditError.
        """
        sinks: list[Sink] = []
        policy = await asyncio.to_thread(load, settings.policy_file)
        if (log := settings.log) is not None:
            log.check()
            file = await asyncio.to_thread(LogFile, log, clock)
            sinks.append(_sink(file, Form(log.format, log.truncate), log.batch, log.truncate, clock, start))
        if (webhook := settings.webhook) is not None:
            webhook.check()
            server = await asyncio.to_thread(Webhook, webhook, clock)
            form = Form("json", webhook.truncate)
            sinks.append(_sink(server, form, webhook.batch, webhook.truncate, clock, start))
        return cls(policy, clock, sinks)

    def begin(self, request: "Request", user: "User | None") -> Record | None:
        """The record of a request that has come in from `user` (None: it is not known from whom); None where none is
        wanted."""
        rule = self._policy.of(user, request.info)
        metrics.LEVELS.labels("None" if rule is None else rule.level).inc()
        if rule is None:
            return None
        shown = authentication_v1.UserInfo() if user is None else user.info()
        event = new_event(request, rule.level, shown, self.clock.now())
        omitted = frozenset((*self._policy.omit_stages, *rule.omit_stages))
        managed = not self._policy.omits_managed_fields(rule)
        known = user is not None
        record = Record(self, event, omitted, managed_fields=managed, lasts=lasts(request.info), known=known)
        if known:
            record.received()
            request.send = record.watching(request.send)
        return record

    def take(self, event: Event) -> None:
        """Takes an event as it is now."""
        for sink in self._sinks:
            sink.take(event)

    async def settled(self) -> bool:
        """Waits until what was taken is written, where requests wait for that; False where they are to fail."""
        written = True
        for sink in self._sinks:
            written = await sink.settled() and written
        return written

    async def close(self) -> None:
        """Writes what is left and ends what is open."""
        await asyncio.gather(*(sink.close() for sink in self._sinks))


def _sink(
    backend: Backend, form: Form, batch: BatchSettings, truncate: TruncateSettings, clock: Clock, start: Start
) -> Sink:
    if batch.mode == "batch":
        return Batch(backend, form, start, clock, batch, truncate.max_batch_size if truncate.enabled else 0)
    return Blocking(backend, form, start, strict=batch.mode == "blocking-strict")
