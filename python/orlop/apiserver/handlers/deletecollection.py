"""DELETE of a collection: each object as by its own DELETE."""

import asyncio
from contextlib import suppress

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.continuation import Token, decode_token, encode_token
from orlop.apiserver.handlers.delete import UNSAFE, advise, checker, delete_options
from orlop.apiserver.handlers.list import read_options, wait_for
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response

AT_ONCE = 32
"""Objects in work at a time: their writes wait for the disk together instead of one after the other."""


async def deletecollection(core: Core, request: Request, kind: Kind) -> Response:
    """Deletes what the selectors match, or a page of it, and answers with the list of it.

    Raises the first error; others may be gone.
    """
    accepted = negotiate.accept(request.header(b"accept"))
    selected = read_options(core, request, kind)
    options = await delete_options(request)
    if options.ignore_store_read_error_with_cluster_breaking_potential:
        why = "is not allowed with DELETECOLLECTION, try again after removing the option"
        raise errors.invalid("DeleteOptions", "meta.k8s.io", "", [errors.invalid_value(UNSAFE, True, why)])
    await wait_for(core, selected.revision)
    dry_run = bool(options.dry_run)
    strategy = core.strategies[kind.type_key]
    advise(request, strategy, options)
    namespace = request.info.namespace or None if kind.namespaced else None
    after = decode_token(selected.continue_, namespace) if selected.continue_ else None
    place = None if after is None else (after.namespace, after.name)
    found = core.hub.list(kind.resource, namespace, selected.labels, selected.fields, selected.limit, place)
    by = body.attribution(request)
    rest = iter(found.items)
    failures: list[Exception] = []

    async def one(value: bytes) -> None:
        metadata = core.objects.decode(kind, value).metadata
        check = checker(core, request, kind, metadata.namespace, metadata.name, options)
        with suppress(errors.NotFound):
            await core.objects.delete(
                strategy, metadata.namespace, metadata.name, options, by=by, dry_run=dry_run, check=check
            )

    async def some() -> None:
        for value in rest:
            try:
                await one(value)
            except Exception as error:
                failures.append(error)
            if failures:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(AT_ONCE, len(found.items))):
            group.create_task(some())
    if failures:
        raise failures[0]
    items = found.items if kind.converter is None else await kind.converter.read(found.items)
    continue_, remaining = "", None
    if found.more and found.last is not None:
        continue_ = encode_token(Token(found.revision, *found.last), namespace)
        remaining = None if selected.labels or selected.fields else found.remaining
    metadata = output.list_meta(found.revision, continue_, remaining)
    return output.many(core, request, kind, items, metadata, accepted)
