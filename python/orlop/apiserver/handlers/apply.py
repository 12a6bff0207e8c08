"""PATCH with a configuration: server-side apply (KEP-555). Creates the object if it is not there."""

from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from orlop import native
from orlop.api import errors
from orlop.api.errors import required
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import negotiate, output, ownership
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.update import admit, check_identity, checker
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
KUBECTL = "kubectl"
"""The manager that keeps the annotation of client-side apply up to date where there is one."""


class Config(NamedTuple):
    """What is applied."""

    data: bytes
    """As it was sent, in JSON."""
    tree: dict[str, Any]


async def read(core: Core, request: Request, kind: Kind) -> Config:
    """The body, checked. Raises BadRequest for what is no configuration of this kind."""
    try:
        data = native.wire_to_json("yaml", await request.body())
        tree = msgspec.json.decode(data)
    except (native.WireError, msgspec.DecodeError) as error:
        raise errors.BadRequest(f"error decoding YAML: {error}") from None
    if not isinstance(tree, dict):
        raise errors.BadRequest("error decoding YAML: the configuration must be an object")
    version, name = tree.get("apiVersion") or "", tree.get("kind") or ""
    if not version or not name:
        missing = "Kind" if not name else "apiVersion"
        raise errors.BadRequest(f"Object '{missing}' is missing in '{data.decode()}'")
    if name != kind.kind:
        raise errors.BadRequest(f"the kind in the data ({name}) does not match the expected kind ({kind.kind})")
    if version != kind.api_version:
        raise errors.BadRequest(
            f"Incorrect version specified in apply patch. Specified patch version: {version}, expected: "
            f"{kind.api_version}"
        )
    metadata = tree.get("metadata") or {}
    if isinstance(metadata, dict) and metadata.get("managedFields"):
        raise errors.BadRequest("metadata.managedFields must be nil")
    _known(request, kind, data)
    return Config(data, tree)


def _known(request: Request, kind: Kind, data: bytes) -> None:
    """Every field must be one of the type: ownership of others could not be told."""
    info = request.info
    where = f"{info.namespace}/{info.name}" if info.namespace else info.name
    start = f"failed to create typed patch object ({where}; {kind.api_version}, Kind={kind.kind}): "
    try:
        _, unknown, duplicate = native.wire_decode(kind.type_key, "json", data)
    except native.WireError as error:
        raise errors.ApiError(f"{start}{error}", code=500, reason="") from None
    if unknown:
        paths = [text.removeprefix("unknown field ").strip('"') for text in unknown]
        listed = "\n".join(f".{path}: field not declared in schema" for path in paths)
        shown = listed if len(paths) == 1 else f"errors:\n  {listed}"
        raise errors.ApiError(f"{start}{shown}", code=500, reason="")
    if duplicate:
        body.report(request, kind, duplicate)


def conflict(conflicts: list[tuple[str, str]]) -> errors.Conflict:
    """409 with a cause for each field that somebody else owns."""
    causes = [
        meta_v1.StatusCause(reason="FieldManagerConflict", message=f"conflict with {owner}", field=path)
        for owner, path in conflicts
    ]
    if len(conflicts) == 1:
        owner, path = conflicts[0]
        message = f"Apply failed with 1 conflict: conflict with {owner}: {path}"
    else:
        lines: list[str] = []
        for owner in sorted({owner for owner, _ in conflicts}):
            lines.append(f"conflicts with {owner}:")
            lines += [f"- {path}" for who, path in conflicts if who == owner]
        message = f"Apply failed with {len(conflicts)} conflicts: " + "\n".join(lines)
    return errors.Conflict(message, details=meta_v1.StatusDetails(causes=causes))


async def apply(core: Core, request: Request, kind: Kind) -> Response:
    """200 with the object, 201 if it was made by this. Raises Conflict, and what an update raises."""
    accepted = negotiate.accept(request.header(b"accept"))
    if not request.param("fieldManager"):
        missing = required("fieldManager", "is required for apply patch")
        raise errors.invalid("PatchOptions", "meta.k8s.io", "", [missing])
    dry_run = body.options(request, "PatchOptions")
    strategy = core.strategies[kind.type_key]
    served = kind if request.conversion is None else request.conversion.served
    config = await read(core, request, served)
    info = request.info
    namespace = info.namespace if kind.namespaced else ""
    force = request.flag("force")

    async def change(old: Any) -> Any:
        live = None
        if old is not None:
            live, _ = core.objects.find(kind, namespace, info.name)
            live = live if request.conversion is None else request.conversion.to_served(live)
        else:
            core.authorizer.require(request.user, info._replace(verb="create"))
        new = applied(core, request, kind, config, live, force)
        check_identity(request, kind, new)
        if old is None and new.metadata.uid:
            why = (
                f"uid mismatch: the provided object specified uid {new.metadata.uid}, and no existing object was found"
            )
            raise errors.conflict(kind.plural, kind.group, info.name, why)
        strategy.default(new)
        await admit(core, request, kind, new, old, dry_run)
        return new

    stored, created = await core.objects.update(
        strategy,
        namespace,
        info.name,
        change,
        by=body.attribution(request),
        subresource=info.subresource,
        dry_run=dry_run,
        check=checker(core, request, kind, dry_run),
        create=True,
    )
    return output.one(core, request, kind, stored, accepted, 201 if created else 200)


def applied(core: Core, request: Request, kind: Kind, config: Config, live: bytes | None, force: bool) -> Any:
    """The object that the configuration makes of the live one, with its owners noted. Raises Conflict, Invalid."""
    strategy = core.strategies[kind.type_key]
    served = kind if request.conversion is None else request.conversion.served
    writer = ownership.writer(core, request, strategy)
    done, conflicts = native.wire_apply(served.type_key, live, config.data, writer, force)
    if done is None:
        raise conflict(conflicts)
    value, managed = done
    try:
        clean, _, _ = native.wire_decode(served.type_key, "json", value)
    except native.WireError as error:
        wrong = errors.invalid_value("patch", config.tree, str(error))
        raise errors.invalid(kind.kind, kind.group, request.info.name, [wrong]) from None
    new = core.objects.decode(kind, clean if request.conversion is None else request.conversion.to_stored(clean))
    new.metadata.managed_fields = ownership.NOTHING if managed == b"[]" else Raw(managed)
    asked = (config.tree.get("metadata") or {}).get("resourceVersion")
    new.metadata.resource_version = asked or ""
    if writer[0] == KUBECTL and live is not None and LAST_APPLIED in new.metadata.annotations:
        new.metadata.annotations[LAST_APPLIED] = _annotation(config.tree)
    return new


def _annotation(tree: dict[str, Any]) -> str:
    """What client-side apply would note of this configuration."""
    metadata = dict(tree.get("metadata") or {})
    annotations = dict(metadata.get("annotations") or {})
    annotations.pop(LAST_APPLIED, None)
    metadata.pop("managedFields", None)
    metadata["annotations"] = annotations
    return msgspec.json.encode({**tree, "metadata": metadata}, order="sorted").decode() + "\n"
