"""A request for a custom resource, on its way to the handlers that all kinds share."""

from orlop.api import errors
from orlop.apiserver.crd.kind import CustomKind
from orlop.apiserver.crd.served import Served, terminating
from orlop.apiserver.negotiate import JSON, PROTOBUF, YAML
from orlop.apiserver.patch import APPLY_PATCH, JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH
from orlop.apiserver.request import Request

PATCHES = ", ".join((JSON_PATCH, MERGE_PATCH, APPLY_PATCH))
UNKNOWN_BODY = "the body of the request was in an unknown format - accepted media types include: "


def find(served: Served, request: Request) -> CustomKind | None:
    """The kind that a request is for, with the request's conversion set; None if no definition serves it.

    Raises UnsupportedMediaType and NotAcceptable for what is spoken of built-in types alone, MethodNotSupported for a
    create while the definition ends.
    """
    info = request.info
    route = served.route(info.group, info.version, info.resource)
    if route is None:
        return None
    _media(request)
    if route.deprecation:
        request.warn(route.deprecation)
    if route.terminating and info.verb == "create" and not info.subresource:
        raise terminating(route.kind)
    request.conversion = route.conversion
    return route.kind


def _media(request: Request) -> None:
    headers = request.headers
    accept = headers.get(b"accept", b"")
    if b"protobuf" in accept:
        clauses = accept.decode("latin-1").split(",")
        kept = [c for c in clauses if PROTOBUF not in c or "as=" in c]
        if not kept:
            raise errors.NotAcceptable(f"only the following media types are accepted: {JSON}, {YAML}")
        headers[b"accept"] = ",".join(kept).encode("latin-1")
    if request.method == "GET" or request.info.subresource == "scale":
        return
    content = headers.get(b"content-type", b"").decode("latin-1")
    if request.method == "PATCH":
        if content.startswith(STRATEGIC_PATCH):
            raise errors.UnsupportedMediaType(UNKNOWN_BODY + PATCHES)
    elif request.method in ("POST", "PUT") and content.startswith(PROTOBUF):
        raise errors.UnsupportedMediaType(f"{UNKNOWN_BODY}{JSON}, {YAML}")
