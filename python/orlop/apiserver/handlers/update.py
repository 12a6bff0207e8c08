"""PUT of an object or of a subresource that is the object itself (status, finalize)."""

from typing import Any

import msgspec

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, nulls, output, ownership
from orlop.apiserver.admission.base import Attributes, Operation
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.create import NAMESPACE_MISMATCH
from orlop.apiserver.registry.objects import Check
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response


def check_identity(request: Request, kind: Kind, obj: Any) -> None:
    """The name and namespace of the body must be those of the path; a namespace left out is filled in."""
    info, metadata = request.info, obj.metadata
    if not metadata.name:
        raise errors.BadRequest(
            f"the name of the object ({info.name} based on URL) was undeterminable: name must be provided"
        )
    if metadata.name != info.name:
        raise errors.BadRequest(
            f"the name of the object ({metadata.name}) does not match the name on the URL ({info.name})"
        )
    if not metadata.namespace and kind.namespaced:
        metadata.namespace = info.namespace
    elif not kind.namespaced:
        metadata.namespace = ""
    elif metadata.namespace != info.namespace:
        raise errors.BadRequest(NAMESPACE_MISMATCH)


def attributes(request: Request, kind: Kind, new: Any, old: Any, dry_run: bool, body: Kind | None = None) -> Attributes:
    """An update, or the create that it turned into, as admission is shown it; `body`: what is written where it is not
    the object itself."""
    info = request.info
    operation: Operation = "UPDATE" if old is not None else "CREATE"
    return Attributes(
        operation,
        kind,
        info.namespace,
        info.name,
        new,
        old,
        request.user,
        info.subresource,
        dry_run,
        request=request,
        body=body,
    )


def checker(core: Core, request: Request, kind: Kind, dry_run: bool) -> Check:
    """Validating admission of an update, or of the create that it turned into."""

    async def check(new: Any, old: Any) -> None:
        if core.admission.validates(kind, request.info.subresource, "CREATE" if old is None else "UPDATE"):
            await core.admission.validate(attributes(request, kind, new, old, dry_run))

    return check


async def admit(core: Core, request: Request, kind: Kind, new: Any, old: Any, dry_run: bool) -> Any:
    """Mutating admission of an update. Returns the object as it goes on, which may be another one."""
    a = attributes(request, kind, new, old, dry_run)
    await core.admission.admit(a)
    return a.object


def stands_as_read(strategy: Strategy, obj: Any) -> bool:
    """Whether the bytes that an object was read from are those it is written as: nothing is filled in."""
    if not isinstance(obj, msgspec.Struct) or not strategy.nothing_to_default(stored_spec=False):
        return False
    return not nulls.written_always(type(obj))


async def update(core: Core, request: Request, kind: Kind) -> Response:
    """Replaces the object; 200, or 201 where the kind lets a PUT create."""
    accepted = negotiate.accept(request.header(b"accept"))
    dry_run = body.options(request, "UpdateOptions")
    strategy = core.strategies[kind.type_key]
    info = request.info
    media = negotiate.body_media(request.header(b"content-type"))
    data = await request.body()
    value = body.to_json(request, kind, media, data)
    given = core.objects.decode(kind, value)
    check_identity(request, kind, given)
    # Through the status the spec stays as it is: there is nothing to fill in, nor to own.
    leave_spec = info.subresource == "status" and strategy.fills_spec and request.conversion is None
    plain = request.conversion is None and not info.subresource and stands_as_read(strategy, given)

    async def change(old: Any) -> Any:
        nonlocal given
        # What one try has changed another must not see.
        new, given = given if given is not None else core.objects.decode(kind, value), None
        if kind.namespaced:
            new.metadata.namespace = info.namespace
        sent = new.metadata.managed_fields
        if media == "json":
            ownership.forget(new, data)
        if leave_spec and old is not None:
            new.spec = old.spec
        if not strategy.nothing_to_default(stored_spec=leave_spec and old is not None):
            strategy.default(new)
        as_read = plain and new.metadata.managed_fields is sent
        ownership.note(core, request, strategy, old, new, data=value if as_read else None)
        return await admit(core, request, kind, new, old, dry_run)

    stored, created = await core.objects.update(
        strategy,
        info.namespace if kind.namespaced else "",
        info.name,
        change,
        by=body.attribution(request),
        subresource=info.subresource,
        dry_run=dry_run,
        check=checker(core, request, kind, dry_run),
        warn=request.warn,
    )
    return output.one(core, request, kind, stored, accepted, 201 if created else 200)
