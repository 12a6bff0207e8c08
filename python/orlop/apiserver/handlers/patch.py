"""PATCH of an object or its status: the patch is made again on the newer object when another write came between."""

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


def decode_patched(core: Core, request: Request, kind: Kind, value: bytes) -> Any:
    """The patched JSON as an object: unknown fields are reported as in any body."""
    try:
        served = kind if request.conversion is None else request.conversion.served
        clean, unknown, duplicate = native.wire_decode(served.type_key, "json", value)
    except native.WireError as error:
        raise errors.invalid(
            kind.kind, kind.group, request.info.name, [errors.invalid_value("patch", _short(value), str(error))]
        ) from None
    if unknown or duplicate:
        report(request, kind, [*duplicate, *unknown])
    return core.objects.decode(kind, clean if request.conversion is None else request.conversion.to_stored(clean))


def report(request: Request, kind: Kind, problems: list[str]) -> None:
    """As for bodies, but a Strict refusal of a patch is a 422."""
    if request.param("fieldValidation") != "Strict":
        return body.report(request, kind, problems)
    raise errors.invalid(
        kind.kind,
        kind.group,
        request.info.name,
        [errors.invalid_value("patch", "", f"strict decoding error: {', '.join(problems)}")],
    )


def _short(value: bytes) -> Any:
    return msgspec.json.decode(value)


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
        new = decode_patched(core, request, kind, patches.apply(served, type_, current, data))
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
