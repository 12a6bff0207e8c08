"""/openapi/v2 and /openapi/v3, and the issuer's discovery documents. `openapi.py` builds the former."""

import hashlib
from collections.abc import Awaitable, Callable
from functools import lru_cache

from orlop.api import scheme
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.response import JSON, TEXT, Response

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
V2_PROTOBUF_TYPE = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""What such an answer says it is: `@` may not stand in a media type, so that upstream has a point there."""
V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
IMMUTABLE = b"public, immutable"
"""A document asked for by its hash never changes."""


@lru_cache(1)
def _v2() -> bytes:
    from orlop.apiserver import openapi

    return openapi.document_v2(scheme.KINDS)


@lru_cache(1)
def _v2_protobuf() -> bytes:
    from orlop.apiserver import openapi

    return openapi.document_v2_protobuf(scheme.KINDS)


@lru_cache(64)
def _v3(group: str, version: str) -> bytes | None:
    from orlop.apiserver import openapi

    kinds = [k for k in scheme.KINDS if (k.group, k.version) == (group, version)]
    return openapi.document_v3(group, version, kinds) if kinds else None


@lru_cache(64)
def _hash(group: str, version: str) -> str:
    return hashlib.sha512(_v3(group, version) or b"").hexdigest().upper()


@lru_cache(1)
def _root() -> bytes:
    from orlop.apiserver import openapi

    return openapi.root_v3({gv: _hash(*gv) for gv in scheme.group_versions()})


@scheme.on_change
def _forget() -> None:
    for made in (_v2, _v2_protobuf, _v3, _hash, _root):
        made.cache_clear()


def _etagged(
    request: Request, body: bytes, extra: tuple[tuple[bytes, bytes], ...] = (), media: bytes = JSON
) -> Response:
    etag = b'"%b"' % hashlib.sha512(body).hexdigest().upper().encode()
    headers = ((b"etag", etag), (b"vary", b"Accept"), *extra)
    if request.headers.get(b"if-none-match") == etag:
        return Response(304, b"", media, headers)
    return Response(200, body, media, headers)


async def v2(core: Core, request: Request) -> Response:
    """GET /openapi/v2: protobuf for who asks for it first."""
    accepted = request.headers.get(b"accept", b"").decode("latin-1").split(",")
    if accepted[0].split(";")[0].strip() in (V2_PROTOBUF, V2_PROTOBUF_TYPE.decode()):
        return _etagged(request, _v2_protobuf(), media=V2_PROTOBUF_TYPE)
    return _etagged(request, _v2())


async def v3_root(core: Core, request: Request) -> Response:
    """GET /openapi/v3."""
    return _etagged(request, _root())


async def v3(core: Core, request: Request) -> Response:
    """GET /openapi/v3/apis/GROUP/VERSION."""
    parts = request.scope["path"].removeprefix("/openapi/v3/").strip("/").split("/")
    body = None
    if parts[0] == "api" and len(parts) == 2:
        body = _v3("", parts[1])
    elif parts[0] == "apis" and len(parts) == 3:
        body = _v3(parts[1], parts[2])
    if body is None:
        return Response(404, b"404 page not found\n", TEXT)
    asked = request.param("hash")
    if not asked:
        return _etagged(request, body)
    current = _hash("" if parts[0] == "api" else parts[1], parts[-1])
    if asked != current:  # what a client has kept is of the past: it is led to what is now
        return Response(301, b"", TEXT, ((b"location", f"{request.scope['path']}?hash={current}".encode()),))
    return _etagged(request, body, ((b"cache-control", IMMUTABLE),))


async def openid_configuration(core: Core, request: Request) -> Response:
    """GET /.well-known/openid-configuration."""
    if core.tokens is None:
        return Response(404, b"404 page not found\n", TEXT)
    return Response(200, core.tokens.openid_configuration(), JSON)


async def key_set(core: Core, request: Request) -> Response:
    """GET /openid/v1/jwks."""
    if core.tokens is None:
        return Response(404, b"404 page not found\n", TEXT)
    return Response(200, core.tokens.key_set(), b"application/jwk-set+json")


Page = Callable[[Core, Request], Awaitable[Response | None]]
PAGES: dict[str, Page] = {
    "/openapi/v2": v2,
    "/openapi/v3": v3_root,
    "/.well-known/openid-configuration": openid_configuration,
    "/openid/v1/jwks": key_set,
}
PREFIXES: list[tuple[str, Page]] = [("/openapi/v3/", v3)]
