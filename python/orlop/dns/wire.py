"""Questions from bytes, and answers to bytes (RFC 1035, 6891).

Only the header, the one question and the OPT record are read here; whatever else a message may hold is read by
dnspython, and only messages of the node's own resolvers hold anything else. Answers are put together from records
whose data is bytes already, with owners compressed: a question that has not been answered before costs some ten
microseconds.
"""

import struct
from collections.abc import Sequence
from typing import NamedTuple

from orlop.dns import names

A, NS, CNAME, SOA, PTR, TXT, AAAA, SRV, OPT, HINFO = 1, 2, 5, 6, 12, 16, 28, 33, 41, 13
IXFR, AXFR, MAILB, MAILA, ANY = 251, 252, 253, 254, 255
IN = 1
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED, BADVERS = 0, 1, 2, 3, 4, 5, 16
TYPES = {A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", TXT: "TXT", AAAA: "AAAA", SRV: "SRV"}
TYPES |= {HINFO: "HINFO", 15: "MX", 43: "DS", 48: "DNSKEY", 64: "SVCB", 65: "HTTPS", ANY: "ANY", AXFR: "AXFR"}
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 16: "BADVERS"}

HEADER = 12
MAX_PLAIN = 512
"""Bytes of a UDP message without EDNS (RFC 1035, 4.2.1)."""
MAX_UDP = 4096
"""Bytes of a UDP message with EDNS, at most (RFC 6891, 6.2.5): clients are one hop away on this node, so that the
fragments that make larger messages a risk on the Internet are of no concern."""
MAX_TCP = 65535
POINTER = 0x4000
"""Offsets that a compression pointer can hold end here."""

QR, TC, RD, RA, AA, AD, CD = 0x8000, 0x0200, 0x0100, 0x0080, 0x0400, 0x0020, 0x0010
OPCODE = 0x7800
KEPT = OPCODE | RD | CD
"""KEPT: bits of a question's flags that its answer repeats (RFC 1035, 4.1.1; RFC 4035, 3.2.2)."""
DO = 0x8000

_COUNTS = struct.Struct("!HHHHH")
_RECORD = struct.Struct("!HHIH")
_OPT = struct.Struct("!BHHBBHH")


class Query(NamedTuple):
    """One question."""

    key: bytes
    """What makes up the answer: the message without its ID and EDNS options, its name in lower case."""
    question: bytes
    """As sent: name, type, class."""
    name: bytes
    """In lower case."""
    type: int
    class_: int
    flags: int
    edns: bool
    dnssec: bool
    """The DO bit (RFC 3225)."""
    limit: int
    """Bytes that the client takes by UDP."""


class Refused(Exception):
    """A message that gets an error for an answer."""

    def __init__(self, rcode: int, question: bytes = b"", *, edns: bool = False) -> None:
        super().__init__(RCODES[rcode])
        self.rcode = rcode
        self.question = question
        self.edns = edns


class Record(NamedTuple):
    """One record; `data` has no compressed names."""

    name: bytes
    type: int
    ttl: int
    data: bytes


def parse(data: bytes) -> Query | None:
    """The question. None for what gets no answer (an answer, a fragment); raises Refused for what gets an error."""
    if len(data) < HEADER or data[2] & 0x80:
        return None
    flags, questions, answers, authorities, additional = _COUNTS.unpack_from(data, 2)
    if flags & OPCODE:
        raise Refused(NOTIMP)
    if questions != 1 or answers or authorities:
        # Several questions in one message have no meaning that all agree on (RFC 9619).
        raise Refused(FORMERR)
    at, end = HEADER, len(data)
    while at < end and (length := data[at]):
        if length > names.MAX_LABEL:
            raise Refused(FORMERR)
        at += length + 1
    at += 1
    if at + 4 > end or at - HEADER > names.MAX_NAME:
        raise Refused(FORMERR)
    name = data[HEADER:at].lower()
    question = data[HEADER : at + 4]
    type_, class_ = struct.unpack_from("!HH", data, at)
    at += 4
    edns, dnssec, limit, tail = False, False, MAX_PLAIN, b""
    if additional:
        if at + _OPT.size > end:
            raise Refused(FORMERR)
        owner, kind, size, _, version, bits, length = _OPT.unpack_from(data, at)
        if owner or kind != OPT or additional > 1 or at + _OPT.size + length != end:
            raise Refused(FORMERR)
        if version:
            raise Refused(BADVERS, question, edns=True)
        edns, dnssec = True, bool(bits & DO)
        limit = min(max(size, MAX_PLAIN), MAX_UDP)
        tail = data[at : at + _OPT.size - 2] + b"\0\0"
    elif at != end:
        raise Refused(FORMERR)
    key = data[2:HEADER] + name + question[-4:] + tail
    return Query(key, question, name, type_, class_, flags, edns, dnssec, limit)


def error(data: bytes, refused: Refused) -> bytes:
    """The answer to a message that could not be read: its header, and the question where that could."""
    flags = int.from_bytes(data[2:4], "big")
    questions = 1 if refused.question else 0
    head = _COUNTS.pack(QR | (flags & KEPT) | (refused.rcode & 15), questions, 0, 0, 1 if refused.edns else 0)
    return data[:2] + head + refused.question + (opt(refused.rcode >> 4) if refused.edns else b"")


def opt(extended: int = 0, dnssec: bool = False) -> bytes:
    """Our OPT record."""
    return _OPT.pack(0, OPT, MAX_UDP, extended, 0, DO if dnssec else 0, 0)


def build(
    query: Query,
    limit: int,
    rcode: int,
    *,
    flags: int = 0,
    answer: Sequence[Record] = (),
    authority: Sequence[Record] = (),
    additional: Sequence[Record] = (),
) -> bytes:
    """The answer without its ID. What does not fit in `limit` bytes is left out: of the additional records silently,
    of others with the TC bit, so that the client comes again by TCP (RFC 2181, 9)."""
    tail = opt(dnssec=query.dnssec) if query.edns else b""
    room = limit - len(tail)
    parts = [query.question]
    size = HEADER + len(query.question)
    known = {query.name: HEADER}
    offset = HEADER
    for parent in names.parents(query.name):
        offset = HEADER + len(query.name) - len(parent)
        known[parent] = offset
    known.pop(names.ROOT, None)
    counts = [0, 0, 0]
    flags |= QR | (query.flags & KEPT) | rcode
    for section, records in enumerate((answer, authority, additional)):
        for record in records:
            place = known.get(record.name)
            owner = record.name if place is None else (0xC000 | place).to_bytes(2, "big")
            data = record.data
            length = len(owner) + _RECORD.size + len(data)
            if size + length > room:
                if section < 2:
                    flags |= TC
                break
            parts += (owner, _RECORD.pack(record.type, IN, record.ttl, len(data)), data)
            start = size + length - len(data)
            if record.type in (CNAME, NS, PTR):
                target = data
            elif record.type == SRV:
                target, start = data[6:], start + 6
            else:
                target = b""
            if target and start < POINTER:
                known.setdefault(target.lower(), start)
            size += length
            counts[section] += 1
        if flags & TC:
            break
    head = _COUNTS.pack(flags, 1, counts[0], counts[1], counts[2] + (1 if tail else 0))
    return b"".join((head, *parts, tail))


def as_asked(query: Query, body: bytes) -> bytes:
    """An answer without its ID, with the question as this client wrote it: it may hide a secret in the case of the
    name, and wants it back (draft-vixie-dnsext-dns0x20). Owners point at the question, so they follow."""
    start = HEADER - 2
    return body[:start] + query.question + body[start + len(query.question) :]


def srv(priority: int, weight: int, port: int, target: bytes) -> bytes:
    """The data of an SRV record (RFC 2782)."""
    return struct.pack("!HHH", priority, weight, port) + target


def soa(server: bytes, mailbox: bytes, serial: int, refresh: int, retry: int, expire: int, minimum: int) -> bytes:
    """The data of an SOA record."""
    return server + mailbox + struct.pack("!IIIII", serial, refresh, retry, expire, minimum)


def txt(text: str) -> bytes:
    """The data of a TXT record of one string of up to 255 bytes."""
    data = text.encode()
    return bytes((len(data),)) + data
