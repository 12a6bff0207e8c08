"""DELETE of a collection: each object as by its own DELETE."""

import asyncio
from contextlib import suppress

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.delete import advise, checker, delete_options
from orlop.apiserver.handlers.list import read_options
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response

AT_ONCE = 32
"""Objects in work at a time: their writes wait for the disk together instead of one after the other."""


async def deletecollection(core: Core, request: Request, kind: Kind) -> Response:
    """Deletes what the selectors match and answers with the list of it. Raises the first error; others may be gone."""
    accepted = negotiate.accept(request.header(b"accept"))
    selected = read_options(core, request, kind)
    options = await delete_options(request)
    dry_run = bool(options.dry_run)
    strategy = core.strategies[kind.type_key]
    advise(request, strategy, options)
    namespace = request.info.namespace or None if kind.namespaced else None
    found = core.hub.list(kind.resource, namespace, selected.labels, selected.fields, 0, None)
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
    return output.many(core, request, kind, items, output.list_meta(found.revision), accepted)
