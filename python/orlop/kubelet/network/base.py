"""The pod network of one node: what a runtime asks of it, in CNI's order (attach, check, detach).

A network gives each pod sandbox an address and a way in and out of its network namespace. It never starts processes and
never touches what it did not make.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec


class NetworkError(Exception):
    """The pod network could not do what was asked; the text says what and, where it is known, what to do."""


class PortMapping(msgspec.Struct, frozen=True, kw_only=True):
    """A port of the node that leads to a port of the pod. An empty `host_ip` is every address of the node."""

    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    container_port: int
    host_port: int
    host_ip: str = ""


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """What a sandbox got. `ips` has one address per IP family, the primary first; it is what `status.podIPs` shows."""

    ips: tuple[str, ...]
    interface: str = "eth0"
    mac: str = ""
    gateway: str = ""


class NetworkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """Whether pods can be attached now; `reason` and `message` go into the node's Ready condition when they cannot."""

    ready: bool
    reason: str = ""
    message: str = ""


class Network(Protocol):
    """One node's pod network. Every method is safe to repeat, also after a crash in the middle of the last call."""

    def status(self) -> NetworkStatus:
        """Not ready until `configure` has been given the node's pod CIDRs (Node.spec.podCIDRs)."""
        ...

    async def configure(self, pod_cidrs: Sequence[str]) -> None:
        """Brings the node's side up for these pod CIDRs. Raises NetworkError, also when a range is taken by others."""
        ...

    async def attach(
        self, sandbox_id: str, netns: str, *, pod: str, port_mappings: Sequence[PortMapping] = ()
    ) -> Attachment:
        """Gives the network namespace at path `netns` an interface and an address; `pod` is "namespace/name".

        Repeated for the same sandbox it returns the same addresses. Raises NetworkError (no address left, port taken).
        """
        ...

    def attachment(self, sandbox_id: str) -> Attachment | None:
        """What `attach` gave this sandbox, from memory or the node's state; None when it holds nothing."""
        ...

    async def detach(self, sandbox_id: str) -> None:
        """Frees the sandbox's address, ports and interface; the namespace may be gone already."""
        ...

    async def recover(self, live: Mapping[str, str]) -> None:
        """After a restart, before anything else: `live` are the running sandboxes and the paths of their namespaces.

        What these hold is held again, read from the namespaces where the state was lost; all else is freed.
        """
        ...

    async def cleanup(self) -> None:
        """Takes away everything this network made on the node: links, rules, state."""
        ...
