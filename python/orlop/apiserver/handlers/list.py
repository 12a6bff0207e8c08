"""GET of a collection: from the hub, or from the store at an exact revision for pages and `Exact`."""

from typing import Any, NamedTuple

import msgspec

from orlop.api import errors, selectors
from orlop.api.errors import FieldError, forbidden_field, not_supported
from orlop.api.scheme import Kind
from orlop.api.types import meta_v1
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.front import delivery_of
from orlop.apiserver.handlers.continuation import INCONSISTENT, Token, decode_token, encode_token
from orlop.apiserver.request import Request, truthy
from orlop.apiserver.response import GZIPPED, JSON, Response, accepts_gzip, end_stream, start_stream
from orlop.clock import timeout
from orlop.store.base import Compacted, Key, Record
from orlop.tasks import in_thread

CATCH_UP_SECONDS = 3.0
"""How long a read waits for a revision that is not there yet, as upstream's cacher."""
CATCH_UP_STEP = 0.05
RANGE_STEP = 500
"""Objects read at a time while a page is filtered by a selector."""
STREAM_OBJECTS = 100
"""From so many objects on a list is written by the connection itself: below, one copy here is less work."""
MATCHES = ("Exact", "NotOlderThan")
UINT64_MAX = (1 << 64) - 1

TOO_OLD_TOKEN = (
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without "
    "the continue parameter, or use the continue token in this response to retrieve the remainder of the results. "
    "Continuing with the provided token results in an inconsistent list - objects that were created, modified, or "
    "deleted between the time the first chunk was returned and now may show up in the list."
)
TOO_OLD_LIST = "The resourceVersion for the provided list is too old."


class Options(NamedTuple):
    """A list's or watch's query, checked."""

    labels: str
    fields: str
    revision: str
    match: str
    limit: int
    continue_: str


def read_options(core: Core, request: Request, kind: Kind, watch: bool = False) -> Options:
    """Checks a list's or watch's query exactly as upstream. Raises BadRequest and Invalid."""
    if not request.scope.get("query_string"):
        return _NO_OPTIONS
    options = Options(
        request.param("labelSelector"),
        request.param("fieldSelector"),
        request.param("resourceVersion"),
        request.param("resourceVersionMatch"),
        max(0, request.integer("limit") or 0),
        request.param("continue"),
    )
    if request.conversion is not None and options.fields:
        try:
            options = options._replace(fields=request.conversion.selector(options.fields))
        except ValueError as error:
            raise errors.BadRequest(str(error)) from None
    options = _read_selectors(core, kind, options)
    request.integer("timeoutSeconds")
    initial = request.query.get("sendInitialEvents")
    wrong = _watch_errors(options, initial) if watch else _list_errors(options, initial)
    if wrong:
        raise errors.invalid("ListOptions", "meta.k8s.io", "", wrong)
    return options


_NO_OPTIONS = Options("", "", "", "", 0, "")


def _read_selectors(core: Core, kind: Kind, options: Options) -> Options:
    """The options with both selectors in the one form that the hub reads."""
    if not options.labels and not options.fields:
        return options
    try:
        labels = str(selectors.parse_labels(options.labels))
        fields = selectors.parse_fields(options.fields)
    except ValueError as error:
        raise errors.BadRequest(str(error)) from None
    known = {*_always(kind), *(n for n, _ in core.strategies[kind.type_key].fields)}
    terms = []
    for field, equal, value in fields.terms:
        if field not in known:
            raise errors.BadRequest(_unknown_field(kind, field))
        if field not in UNSET and (kind.namespaced or field != "metadata.namespace"):
            terms.append((field, equal, value))
        elif equal == bool(value):
            # Such a field is the empty text in every object. So is no object's name.
            terms.append(("metadata.name", True, ""))
    return options._replace(labels=labels, fields=str(selectors.FieldSelector(tuple(terms))))


UNSET = frozenset({"status.podIPs"})
"""Fields that may be asked for, though no object is ever listed by them."""

_OWN_WORDS = frozenset({"events", "namespaces", "nodes", "pods", "replicationcontrollers", "secrets", "services"})
"""Resources of the core group that have field labels of their own; so have all of certificates.k8s.io."""


def _always(kind: Kind) -> set[str]:
    """What every object of the kind may be selected by, whatever its strategy adds."""
    known = {"metadata.name"}
    if kind.resource not in ("namespaces", "nodes", "resource.k8s.io/resourceslices") and kind.group != CERTIFICATES:
        known.add("metadata.namespace")
    if kind.resource == "pods":
        known |= UNSET
    return known


CERTIFICATES = "certificates.k8s.io"


def _unknown_field(kind: Kind, field: str) -> str:
    if kind.resource == "batch/jobs":
        return f'field label "{field}" not supported for Job'
    if kind.resource == "resource.k8s.io/resourceslices":
        return f"field label not supported for {kind.api_version}, Kind={kind.kind}: {field}"
    if kind.group == CERTIFICATES or (not kind.group and kind.resource in _OWN_WORDS):
        return f"field label not supported: {field}"
    return f'"{field}" is not a known field selector: only "metadata.name", "metadata.namespace"'


def _list_errors(options: Options, initial: list[str] | None) -> list[FieldError]:
    wrong = []
    path = "resourceVersionMatch"
    if options.match:
        if not options.revision:
            wrong.append(forbidden_field(path, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if options.continue_:
            wrong.append(forbidden_field(path, "resourceVersionMatch is forbidden when continue is provided"))
        if options.match not in MATCHES:
            wrong.append(not_supported(path, options.match, [*MATCHES, ""]))
        if options.match == "Exact" and options.revision == "0":
            wrong.append(forbidden_field(path, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if initial is not None:
        wrong.append(forbidden_field("sendInitialEvents", "sendInitialEvents is forbidden for list"))
    return wrong


def _watch_errors(options: Options, initial: list[str] | None) -> list[FieldError]:
    wrong = []
    path = "resourceVersionMatch"
    if initial is not None and options.match != "NotOlderThan":
        wrong.append(forbidden_field(path, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"))
    if options.match:
        if initial is None:
            wrong.append(
                forbidden_field(
                    path, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
                )
            )
        if options.match != "NotOlderThan":
            wrong.append(not_supported(path, options.match, ["NotOlderThan"]))
    if options.continue_:
        wrong.append(forbidden_field(path, "resourceVersionMatch is forbidden when continue is provided"))
    return wrong


REVISION = "invalid resource version: "


def parse_revision(text: str) -> int:
    """A resourceVersion's number; 0 for none. Raises BadRequest."""
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal()):
        raise errors.BadRequest(
            f'{REVISION}resourceVersion: Invalid value: "{text}": strconv.ParseUint: parsing "{text}": invalid syntax'
        )
    revision = int(text)
    if revision > UINT64_MAX:
        raise errors.BadRequest(
            f'{REVISION}resourceVersion: Invalid value: "{text}": '
            f'strconv.ParseUint: parsing "{text}": value out of range'
        )
    return revision


async def wait_for(core: Core, text: str) -> int:
    """Waits until the hub has a revision; returns its number. Raises Timeout with ResourceVersionTooLarge."""
    revision = parse_revision(text)
    if revision <= core.hub.revision:
        return revision
    try:
        async with timeout(core.clock, CATCH_UP_SECONDS):
            while core.hub.revision < revision:
                await core.clock.sleep(CATCH_UP_STEP)
    except TimeoutError:
        raise too_large(revision, core.hub.revision) from None
    return revision


def too_large(revision: int, current: int) -> errors.Timeout:
    """504 for a revision that is not there yet."""
    return errors.Timeout(
        f"Timeout: Too large resource version: {revision}, current: {current}",
        details=meta_v1.StatusDetails(
            causes=[meta_v1.StatusCause(reason="ResourceVersionTooLarge", message="Too large resource version")],
            retry_after_seconds=1,
        ),
    )


async def list_(core: Core, request: Request, kind: Kind) -> Response | None:
    """A list, or a page of one."""
    accepted = negotiate.accept(request.header(b"accept"), collection=True)
    options = read_options(core, request, kind)
    namespace = request.info.namespace or None if kind.namespaced else None
    if options.continue_:
        return await _page(core, request, kind, namespace, options, accepted)
    if options.match == "Exact" or (options.limit and options.revision not in ("", "0") and not options.match):
        # A limit with a revision and no match means Exact: that is how pages were asked for before there was a match.
        revision = await wait_for(core, options.revision)
        return await _at(core, request, kind, namespace, options, accepted, revision, None)
    await wait_for(core, options.revision)
    # resourceVersion=0 allows any age: upstream serves such a list whole from its cache, whatever the limit.
    limit = 0 if options.revision == "0" else options.limit
    found = core.hub.list(kind.resource, namespace, options.labels, options.fields, limit, None, kind.list_head)
    continue_, remaining = "", None
    if found.more and found.last is not None:
        continue_ = encode_token(Token(found.revision, *found.last), namespace)
        if not options.labels and not options.fields:
            remaining = found.remaining
    metadata = output.list_meta(found.revision, continue_, remaining)
    if kind.converter is not None:
        return output.many(core, request, kind, await kind.converter.read(found.items), metadata, accepted)
    if accepted.plain and request.conversion is None:
        prefix = output.list_prefix(kind, metadata)
        recorded = request.audit is not None and request.audit.wants_answer
        if accepts_gzip(request) and found.size >= negotiate.GZIP_MIN and not recorded:
            packed = await in_thread(None, found.gzip, prefix, output.LIST_SUFFIX)
            return Response(200, packed, JSON, GZIPPED)
        streams = len(found) >= STREAM_OBJECTS and request.method != "HEAD" and not recorded
        if streams and (delivery := delivery_of(request.scope)):
            await start_stream(request, JSON)
            await delivery.list(found, prefix, output.LIST_SUFFIX)
            await end_stream(request)
            return None
        return Response(200, found.join(prefix, output.LIST_SUFFIX))
    return output.many(core, request, kind, found.items, metadata, accepted)


async def _page(
    core: Core,
    request: Request,
    kind: Kind,
    namespace: str | None,
    options: Options,
    accepted: negotiate.Accepted,
) -> Response:
    token = decode_token(options.continue_, namespace)
    if options.revision not in ("", "0"):
        raise errors.BadRequest("specifying resource version is not allowed when using continue")
    after = Key(kind.resource, token.namespace, token.name)
    revision = core.hub.revision if token.revision < 0 else await wait_for(core, str(token.revision))
    if options.revision == "0":
        options = options._replace(limit=0)
    return await _at(core, request, kind, namespace, options, accepted, revision, after)


async def _at(
    core: Core,
    request: Request,
    kind: Kind,
    namespace: str | None,
    options: Options,
    accepted: negotiate.Accepted,
    revision: int,
    after: Key | None,
) -> Response:
    matches = _matcher(core, kind, options)
    items: list[bytes] = []
    last: Key | None = after
    more = True
    while more and (not options.limit or len(items) < options.limit):
        step = RANGE_STEP if matches or not options.limit else options.limit - len(items)
        try:
            records, more = await core.store.range(kind.resource, namespace, after=last, limit=step, revision=revision)
        except Compacted:
            if after is None:
                raise errors.expired(TOO_OLD_LIST) from None
            fresh = encode_token(Token(INCONSISTENT, after.namespace, after.name), namespace)
            raise errors.Expired(TOO_OLD_TOKEN, continue_=fresh) from None
        for i, record in enumerate(records):
            last = record.key
            if matches is None or matches(record):
                items.append(record.value)
                if options.limit and len(items) == options.limit:
                    more = more or i + 1 < len(records)
                    break
        if not records:
            break
    continue_, remaining = "", None
    if more and last is not None:
        continue_ = encode_token(Token(revision, last.namespace, last.name), namespace)
        if matches is None:
            remaining = _remaining(core, kind, namespace, last)
    metadata = output.list_meta(revision, continue_, remaining)
    if kind.converter is not None:
        items = await kind.converter.read(items)
    return output.many(core, request, kind, items, metadata, accepted)


def _remaining(core: Core, kind: Kind, namespace: str | None, last: Key) -> int:
    """How many objects follow, as of now: the API promises an estimate, and the past is not read through for it."""
    found = core.hub.list(kind.resource, namespace, "", "", 1, (last.namespace, last.name))
    return len(found) + (found.remaining or 0)


class _Metadata(msgspec.Struct):
    labels: dict[str, str] = {}


class _Labelled(msgspec.Struct):
    metadata: _Metadata


_LABELS = msgspec.json.Decoder(_Labelled)


def _matcher(core: Core, kind: Kind, options: Options) -> Any:
    """A test for stored records, None where everything matches."""
    if not options.labels and not options.fields:
        return None
    by_label = selectors.parse_labels(options.labels)
    by_field = selectors.parse_fields(options.fields)
    paths = dict(core.strategies[kind.type_key].fields)

    def matches(record: Record) -> bool:
        if not by_label.empty and not by_label.matches(_LABELS.decode(record.value).metadata.labels):
            return False
        if not by_field.terms:
            return True
        values = {"metadata.name": record.key.name, "metadata.namespace": record.key.namespace}
        wanted = [field for field in by_field.fields if field not in values]
        if wanted:
            tree = msgspec.json.decode(record.value)
            for field in wanted:
                values[field] = _at_path(tree, paths[field])
        return by_field.matches(values)

    return matches


def _at_path(tree: Any, path: str) -> str:
    for part in path.split("."):
        tree = tree.get(part) if isinstance(tree, dict) else None
    if isinstance(tree, bool):
        return "true" if tree else "false"
    return "" if tree is None else str(tree)


def send_initial_events(request: Request) -> bool | None:
    """sendInitialEvents of a watch; None where it is not given."""
    values = request.query.get("sendInitialEvents")
    return None if values is None else truthy(values[0])
