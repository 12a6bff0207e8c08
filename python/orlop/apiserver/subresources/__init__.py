"""What stands behind an object's name: status, scale, binding, logs. `SUBRESOURCES` lists them by resource and verb."""

from collections.abc import Awaitable, Callable

from orlop.api.scheme import Kind
from orlop.apiserver.core import Core
from orlop.apiserver.handlers.get import get
from orlop.apiserver.handlers.patch import patch
from orlop.apiserver.handlers.update import update
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response
from orlop.apiserver.subresources import binding, eviction, kubelet, portforward, proxy, scale, token

Handler = Callable[[Core, Request, Kind], Awaitable[Response | None]]
Verbs = dict[str, Handler]

_STATUS: Verbs = {"get": get, "update": update, "patch": patch}
_SCALE: Verbs = {"get": scale.get_scale, "update": scale.update_scale, "patch": scale.patch_scale}
_STREAM: Verbs = {"get": kubelet.upgrade_required, "create": kubelet.upgrade_required}

_PROXY: Verbs = dict.fromkeys(("get", "create", "update", "patch", "delete"), proxy.proxy)

SUBRESOURCES: dict[tuple[str, str], Verbs] = {
    ("namespaces", "status"): _STATUS,
    ("namespaces", "finalize"): {"update": update},
    ("nodes", "proxy"): _PROXY,
    ("nodes", "status"): _STATUS,
    ("pods", "status"): _STATUS,
    ("pods", "binding"): {"create": binding.bind},
    ("pods", "eviction"): {"create": eviction.evict},
    ("pods", "log"): {"get": kubelet.log},
    ("pods", "proxy"): _PROXY,
    ("pods", "exec"): _STREAM,
    ("pods", "attach"): _STREAM,
    ("pods", "portforward"): _STREAM,
    ("services", "proxy"): _PROXY,
    ("services", "status"): _STATUS,
    ("serviceaccounts", "token"): {"create": token.create_token},
    ("apps/deployments", "status"): _STATUS,
    ("apps/deployments", "scale"): _SCALE,
    ("apps/replicasets", "status"): _STATUS,
    ("apps/replicasets", "scale"): _SCALE,
    ("networking.k8s.io/servicecidrs", "status"): _STATUS,
    ("policy/poddisruptionbudgets", "status"): _STATUS,
}

WEBSOCKETS: dict[tuple[str, str], Callable[[Core, Request, Kind], Awaitable[None]]] = {
    ("pods", "exec"): kubelet.stream,
    ("pods", "attach"): kubelet.stream,
    ("pods", "portforward"): portforward.forward,
}
"""By (resource's plural, subresource)."""
