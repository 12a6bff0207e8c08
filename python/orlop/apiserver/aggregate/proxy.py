"""Requests for what another API server serves: authenticated and authorized here, then passed on with the identity."""

import ssl
from typing import TYPE_CHECKING

from orlop.api import errors
from orlop.apiserver.aggregate.backends import identity, without_identity
from orlop.apiserver.aggregate.remote import Remote
from orlop.apiserver.request import Request
from orlop.apiserver.response import TEXT, Response
from orlop.apiserver.subresources.proxy import Target, forwarded, pass_on

if TYPE_CHECKING:
    from orlop.apiserver.core import Core

UNAVAILABLE = Response(503, b"service unavailable\n", TEXT)


async def proxy(core: "Core", request: Request, remote: Remote) -> Response | None:
    """The extension server's answer, as it comes; 503 where it cannot be asked."""
    aggregator = core.aggregator
    if not remote.available:
        return UNAVAILABLE
    backends = aggregator.backends
    try:
        host, port = backends.resolve(remote.backend)
        tls = await backends.context(remote.backend)
    except (errors.ApiError, ssl.SSLError):
        aggregator.look_again(remote.name)
        return UNAVAILABLE
    sent = without_identity(forwarded(request))
    sent += [(name.lower().encode(), value.encode()) for name, value in identity(request.user)]
    if not any(name == b"audit-id" for name, _ in sent):
        sent.append((b"audit-id", request.audit_id.encode()))
    target = Target("https", host, port, tls=tls, server_name=remote.backend.server_name)
    try:
        return await pass_on(core, request, target, request.scope["path"], sent, backends.session())
    except errors.ServiceUnavailable as error:
        aggregator.look_again(remote.name)
        return Response(503, error.message.encode() + b"\n", TEXT)
