"""UDP flows that must be forgotten. A flow keeps the translation of its first packet for as long as it is used, and a
UDP client may use one for ever: without this it would talk to an endpoint that is gone, or to none."""

from collections.abc import Iterable
from dataclasses import dataclass

from orlop import logging
from orlop.native import ServicePort
from orlop.proxy.backends.base import ProgramError
from orlop.proxy.backends.command import Conntrack

_log = logging.get("proxy")


@dataclass(frozen=True)
class Flow:
    """Flows to `address` (None: any address of the node) and `port`; with `backend` only those translated to it."""

    family: int
    address: str | None
    port: int
    backend: str | None = None


async def forget(conntrack: Conntrack, flows: Iterable[Flow]) -> None:
    """Has the kernel forget them, whoever translated them. A flow that cannot be forgotten is warned about."""
    for flow in flows:
        try:
            await conntrack.forget("udp", flow.address, flow.port, flow.family, answered_by=flow.backend)
        except ProgramError as error:
            _log.warning("cannot clear UDP flows", extra={"flow": str(flow), "error": str(error)})


def stale(before: ServicePort | None, after: ServicePort | None) -> list[Flow]:
    """What the step from one state of a service port to the other leaves behind."""
    found: dict[Flow, None] = {}
    port = after or before
    if port is None or port.id[3] != "UDP":
        return []
    family = port.id[4]
    old, new = _served(before), _served(after)
    for at, backends in old.items():
        for backend in sorted(backends - new.get(at, set())):
            found[Flow(family, *at, backend)] = None
    for at, backends in new.items():
        # Newly served: what was sent there before was refused or went elsewhere, and would go on doing so.
        if backends and not old.get(at):
            found[Flow(family, *at)] = None
    return list(found)


def _served(port: ServicePort | None) -> dict[tuple[str | None, int], set[str]]:
    """The addresses of the backends of each frontend (None: any address of the node)."""
    if port is None:
        return {}
    lists = {
        local: {address for address, *_ in backends} for local, backends in ((False, port.cluster), (True, port.local))
    }
    return {(None if kind == "NodePort" else address, at): lists[local] for kind, address, at, local in port.frontends}
