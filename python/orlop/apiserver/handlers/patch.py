"""PATCH of an object or its status: the patch is made again on the newer object when another write came between."""

from collections.abc import Callable
from typing import Any

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


def decode_patched(core: Core, request: Request, kind: Kind, value: bytes, shown: Callable[[], str]) -> Any:
    """The patched JSON as an object: unknown fields are reported as in any body, but a Strict refusal is a 422.

    `shown` is what a refusal says was wrong.
    """
    try:
        served = kind if request.conversion is None else request.conversion.served
        clean, unknown, duplicate = native.wire_decode(served.type_key, "json", value)
    except native.WireError as error:
        raise _refused(shown(), str(error)) from None
    if unknown or duplicate:
        problems = [*duplicate, *unknown]
        if request.param("fieldValidation") == "Strict":
            raise _refused(shown(), f"strict decoding error: {', '.join(problems)}")
        body.report(request, kind, problems)
    return core.objects.decode(kind, clean if request.conversion is None else request.conversion.to_stored(clean))


def _refused(value: str, detail: str) -> errors.ApiError:
    """Upstream names no kind here: kubectl says "The request is invalid: patch: …"."""
    return errors.invalid("", "", "", [errors.invalid_value("patch", value, detail)])


async def patch(core: Core, request: Request, kind: Kind) -> Response:
    """Applies the patch to the current object and stores it as an update would."""
    accepted = negotiate.accept(request.header(b"accept"))
    type_ = patches.patch_type(request.header(b"content-type"))
    if type_ == patches.APPLY_PATCH:
        return await apply(core, request, kind)
    dry_run = body.options(request, "PatchOptions")
    if request.flag("force"):
        raise errors.invalid(
            "PatchOptions",
            "meta.k8s.io",
            "",
            [errors.forbidden_field("force", "may not be specified for non-apply patch")],
        )
    strategy = core.strategies[kind.type_key]
    info = request.info
    data = await request.body()
    served = kind if request.conversion is None else request.conversion.served
    namespace = info.namespace if kind.namespaced else ""

    async def change(old: Any) -> Any:
        if old is None:
            raise errors.not_found(kind.plural, kind.group, info.name)
        current, _ = core.objects.find(kind, namespace, info.name)
        if request.conversion is not None:
            current = request.conversion.to_served(current)
        patched = patches.apply(served, type_, current, data)
        new = decode_patched(core, request, kind, patched, lambda: patches.shown(type_, data, patched))
        check_identity(request, kind, new)
        strategy.default(new)
        ownership.note(core, request, strategy, old, new)
        await admit(core, request, kind, new, old, dry_run)
        return new

    stored, _ = await core.objects.update(
        strategy,
        namespace,
        info.name,
        change,
        by=body.attribution(request),
        subresource=info.subresource,
        dry_run=dry_run,
        check=checker(core, request, kind, dry_run),
    )
    return output.one(core, request, kind, stored, accepted)
