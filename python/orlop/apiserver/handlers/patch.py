"""PATCH of an object or its status: the patch is made again on the newer object when another write came between."""

from collections.abc import Callable
from typing import Any

import msgspec

from orlop import native
from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, output, ownership, patch as patches
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.apply import apply
from orlop.apiserver.handlers.update import admit, check_identity, checker
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response


def decode_patched(
    core: Core, request: Request, kind: Kind, value: bytes, duplicate: list[str], shown: Callable[[], str]
) -> Any:
    """The patched JSON as an object: unknown and duplicate fields are reported as in any body.

    `shown` is what a refusal says was wrong.
    """
    served = kind if request.conversion is None else request.conversion.served
    try:
        clean, unknown, _ = native.wire_decode(served.type_key, "json", value)
    except native.WireError as error:
        raise refused(shown(), str(error)) from None
    if not clean.startswith(b'{"apiVersion":"%b","kind":"%b"' % (served.api_version.encode(), served.kind.encode())):
        clean = _retyped(served, value, clean, shown)
    problems = [*duplicate, *unknown]
    if problems:
        report(request, kind, problems, shown)
    return core.objects.decode(kind, clean if request.conversion is None else request.conversion.to_stored(clean))


def report(request: Request, kind: Kind, problems: list[str], shown: Callable[[], str]) -> None:
    """As for bodies, but a Strict refusal of a patch is a 422."""
    if request.param("fieldValidation") != "Strict":
        return body.report(request, kind, problems)
    raise refused(shown(), f"strict decoding error: {', '.join(problems)}")


def refused(value: str, why: str) -> errors.Invalid:
    """422 for what a patch makes of an object. Upstream names none: kubectl says "The request is invalid"."""
    return errors.invalid("", "", "", [errors.invalid_value("patch", value, why)])


def _retyped(kind: Kind, value: bytes, clean: bytes, shown: Callable[[], str]) -> bytes:
    """A patch cannot make another kind of an object; one that empties kind or apiVersion is put right."""
    try:
        body.check_type(kind, *native.wire_peek("json", value))
    except errors.BadRequest as error:
        raise refused(shown(), error.message) from None
    tree: dict[str, msgspec.Raw] = msgspec.json.decode(clean, type=dict[str, msgspec.Raw])
    tree["apiVersion"] = msgspec.Raw(msgspec.json.encode(kind.api_version))
    tree["kind"] = msgspec.Raw(msgspec.json.encode(kind.kind))
    return msgspec.json.encode(tree)


def patch_options(request: Request) -> list[errors.FieldError]:
    """What is wrong with the options of a patch that is no apply."""
    if "force" not in request.query:
        return []
    return [errors.forbidden_field("force", "may not be specified for non-apply patch")]


async def patch(core: Core, request: Request, kind: Kind) -> Response:
    """Applies the patch to the current object and stores it as an update would."""
    accepted = negotiate.accept(request.header(b"accept"))
    type_ = patches.patch_type(request.header(b"content-type"))
    if type_ == patches.APPLY_PATCH:
        return await apply(core, request, kind)
    dry_run = body.options(request, "PatchOptions", patch_options(request))
    strategy = core.strategies[kind.type_key]
    info = request.info
    data = await request.body()
    if request.audit is not None:
        request.audit.patch(data)
    served = kind if request.conversion is None else request.conversion.served
    namespace = info.namespace if kind.namespaced else ""
    # Through the status the spec stays as it is, so what is shared with the old object nobody changes.
    leave_spec = info.subresource == "status" and strategy.has_spec

    def long_way(stored: bytes) -> Any:
        """The patched object, or what is wrong with it."""
        current = stored if request.conversion is None else request.conversion.to_served(stored)
        duplicate = patches.duplicates(served, type_, data)
        patched = patches.apply(served, type_, current, data)
        new = decode_patched(core, request, kind, patched, duplicate, lambda: patches.shown(type_, data, patched))
        check_identity(request, kind, new)
        ownership.forget(new, patched)
        return new

    async def change(old: Any) -> Any:
        if old is None:
            raise errors.not_found(kind.plural, kind.group, info.name)
        stored = await core.objects.current(kind, namespace, info.name)
        quick = patches.plain(kind, type_, stored, data, leave_spec) if request.conversion is None else None
        settled = None
        if quick is None:
            new = long_way(stored)
        else:
            new = core.objects.decode(kind, quick[0])
            if quick[1]:
                new.spec = old.spec
            if strategy.nothing_to_default(stored_spec=quick[1]):
                settled = quick[0]
            check_identity(request, kind, new)
        if settled is None:
            strategy.default(new)
        ownership.note(core, request, strategy, old, new, stored, settled)
        return await admit(core, request, kind, new, old, dry_run)

    stored, _ = await core.objects.update(
        strategy,
        namespace,
        info.name,
        change,
        by=body.attribution(request),
        subresource=info.subresource,
        dry_run=dry_run,
        check=checker(core, request, kind, dry_run),
        warn=request.warn,
        precondition=False,
    )
    return output.one(core, request, kind, stored, accepted)
