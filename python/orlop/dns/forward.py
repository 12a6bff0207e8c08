"""Questions about everything but the cluster: to the node's own resolvers, their answers kept as long as they hold.

A question that several clients ask at once is asked once. An answer that comes back to us as a question (the resolver
asks us) therefore waits for itself instead of circling; the resolver is then known for what it is and no longer asked.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from orlop import logging
from orlop.clock import Clock
from orlop.dns import names, wire
from orlop.dns.metrics import Metrics
from orlop.dns.upstream import Failed, Server, ask
from orlop.dns.wire import Query, Record

if TYPE_CHECKING:
    import dns.message
    import dns.rrset

TRY_SECONDS = (1.0, 1.5, 2.0)
"""How long each try waits. Together less than the 5 s after which a client's C library asks again."""
CACHE = 10_000
"""Answers kept; the one not asked for longest goes first (CoreDNS keeps 9,984)."""
MAX_TTL = 3600
"""Seconds an answer is kept at most (CoreDNS's)."""
MAX_NEGATIVE_TTL = 1800
"""Seconds that a name is not asked for again (CoreDNS's)."""
FAILURE_TTL = 1
"""Seconds that a failure is remembered (RFC 9520, 3.2: at least 1)."""
MAX_AT_ONCE = 1000
"""Different questions under way (CoreDNS's max_concurrent is unlimited; each holds a socket here)."""
UNHEALTHY_SECONDS = 5.0
"""How long a resolver that gave no answer is asked last."""

_log = logging.get("dns")


class Outcome(NamedTuple):
    """What is known of a question."""

    rcode: int
    flags: int
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]
    additional: tuple[Record, ...]
    made: float
    expires: float
    """Seconds of the monotonic clock."""

    def section(self, records: tuple[Record, ...], now: float) -> list[Record]:
        """Records with what is left of their time."""
        age = int(now - self.made)
        return [record._replace(ttl=max(0, record.ttl - age)) for record in records] if age > 0 else list(records)


Key = tuple[bytes, int, int]


class Forwarder:
    """`servers` tells, whenever there is something to ask, whom to ask about that name."""

    def __init__(self, servers: Callable[[bytes], Awaitable[Sequence[Server]]], clock: Clock, metrics: Metrics) -> None:
        self._servers = servers
        self._clock = clock
        self._metrics = metrics
        self._kept: OrderedDict[Key, Outcome] = OrderedDict()
        self._asking: dict[Key, asyncio.Task[Outcome]] = {}
        self._failed_at: dict[Server, float] = {}
        self._probes: dict[bytes, Server] = {}
        self._proven: set[Server] = set()
        self._looping: set[Server] = set()

    def now(self) -> float:
        """Seconds of the monotonic clock, as outcomes have them."""
        return self._clock.monotonic()

    def known(self, query: Query, name: bytes) -> Outcome | None:
        """The answer, if one is kept that holds."""
        key = _key(query, name)
        kept = self._kept.get(key)
        if kept is None:
            return None
        if kept.expires <= self._clock.monotonic():
            del self._kept[key]
            return None
        self._kept.move_to_end(key)
        self._metrics.cache_hits.inc()
        return kept

    async def ask(self, query: Query, name: bytes) -> Outcome:
        """The answer to `query`'s type at `name`. A failure is an outcome too."""
        if (server := self._probes.get(name)) is not None:
            self._found_loop(server)
            return self._refusal()
        kept = self.known(query, name)
        if kept is not None:
            return kept
        self._metrics.cache_misses.inc()
        key = _key(query, name)
        task = self._asking.get(key)
        if task is None:
            if len(self._asking) >= MAX_AT_ONCE:
                self._metrics.refused.inc()
                return self._refusal()
            task = self._asking[key] = asyncio.ensure_future(self._outcome(query, name, key))
            task.add_done_callback(lambda _: self._asking.pop(key, None))
        # Who stops waiting does not stop it for the others.
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Ends what is under way."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _outcome(self, query: Query, name: bytes, key: Key) -> Outcome:
        outcome = await self._exchange(query, name)
        if outcome.expires > outcome.made:
            self._kept[key] = outcome
            while len(self._kept) > CACHE:
                self._kept.popitem(last=False)
                self._metrics.cache_evictions.inc()
        return outcome

    async def _exchange(self, query: Query, name: bytes) -> Outcome:
        question = name + query.question[-4:]
        flags = query.flags & (wire.RD | wire.CD | wire.AD)
        unwilling: Outcome | None = None
        asked = False
        for seconds, server in zip(TRY_SECONDS, await self._in_order(name), strict=False):
            asked = True
            began = self._clock.monotonic()
            try:
                message = await ask(server, question, flags, query.dnssec, self._clock, seconds)
            except Failed as failed:
                self._failed_at[server] = self._clock.monotonic()
                self._metrics.forward(server, "timeout", self._clock.monotonic() - began)
                _log.warning("no answer to %s: %s", names.text(name), failed)
                continue
            import dns.rcode  # its package is loaded: it has read the message

            rcode = message.rcode()
            self._metrics.forward(server, dns.rcode.to_text(rcode), self._clock.monotonic() - began)
            outcome = self._read(message)
            if rcode in (wire.NOERROR, wire.NXDOMAIN):
                self._failed_at.pop(server, None)
                return outcome
            unwilling = unwilling or outcome
        return unwilling or (self._failure() if asked else self._refusal())

    async def _in_order(self, name: bytes) -> list[Server]:
        """Whom to ask, one for each try: those that answered last before those that did not."""
        known = await self._servers(name)
        for server in known:
            if server not in self._proven:
                await self._prove(server)
        now = self._clock.monotonic()
        servers = [server for server in known if server not in self._looping]
        servers.sort(key=lambda server: now - self._failed_at.get(server, -UNHEALTHY_SECONDS * 2) < UNHEALTHY_SECONDS)
        return servers * -(-len(TRY_SECONDS) // len(servers)) if servers else []

    # --- resolvers that ask us

    async def _prove(self, server: Server) -> None:
        """Asks a resolver of this machine a name that only it and we know: if we are asked for it, it forwards to us.

        Resolvers elsewhere are not asked: they know nothing of the address at which we listen.
        """
        self._proven.add(server)
        if not _on_this_machine(server):
            return
        probe = names.wire(f"{self._clock.token(8).hex()}.{self._clock.token(8).hex()}")
        self._probes[probe] = server
        question = probe + wire.HINFO.to_bytes(2, "big") + wire.IN.to_bytes(2, "big")
        try:
            await ask(server, question, wire.RD, False, self._clock, TRY_SECONDS[0])
        except Failed as failed:
            _log.warning("cannot find out whether the resolver asks us: %s", failed)
        finally:
            del self._probes[probe]

    def _found_loop(self, server: Server) -> None:
        if server not in self._looping:
            self._looping.add(server)
            _log.error("the resolver %s asks us what we ask it: it is no longer asked; name another", server)

    # --- outcomes

    def _refusal(self) -> Outcome:
        now = self._clock.monotonic()
        return Outcome(wire.REFUSED, 0, (), (), (), now, now)

    def _failure(self) -> Outcome:
        now = self._clock.monotonic()
        return Outcome(wire.SERVFAIL, 0, (), (), (), now, now + FAILURE_TTL)

    def _read(self, message: "dns.message.Message") -> Outcome:
        now = self._clock.monotonic()
        answer, authority, additional = map(_records, (message.answer, message.authority, message.additional))
        rcode = int(message.rcode())
        expires = now + lifetime(rcode, answer, authority)
        return Outcome(rcode, int(message.flags) & wire.AD, answer, authority, additional, now, expires)


def lifetime(rcode: int, answer: Sequence[Record], authority: Sequence[Record]) -> int:
    """Seconds for which an answer holds: its shortest TTL; of one that says there is nothing, what the SOA record
    allows (RFC 2308, 5); nothing for an answer that says neither."""
    if rcode not in (wire.NOERROR, wire.NXDOMAIN):
        return FAILURE_TTL
    if answer and (rcode == wire.NOERROR and any(record.type != wire.CNAME for record in answer)):
        return min(MAX_TTL, *(record.ttl for record in answer))
    for record in authority:
        if record.type == wire.SOA:
            minimum = int.from_bytes(record.data[-4:], "big")
            return min(MAX_NEGATIVE_TTL, minimum, record.ttl, *(r.ttl for r in answer))
    return 0


def _records(section: Sequence["dns.rrset.RRset"]) -> tuple[Record, ...]:
    return tuple(
        Record(rrset.name.to_wire() or names.ROOT, int(rrset.rdtype), int(rrset.ttl), rdata.to_wire() or b"")
        for rrset in section
        for rdata in rrset
    )


def _key(query: Query, name: bytes) -> Key:
    return name, query.type, (query.flags & (wire.CD | wire.AD | wire.RD)) | (wire.DO if query.dnssec else 0)


def _on_this_machine(server: Server) -> bool:
    """Whether the address is one of ours: binding to it tells, and sends nothing."""
    import socket

    family = socket.AF_INET6 if ":" in server.address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((server.address, 0))
        except OSError:
            return False
        return True
