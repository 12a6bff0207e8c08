"""Admission of what joins connections: exec, attach, port-forward, proxy. What is admitted are the options."""

from typing import Any

from orlop.api.kind import Kind
from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Attributes
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request

_FLAGS = ("stdin", "stdout", "stderr", "tty")


def _options_kind(kind: str) -> Kind:
    return Kind(group="", version="v1", kind=kind, plural=kind.lower(), folder="core", namespaced=True, verbs=())


_KINDS = {
    name: _options_kind(name)
    for name in (
        "PodExecOptions",
        "PodAttachOptions",
        "PodPortForwardOptions",
        "PodProxyOptions",
        "NodeProxyOptions",
        "ServiceProxyOptions",
    )
}


async def admit(core: Core, request: Request, kind: Kind) -> Any:
    """The options of the connection, as admission leaves them. Raises what refuses it."""
    options = _options(request, kind)
    info = request.info
    a = Attributes(
        "CONNECT",
        kind,
        info.namespace,
        info.name,
        options,
        None,
        request.user,
        info.subresource,
        request=request,
        body=_KINDS[type(options).__name__],
    )
    await core.admission.admit(a)
    await core.admission.validate(a)
    return a.object


def _options(request: Request, kind: Kind) -> Any:
    flags: Any = {name: request.flag(name) for name in _FLAGS}
    match request.info.subresource:
        case "exec":
            container, command = request.param("container"), request.query.get("command", [])
            return core_v1.PodExecOptions(container=container, command=command, **flags)
        case "attach":
            return core_v1.PodAttachOptions(container=request.param("container"), **flags)
        case "portforward":
            ports = [part for value in request.query.get("ports", []) for part in value.split(",")]
            return core_v1.PodPortForwardOptions(ports=[int(p) for p in ports if p.isascii() and p.isdecimal()])
    path = "/".join(request.info.rest)
    if kind.resource == "nodes":
        return core_v1.NodeProxyOptions(path=path)
    return core_v1.PodProxyOptions(path=path) if kind.resource == "pods" else core_v1.ServiceProxyOptions(path=path)
