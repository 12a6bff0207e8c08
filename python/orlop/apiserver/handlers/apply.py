"""PATCH with a configuration: server-side apply (KEP-555). Creates the object if it is not there."""

import re
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw

from orlop import native
from orlop.api import errors
from orlop.api.errors import required
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import gojson, negotiate, output, ownership
from orlop.apiserver.core import Core
from orlop.apiserver.crd.kind import CustomKind
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.typed import UNDECLARED, doubtful, mismatch
from orlop.apiserver.handlers.update import admit, check_identity, checker
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response

_OF_METADATA = 'unknown field "metadata.'
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
        text = await request.body()
        data = native.wire_to_json("yaml", text) if text.strip() else b"{}"
        tree = msgspec.json.decode(data)
        if request.audit is not None:
            request.audit.patch(data)
    except (native.WireError, msgspec.DecodeError) as error:
        raise errors.BadRequest(f"error decoding patch: error converting YAML to JSON: {error}") from None
    if tree is None:
        tree = {}
    if not isinstance(tree, dict):
        raise errors.BadRequest(
            f"error decoding patch: error unmarshaling JSON: while decoding JSON: {gojson.not_a_map(tree)}"
        )
    if (tree.get("apiVersion"), tree.get("kind")) != (kind.api_version, kind.kind):
        raise errors.BadRequest(f"invalid object type: {_go_kind(tree.get('apiVersion'), tree.get('kind'))}")
    metadata = tree.get("metadata")
    if not isinstance(metadata, dict):
        metadata = {}
    if metadata.get("managedFields") is not None:
        raise errors.BadRequest("metadata.managedFields must be nil")
    _known(request, kind, text, data, tree, metadata)
    return Config(data, tree)


def _go_kind(api_version: Any, kind: Any) -> str:
    """A group, version and kind as Go prints them."""
    group, _, version = (api_version if isinstance(api_version, str) else "").rpartition("/")
    return f"{group}/{version}, Kind={kind or ''}"


_INTO = re.compile(r"json: cannot unmarshal (number [-+.eE\d]+|\w+) into Go struct field \S+ of type (\w+)")


def _converting(error: str) -> str:
    """The wire's error as upstream's converter from unstructured objects words it."""
    found = _INTO.match(error)
    if found is None:
        return error
    given, type_ = found.groups()
    if not given.startswith("number "):
        return f"json: cannot unmarshal {given} into Go value of type {type_}"
    return f"cannot convert float64 to {type_}"


def _known(
    request: Request, kind: Kind, text: bytes, data: bytes, tree: dict[str, Any], metadata: dict[str, Any]
) -> None:
    """Every field must be one of the type: ownership of others could not be told."""
    namespace, name = metadata.get("namespace") or "", metadata.get("name") or ""
    start = _untyped("patch", kind, namespace, name)
    if isinstance(kind, CustomKind) and (wrong := kind.schema.untyped(data, False)):
        raise errors.ApiError(start + wrong, code=500, reason="")
    try:
        _, unknown, duplicate = native.wire_decode(kind.type_key, "yaml", text)
    except native.WireError as error:
        wrong = "" if isinstance(kind, CustomKind) else mismatch(kind.type_key, tree)
        if wrong or isinstance(kind, CustomKind):
            raise errors.ApiError(f"{start}{wrong or error}", code=500, reason="") from None
        # What fits the schema and not the type is found when the result is converted.
        type_ = _go_kind(kind.api_version, kind.kind)
        why = f"unable to convert unstructured object to {type_}: {_converting(str(error))}"
        raise errors.ApiError(
            f"failed to convert new object ({namespace}/{name}; {type_}) to proper version: {why}", code=500, reason=""
        ) from None
    checked = not isinstance(kind, CustomKind) and not unknown and doubtful(tree)
    if checked and (wrong := mismatch(kind.type_key, tree)):
        raise errors.ApiError(start + wrong, code=500, reason="")
    if isinstance(kind, CustomKind):
        # What an object without declared fields holds is pruned, as in any other write.
        unknown = [problem for problem in unknown if problem.startswith(_OF_METADATA)]
    if unknown:
        # Upstream stops at the first that it comes upon.
        path = min(problem.removeprefix("unknown field ").strip('"') for problem in unknown)
        wrong = "" if isinstance(kind, CustomKind) else mismatch(kind.type_key, tree)
        raise errors.ApiError(start + (wrong or f".{path}: {UNDECLARED}"), code=500, reason="")
    if duplicate and request.param("fieldValidation") == "Strict":
        raise errors.BadRequest(f"error strict decoding patch: error converting YAML to JSON: {', '.join(duplicate)}")
    if duplicate:
        body.report(request, kind, duplicate)


def _untyped(which: str, kind: Kind, namespace: str, name: str) -> str:
    """How a refusal begins of what is not of its schema's types: the `patch` or the `live` object."""
    gvk = _go_kind(kind.api_version, kind.kind)
    return f"failed to create typed {which} object ({namespace}/{name}; {gvk}): "


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
    missing = [] if request.param("fieldManager") else [required("fieldManager", "is required for apply patch")]
    dry_run = body.options(request, "PatchOptions", missing)
    strategy = core.strategies[kind.type_key]
    served = kind if request.conversion is None else request.conversion.served
    config = await read(core, request, served)
    info = request.info
    namespace = info.namespace if kind.namespaced else ""
    force = request.flag("force")

    async def change(old: Any) -> Any:
        live = None
        if old is not None:
            live = await core.objects.current(kind, namespace, info.name)
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
        if old is None:
            strategy.made_by(new, request.user)
        elif not new.metadata.resource_version:
            # Some kinds take no update without one.
            new.metadata.resource_version = old.metadata.resource_version
        strategy.default(new)
        return await admit(core, request, kind, new, old, dry_run)

    stored, created = await core.objects.update(
        strategy,
        namespace,
        info.name,
        change,
        by=body.attribution(request),
        subresource=info.subresource,
        dry_run=dry_run,
        check=checker(core, request, kind, dry_run),
        warn=request.warn,
        create=True,
        precondition=False,
    )
    return output.one(core, request, kind, stored, accepted, 201 if created else 200)


def applied(core: Core, request: Request, kind: Kind, config: Config, live: bytes | None, force: bool) -> Any:
    """The object that the configuration makes of the live one, with its owners noted. Raises Conflict, Invalid."""
    strategy = core.strategies[kind.type_key]
    served = kind if request.conversion is None else request.conversion.served
    if live is not None and isinstance(served, CustomKind) and (untyped := served.schema.untyped(live, True)):
        info = request.info
        start = _untyped("live", served, info.namespace if kind.namespaced else "", info.name)
        raise errors.ApiError(start + untyped, code=500, reason="")
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
