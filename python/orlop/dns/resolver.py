"""Questions to answers: from the zone, from answers kept as bytes, from other resolvers.

What is asked again is answered from `Replies` without looking at more than its bytes. An answer rests on names of the
zone, and goes when one of them changes, within the same delivery.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from orlop.dns import names, records, wire
from orlop.dns.config import Pods
from orlop.dns.forward import Forwarder, Outcome
from orlop.dns.metrics import Answered, Kind, Metrics, rcode_name, type_name
from orlop.dns.wire import Query, Record
from orlop.dns.zone import Found, Zone

MAX_REPLIES = 20_000
"""Answers kept as bytes, some hundred bytes each. The oldest goes first."""
MAX_TURNS = 8
"""Orders of the addresses in an answer, taken in turns, so that clients who take the first spread over all."""
MAX_CHAIN = 8
"""CNAME records followed."""
SEARCHED = (wire.A, wire.AAAA)
"""Types of questions that come of a search path."""
UNTAKEN = frozenset((wire.ANY, wire.AXFR, wire.IXFR, wire.MAILA, wire.MAILB))
"""Types that are refused: ANY only serves those who flood others with answers (RFC 8482), zones are not given away."""
PREFIXES = tuple(names.wire(suffix) for suffix in ("in-addr.arpa", "ip6.arpa"))


class Reply:
    """An answer as bytes, without its ID, in several orders."""

    __slots__ = ("bodies", "count", "depends", "kind", "settled")

    def __init__(self, bodies: tuple[bytes, ...], kind: Kind, depends: tuple[bytes, ...]) -> None:
        self.bodies = bodies
        self.kind = kind
        self.depends = depends
        self.count = 0
        """How often it was given."""
        self.settled = 0
        """How much of that the metrics know."""


class Replies:
    """The answers of one socket, by question. `at` is read directly by whoever receives datagrams."""

    def __init__(self, answered: Answered) -> None:
        # Ordered: a plain dict that loses its first key again and again walks over all it has lost to find the next.
        self.at: OrderedDict[bytes, Reply] = OrderedDict()
        self._resting: dict[bytes, set[bytes]] = {}
        self._answered = answered

    def put(self, key: bytes, reply: Reply) -> None:
        if key in self.at:
            self._forget(key)
        elif len(self.at) >= MAX_REPLIES:
            self._forget(next(iter(self.at)))
        self.at[key] = reply
        for name in reply.depends:
            self._resting.setdefault(name, set()).add(key)

    def changed(self, changed: Iterable[bytes]) -> None:
        """Drops what rests on these names."""
        for name in changed:
            for key in tuple(self._resting.get(name, ())):
                self._forget(key)

    def settle(self) -> None:
        """Tells the metrics."""
        for reply in self.at.values():
            self._settle(reply)

    def _settle(self, reply: Reply) -> None:
        if reply.count != reply.settled:
            self._answered.add(reply.kind, reply.count - reply.settled)
            reply.settled = reply.count

    def _forget(self, key: bytes) -> None:
        reply = self.at.pop(key)
        self._settle(reply)
        for name in reply.depends:
            resting = self._resting[name]
            resting.discard(key)
            if not resting:
                del self._resting[name]


class Answer(NamedTuple):
    """What the zone knows of a question. With `outside`, the rest is to be asked of others, about that name."""

    rcode: int
    answer: Sequence[Record]
    authority: Sequence[Record]
    additional: Sequence[Record]
    depends: tuple[bytes, ...]
    outside: bytes | None = None
    searched: bool = False
    """Whether it is about another name of the client's search path than the one asked."""


class Resolver:
    """One server's knowledge."""

    def __init__(
        self,
        zone: Zone,
        forwarder: Forwarder,
        metrics: Metrics,
        *,
        ttl: int,
        pods: Pods = "insecure",
        ranges: Sequence[IPv4Network | IPv6Network] = (),
        autopath: bool = False,
    ) -> None:
        """`ranges`: the cluster's own. Of an address in them that is not known nobody else is asked. `autopath`: what
        is not there at the first name of a pod's search path is looked for at the others at once."""
        self._autopath = autopath
        self._services = names.label("svc") + zone.origin
        self.zone = zone
        self.forwarder = forwarder
        self.metrics = metrics
        self._ttl = ttl
        self._pods = pods
        self._ranges = ranges
        self._pod_origin = names.label("pod") + zone.origin
        self._zone_name = names.text(zone.origin)

    # --- from the zone

    def local(self, query: Query) -> Answer:
        """What the zone knows. `outside` is the name itself where it knows nothing."""
        if query.class_ != wire.IN or query.type in UNTAKEN:
            return Answer(wire.REFUSED, (), (), (), (query.name,))
        name = query.name
        answer: list[Record] = []
        depends: list[bytes] = []
        for _ in range(MAX_CHAIN):
            found = self._find(name)
            depends += (name, *found.depends)
            if found.what == "elsewhere":
                return Answer(wire.NOERROR, answer, (), (), tuple(depends), outside=name)
            if found.what == "nothing":
                if self._autopath and not answer and query.type in SEARCHED:
                    return self._searched(query) or Answer(
                        wire.NXDOMAIN, (), self._authority(name), (), (*depends, *self._path(name))
                    )
                return Answer(wire.NXDOMAIN, answer, self._authority(name), (), tuple(depends))
            data = found.records.get(query.type)
            if data is None and wire.CNAME in found.records:
                target = found.records[wire.CNAME][0]
                answer.append(Record(name, wire.CNAME, self._ttl, target))
                name = target.lower()
                continue
            if data is None:
                return Answer(wire.NOERROR, answer, self._authority(name), (), tuple(depends))
            answer += (Record(name, query.type, self._ttl, one) for one in data)
            additional = self._additional(query.type, data)
            depends += (record.name for record in additional)
            return Answer(wire.NOERROR, answer, (), additional, tuple(dict.fromkeys(depends)))
        return Answer(wire.SERVFAIL, answer, (), (), tuple(depends))

    def _searched(self, query: Query) -> Answer | None:
        """The first of the search path's other names that is there, as what the name asked for stands for."""
        path = self._path(query.name)
        for target in path:
            found = self._find(target)
            if found.what == "nothing" or (found.what == "name" and not found.records):
                continue
            at = self.local(query._replace(name=target))
            alias = Record(query.name, wire.CNAME, self._ttl, target)
            depends = tuple(dict.fromkeys((query.name, *path, *at.depends)))
            return at._replace(answer=[alias, *at.answer], depends=depends, searched=True)
        return None

    def _path(self, name: bytes) -> list[bytes]:
        """What a pod asks next that was told that there is no `name` (kubelet's search path, the host's own left out):
        `a.b` in the place of `a.b.default.svc.cluster.local`."""
        if not name.endswith(self._services):
            return []
        at = 0
        for above in names.parents(name):
            rest, namespace = name[:at], name[at:]
            at = len(name) - len(above)
            if above == self._services:
                there = bool(rest) and self.zone.find(namespace).what == "name"
                return [rest + self._services, rest + self.zone.origin, rest + names.ROOT] if there else []
        return []

    def reply(self, query: Query, limit: int, proto: str, family: str) -> Reply | None:
        """The answer as bytes, where nobody else is to be asked."""
        answer = self.local(query)
        if answer.outside is not None:
            return None
        # Kept for all who ask, however they write the name.
        query = query._replace(question=query.name + query.question[-4:])
        flags = wire.AA if answer.rcode != wire.REFUSED else 0
        bodies = tuple(
            wire.build(
                query,
                limit,
                answer.rcode,
                flags=flags | wire.RA,
                answer=turn,
                authority=answer.authority,
                additional=answer.additional,
            )
            for turn in _turns(answer.answer)
        )
        kind = Kind(self._zone_name, proto, family, type_name(query.type), rcode_name(answer.rcode))
        return Reply(bodies, kind, tuple(dict.fromkeys(answer.depends)))

    def _find(self, name: bytes) -> Found:
        found = self.zone.find(name)
        if found.what == "nothing" and self._pods == "insecure" and name.endswith(self._pod_origin):
            return self._pod(name) or found
        if found.what == "elsewhere" and self._ranges and name.endswith(PREFIXES) and self._is_ours(name):
            return Found("nothing")
        return found

    def _pod(self, name: bytes) -> Found | None:
        """`10-244-0-3.default.pod`: what the name itself says, where there is such a namespace."""
        namespace = name[name[0] + 1 :]
        if namespace.count(b"\0") != 1 or namespace[namespace[0] + 1 :] != self._pod_origin:
            return None
        if self.zone.find(namespace).what != "name":
            return Found("nothing", depends=(namespace,))
        ip = records.undashed(name[1 : 1 + name[0]].decode("ascii", "replace"))
        if ip is None:
            return None
        type_, data = records.address(ip)
        return Found("name", {type_: (data,)}, depends=(namespace,))

    def _is_ours(self, name: bytes) -> bool:
        ip = records.reversed_ip(name)
        return ip is not None and any(ip in network for network in self._ranges if network.version == ip.version)

    def _authority(self, name: bytes) -> list[Record]:
        """The SOA record, by which a client knows how long there will be nothing (RFC 2308)."""
        data = self.zone.find(self.zone.origin).records.get(wire.SOA)
        if not data:
            return []
        owner = self.zone.origin
        for prefix in PREFIXES:
            if name.endswith(prefix):
                owner = prefix
        return [Record(owner, wire.SOA, self._ttl, data[0])]

    def _additional(self, type_: int, data: Iterable[bytes]) -> list[Record]:
        """The addresses of SRV records' targets."""
        if type_ != wire.SRV:
            return []
        found = []
        for target in dict.fromkeys(one[6:] for one in data):
            at = self.zone.find(target).records
            for kind in (wire.A, wire.AAAA):
                found += [Record(target, kind, self._ttl, one) for one in at.get(kind, ())]
        return found

    # --- from others

    async def ask(self, query: Query, limit: int, proto: str, family: str) -> bytes:
        """The answer without its ID, where the zone alone has none."""
        began = self._clock()
        local = self.local(query)
        if local.outside is None:  # it has changed meanwhile
            reply = self.reply(query, limit, proto, family)
            assert reply is not None
            return wire.as_asked(query, reply.bodies[0])
        outcome = await self.forwarder.ask(query, local.outside)
        if local.searched and outcome.rcode in (wire.NXDOMAIN, wire.REFUSED):  # it is nowhere
            local = Answer(wire.NXDOMAIN, (), (), (), ())
            authority = tuple(self._authority(query.name))
            outcome = Outcome(wire.NXDOMAIN, wire.AA, (), authority, (), made=self._clock(), expires=0)
        if outcome.rcode == wire.REFUSED and local.answer:
            # There is nobody to ask; what we know ourselves (an ExternalName) is an answer all the same.
            outcome = outcome._replace(rcode=wire.NOERROR)
        now = self._clock()
        self.metrics.answered.add(Kind(".", proto, family, type_name(query.type), rcode_name(outcome.rcode)))
        self.metrics.duration.labels("dns://:53", ".", "").observe(now - began)
        return wire.build(
            query,
            limit,
            outcome.rcode & 15,
            flags=wire.RA | (outcome.flags if not local.answer else 0),
            answer=[*local.answer, *outcome.section(outcome.answer, now)],
            authority=outcome.section(outcome.authority, now),
            additional=outcome.section(outcome.additional, now),
        )

    def _clock(self) -> float:
        return self.forwarder.now()


def _turns(answer: Sequence[Record]) -> list[Sequence[Record]]:
    """The same records in several orders, where these are addresses of one name."""
    count = len(answer)
    first = answer[0] if count else None
    if first is None or count == 1 or first.type not in (wire.A, wire.AAAA):
        return [answer]
    turns = min(count, MAX_TURNS)
    starts = [n * count // turns for n in range(turns)]
    return [[*answer[start:], *answer[:start]] for start in starts]
