"""/openapi/v2 and /openapi/v3, and the issuer's discovery documents. `openapi.py` builds the former."""

import hashlib
import zlib
from collections.abc import Awaitable, Callable
from functools import lru_cache

from orlop.api import scheme
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.response import JSON, NO_PAGE, TEXT, Response

V2_PROTOBUF = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf"
V2_PROTOBUF_TYPE = b"application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
"""What such an answer says it is: `@` may not stand in a media type, so that upstream has a point there."""
V3_PROTOBUF = "application/com.github.proto-openapi.spec.v3@v1.0+protobuf"
IMMUTABLE = b"public, immutable"
"""A document asked for by its hash never changes."""


# Documents are kept compressed, a tenth of their several MiB, and what they were built from is not kept: a client
# reads them once and keeps them itself.


@lru_cache(1)
def _v2() -> bytes:
    from orlop.apiserver import openapi

    with openapi.building():
        return zlib.compress(openapi.document_v2(scheme.KINDS))


@lru_cache(1)
def _v2_protobuf() -> bytes:
    from orlop.apiserver import openapi

    with openapi.building():
        return zlib.compress(openapi.document_v2_protobuf(scheme.KINDS))


@lru_cache(1)
def _v3() -> tuple[bytes, dict[str, tuple[str, bytes]]]:
    """The root, which has the hash of every document, and each document with its hash."""
    from orlop.apiserver import openapi

    def keep(document: bytes) -> tuple[str, bytes]:
        return hashlib.sha512(document).hexdigest().upper(), zlib.compress(document)

    with openapi.building():
        groups = {group for group, _ in scheme.group_versions() if group}
        kept = {place: keep(document) for place, document in openapi.documents_v3(sorted(groups)).items()}
    for gv in scheme.group_versions():
        with openapi.building():  # each apart, so that the memory it takes for a moment is one's
            document = openapi.document_v3(*gv, [k for k in scheme.KINDS if (k.group, k.version) == gv])
        kept[openapi.place_of(*gv)] = keep(document)
    return openapi.root_v3({place: hash_ for place, (hash_, _) in kept.items()}), kept


@scheme.on_change
def _forget() -> None:
    for made in (_v2, _v2_protobuf, _v3):
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
    from orlop.apiserver.crd import openapi as custom

    accepted = request.headers.get(b"accept", b"").decode("latin-1").split(",")
    if accepted[0].split(";")[0].strip() in (V2_PROTOBUF, V2_PROTOBUF_TYPE.decode()):
        body = custom.v2_protobuf(core.custom, zlib.decompress(_v2_protobuf()))
        return _etagged(request, body, media=V2_PROTOBUF_TYPE)
    return _etagged(request, custom.v2(core.custom, zlib.decompress(_v2())))


async def v3_root(core: Core, request: Request) -> Response:
    """GET /openapi/v3."""
    if not core.custom.group_versions() and not core.custom.remote:
        return _etagged(request, _v3()[0])
    from orlop.apiserver.crd import openapi as custom

    return _etagged(request, custom.root(core.custom, {place: hash_ for place, (hash_, _) in _v3()[1].items()}))


async def v3(core: Core, request: Request) -> Response | None:
    """GET /openapi/v3/apis/GROUP/VERSION."""
    place = request.scope["path"].removeprefix("/openapi/v3/").strip("/")
    parts = place.split("/")
    found = None
    if parts[0] == "apis" and len(parts) == 3:
        from orlop.apiserver.aggregate.proxy import proxy
        from orlop.apiserver.crd import openapi as custom

        if (remote := core.custom.remote.get((parts[1], parts[2]))) is not None:
            return await proxy(core, request, remote)

        found = custom.v3(core.custom, parts[1], parts[2])
    found = found or _v3()[1].get(place)
    if found is None:
        return NO_PAGE
    current, compressed = found
    extra: tuple[tuple[bytes, bytes], ...] = ()
    if asked := request.param("hash"):
        if asked != current:  # what a client has kept is of the past: it is led to what is now
            return Response(301, b"", TEXT, ((b"location", f"{request.scope['path']}?hash={current}".encode()),))
        extra = ((b"cache-control", IMMUTABLE),)
    return _etagged(request, zlib.decompress(compressed), extra)


KEPT_AN_HOUR = ((b"cache-control", b"public, max-age=3600"),)


async def openid_configuration(core: Core, request: Request) -> Response:
    """GET /.well-known/openid-configuration."""
    if core.tokens is None:
        return NO_PAGE
    return Response(200, core.tokens.openid_configuration(), JSON, KEPT_AN_HOUR)


async def key_set(core: Core, request: Request) -> Response:
    """GET /openid/v1/jwks."""
    if core.tokens is None:
        return NO_PAGE
    return Response(200, core.tokens.key_set(), b"application/jwk-set+json", KEPT_AN_HOUR)


Page = Callable[[Core, Request], Awaitable[Response | None]]
PAGES: dict[str, Page] = {
    "/openapi/v2": v2,
    "/openapi/v3": v3_root,
    "/.well-known/openid-configuration": openid_configuration,
    "/openid/v1/jwks": key_set,
}
PREFIXES: list[tuple[str, Page]] = [("/openapi/v3/", v3)]
