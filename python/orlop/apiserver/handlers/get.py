"""GET of one object."""

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.handlers.list import REVISION, wait_for
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response

EXPORT = "the export parameter, deprecated since v1.14, is no longer supported"
FALSE = frozenset({"0", "f", "F", "false", "False", "FALSE"})
"""What Go's strconv.ParseBool reads as false."""
TRUE = frozenset({"", "1", "t", "T", "true", "True", "TRUE"})


async def get(core: Core, request: Request, kind: Kind) -> Response:
    """The object as it is now: `resourceVersion=N` waits until the hub has N."""
    accepted = negotiate.accept(request.header(b"accept"))
    if request.scope.get("query_string"):
        if "export" in request.query:
            _refuse_export(request.param("export"))
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


def _refuse_export(asked: str) -> None:
    if asked in TRUE:
        raise errors.BadRequest(EXPORT)
    if asked not in FALSE:
        why = f'strconv.ParseBool: parsing "{asked}": invalid syntax'
        raise errors.BadRequest(f"the export parameter cannot be parsed: {why}")
