"""Who owns which fields: every write notes in metadata.managedFields what its field manager has set."""

import re
from typing import Any

import msgspec
from msgspec import Raw

from orlop import native
from orlop.api.types import meta_v1
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.registry.objects import encode
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.request import Request
from orlop.clock import rfc3339

FieldWriter = tuple[str, str, str, str, list[str]]
"""Field manager, apiVersion, subresource, time (RFC 3339), fields that the endpoint leaves alone."""
NOTHING = meta_v1.ObjectMeta().managed_fields
"""What is not written out."""
OPERATIONS = ("Apply", "Update")
FIELDS_TYPE = "FieldsV1"
RESET = b"[{}]"
"""What a client sends to have all owners forgotten."""
UNKNOWN = "unknown"
"""The manager where neither the request nor the user agent names one."""


def writer(core: Core, request: Request, strategy: Strategy) -> FieldWriter:
    """Who writes, through which endpoint, in which version."""
    info = request.info
    kind = strategy.kind if request.conversion is None else request.conversion.served
    return (
        body.manager_of(request) or UNKNOWN,
        kind.api_version,
        info.subresource,
        rfc3339(core.clock.now()),
        strategy.not_owned(info.subresource),
    )


_EMPTY = re.compile(rb'"managedFields"\s*:\s*\[\s*\]')


def forget(obj: Any, data: bytes) -> None:
    """An empty list of entries in the JSON that an update was read from means what `[{}]` means."""
    if obj.metadata.managed_fields is not NOTHING:
        return  # there are some: the list is not empty
    if b'"managedFields"' not in data or _EMPTY.search(data) is None:
        return
    metadata = msgspec.json.decode(data).get("metadata")
    if isinstance(metadata, dict) and metadata.get("managedFields") == []:
        obj.metadata.managed_fields = Raw(RESET)


def _noted(managed: Raw, old: Any) -> bool:
    """Whether the entries that a client sends are entries; others count as not sent."""
    if (old is not None and managed == old.metadata.managed_fields) or bytes(managed) == RESET:
        return True
    try:
        entries = msgspec.json.decode(managed, type=list[meta_v1.ManagedFieldsEntry])
    except msgspec.DecodeError:
        return False
    return all(e.operation in OPERATIONS and e.fields_type in ("", FIELDS_TYPE) for e in entries)


def _encoded(request: Request, strategy: Strategy, new: Any, by: FieldWriter) -> bytes:
    """What the writer can own of an object: a spec that its endpoint leaves alone need not be written out for that."""
    if "spec" in by[4] and strategy.has_spec and request.conversion is None and isinstance(new, msgspec.Struct):
        new = msgspec.structs.replace(new, spec=type(new.spec)())  # type: ignore[attr-defined]
    return encode(new)


def note(
    core: Core,
    request: Request,
    strategy: Strategy,
    old: Any,
    new: Any,
    stored: bytes | None = None,
    data: bytes | None = None,
) -> None:
    """Writes into `new` who owns its fields after this create (`old` is None) or update.

    Called with the object as the client means it, defaulted, before admission: what admission adds has no owner.
    `stored` are the old one's bytes, which are looked up where they are not given; `data` what `new` was read from, if
    nothing was filled in since.
    """
    kind, key = strategy.kind, strategy.kind.type_key
    metadata = new.metadata
    by = writer(core, request, strategy)
    live = stored
    if data is None:
        data = _encoded(request, strategy, new, by)
    if old is None and bytes(metadata.managed_fields) == RESET:
        metadata.managed_fields = NOTHING
        return
    if metadata.managed_fields is not NOTHING and not _noted(metadata.managed_fields, old):
        metadata.managed_fields = NOTHING if old is None else old.metadata.managed_fields
        data = _encoded(request, strategy, new, by)
    if old is not None and live is None and kind.converter is not None:
        live = encode(old)
    elif old is not None and live is None:
        live, _ = core.objects.find(kind, metadata.namespace, metadata.name)
    if request.conversion is not None:
        key = request.conversion.served.type_key
        live = None if live is None else request.conversion.to_served(live)
        data = request.conversion.to_served(data)
    managed = native.wire_managed(key, live, data, by)
    if managed is not None:
        metadata.managed_fields = NOTHING if managed == b"[]" else Raw(managed)
    elif old is not None:
        metadata.managed_fields = old.metadata.managed_fields
