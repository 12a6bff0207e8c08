"""Objects and lists of a kind in the form a client asked for."""

from collections.abc import Sequence

import msgspec

from orlop import native
from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import negotiate, table
from orlop.apiserver.core import Core
from orlop.apiserver.negotiate import Accepted
from orlop.apiserver.request import Request
from orlop.apiserver.response import JSON, Response, encoded


class Bare(msgspec.Struct):
    """What a metadata reader gets of an object."""

    metadata: msgspec.Raw = msgspec.Raw(b"{}")


_BARE = msgspec.json.Decoder(Bare)
PARTIAL_KEY = "meta/v1.PartialObjectMetadata"
PARTIAL_LIST_KEY = "meta/v1.PartialObjectMetadataList"
TABLE_KEY = "meta/v1.Table"


def partial(value: bytes, version: str) -> bytes:
    """A stored object as PartialObjectMetadata."""
    metadata = bytes(_BARE.decode(value).metadata)
    return b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}' % (
        version.encode(),
        metadata,
    )


def list_meta(revision: int, continue_: str = "", remaining: int | None = None) -> bytes:
    """A list's metadata."""
    return msgspec.json.encode(
        meta_v1.ListMeta(resource_version=str(revision), continue_=continue_, remaining_item_count=remaining)
    )


def list_prefix(kind: Kind, metadata: bytes) -> bytes:
    """A list's body up to its first item."""
    return b'{"kind":"%b","apiVersion":"%b","metadata":%b,"items":[' % (
        kind.list_kind.encode(),
        kind.api_version.encode(),
        metadata,
    )


LIST_SUFFIX = b"]}"


def list_item(kind: Kind, value: bytes) -> bytes:
    """An object as it stands in a list."""
    head = kind.list_head
    return b"{" + value[len(head) :] if head and value.startswith(head) else value


def table_of(core: Core, request: Request, kind: Kind, items: Sequence[bytes], metadata: bytes, version: str) -> bytes:
    """Objects as a Table, with what `includeObject` asks of each."""
    return table.rows(
        kind,
        items,
        core.clock.now(),
        include=include_object(request),
        metadata=metadata,
        version=version,
    )


def include_object(request: Request) -> str:
    """What a Table's rows carry of their objects. Raises BadRequest."""
    include = request.param("includeObject") or "Metadata"
    if include not in table.INCLUDES:
        raise errors.BadRequest(
            f'Unable to convert to Table as requested: includeObject: Invalid value: "{include}": must be '
            "'Metadata', 'Object', 'None', or empty"
        )
    return include


def not_a_list(kind: Kind, asked: str) -> errors.NotAcceptable:
    """406 for metadata of a list where there is one object."""
    return errors.NotAcceptable(
        f"you requested {asked}, but the requested object is not a list (*{kind.folder}.{kind.kind})"
    )


def one(core: Core, request: Request, kind: Kind, value: bytes, accepted: Accepted, status: int = 200) -> Response:
    """An answer with one object."""
    if request.conversion is not None and (accepted.as_ != "Table" or request.conversion.tables):
        kind, value = request.conversion.served, request.conversion.to_served(value)
    if accepted.plain:
        return Response(status, value)
    if accepted.as_ == "Table":
        metadata = msgspec.json.encode({"resourceVersion": revision_of(value)})
        body, content_type = encoded(
            accepted.media, TABLE_KEY, table_of(core, request, kind, [value], metadata, accepted.version)
        )
    elif accepted.as_ == "PartialObjectMetadataList":
        raise not_a_list(kind, accepted.as_)
    elif accepted.as_:
        body, content_type = encoded(accepted.media, PARTIAL_KEY, partial(value, accepted.version))
    else:
        body, content_type = encoded(accepted.media, kind.type_key, value)
    return Response(status, body, content_type)


def many(
    core: Core, request: Request, kind: Kind, items: Sequence[bytes], metadata: bytes, accepted: Accepted
) -> Response:
    """An answer with a list."""
    if request.conversion is not None and (accepted.as_ != "Table" or request.conversion.tables):
        kind, items = request.conversion.served, [request.conversion.to_served(item) for item in items]
    if accepted.as_ == "Table":
        body = table_of(core, request, kind, items, metadata, accepted.version)
        return Response(200, *encoded(accepted.media, TABLE_KEY, body))
    if accepted.as_ == "PartialObjectMetadata":
        raise errors.NotAcceptable(
            f"you requested {accepted.as_}, but the requested object is a list (*{kind.folder}.{kind.list_kind})"
        )
    if accepted.as_:
        prefix = b'{"kind":"PartialObjectMetadataList","apiVersion":"meta.k8s.io/%b","metadata":%b,"items":[' % (
            accepted.version.encode(),
            metadata,
        )
        body = prefix + b",".join(partial(i, accepted.version) for i in items) + LIST_SUFFIX
        return Response(200, *encoded(accepted.media, PARTIAL_LIST_KEY, body))
    if accepted.media == "protobuf":
        list_json = list_prefix(kind, metadata) + LIST_SUFFIX
        body = native.wire_encode_protobuf_list(kind.type_key + "List", kind.type_key, list_json, list(items))
        return Response(200, body, negotiate.PROTOBUF.encode())
    body = list_prefix(kind, metadata) + b",".join(list_item(kind, item) for item in items) + LIST_SUFFIX
    if accepted.media == "yaml":
        return Response(200, *encoded("yaml", "", body))
    return Response(200, body, JSON)


def revision_of(value: bytes) -> str:
    """The resourceVersion in stored bytes."""
    mark = b'"resourceVersion":"'
    at = value.find(mark)
    if at < 0:
        return ""
    at += len(mark)
    return value[at : value.index(b'"', at)].decode()
