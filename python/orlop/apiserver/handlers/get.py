"""GET of one object."""

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.handlers.list import REVISION, wait_for
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response

EXPORT = "the export parameter, deprecated since v1.14, is no longer supported"


async def get(core: Core, request: Request, kind: Kind) -> Response:
    """The object as it is now: `resourceVersion=N` waits until the hub has N."""
    accepted = negotiate.accept(request.header(b"accept"))
    if request.scope.get("query_string"):
        if request.flag("export"):
            raise errors.BadRequest(EXPORT)
        try:
            await wait_for(core, request.param("resourceVersion"))
        except errors.BadRequest as error:
            # Upstream's storage finds it, after the options were read: a fault without a reason.
            raise errors.ApiError(error.message.removeprefix(REVISION), code=500, reason="") from None
    info = request.info
    value, _ = core.objects.find(kind, info.namespace if kind.namespaced else "", info.name)
    if kind.converter is not None:
        value = await core.objects.served(kind, value)
    if accepted.plain and request.conversion is None:
        return Response(200, value)
    return output.one(core, request, kind, value, accepted)
