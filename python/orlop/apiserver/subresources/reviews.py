"""Kinds that are only answered: access reviews, token reviews."""

from orlop.api import errors
from orlop.api.scheme import Kind
from orlop.apiserver import negotiate
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.registry.objects import encode
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response, encoded


async def review(core: Core, request: Request, kind: Kind) -> Response:
    """201 with the review, its status filled in; nothing is stored."""
    accepted = negotiate.accept(request.header(b"accept"), tables=False)
    body.options(request, "CreateOptions")
    asked = await body.decode(core, request, kind)
    if kind.namespaced:
        if asked.metadata.namespace not in ("", request.info.namespace):
            raise errors.BadRequest(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        asked.metadata.namespace = request.info.namespace
    answer = core.reviews.get(kind.type_key)
    if answer is None:
        raise errors.NotFound("the server could not find the requested resource")
    namespace, name = request.info.namespace, asked.metadata.name
    a = Attributes("CREATE", kind, namespace, name, asked, None, request.user, request=request, body=kind)
    await core.admission.admit(a)
    await core.admission.validate(a)
    done = await answer(request.user, a.object)
    return Response(201, *encoded(accepted.media, kind.type_key, encode(done)))
