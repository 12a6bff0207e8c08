"""serviceaccounts/token: a token for a service account, bound to what the request names."""

from base64 import urlsafe_b64decode

import msgspec

from orlop.api import errors
from orlop.api.errors import FieldError, invalid_value
from orlop.api.scheme import Kind
from orlop.api.types import authentication_v1
from orlop.apiserver import negotiate
from orlop.apiserver.core import Core
from orlop.apiserver.handlers import body
from orlop.apiserver.handlers.update import attributes
from orlop.apiserver.registry.objects import encode
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response, encoded

TOKEN_REQUEST = Kind(
    group="authentication.k8s.io",
    version="v1",
    kind="TokenRequest",
    plural="tokenrequests",
    folder="authentication",
    namespaced=True,
)
DEFAULT_SECONDS = 3600
MIN_SECONDS = 600
MAX_SECONDS = 1 << 32
ISSUED = "authentication.kubernetes.io/issued-credential-id"
"""The annotation by which an audit leads from a token to who was given it."""


async def create_token(core: Core, request: Request, kind: Kind) -> Response:
    """201 with the TokenRequest, its status filled by the issuer. Raises Invalid, NotFound, Conflict."""
    accepted = negotiate.accept(request.header(b"accept"), tables=False)
    dry_run = body.options(request, "CreateOptions")
    wanted: authentication_v1.TokenRequest = await body.decode(core, request, TOKEN_REQUEST)
    if wanted.spec.expiration_seconds is None:
        wanted.spec.expiration_seconds = DEFAULT_SECONDS
    if wrong := _validate(wanted.spec.expiration_seconds):
        raise errors.invalid("TokenRequest", TOKEN_REQUEST.group, wanted.metadata.name, wrong)
    info = request.info
    core.objects.find(kind, info.namespace, info.name)
    a = attributes(request, kind, wanted, None, dry_run, TOKEN_REQUEST)
    await core.admission.admit(a)
    await core.admission.validate(a)
    wanted = a.object
    if core.issue_token is None:
        raise errors.NotFound("the server could not find the requested resource")
    issued = await core.issue_token(info.namespace, info.name, wanted)
    if request.audit is not None:
        request.audit.annotations[ISSUED] = f"JTI={_id_of(issued.status.token)}"
    return Response(201, *encoded(accepted.media, TOKEN_REQUEST.type_key, encode(issued)))


def _id_of(token: str) -> str:
    """What a token calls itself."""
    payload = token.split(".")[1]
    return str(msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])


def _validate(seconds: int) -> list[FieldError]:
    if seconds < MIN_SECONDS:
        return [invalid_value("spec.expirationSeconds", seconds, "may not specify a duration less than 10 minutes")]
    if seconds > MAX_SECONDS:
        return [invalid_value("spec.expirationSeconds", seconds, "may not specify a duration larger than 2^32 seconds")]
    return []
