"""Creates that are alike: what was decided for an object is not decided again for one that differs in its name, or in
values that no rule looks at.

Most pods come by the dozen from one template. Defaults, admission, validation, warnings and the owners of fields are
the same for all of them, so the second is kept as a mould: the stored bytes with holes where each create has something
of its own (name, UID, time, what admission drew by lot). From then on a create costs its name's check, a look-up and
the filling of the holes, and gives byte for byte what the long way would have given.

Others differ in values too: an argument, a variable, a label, a port. These are holes in the body's shape
(`wire_pod_shape`), by which a mould is found. A mould takes a value of its own only where it has seen two: the long way
was gone with both, and gave the same but for that value in its place. A shape for which it gave something else is
remembered by whole bodies.

What a mould is found by is everything that the long way reads of the request: kind, namespace, user, field manager and
the body's shape but for metadata.name. What it reads besides, admission names (`Chain.looks_at`): a mould
counts while none of these resources changes. Writes that others go along with (a quota's charge) take the long way.
"""

from typing import Any

import msgspec

from orlop import native
from orlop.api.errors import AlreadyExists
from orlop.api.kind import Kind
from orlop.apiserver.admission import Chain
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.auth.user import User
from orlop.apiserver.metrics import CREATES
from orlop.apiserver.registry import names
from orlop.apiserver.registry.objects import Objects, split_stored
from orlop.apiserver.registry.strategy import Strategy
from orlop.clock import Clock, rfc3339
from orlop.store.base import Attribution, Key, Parts

MOULDS = 256
"""Kept at a time: the templates that are being rolled out, not all there are. A mould is some three times its body."""
SEEN = 4096
"""Hashes of bodies that came once: a template's second object within so many others makes the mould."""
BODY_MAX = 16 * 1024
"""Bytes of a body that a mould is made for, so that all moulds stay within some megabytes; a pod has one or two
thousand."""

RIGID = 4096
"""Hashes of shapes whose values decide something."""
HOLES = tuple(b"v%d" % i for i in range(64))
"""Names of the holes for values, in their order; `wire_pod_shape` makes no more."""

_Pattern = tuple[str, str, User, str, bytes]


class Mould(msgspec.Struct, gc=False, frozen=True):
    """What alike creates give."""

    looked_at: tuple[str, ...]
    """The resources that admission looked at."""
    newest: int
    """Their newest change then."""
    fixed: tuple[tuple[int, bytes], ...]
    """The values that it has seen one of, each with its hole: only to these it is like."""
    head: bytes
    """Up to the revision; this and `tail` with holes for `%`."""
    tail: bytes
    base: str
    """metadata.generateName."""
    drawn: tuple[str, ...]
    """What each text that admission draws begins with."""
    warnings: tuple[str, ...]


class Like(msgspec.Struct, gc=False):
    """A create that others may be like."""

    pattern: _Pattern
    name: str
    """Empty where it is to be generated."""
    body: bytes
    values: list[bytes]
    """What stands in the holes of its shape."""
    began: str
    """The time, as objects show it."""
    looked_at: tuple[str, ...] | None = None
    newest: int = 0


class Alike:
    """The moulds of one server."""

    def __init__(self, objects: Objects, admission: Chain, clock: Clock) -> None:
        self._objects = objects
        self._admission = admission
        self._clock = clock
        self._moulds: dict[_Pattern, Mould] = {}
        self._once: dict[int, None] = {}
        self._rigid: dict[int, None] = {}
        self._prefixes: dict[str, bytes] = {}

    def like(self, strategy: Strategy, namespace: str, user: User, manager: str, body: bytes) -> Like | None:
        """What this create may be like; None if it is one of its kind. `body` is canonical JSON."""
        if not strategy.alike or len(body) > BODY_MAX:
            return None
        kind = strategy.kind
        prefix = self._prefix(kind)
        name, rest = "", body
        if body.startswith(prefix):
            at = body.index(b'"', len(prefix))
            name, rest = body[len(prefix) : at].decode(), body[at:]
            if not strategy.plain_name(name):
                return None
        began = rfc3339(self._clock.now())
        if (found := native.wire_pod_shape(body)) is not None:
            shape, values = found
            pattern = (kind.type_key, namespace, user, manager, shape[len(body) - len(rest) :])
            if not self._rigid or hash(pattern) not in self._rigid:
                return Like(pattern, name, body, values, began)
        return Like((kind.type_key, namespace, user, manager, rest), name, body, [], began)

    def _prefix(self, kind: Kind) -> bytes:
        """A named object's canonical JSON up to its name."""
        found = self._prefixes.get(kind.type_key)
        if found is None:
            found = b'{"apiVersion":"%b","kind":"%b","metadata":{"name":"' % (
                kind.api_version.encode(),
                kind.kind.encode(),
            )
            self._prefixes[kind.type_key] = found
        return found

    def mould(self, strategy: Strategy, like: Like) -> Mould | None:
        """The mould for a create, if there is one and it still counts."""
        found = self._moulds.get(like.pattern)
        if found is None:
            return None
        for hole, value in found.fixed:
            if like.values[hole] != value:
                return None
        if self._objects.hub.newest_of(found.looked_at) != found.newest:
            return None
        return None if self._objects.accompanied(strategy.kind, like.pattern[1]) else found

    async def create(self, strategy: Strategy, like: Like, mould: Mould, by: Attribution) -> bytes:
        """Stores what the mould gives and returns its bytes. Raises AlreadyExists."""
        CREATES.alike += 1
        objects = self._objects
        holes = dict(zip(HOLES, like.values, strict=False))
        holes[b"time"] = like.began.encode()
        for i, base in enumerate(mould.drawn):
            text = objects.generate_name(base).encode()
            while text in like.body:
                text = objects.generate_name(base).encode()
            holes[b"%d" % i] = text
        holes[b"uid"] = self._clock.uuid().encode()
        tail = mould.tail % holes
        kind, namespace = strategy.kind, like.pattern[1]
        tries = 1 if like.name else names.GENERATE_TRIES
        while True:
            name = like.name or objects.generate_name(mould.base)
            holes[b"name"] = name.encode()
            try:
                return await objects.insert(
                    kind, Key(kind.resource, namespace, name), Parts(mould.head % holes, tail), by
                )
            except AlreadyExists:
                tries -= 1
                if not tries:
                    raise

    def looks(self, like: Like, a: Attributes) -> None:
        """Called before admission: notes what it will look at, from the second create on that is like others."""
        CREATES.different += 1
        once = hash(like.pattern)
        if once not in self._once:
            _remember(self._once, once, SEEN)
            return
        resources = self._admission.looks_at(a)
        if resources is not None:
            like.looked_at, like.newest = resources, self._objects.hub.newest_of(resources)

    def keep(self, strategy: Strategy, like: Like, a: Attributes, value: bytes, warnings: list[str]) -> None:
        """Makes the mould of a create that took the long way and was stored as `value`, or teaches the one there is."""
        # It was one second all the way.
        if like.looked_at is None or like.began != a.object.metadata.creation_timestamp:
            return
        made = self._made(strategy, like, a, value, warnings)
        known = self._moulds.get(like.pattern)
        if like.values and (made is None or _differ(made, known)):
            self._moulds.pop(like.pattern, None)
            _remember(self._rigid, hash(like.pattern), RIGID)
        elif made is not None:
            if known is None and len(self._moulds) >= MOULDS:
                del self._moulds[next(iter(self._moulds))]
            if known is not None and known.newest == made.newest:
                made = msgspec.structs.replace(made, fixed=tuple(one for one in known.fixed if one in made.fixed))
            self._moulds[like.pattern] = made

    def _made(self, strategy: Strategy, like: Like, a: Attributes, value: bytes, warnings: list[str]) -> Mould | None:
        metadata: Any = a.object.metadata
        holes = [("uid", metadata.uid), ("time", metadata.creation_timestamp)]
        holes += [(str(i), text) for i, (_, text) in enumerate(a.drawn)]
        # What is taken for the server's own must not be what the client sent.
        if any(text.encode() in like.body for _, text in holes):
            return None
        head, tail = split_stored(value)
        prefix = self._prefix(strategy.kind) + metadata.name.encode()
        if not head.startswith(prefix + b'"'):
            return None
        pieces: list[tuple[bytes, int | None]] = [(tail, None)]
        if like.values:
            cut = native.wire_pod_cut(like.body, value)
            before = len(value) - len(tail)
            if cut is None or len(cut[0][0]) < before:
                return None
            pieces = [(cut[0][0][before:], cut[0][1]), *cut[1:]]

        def hollow(part: bytes) -> bytes:
            part = part.replace(b"%", b"%%")
            for hole, text in holes:
                part = part.replace(text.encode(), b"%%(%b)b" % hole.encode())
            return part

        return Mould(
            looked_at=like.looked_at or (),
            newest=like.newest,
            fixed=tuple(enumerate(like.values)),
            head=self._prefix(strategy.kind).replace(b"%", b"%%") + b"%(name)b" + hollow(head[len(prefix) :]),
            tail=b"".join(hollow(part) + (b"" if i is None else b"%%(%b)b" % HOLES[i]) for part, i in pieces),
            base=metadata.generate_name,
            drawn=tuple(base for base, _ in a.drawn),
            warnings=tuple(warnings),
        )


def _differ(made: Mould, known: Mould | None) -> bool:
    """Whether two creates of one shape gave more that differs than the values in it, though all else was the same."""
    if known is None or known.newest != made.newest:
        return False
    return msgspec.structs.replace(made, fixed=known.fixed) != known


def _remember(hashes: dict[int, None], one: int, most: int) -> None:
    if len(hashes) >= most:
        del hashes[next(iter(hashes))]
    hashes[one] = None
