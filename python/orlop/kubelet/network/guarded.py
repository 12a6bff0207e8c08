"""A pod network that waits with each new sandbox until somebody holds its traffic to the rules for it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence

from orlop.kubelet.network.base import Attachment, Network, NetworkStatus, PortMapping

Admit = Callable[[str, Sequence[str]], Awaitable[None]]
"""Given a pod ("namespace/name") and its addresses; returns when it may start. Must have an end of its own."""


class GuardedNetwork:
    """Implements `network.base.Network` by another one. Nothing runs in a sandbox before `attach` returns."""

    def __init__(self, network: Network, admit: Admit) -> None:
        self._network = network
        self._admit = admit

    def status(self) -> NetworkStatus:
        return self._network.status()

    async def configure(self, pod_cidrs: Sequence[str]) -> None:
        await self._network.configure(pod_cidrs)

    async def attach(
        self, sandbox_id: str, netns: str, *, pod: str, port_mappings: Sequence[PortMapping] = ()
    ) -> Attachment:
        attachment = await self._network.attach(sandbox_id, netns, pod=pod, port_mappings=port_mappings)
        await self._admit(pod, attachment.ips)
        return attachment

    def attachment(self, sandbox_id: str) -> Attachment | None:
        return self._network.attachment(sandbox_id)

    async def detach(self, sandbox_id: str) -> None:
        await self._network.detach(sandbox_id)

    async def recover(self, live: Mapping[str, str]) -> None:
        await self._network.recover(live)

    async def cleanup(self) -> None:
        await self._network.cleanup()
