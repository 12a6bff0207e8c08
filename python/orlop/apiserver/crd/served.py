"""What a server serves of custom resources, from the definitions as the hub has them."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from orlop import logging, native
from orlop.api import errors
from orlop.api.kind import STANDARD_VERBS, Kind
from orlop.api.types import meta_v1
from orlop.apiserver.aggregate.remote import Remote
from orlop.apiserver.conversion import Conversion
from orlop.apiserver.crd.columns import CustomPrinter
from orlop.apiserver.crd.converter import Across, Webhook, WebhookConverter
from orlop.apiserver.crd.definition import Definition, Version, deprecation
from orlop.apiserver.crd.kind import CustomKind, Decoder, compile_schema, fresh_key, object_type
from orlop.apiserver.crd.objects import CustomObject
from orlop.apiserver.crd.strategy import CustomResources
from orlop.apiserver.registry.objects import Objects
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.webhooks.client import WebhookClient
from orlop.clock import Clock
from orlop.native import Hub
from orlop.tasks import in_thread

RETIRED_SECONDS = 120.0
"""How long the rules of a replaced version stay: a request under way may still ask for them."""
LOOK_STEP = 256
"""Objects looked at in one step in a thread, to see whether they are of the present schema."""

LAST_VERBS = tuple(verb for verb in STANDARD_VERBS if verb != "create")
"""While the definition ends."""
GONE = "the server could not find the requested resource"

log = logging.get("apiserver")


def terminating(kind: Kind) -> errors.MethodNotSupported:
    """A create while the definition ends."""
    words = "create not allowed while custom resource definition is terminating"
    return errors.MethodNotSupported(words, details=meta_v1.StatusDetails(group=kind.group, kind=kind.plural))


class Swagger(NamedTuple):
    """What one kind brings to /openapi/v2, compressed."""

    paths: bytes
    """JSON: members of an object, each behind a comma."""
    schemas: bytes
    protobuf: bytes


class Route(NamedTuple):
    """How requests for one version are answered."""

    kind: CustomKind
    conversion: Conversion | None
    deprecation: str
    """What users of the version are told; "" where they need not be."""
    terminating: bool
    across: Across | None
    """What shows objects of the other versions in this one, where a webhook converts."""


class Entry(NamedTuple):
    """One definition that is served."""

    definition: Definition
    generation: tuple[Any, ...]
    """What serving depends on: while it is the same nothing is built again."""
    kinds: tuple[CustomKind, ...]
    keys: tuple[str, ...]
    stale: bool
    """Whether stored objects may not be as the present schema has them: they are brought into form as they are read."""


class Served:
    """Looked up by every request for a kind that is not built in; changed by `follow` alone."""

    def __init__(
        self, objects: Objects, hub: Hub, strategies: dict[str, Strategy], clock: Clock, webhooks: WebhookClient
    ) -> None:
        self._objects = objects
        self._hub = hub
        self._strategies = strategies
        self._clock = clock
        self._webhooks = webhooks
        self._routes: dict[tuple[str, str, str], Route] = {}
        self._entries: dict[str, Entry] = {}
        self._retired: list[tuple[float, tuple[str, ...]]] = []
        self._types: dict[str, tuple[bool, Any]] = {}
        self._replaced: dict[str, asyncio.Event] = {}
        self.changes = 0
        """How often what is served has changed."""
        objects.distrust = self._distrust
        self.documents = {}
        self.swagger: dict[str, Swagger] = {}
        """Parts of OpenAPI v2 by the kinds' keys."""
        self.remote: dict[tuple[str, str], Remote] = {}
        """Group-versions of other API servers: their discovery and OpenAPI stand beside that of custom resources."""
        self.memo: dict[Any, Any] = {}
        """What is made of the list of kinds (discovery, OpenAPI): forgotten when it changes."""

    documents: dict[tuple[str, str], tuple[list[str], tuple[str, bytes]]]
    """OpenAPI of each group's version, with the keys of the kinds that it was made of."""

    def route(self, group: str, version: str, plural: str) -> Route | None:
        """How a URL's resource is served; None if it is not."""
        return self._routes.get((group, version, plural))

    def kinds(self) -> Iterator[CustomKind]:
        """Every version that is served."""
        return (kind for entry in self._entries.values() for kind in entry.kinds)

    def names(self) -> set[str]:
        """Of the definitions that are served."""
        return set(self._entries)

    def group_versions(self) -> set[tuple[str, str]]:
        """Of all that is served."""
        found: set[tuple[str, str]] | None = self.memo.get("gvs")
        if found is None:
            found = self.memo["gvs"] = {(kind.group, kind.version) for kind in self.kinds()}
        return found

    async def put(self, definition: Definition) -> None:
        """Serves a definition as it is now, or no longer where its names are not accepted."""
        name = definition.metadata.name
        if not definition.established:
            self.drop(name)
            return
        generation = (
            definition.metadata.uid,
            msgspec.json.encode(definition.spec),
            msgspec.json.encode(definition.status.accepted_names),
            definition.status.stored_versions,
        )
        known = self._entries.get(name)
        if known is not None and known.generation == generation:
            if known.definition.terminating != definition.terminating:
                self._terminate(known, definition)
            return
        await self._try(definition, generation, None)

    async def _try(self, definition: Definition, generation: tuple[Any, ...], stale: bool | None) -> None:
        name = definition.metadata.name
        try:
            await self._build(definition, generation, stale)
        except native.WireError as error:
            log.error("a definition cannot be served", extra={"definition": name, "error": str(error)})
            self.drop(name)

    def drop(self, name: str) -> None:
        """Serves it no longer."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return
        self._unroute(entry)
        self._retire(entry.keys)
        self.memo.clear()

    def _terminate(self, entry: Entry, definition: Definition) -> None:
        """Its end begins: nothing is created any more, all else is as it was."""
        for kind in entry.kinds:
            key = (kind.group, kind.version, kind.plural)
            route = self._routes[key]
            last = msgspec.structs.replace(route.kind, verbs=LAST_VERBS)
            self._routes[key] = route._replace(kind=last, terminating=True)
        kinds = tuple(self._routes[kind.group, kind.version, kind.plural].kind for kind in entry.kinds)
        self._entries[definition.metadata.name] = entry._replace(definition=definition, kinds=kinds)
        self.memo.clear()

    async def _distrust(self, kind: Kind, creates: bool) -> None:
        """A request that began before a change of the definition is about to write: from here on what is stored counts
        as not of the present schema. Raises NotFound and MethodNotSupported where nothing may be written any more."""
        entry = self._entries.get(f"{kind.plural}.{kind.group}")
        if entry is None:
            raise errors.NotFound(GONE, details=meta_v1.StatusDetails())
        if creates and entry.definition.terminating:
            raise terminating(kind)
        if not entry.stale:
            await self._try(entry.definition, entry.generation, True)

    def replaced(self, kind: Kind) -> asyncio.Event | None:
        """Set when the kind is served by other rules or no longer: watches end then. None for what is built in."""
        if not isinstance(kind, CustomKind):
            return None
        found = self._replaced.setdefault(kind.key, asyncio.Event())
        if kind.key in self._objects.outdated:
            found.set()
        return found

    def _unroute(self, entry: Entry) -> None:
        for kind in entry.kinds:
            self._routes.pop((kind.group, kind.version, kind.plural), None)

    def _retire(self, keys: tuple[str, ...]) -> None:
        now = self._clock.monotonic()
        while self._retired and self._retired[0][0] < now - RETIRED_SECONDS:
            for key in self._retired.pop(0)[1]:
                self._objects.outdated.discard(key)
                self._replaced.pop(key, None)
                self._strategies.pop(key, None)
                self._objects.forget(key)
        self._retired.append((now, keys))
        self._objects.outdated.update(keys)
        for key in keys:
            if (replaced := self._replaced.get(key)) is not None:
                replaced.set()

    def _type(self, definition: Definition) -> Any:
        """The class of its objects: one for as long as the resource is of one kind."""
        spec = definition.spec
        found = self._types.get(definition.resource)
        namespaced = spec.scope == "Namespaced"
        if found is None or found[0] != namespaced or found[1].__kind__.kind != spec.names.kind:
            row = Kind(
                group=spec.group,
                version=definition.storage_version().name,
                kind=spec.names.kind,
                plural=spec.names.plural,
                folder=spec.group,
                namespaced=namespaced,
            )
            found = self._types[definition.resource] = (namespaced, object_type(row))
        return found[1]

    async def _build(self, definition: Definition, generation: tuple[Any, ...], stale: bool | None) -> None:
        spec, storage = definition.spec, definition.storage_version()
        type_ = self._type(definition)
        storage_api = f"{spec.group}/{storage.name}"
        namespaced = spec.scope == "Namespaced"
        made: dict[str, CustomKind] = {}
        for version in spec.versions:
            if version.served or version is storage or version.name in definition.status.stored_versions:
                made[version.name] = self._kind(definition, version, version.name, type_)
        stored = made[storage.name]
        fields = _selectable(storage)
        self._hub.declare(definition.resource, fields, namespaced, storage_api, spec.names.kind)
        if stale is None:
            stale = await self._stale(definition.resource, stored.schema)
        webhook = self._webhook(definition)
        convert = None if webhook is None else _converters(definition, webhook, made, storage, type_)
        keys: list[str] = []
        routes: dict[tuple[str, str, str], Route] = {}
        for version in spec.versions:
            if not version.served:
                continue
            kind = made[version.name]
            conversion = None
            if version is storage and not stale:
                self._add(kind, CustomResources(kind, version, kind.schema, None), None)
            elif convert is not None:
                kind = msgspec.structs.replace(kind, by_webhook=convert(version))
                self._add(kind, CustomResources(kind, version, kind.schema, None), None)
            else:
                inner = kind if version is storage else self._kind(definition, version, storage.name, type_)
                conversion = _conversion(kind, inner, stored)
                normal = _normal(stored.schema) if stale else None
                self._add(inner, CustomResources(inner, version, kind.schema, conversion.to_served), normal)
                if inner is not kind:
                    keys.append(kind.key)
                keys.append(inner.key)
            keys.append(kind.key)
            across = None
            if webhook is not None:
                across = Across(webhook, f"{spec.group}/{version.name}", kind.kind, kind.schema)
            route = Route(kind, conversion, deprecation(spec, version), definition.terminating, across)
            routes[(spec.group, version.name, spec.names.plural)] = route
        before = self._entries.get(definition.metadata.name)
        if before is not None:
            self._unroute(before)
            self._retire(before.keys)
        kinds = tuple(route.kind for route in routes.values())
        self._entries[definition.metadata.name] = Entry(definition, generation, kinds, tuple(keys), stale)
        self._routes.update(routes)
        self.memo.clear()
        self.changes += 1

    def _webhook(self, definition: Definition) -> Webhook | None:
        """The definition's webhook; None where it has none."""
        conversion = definition.spec.conversion
        if conversion is None or conversion.strategy != "Webhook":
            return None
        return Webhook(conversion, self._webhooks, self._clock)

    def _add(self, kind: CustomKind, strategy: Strategy, normal: Callable[[bytes], bytes] | None) -> None:
        self._strategies[kind.key] = strategy
        self._objects.register(kind.key, Decoder(kind.type_, normal))

    def _kind(self, definition: Definition, version: Version, written_as: str, type_: Any) -> CustomKind:
        """A version's kind; `written_as` is the version that its objects' apiVersion names."""
        spec = definition.spec
        names = definition.status.accepted_names
        key = fresh_key(spec.group, version.name, names.kind)
        schema = compile_schema(key, f"{spec.group}/{written_as}", names.kind, version.schema_json())
        subresources = ("scale",) if version.scale is not None else ()
        return CustomKind(
            group=spec.group,
            version=written_as,
            kind=names.kind,
            plural=spec.names.plural,
            folder=spec.group,
            namespaced=spec.scope == "Namespaced",
            short_names=tuple(names.short_names),
            categories=tuple(names.categories),
            subresources=(*subresources, "status") if version.has_status else subresources,
            verbs=LAST_VERBS if definition.terminating else STANDARD_VERBS,
            key=key,
            singular_name=names.singular,
            list_name=names.list_kind,
            type_=type_,
            printer=CustomPrinter(version.additional_printer_columns),
            schema=schema,
            definition=version,
        )

    async def _stale(self, resource: str, schema: native.CustomSchema) -> bool:
        """Whether any stored object is not as the present schema has it."""
        after: tuple[str, str] | None = None
        while True:
            found = self._hub.list(resource, None, "", "", LOOK_STEP, after)
            items = found.items
            stale: bool = await in_thread(None, _any_stale, schema, items)
            if stale:
                return True
            if not found.more or found.last is None:
                return False
            after = found.last


def _converters(
    definition: Definition,
    webhook: Webhook,
    made: dict[str, CustomKind],
    storage: Version,
    type_: type[CustomObject],
) -> Callable[[Version], WebhookConverter]:
    """What converts for a version between what is served and what is stored."""
    group = definition.spec.group
    schemas = {f"{group}/{name}": kind.schema for name, kind in made.items()}
    stored = f"{group}/{storage.name}"

    def convert(version: Version) -> WebhookConverter:
        served = f"{group}/{version.name}"
        return WebhookConverter(webhook, (served, schemas[served]), (stored, schemas[stored]), schemas, type_)

    return convert


def _any_stale(schema: native.CustomSchema, items: Sequence[bytes]) -> bool:
    return any(schema.normalize(item) is not None for item in items)


def _normal(schema: native.CustomSchema) -> Callable[[bytes], bytes]:
    def normal(value: bytes) -> bytes:
        made = schema.normalize(value)
        return value if made is None else made

    return normal


def _conversion(served: CustomKind, inner: CustomKind, stored: CustomKind) -> Conversion:
    """Strategy None: nothing but apiVersion differs; each side is pruned and filled in by its own schema."""
    return Conversion(served, inner, _normal(stored.schema), _normal(served.schema), {}, lambda _: [], tables=True)


def _selectable(version: Version) -> list[tuple[str, str]]:
    names = [field.json_path.removeprefix(".") for field in version.selectable_fields]
    return [(name, name) for name in names]
