"""A network of addresses only: what simulated pods get."""

from collections.abc import Mapping, Sequence

from orlop.kubelet.network.base import Attachment, NetworkError, NetworkStatus, PortMapping
from orlop.kubelet.network.ipam import Pool

PREFIX = "hollow:"


def addresses_as_path(ips: Sequence[str]) -> str:
    """A simulated sandbox has no namespace to read its addresses back from: the "path" itself says them."""
    return PREFIX + ",".join(ips) if ips else ""


class HollowNetwork:
    """Counts through the pod CIDRs. Nothing listens on its addresses."""

    def __init__(self) -> None:
        self._pools: list[Pool] = []
        self._held: dict[str, Attachment] = {}

    def status(self) -> NetworkStatus:
        if self._pools:
            return NetworkStatus(ready=True)
        return NetworkStatus(ready=False, reason="NetworkPluginNotReady", message="the node has no pod CIDR yet")

    async def configure(self, pod_cidrs: Sequence[str]) -> None:
        if [pool.cidr for pool in self._pools] == list(pod_cidrs):
            return
        self._pools = [Pool(cidr) for cidr in pod_cidrs]
        for attachment in self._held.values():
            self._claim(attachment.ips)

    async def attach(
        self, sandbox_id: str, netns: str, *, pod: str, port_mappings: Sequence[PortMapping] = ()
    ) -> Attachment:
        if sandbox_id not in self._held:
            if not self._pools:
                raise NetworkError("the node has no pod CIDR yet")
            self._held[sandbox_id] = Attachment(
                ips=tuple(pool.take() for pool in self._pools), gateway=str(self._pools[0].gateway)
            )
        return self._held[sandbox_id]

    def attachment(self, sandbox_id: str) -> Attachment | None:
        return self._held.get(sandbox_id)

    async def detach(self, sandbox_id: str) -> None:
        if attachment := self._held.pop(sandbox_id, None):
            for ip in attachment.ips:
                for pool in self._pools:
                    pool.free(ip)

    async def recover(self, live: Mapping[str, str]) -> None:
        for sandbox_id, path in live.items():
            if sandbox_id not in self._held and path.startswith(PREFIX):
                self._held[sandbox_id] = Attachment(ips=tuple(path.removeprefix(PREFIX).split(",")))
                self._claim(self._held[sandbox_id].ips)
        for sandbox_id in [held for held in self._held if held not in live]:
            await self.detach(sandbox_id)

    async def cleanup(self) -> None:
        self._held.clear()
        self._pools.clear()

    def _claim(self, ips: Sequence[str]) -> None:
        for ip in ips:
            for pool in self._pools:
                pool.claim(ip)
