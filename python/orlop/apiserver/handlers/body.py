"""From a request's body to a typed object, and the options that all writes share."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from orlop import native
from orlop.api import errors
from orlop.api.errors import FieldError, invalid_value, not_supported
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate
from orlop.apiserver.core import Core
from orlop.apiserver.handlers.strictness import in_order
from orlop.apiserver.request import Request
from orlop.store.base import Attribution

FIELD_VALIDATION = ("", "Ignore", "Strict", "Warn")
MANAGER_MAX = 128
"""Bytes of a field manager's name."""
SCHEME = "k8s.io/kubernetes/pkg/api/legacyscheme/scheme.go:30"
"""How upstream's errors name the list of known kinds."""


def options(request: Request, kind: str, more: Sequence[FieldError] = ()) -> bool:
    """Checks dryRun, fieldManager and fieldValidation of a write; returns whether it is a dry run.

    `kind` is CreateOptions, UpdateOptions or PatchOptions, `more` what is wrong with options of that kind alone.
    Raises Invalid.
    """
    if not request.scope.get("query_string") and not more:
        return False
    wrong: list[FieldError] = list(more)
    dry_run = request.query.get("dryRun", [])
    manager = request.param("fieldManager")
    if len(manager.encode()) > MANAGER_MAX:
        wrong.append(FieldError("FieldValueTooLong", "fieldManager", None, f"may not be more than {MANAGER_MAX} bytes"))
    for i, character in enumerate(manager):
        if not character.isprintable():
            why = f"invalid character U+{ord(character):04X} (at position {len(manager[:i].encode())})"
            wrong.append(invalid_value("fieldManager", manager, why))
            break
    if any(v != "All" for v in dry_run):
        wrong.append(not_supported("dryRun", dry_run, ["All"]))
    if request.param("fieldValidation") not in FIELD_VALIDATION:
        wrong.append(not_supported("fieldValidation", request.param("fieldValidation"), FIELD_VALIDATION))
    if wrong:
        raise errors.invalid(kind, "meta.k8s.io", "", wrong)
    return bool(dry_run)


def attribution(request: Request) -> Attribution:
    """Who writes, for the record."""
    return Attribution(request.user.name, manager_of(request), request.audit_id, request.header(b"traceparent"))


def manager_of(request: Request) -> str:
    """The field manager: the one named, else the user agent's first word."""
    manager = request.param("fieldManager") if request.scope.get("query_string") else ""
    return manager or _first_word(request.headers.get(b"user-agent", b""))


@lru_cache(256)
def _first_word(agent: bytes) -> str:
    """Of a user agent. Remembered, since all requests of a client have the same."""
    return agent.decode("latin-1").partition("/")[0][:MANAGER_MAX]


async def decode(core: Core, request: Request, kind: Kind) -> Any:
    """The body as an object of `kind`. Raises BadRequest in upstream's words, UnsupportedMediaType."""
    return core.objects.decode(kind, await read(request, kind))


async def read(request: Request, kind: Kind) -> bytes:
    """The body as canonical JSON. Raises as `decode`."""
    media = negotiate.body_media(request.header(b"content-type"))
    return to_json(request, kind, media, await request.body())


def to_json(request: Request, kind: Kind, media: negotiate.Media, body: bytes) -> bytes:
    """The body as canonical JSON of `kind`; unknown and duplicate fields are dealt with as the client asks."""
    try:
        api_version, name = native.wire_peek(media, body)
    except native.WireError as error:
        raise unrecognized(kind, str(error), media, body) from None
    conversion = request.conversion
    served = kind if conversion is None else conversion.served
    if api_version.count("/") > 1:
        raise unrecognized(kind, BAD_VERSION + api_version, media, body)
    check_type(served, api_version, name)
    try:
        value, unknown, duplicate = native.wire_decode(served.type_key, media, body)
    except native.WireError as error:
        if str(error).startswith(UNTYPED):
            raise unrecognized(kind, str(error), media, body) from None
        raise errors.BadRequest(
            f'{served.kind} in version "{served.version}" cannot be handled as a {served.kind}: {error}'
        ) from None
    if unknown or duplicate:
        report(request, kind, in_order(body if media == "json" else b"", unknown, duplicate))
    if conversion is not None:
        value = conversion.to_stored(value)
    if request.audit is not None:
        request.audit.body(kind, value)
    return value


UNTYPED = "couldn't get version/kind; "
BAD_VERSION = "unexpected GroupVersion string: "
_SHOWN = 30
"""Bytes of a body that an error shows."""


def unrecognized(kind: Kind, why: str, media: negotiate.Media, body: bytes) -> errors.BadRequest:
    """A body of which not even the kind can be read."""
    if media == "json" and not why.startswith((UNTYPED, BAD_VERSION)):
        why = f"{UNTYPED}json parse error: {why}"
    return errors.BadRequest(
        f"the object provided is unrecognized (must be of type {kind.kind}): {why} ({_summary(body)})"
    )


def _summary(body: bytes) -> str:
    if not body:
        return "<empty>"
    short, more = body[:_SHOWN], " ..." if len(body) > _SHOWN else ""
    return (short.decode(errors="replace") if body.startswith(b"{") else short.hex()) + more


ALSO = {("policy/v1beta1", "Eviction"): "policy/v1"}
"""What is read as another version of the same fields though it is not served: EvictionREST.AcceptsGroupVersion."""


def check_type(kind: Kind, api_version: str, name: str) -> None:
    """Refuses a body that says that it is something else. An empty apiVersion or kind means the expected one."""
    if (not api_version or api_version == kind.api_version) and (not name or name == kind.kind):
        return
    if ALSO.get((api_version, name)) == kind.api_version:
        return
    from orlop.api import scheme

    version = (api_version or kind.api_version).rpartition("/")[2]
    name = name or kind.kind
    start = f'{name} in version "{version}" cannot be handled as a {kind.kind}: '
    found = scheme.by_kind(api_version or kind.api_version, name)
    if found is None:
        raise errors.BadRequest(
            f'{start}no kind "{name}" is registered for version "{api_version or kind.api_version}" in scheme '
            f'"{SCHEME}"'
        )
    if name == kind.kind:
        raise errors.BadRequest(
            f"the API version in the data ({api_version}) does not match the expected API version ({kind.api_version})"
        )
    raise errors.BadRequest(
        f"{start}converting ({found.version}.{name}) to ({kind.folder}.{kind.kind}): unknown conversion"
    )


YAML_ERRORS = "yaml: unmarshal errors:\n"


def report(request: Request, kind: Kind, problems: list[str]) -> None:
    """Unknown and duplicate fields, as fieldValidation asks: nothing, warnings (the default) or BadRequest."""
    mode = request.param("fieldValidation") or "Warn"
    if mode == "Strict":
        served = kind if request.conversion is None else request.conversion.served
        raise errors.BadRequest(
            f'{served.kind} in version "{served.version}" cannot be handled as a {served.kind}: '
            f"strict decoding error: {', '.join(problems)}"
        )
    if mode == "Warn":
        for problem in problems:
            for line in problem.removeprefix(YAML_ERRORS).splitlines():
                request.warn(line.strip())
