"""POST of a new object."""

from collections.abc import Iterable

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, output, ownership
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response

NAMESPACE_MISMATCH = "the namespace of the provided object does not match the namespace sent on the request"


async def create(core: Core, request: Request, kind: Kind) -> Response:
    """Decode, default, admit, prepare, validate, store; 201 with what was stored."""
    accepted = negotiate.accept(request.header(b"accept"))
    dry_run = body.options(request, "CreateOptions")
    strategy = core.strategies[kind.type_key]
    value = await body.read(request, kind)
    info, by = request.info, body.attribution(request)
    like = None
    if not dry_run and request.conversion is None:
        like = core.alike.like(strategy, info.namespace, request.user, by.manager, value)
        if like is not None and (mould := core.alike.mould(strategy, like)) is not None:
            value = await core.alike.create(strategy, like, mould, by)
            return _answer(core, request, kind, value, accepted, mould.warnings)
    obj = core.objects.decode(kind, value)
    metadata = obj.metadata
    if kind.namespaced:
        if not metadata.namespace:
            metadata.namespace = info.namespace
        elif metadata.namespace != info.namespace:
            raise errors.BadRequest(NAMESPACE_MISMATCH)
    else:
        metadata.namespace = ""
    if metadata.deletion_timestamp is not None or metadata.deletion_grace_period_seconds is not None:
        metadata.deletion_timestamp = metadata.deletion_grace_period_seconds = None
    metadata.resource_version = _no_revision(metadata.resource_version)
    strategy.default(obj)
    strategy.made_by(obj, request.user)
    if request.conversion is not None and (wrong := request.conversion.validate_create(obj)):
        raise errors.invalid(kind.kind, request.conversion.served.group, metadata.name, wrong)
    ownership.note(core, request, strategy, None, obj)
    name = metadata.name or metadata.generate_name  # what a refusal says of an object that has no name yet
    a = Attributes("CREATE", kind, info.namespace, name, obj, None, request.user, dry_run=dry_run, request=request)
    if like is not None:
        core.alike.looks(like, a)
    await core.admission.admit(a)
    obj = a.object  # which admission may have made anew, in its place
    if obj.metadata.namespace != (info.namespace if kind.namespaced else ""):
        raise errors.BadRequest(NAMESPACE_MISMATCH)

    warnings: list[str] = []
    before = 0

    async def check(new: object, _: object) -> None:
        nonlocal before
        a.name = obj.metadata.name
        before, warnings[:] = len(request.warnings), strategy.warnings(obj)
        try:
            await core.admission.validate(a)
        except errors.ApiError:
            _warn(request, warnings, before)  # also of what admission refuses
            raise

    value = await core.objects.create(strategy, obj, by=by, dry_run=dry_run, check=check)
    _warn(request, warnings, before)
    if like is not None:
        core.alike.keep(strategy, like, a, value, warnings)
    return _answer(core, request, kind, value, accepted)


def _warn(request: Request, warnings: Iterable[str], before: int) -> None:
    """What is said of an object itself comes before what validating admission says of it."""
    request.warnings[before:before] = [text for text in warnings if text not in request.warnings]


def _answer(
    core: Core, request: Request, kind: Kind, value: bytes, accepted: negotiate.Accepted, warnings: Iterable[str] = ()
) -> Response:
    for warning in warnings:
        request.warn(warning)
    if accepted.plain and request.conversion is None:
        return Response(201, value)
    return output.one(core, request, kind, value, accepted, 201)


def _no_revision(text: str) -> str:
    if text not in ("", "0"):
        raise errors.BadRequest("resourceVersion should not be set on objects to be created")
    return ""
