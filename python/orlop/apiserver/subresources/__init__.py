"""What stands behind an object's name: status, scale, binding, logs. `subresource` finds what answers."""

from collections.abc import Awaitable, Callable

from orlop.api.scheme import Kind
from orlop.apiserver.core import Core
from orlop.apiserver.handlers.get import get
from orlop.apiserver.handlers.patch import patch
from orlop.apiserver.handlers.update import update
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response
from orlop.apiserver.subresources import binding, eviction, kubelet, proxy, scale, streams, token

Handler = Callable[[Core, Request, Kind], Awaitable[Response | None]]
Verbs = dict[str, Handler]

_PART: Verbs = {"get": get, "update": update, "patch": patch}
"""The object itself, of which a part may be written."""
_SCALE: Verbs = {"get": scale.get_scale, "update": scale.update_scale, "patch": scale.patch_scale}
_STREAM: Verbs = {"get": streams.stream, "create": streams.stream}

_PROXY: Verbs = dict.fromkeys(("get", "create", "update", "patch", "delete", "options"), proxy.proxy)

_OWN: dict[tuple[str, str], Verbs] = {
    ("namespaces", "finalize"): {"update": update},
    ("nodes", "proxy"): _PROXY,
    ("pods", "binding"): {"create": binding.bind},
    ("pods", "eviction"): {"create": eviction.evict},
    ("pods", "log"): {"get": kubelet.log},
    ("pods", "proxy"): _PROXY,
    ("pods", "exec"): _STREAM,
    ("pods", "attach"): _STREAM,
    ("pods", "portforward"): _STREAM,
    ("services", "proxy"): _PROXY,
    ("serviceaccounts", "token"): {"create": token.create_token},
}
_ANYWHERE: dict[str, Verbs] = {
    "status": _PART,
    "scale": _SCALE,
    "approval": _PART,
    "ephemeralcontainers": _PART,
    "resize": _PART,
}
"""Subresources that are the same for every kind that has them."""


def subresource(kind: Kind, name: str) -> Verbs | None:
    """What answers for a kind's subresource; None if it has no such one."""
    if name not in kind.subresources:
        return None
    return _OWN.get((kind.resource, name)) or _ANYWHERE.get(name)


WEBSOCKETS: dict[tuple[str, str], Callable[[Core, Request, Kind], Awaitable[None]]] = {
    ("pods", "exec"): streams.frames,
    ("pods", "attach"): streams.frames,
    ("pods", "portforward"): streams.frames,
}
"""By (resource's plural, subresource)."""
