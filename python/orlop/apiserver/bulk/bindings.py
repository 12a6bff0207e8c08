"""POST of a list of Bindings: each is what a POST to its pod's `binding` subresource would be, and answered on its own.

The answer is a list of Status objects in the order of the bindings. Every binding is authorized (create of pods/binding
in its namespace), admitted, written and told to watchers as if it had come alone; what is refused hinders no other.
"""

import asyncio
from collections.abc import Sequence
from copy import copy

import msgspec

from orlop.api import errors, scheme
from orlop.api.errors import required
from orlop.api.types import meta_v1
from orlop.apiserver import negotiate
from orlop.apiserver.auth import forbidden
from orlop.apiserver.bulk.kinds import BINDINGS
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.request import Request, RequestInfo
from orlop.apiserver.response import Response, of_status
from orlop.apiserver.subresources.binding import BINDING, assign

MAX_ITEMS = 500
"""Bindings in one request. They are written together: some 50 ms in which other requests wait their turn."""
METHOD = "the server does not allow this method on the requested resource"
UNKNOWN = "the server could not find the requested resource"


class _List(msgspec.Struct, rename="camel"):
    api_version: str = ""
    kind: str = ""
    items: list[msgspec.Raw] = msgspec.field(default_factory=list)


_read = msgspec.json.Decoder(_List).decode
_encode = msgspec.json.Encoder().encode
_DONE = meta_v1.Status(status="Success", code=201)


async def answer(core: Core, request: Request) -> Response:
    """A request for the group. Raises NotFound, MethodNotSupported, BadRequest, RequestEntityTooLarge."""
    info = request.info
    if info.resource != BINDINGS.plural or info.version != BINDINGS.version or info.subresource or info.namespace:
        raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
    if info.verb != "create" or info.name:
        raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
    dry_run = body.options(request, "CreateOptions")
    items = await _items(request)
    done = await asyncio.gather(*(_bind(core, request, item, dry_run) for item in items))
    value = {"apiVersion": BINDINGS.api_version, "kind": "BindingStatusList", "items": done}
    return Response(200, _encode(value))


async def _items(request: Request) -> Sequence[msgspec.Raw]:
    if negotiate.body_media(request.header(b"content-type")) != "json":
        raise errors.UnsupportedMediaType(
            "the body of the request was in an unknown format - accepted media types include: application/json"
        )
    try:
        asked = _read(await request.body())
    except msgspec.MsgspecError as error:
        raise errors.BadRequest(f"BindingList cannot be read: {error}") from None
    body.check_type(BINDINGS, asked.api_version, asked.kind)
    if len(asked.items) > MAX_ITEMS:
        why = f"a list has at most {MAX_ITEMS} bindings, this one has {len(asked.items)}: send it in parts"
        raise errors.RequestEntityTooLarge(why)
    return asked.items


async def _bind(core: Core, request: Request, item: msgspec.Raw, dry_run: bool) -> meta_v1.Status:
    """What came of one binding."""
    try:
        await _bind_one(core, request, item, dry_run)
    except errors.ApiError as error:
        return error.status
    return _DONE


async def _bind_one(core: Core, request: Request, item: msgspec.Raw, dry_run: bool) -> None:
    """Raises ApiError."""
    value = body.to_json(request, BINDING, "json", bytes(item))
    binding = core.objects.decode(BINDING, value)
    metadata: meta_v1.ObjectMeta = binding.metadata
    absent = [field for field in ("namespace", "name") if not getattr(metadata, field)]
    if absent:
        raise errors.invalid("Binding", "", metadata.name, [required(f"metadata.{field}") for field in absent])
    pods = scheme.by_resource("", "v1", "pods")
    assert pods is not None
    alone = _alone(request, metadata)
    if core.auditor is None or (record := core.auditor.begin(alone, request.user)) is None:
        core.authorizer.require(request.user, alone.info, "")
        return await assign(core, alone, pods, binding, dry_run)
    alone.audit = record
    record.body(BINDING, value)
    status = _DONE
    try:
        decision = core.authorizer.authorize(request.user, alone.info)
        record.decided(decision)
        if not decision.allowed:
            raise forbidden(request.user, alone.info, decision.reason)
        await assign(core, alone, pods, binding, dry_run)
    except errors.ApiError as error:
        status = error.status
        raise
    finally:
        await record.answered(core, alone, of_status(status))


def _alone(request: Request, metadata: meta_v1.ObjectMeta) -> Request:
    """The request that would have brought this binding alone: the same user, audit ID, deadline and warnings."""
    alone = copy(request)
    alone.audit = None
    path = f"/api/v1/namespaces/{metadata.namespace}/pods/{metadata.name}/binding"
    alone.info = RequestInfo(path, "create", True, "", "v1", metadata.namespace, "pods", "binding", metadata.name, ())
    return alone
