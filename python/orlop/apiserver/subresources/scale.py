"""scale: a workload's replicas as autoscaling/v1 Scale."""

from typing import Any

import msgspec

from orlop import native
from orlop.api import errors, selectors
from orlop.api.errors import invalid_value, required
from orlop.api.scheme import Kind
from orlop.api.types import autoscaling_v1, meta_v1
from orlop.apiserver import negotiate, output, ownership, patch as patches
from orlop.apiserver.core import Core
from orlop.apiserver.crd import scale as custom
from orlop.apiserver.crd.objects import CustomObject
from orlop.apiserver.handlers import apply, body
from orlop.apiserver.handlers.update import attributes, check_identity
from orlop.apiserver.registry.objects import encode
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response
from orlop.apiserver.subresources import scaleowners

SCALE = Kind(group="autoscaling", version="v1", kind="Scale", plural="scales", folder="autoscaling", namespaced=True)


def scale_of(kind: Kind, obj: Any) -> autoscaling_v1.Scale:
    """The Scale of a workload. A ReplicationController's selector is a map, the others' a LabelSelector."""
    if isinstance(obj, CustomObject):
        return custom.scale_of(kind, obj)
    old = obj.metadata
    chosen = obj.spec.selector
    selector = selectors.from_map(chosen) if isinstance(chosen, dict) else selectors.from_struct(chosen)
    return autoscaling_v1.Scale(
        metadata=meta_v1.ObjectMeta(
            name=old.name,
            namespace=old.namespace,
            uid=old.uid,
            resource_version=old.resource_version,
            creation_timestamp=old.creation_timestamp,
        ),
        spec=autoscaling_v1.ScaleSpec(replicas=obj.spec.replicas or 0),
        status=autoscaling_v1.ScaleStatus(replicas=obj.status.replicas, selector=str(selector)),
    )


def _answer(core: Core, request: Request, scale: autoscaling_v1.Scale) -> Response:
    accepted = negotiate.accept(request.header(b"accept"))
    request.conversion = None  # the Scale itself has but one form
    return output.one(core, request, SCALE, encode(scale), accepted)


async def get_scale(core: Core, request: Request, kind: Kind) -> Response:
    """The Scale as it is now."""
    info = request.info
    value = await core.objects.current(kind, info.namespace, info.name)
    return _answer(core, request, scale_of(kind, core.objects.decode(kind, value)))


async def update_scale(core: Core, request: Request, kind: Kind) -> Response:
    """Sets the replicas from a whole Scale."""
    media = negotiate.body_media(request.header(b"content-type"))
    value = body.to_json(request, SCALE, media, await request.body())
    scale = msgspec.json.decode(value, type=autoscaling_v1.Scale)
    check_identity(request, kind, scale)

    async def change(_: autoscaling_v1.Scale) -> autoscaling_v1.Scale:
        return scale

    return await _change(core, request, kind, change)


async def patch_scale(core: Core, request: Request, kind: Kind) -> Response:
    """Sets the replicas by a patch of the Scale."""
    type_ = patches.patch_type(request.header(b"content-type"))
    if type_ == patches.APPLY_PATCH:
        return await apply_scale(core, request, kind)
    data = await request.body()
    if request.audit is not None:
        request.audit.patch(data)

    async def change(current: autoscaling_v1.Scale) -> autoscaling_v1.Scale:
        patched = patches.apply(SCALE, type_, encode(current), data)
        try:
            value, unknown, duplicate = native.wire_decode(SCALE.type_key, "json", patched)
        except native.WireError as error:
            raise errors.BadRequest(str(error)) from None
        if unknown or duplicate:
            body.report(request, SCALE, [*duplicate, *unknown])
        return msgspec.json.decode(value, type=autoscaling_v1.Scale)

    return await _change(core, request, kind, change)


async def apply_scale(core: Core, request: Request, kind: Kind) -> Response:
    """Server-side apply of a Scale: who owns a workload's replicas owns those of its Scale. Raises Conflict."""
    missing = [] if request.param("fieldManager") else [required("fieldManager", "is required for apply patch")]
    dry_run = body.options(request, "PatchOptions", missing)
    config = await apply.read(core, request, SCALE)
    force = request.flag("force")
    manager, api_version, subresource, now, _ = ownership.writer(core, request, core.strategies[kind.type_key])
    writer = (manager, SCALE.api_version, subresource, now, ["status"])

    async def resize(old: Any) -> Any:
        current = scale_of(kind, old)
        current.metadata.managed_fields = scaleowners.of_scale(old.metadata.managed_fields)
        done, conflicts = native.wire_apply(SCALE.type_key, encode(current), config.data, writer, force)
        if done is None:
            raise apply.conflict(conflicts)
        value, managed = done
        scale = msgspec.json.decode(native.wire_decode(SCALE.type_key, "json", value)[0], type=autoscaling_v1.Scale)
        scale.metadata.resource_version = (config.tree.get("metadata") or {}).get("resourceVersion") or ""
        scale = await _admitted(core, request, kind, scale, old, dry_run)
        new = await _scaled(core, request, kind, scale)
        if isinstance(new, CustomObject):  # whose replicas may be called otherwise
            ownership.note(core, request, core.strategies[kind.type_key], old, new)
        else:
            new.metadata.managed_fields = scaleowners.of_workload(
                old.metadata.managed_fields, msgspec.Raw(managed), api_version
            )
        return new

    return await _store(core, request, kind, resize, dry_run)


async def _scaled(core: Core, request: Request, kind: Kind, scale: autoscaling_v1.Scale) -> Any:
    """The workload as it is, with the replicas of `scale`. Raises BadRequest, Invalid."""
    info, metadata = request.info, scale.metadata
    if metadata.name and metadata.name != info.name:
        raise errors.BadRequest(
            f"the name of the object ({metadata.name}) does not match the name on the URL ({info.name})"
        )
    if scale.spec.replicas < 0:
        problem = invalid_value("spec.replicas", scale.spec.replicas, "must be greater than or equal to 0")
        raise errors.invalid("Scale", "autoscaling", info.name, [problem])
    current = await core.objects.current(kind, info.namespace, info.name)
    new = core.objects.decode(kind, current)
    if isinstance(new, CustomObject):
        custom.set_replicas(kind, new, scale.spec.replicas)
    else:
        new.spec.replicas = scale.spec.replicas
    new.metadata.resource_version = metadata.resource_version or new.metadata.resource_version
    if metadata.uid:
        new.metadata.uid = metadata.uid
    return new


async def _change(core: Core, request: Request, kind: Kind, change: Any) -> Response:
    """Stores what an update or patch makes of the Scale."""
    dry_run = body.options(request, "UpdateOptions")

    async def resize(old: Any) -> Any:
        scale = await _admitted(core, request, kind, await change(scale_of(kind, old)), old, dry_run)
        new = await _scaled(core, request, kind, scale)
        ownership.note(core, request, core.strategies[kind.type_key], old, new)
        return new

    return await _store(core, request, kind, resize, dry_run)


async def _admitted(
    core: Core, request: Request, kind: Kind, scale: autoscaling_v1.Scale, old: Any, dry_run: bool
) -> autoscaling_v1.Scale:
    """The Scale as mutating admission lets it go on."""
    before = scale_of(kind, old)
    if not scale.metadata.name:
        scale.metadata.name, scale.metadata.namespace = before.metadata.name, before.metadata.namespace
    a = attributes(request, kind, scale, before, dry_run, SCALE)
    await core.admission.admit(a)
    admitted: autoscaling_v1.Scale = a.object
    return admitted


async def _store(core: Core, request: Request, kind: Kind, resize: Any, dry_run: bool) -> Response:
    info = request.info
    strategy = core.strategies[kind.type_key]

    async def check(new: Any, old: Any) -> None:
        a = attributes(request, kind, scale_of(kind, new), scale_of(kind, old), dry_run, SCALE)
        await core.admission.validate(a)

    stored, _ = await core.objects.update(
        strategy,
        info.namespace,
        info.name,
        resize,
        by=body.attribution(request),
        subresource="scale",
        before=strategy.before_update,
        dry_run=dry_run,
        check=check,
    )
    return _answer(core, request, scale_of(kind, core.objects.decode(kind, stored)))
