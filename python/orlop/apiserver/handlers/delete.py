"""DELETE of one object."""

import msgspec

from orlop import native
from orlop.api import errors
from orlop.api.errors import FieldError, invalid_value, not_supported
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import negotiate, output
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.registry.objects import Check
from orlop.apiserver.registry.storagekeys import storage_key
from orlop.apiserver.registry.strategy import Strategy
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response, of_status, success
from orlop.store.base import Key

OPTIONS_KEY = "meta/v1.DeleteOptions"
POLICIES = ("Foreground", "Background", "Orphan")
UNSAFE = "ignoreStoreReadErrorWithClusterBreakingPotential"
OPTION_VERSIONS = frozenset({"", "v1", "meta.k8s.io/v1"})


async def delete_options(request: Request) -> meta_v1.DeleteOptions:
    """DeleteOptions from the body, or where there is none from the query, checked. Raises BadRequest, Invalid."""
    data = await request.body()
    if data:
        media = negotiate.body_media(request.header(b"content-type"))
        try:
            value, _, _ = native.wire_decode(OPTIONS_KEY, media, data)
            options = msgspec.json.decode(value, type=meta_v1.DeleteOptions)
        except (native.WireError, msgspec.DecodeError) as error:
            raise errors.BadRequest(str(error)) from None
        if request.audit is not None:
            request.audit.options(value)
        if options.kind not in ("DeleteOptions", ""):
            raise errors.BadRequest(
                f'no kind "{options.kind}" is registered for version "{options.api_version or "v1"}" in scheme '
                f'"{body.SCHEME}"'
            )
    else:
        options = meta_v1.DeleteOptions(
            grace_period_seconds=request.integer("gracePeriodSeconds"),
            propagation_policy=request.param("propagationPolicy") or None,
            orphan_dependents=request.flag("orphanDependents") if "orphanDependents" in request.query else None,
            dry_run=request.query.get("dryRun", []),
        )
        # Upstream's conversion finds these in the query too, though they stand deeper in a body.
        if "uid" in request.query or "resourceVersion" in request.query:
            options.preconditions = meta_v1.Preconditions(
                uid=request.param("uid") if "uid" in request.query else None,
                resource_version=request.param("resourceVersion") if "resourceVersion" in request.query else None,
            )
        if UNSAFE in request.query:
            options.ignore_store_read_error_with_cluster_breaking_potential = request.flag(UNSAFE)
    wrong: list[FieldError] = _unsafe(options)
    if options.propagation_policy is not None and options.propagation_policy not in POLICIES:
        wrong.append(not_supported("propagationPolicy", options.propagation_policy, [*POLICIES, "nil"]))
    if options.propagation_policy is not None and options.orphan_dependents is not None:
        wrong.append(
            invalid_value(
                "propagationPolicy",
                options.propagation_policy,
                "orphanDependents and deletionPropagation cannot be both set",
            )
        )
    if any(v != "All" for v in options.dry_run):
        wrong.append(not_supported("dryRun", options.dry_run, ["All"]))
    if wrong:
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", wrong)
    return options


def _unsafe(options: meta_v1.DeleteOptions) -> list[FieldError]:
    """What may not be asked together with the deletion of an object that cannot be read."""
    if not options.ignore_store_read_error_with_cluster_breaking_potential:
        return []
    with_ = [
        (options.propagation_policy is not None, ".propagationPolicy"),
        (options.orphan_dependents is not None, ".orphanDependents"),
        (options.grace_period_seconds is not None, ".gracePeriodSeconds"),
        (options.preconditions is not None, ".preconditions"),
    ]
    return [invalid_value(UNSAFE, True, f"cannot be set together with {name}") for given, name in with_ if given]


def advise(request: Request, strategy: Strategy, options: meta_v1.DeleteOptions) -> None:
    """Warns of what becomes of dependents where a delete does not say."""
    if strategy.deletion_advice and options.propagation_policy is None and options.orphan_dependents is None:
        request.warn(strategy.deletion_advice)


def checker(
    core: Core, request: Request, kind: Kind, namespace: str, name: str, options: meta_v1.DeleteOptions
) -> Check:
    """Admission of a deletion, which is shown the object as it is."""
    dry_run = bool(options.dry_run)

    async def check(_: object, old: object) -> None:
        a = Attributes(
            "DELETE", kind, namespace, name, None, old, request.user, dry_run=dry_run, request=request, options=options
        )
        await core.admission.admit(a)
        await core.admission.validate(a)

    return check


def _readable(kind: Kind, namespace: str, name: str) -> str:
    """Why an object is not deleted as one that cannot be read."""
    key = storage_key(Key(kind.resource, namespace, name))
    return (
        f"StorageError: invalid object, Code: 4, Key: {key}, ResourceVersion: 0, AdditionalErrorMsg: unsafe deletion "
        "is not allowed because the object is decodable from storage"
    )


async def delete(core: Core, request: Request, kind: Kind) -> Response:
    """200 with the object where it stays a while (or the kind returns it), else with a Status."""
    accepted = negotiate.accept(request.header(b"accept"))
    options = await delete_options(request)
    dry_run = bool(options.dry_run)
    strategy = core.strategies[kind.type_key]
    advise(request, strategy, options)
    info = request.info
    namespace = info.namespace if kind.namespaced else ""
    if options.ignore_store_read_error_with_cluster_breaking_potential:
        core.objects.find(kind, namespace, info.name)
        raise errors.conflict(kind.plural, kind.group, info.name, _readable(kind, namespace, info.name))
    check = checker(core, request, kind, namespace, info.name, options)
    value, gone = await core.objects.delete(
        strategy, namespace, info.name, options, by=body.attribution(request), dry_run=dry_run, check=check
    )
    if gone and not strategy.returns_deleted:
        metadata = core.objects.decode(kind, value).metadata
        return of_status(success(kind.plural, kind.group, metadata.name, metadata.uid), request)
    accepted_status = 202 if not gone and options.orphan_dependents is False else 200
    return output.one(core, request, kind, value, accepted, accepted_status)
