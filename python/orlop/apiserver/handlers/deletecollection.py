"""DELETE of a collection: each object as by its own DELETE."""

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.delete import checker, delete_options
from orlop.apiserver.handlers.list import read_options
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response


async def deletecollection(core: Core, request: Request, kind: Kind) -> Response:
    """Deletes what the selectors match and answers with the list of it."""
    accepted = negotiate.accept(request.header(b"accept"))
    selected = read_options(core, request, kind)
    options = await delete_options(request)
    dry_run = bool(options.dry_run)
    strategy = core.strategies[kind.type_key]
    namespace = request.info.namespace or None if kind.namespaced else None
    found = core.hub.list(kind.resource, namespace, selected.labels, selected.fields, 0, None)
    by = body.attribution(request)
    for value in found.items:
        metadata = core.objects.decode(kind, value).metadata
        check = checker(core, request, kind, metadata.namespace, metadata.name, options)
        try:
            await core.objects.delete(
                strategy, metadata.namespace, metadata.name, options, by=by, dry_run=dry_run, check=check
            )
        except errors.NotFound:
            continue
    items = found.items if kind.converter is None else await kind.converter.read(found.items)
    return output.many(core, request, kind, items, output.list_meta(found.revision), accepted)
