"""Create, update and delete of any kind: what k8s.io/apiserver's generic registry does.

Reads come from the hub, which has every acknowledged write; writes go to the store with the revision they were made
against, and are made again on the newer object if another came between.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Protocol

import msgspec

from orlop.api import errors
from orlop.api.errors import FieldError, invalid_value
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import nulls
from orlop.apiserver.registry import deletion, names
from orlop.apiserver.registry.storagekeys import storage_key
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.registry.transactions import NO_HOOKS, Both, Hooks, Transaction
from orlop.clock import Clock, rfc3339
from orlop.native import Hub
from orlop.store.base import Attribution, Conflict, Key, Parts, Write

UPDATE_TRIES = 256
"""How often a change is made again when others change the same object between; upstream has no limit."""

_DELETED = b'"deletionTimestamp":"'
_REVISION = b'"resourceVersion":"'


def _as_json(obj: Any) -> msgspec.Raw:
    """Custom resources are no structs: they say themselves what their JSON is."""
    return msgspec.Raw(obj.__json__())


_encoder = msgspec.json.Encoder(order="deterministic", enc_hook=_as_json)

Change = Callable[[Any], Awaitable[Any]]
"""Makes the new object from the old one (or from None where a PUT may create)."""
Check = Callable[[Any, Any], Awaitable[None]]
"""Validating admission of (new, old)."""


async def _trusted(_: Kind, creates: bool) -> None:
    """Where no rules are ever replaced."""


class Writer(Protocol):
    """Where writes go: the feed, which answers when the hub has them."""

    async def commit(self, write: Write) -> int: ...

    async def commit_all(self, writes: Sequence[Write]) -> list[int]: ...


class Decoder(Protocol):
    """Reads stored bytes."""

    def decode(self, value: bytes, /) -> Any: ...


def encode(obj: Any) -> bytes:
    """An object's JSON, maps in order of their keys as Go writes them."""
    return nulls.written(type(obj), _encoder.encode(obj))


def split(obj: Any) -> Parts:
    """An object's JSON around the place where its revision stands."""
    obj.metadata.resource_version = "0"
    data = encode(obj)
    # Before it stand only apiVersion, kind, name, namespace and uid: a quote in them would be escaped.
    at = data.index(_REVISION) + len(_REVISION)
    return Parts(data[:at], data[at + 1 :])


def split_stored(value: bytes) -> Parts:
    """The same of an object as it is stored."""
    at = value.index(_REVISION) + len(_REVISION)
    return Parts(value[:at], value[value.index(b'"', at) :])


def join(parts: Parts, revision: int) -> bytes:
    """An object's JSON at a revision."""
    return parts.at(revision)


class Objects:
    """The generic registry over one writer and hub."""

    def __init__(self, writer: Writer, hub: Hub, clock: Clock) -> None:
        self.writer = writer
        self.hub = hub
        self.clock = clock
        self.hooks: dict[str, Hooks] = {}
        """By resource."""
        self.every: Hooks = NO_HOOKS
        """Of every kind, after its own."""
        self._decoders: dict[str, Decoder] = {}
        self.outdated: set[str] = set()
        """Types whose rules are replaced: requests under way still write by them."""
        self.distrust: Callable[[Kind, bool], Awaitable[None]] = _trusted
        """Called before a write by outdated rules; the flag is whether it creates. Raises what refuses it."""

    def decode(self, kind: Kind, value: bytes) -> Any:
        """The typed object of stored bytes."""
        decoder = self._decoders.get(kind.type_key)
        if decoder is None:
            decoder = self._decoders[kind.type_key] = nulls.Decoder(kind.struct)
        return decoder.decode(value)

    def register(self, type_key: str, decoder: Decoder) -> None:
        """How objects of a type that is no struct are read."""
        self._decoders[type_key] = decoder

    def forget(self, type_key: str) -> None:
        """The type is gone."""
        self._decoders.pop(type_key, None)

    def _hooks(self, resource: str) -> Hooks:
        own = self.hooks.get(resource)
        return self.every if own is None else Both(own, self.every)

    def find(self, kind: Kind, namespace: str, name: str) -> tuple[bytes, int]:
        """Bytes and revision of an object. Raises NotFound."""
        found = self.hub.get(kind.resource, namespace, name)
        if found is None:
            raise errors.not_found(kind.plural, kind.group, name)
        return found

    def get(self, kind: Kind, namespace: str, name: str) -> Any | None:
        """The typed object, None if there is none."""
        found = self.hub.get(kind.resource, namespace, name)
        return None if found is None else self.decode(kind, found[0])

    async def served(self, kind: Kind, value: bytes) -> bytes:
        """Stored bytes in the kind's own version. Raises ApiError where its webhook cannot convert them."""
        return value if kind.converter is None else (await kind.converter.read([value]))[0]

    async def current(self, kind: Kind, namespace: str, name: str) -> bytes:
        """An object's bytes in the kind's own version. Raises NotFound, and as `served`."""
        return await self.served(kind, self.find(kind, namespace, name)[0])

    # --- create -----------------------------------------------------------------------------------

    async def create(
        self,
        strategy: Strategy,
        obj: Any,
        *,
        by: Attribution,
        dry_run: bool = False,
        check: Check | None = None,
    ) -> bytes:
        """Stores a new object and returns its bytes. Raises Invalid, AlreadyExists, and what admission raises."""
        kind = strategy.kind
        metadata: meta_v1.ObjectMeta = obj.metadata
        metadata.uid = self.clock.uuid()
        metadata.creation_timestamp = rfc3339(self.clock.now())
        metadata.deletion_timestamp = None
        metadata.deletion_grace_period_seconds = None
        metadata.self_link = ""
        generated = bool(metadata.generate_name) and not metadata.name
        if generated:
            metadata.name = self.generate_name(metadata.generate_name)
        wrong = strategy.before_create(obj)
        if wrong:
            raise errors.invalid(kind.kind, kind.group, metadata.name, wrong)
        if check is not None:
            await check(obj, None)
        tries = names.GENERATE_TRIES if generated else 1
        while True:
            try:
                return await self._insert(kind, obj, by, dry_run)
            except errors.AlreadyExists:
                tries -= 1
                if not tries:
                    raise
                metadata.name = self.generate_name(metadata.generate_name)
                strategy.canonicalize(obj)

    def generate_name(self, base: str) -> str:
        """`base` and five characters that spell no word."""
        suffix = "".join(self.clock.random.choices(names.ALPHABET, k=names.SUFFIX_LENGTH))
        return base[: names.BASE_MAX] + suffix

    async def _insert(self, kind: Kind, obj: Any, by: Attribution, dry_run: bool) -> bytes:
        metadata = obj.metadata
        key = Key(kind.resource, metadata.namespace, metadata.name)
        hooks = self._hooks(kind.resource)
        while True:
            if (there := self.hub.get(kind.resource, metadata.namespace, metadata.name)) is not None:
                raise errors.already_exists(kind.plural, kind.group, metadata.name, self._ends(kind, there[0]))
            kept = obj if kind.converter is None else await kind.converter.stored(obj)
            if kind.type_key in self.outdated:
                await self.distrust(kind, True)
            transaction = await hooks.create(obj, dry_run)
            try:
                if dry_run:
                    kept.metadata.resource_version = ""
                    return await self.served(kind, encode(kept))
                parts = split(kept)
                revision = await self._commit(Write(key, parts, 0, by=by), transaction)
            except Conflict as conflict:
                if conflict.key != key:
                    continue
                raise errors.already_exists(kind.plural, kind.group, metadata.name) from None
            finally:
                if transaction is not None:
                    transaction.release()
            return await self.served(kind, join(parts, revision))

    def _ends(self, kind: Kind, value: bytes) -> bool:
        """Whether an object is being deleted."""
        return _DELETED in value and self.decode(kind, value).metadata.deletion_timestamp is not None

    def accompanied(self, kind: Kind, namespace: str) -> bool:
        """Whether other writes may go along with one of this kind."""
        return self._hooks(kind.resource).concern(kind, namespace)

    async def insert(self, kind: Kind, key: Key, parts: Parts, by: Attribution) -> bytes:
        """Stores a new object of which all is decided, where nothing accompanies it. Raises AlreadyExists."""
        if (there := self.hub.get(*key)) is not None:
            raise errors.already_exists(kind.plural, kind.group, key.name, self._ends(kind, there[0]))
        try:
            revision = await self.writer.commit(Write(key, parts, 0, by=by))
        except Conflict:
            raise errors.already_exists(kind.plural, kind.group, key.name) from None
        return join(parts, revision)

    async def _commit(self, write: Write, transaction: Transaction | None) -> int:
        if transaction is None:
            return await self.writer.commit(write)
        revision = await self._commit_with(write, transaction.writes)
        await transaction.committed()
        return revision

    async def _commit_with(self, write: Write, others: list[Write]) -> int:
        if not others:
            return await self.writer.commit(write)
        together, early, late = _turns([write, *others])
        made: list[Write] = []
        try:
            for one in early:
                revision = await self.writer.commit(one)
                made.append(Write(one.key, one.parts, revision, delete=True, by=one.by))
            revision = (await self.writer.commit_all(together))[0]
        except Exception:
            for undo in made:
                with suppress(Conflict):
                    await self.writer.commit(undo)
            raise
        for one in late:
            with suppress(Conflict):  # somebody has seen to it meanwhile
                await self.writer.commit(one)
        return revision

    # --- update -----------------------------------------------------------------------------------

    async def update(
        self,
        strategy: Strategy,
        namespace: str,
        name: str,
        change: Change,
        *,
        by: Attribution,
        subresource: str = "",
        before: Callable[[Any, Any], list[FieldError]] | None = None,
        dry_run: bool = False,
        check: Check | None = None,
        create: bool = False,
        precondition: bool = True,
        warn: Callable[[str], None] | None = None,
    ) -> tuple[bytes, bool]:
        """Stores what `change` makes of an object; returns its bytes and whether it was created by this.

        With `create` any kind's object is made if it is not there (server-side apply). With `precondition` the new
        object's uid must be the old one's, else the write is for another object (a PUT); in a patch it is a field.
        `warn` is told what the kind's rules advise of a valid change through the main endpoint.

        A change that changes nothing writes nothing. Raises NotFound, Conflict, Invalid, and what admission raises.
        """
        kind = strategy.kind
        before = before or strategy.before(subresource)
        key = Key(kind.resource, namespace, name)
        for _ in range(UPDATE_TRIES):
            found = self.hub.get(kind.resource, namespace, name)
            if found is None:
                if not (strategy.create_on_update or create) or subresource:
                    raise errors.not_found(kind.plural, kind.group, name)
                new = await change(None)
                if precondition and new.metadata.uid:
                    raise errors.conflict(kind.plural, kind.group, name, _other(key, new.metadata.uid, ""))
                made = await self.create(strategy, new, by=by, dry_run=dry_run, check=check)
                if warn is not None:
                    for advice in strategy.warnings(new):
                        warn(advice)
                return made, True
            stored, revision = found
            value = stored if kind.converter is None else await self.served(kind, stored)
            old = self.decode(kind, value)
            new = await change(old)
            if precondition and new.metadata.uid and new.metadata.uid != old.metadata.uid:
                raise errors.conflict(kind.plural, kind.group, name, _other(key, new.metadata.uid, old.metadata.uid))
            self._match(strategy, key, new.metadata, revision, precondition)
            if wrong := before(new, old):
                raise errors.invalid(kind.kind, kind.group, name, wrong)
            if warn is not None and not subresource:
                for advice in strategy.warnings(new, old):
                    warn(advice)
            if check is not None:
                await check(new, old)
            if deletion.ends(strategy, new, old):
                if dry_run:
                    return encode(new), False
                kept = new if kind.converter is None else await kind.converter.stored(new)
                try:
                    gone = await self._remove(kind, key, split(kept), revision, new, by)
                    return await self.served(kind, gone), False
                except Conflict:
                    continue
            transaction = await self._hooks(kind.resource).update(new, old, dry_run)
            try:
                parts = split(new)
                made = parts.at(revision)
                same = made == value or _only_later(made, new.metadata, value, old.metadata)
                if same and (dry_run or kind.converter is None or kind.converter.settled(stored)):
                    return made if dry_run else value, False
                if kind.converter is not None:
                    parts = split(await kind.converter.stored(new))
                if dry_run:
                    return await self.served(kind, join(parts, revision)), False
                if kind.type_key in self.outdated:
                    await self.distrust(kind, False)
                write = Write(key, parts, revision, by=by)
                committed = self.writer.commit(write) if transaction is None else self._commit(write, transaction)
                revision = await committed
            except Conflict:
                continue
            finally:
                if transaction is not None:
                    transaction.release()
            made = parts.at(revision)
            return (made if kind.converter is None else await self.served(kind, made)), False
        raise errors.conflict(kind.plural, kind.group, name, errors.MODIFIED)

    def _match(self, strategy: Strategy, key: Key, new: meta_v1.ObjectMeta, revision: int, whole: bool) -> None:
        kind = strategy.kind
        if new.resource_version in ("", "0"):
            if whole and not strategy.unconditional_update:
                raise errors.invalid(
                    kind.plural,
                    kind.group,
                    key.name,
                    [invalid_value("metadata.resourceVersion", 0, "must be specified for an update")],
                )
        elif new.resource_version != str(revision):
            if not (new.resource_version.isascii() and new.resource_version.isdecimal()):
                raise errors.ApiError(_not_a_number(new.resource_version), code=500, reason="")
            raise errors.conflict(kind.plural, kind.group, key.name, errors.MODIFIED)

    # --- delete -----------------------------------------------------------------------------------

    async def delete(
        self,
        strategy: Strategy,
        namespace: str,
        name: str,
        options: meta_v1.DeleteOptions,
        *,
        by: Attribution,
        dry_run: bool = False,
        check: Check | None = None,
    ) -> tuple[bytes, bool]:
        """Deletes an object, or marks it so where it has finalizers or time to end.

        Returns its last bytes and whether it is gone. Raises NotFound and Conflict.
        """
        kind = strategy.kind
        key = Key(kind.resource, namespace, name)
        for _ in range(UPDATE_TRIES):
            value, revision = self.find(kind, namespace, name)
            obj = self.decode(kind, value)
            deletion.check_preconditions(kind, obj.metadata, options.preconditions)
            if check is not None:
                shown = obj if kind.converter is None else self.decode(kind, await self.served(kind, value))
                await check(None, shown)
            gone = deletion.mark(strategy, obj, options, self.clock.now())
            if gone is None:
                return await self.served(kind, value), False
            parts = split(obj)
            if dry_run:
                return await self.served(kind, join(parts, revision)), gone
            try:
                if gone:
                    return await self._remove(kind, key, parts, revision, obj, by), True
                if join(parts, revision) != value:
                    revision = await self.writer.commit(Write(key, parts, revision, by=by))
                return await self.served(kind, join(parts, revision)), False
            except Conflict:
                continue
        raise errors.conflict(kind.plural, kind.group, name, errors.MODIFIED)

    async def _remove(self, kind: Kind, key: Key, parts: Parts, revision: int, obj: Any, by: Attribution) -> bytes:
        transaction = await self._hooks(kind.resource).delete(obj)
        try:
            revision = await self._commit(Write(key, parts, revision, delete=True, by=by), transaction)
        finally:
            if transaction is not None:
                transaction.release()
        return join(parts, revision)


def _turns(writes: list[Write]) -> tuple[list[Write], list[Write], list[Write]]:
    """What is written together, before it and after it: a transaction takes one write of each resource (the second
    address of a Service is one too many). What is left by a crash in between the server puts in order at its start."""
    together: dict[str, Write] = {}
    early: list[Write] = []
    late: list[Write] = []
    for write in writes:
        if together.setdefault(write.key.resource, write) is not write:
            (late if write.delete else early).append(write)
    return list(together.values()), early, late


_MANAGED = b'"managedFields":'
_ENOUGH = 12
"""Bytes of a list of entries that tell it from anything else by this name."""
_TIME = re.compile(rb'"time":"[^"]*",?')


def _only_later(made: bytes, new: meta_v1.ObjectMeta, value: bytes, old: meta_v1.ObjectMeta) -> bool:
    """Whether nothing differs but the times at which field managers wrote."""
    if new.managed_fields is old.managed_fields:
        return False
    ours, theirs = bytes(new.managed_fields), bytes(old.managed_fields)
    if ours == theirs or not ours or not theirs:
        return False
    # A search for all of them would cost as much as the write's other steps together; no other field has lists of it.
    at = made.find(_MANAGED + ours[:_ENOUGH])
    if at < 0 or made[:at] != value[:at]:
        return False
    at += len(_MANAGED)
    return (
        made.startswith(ours, at)
        and made[at + len(ours) :] == value[at + len(theirs) :]
        and _TIME.sub(b"", ours) == _TIME.sub(b"", theirs)
    )


def _other(key: Key, wanted: str, found: str) -> str:
    """Why a write that is meant for another object is refused."""
    path = storage_key(key)
    why = f"Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
    return f"StorageError: invalid object, Code: 4, Key: {path}, ResourceVersion: 0, AdditionalErrorMsg: {why}"


def _not_a_number(text: str) -> str:
    return f'strconv.ParseUint: parsing "{text}": invalid syntax'
