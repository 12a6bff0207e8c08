"""The pod network where there is none: without root every pod is on the machine's own network."""

from collections.abc import Mapping, Sequence

from orlop.kubelet.network.base import Attachment, NetworkStatus, PortMapping


class HostNetwork:
    """Implements `network.base.Network`: pods have the machine's address, and share its ports."""

    def __init__(self, address: str) -> None:
        self._attachment = Attachment(ips=(address,), interface="")

    def status(self) -> NetworkStatus:
        return NetworkStatus(ready=True)

    async def configure(self, pod_cidrs: Sequence[str]) -> None:
        """Nothing to do."""

    async def attach(
        self, sandbox_id: str, netns: str, *, pod: str, port_mappings: Sequence[PortMapping] = ()
    ) -> Attachment:
        return self._attachment

    def attachment(self, sandbox_id: str) -> Attachment | None:
        return self._attachment

    async def detach(self, sandbox_id: str) -> None:
        """Nothing to do."""

    async def recover(self, live: Mapping[str, str]) -> None:
        """Nothing to do."""

    async def cleanup(self) -> None:
        """Nothing to do."""
