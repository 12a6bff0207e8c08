"""/etc/resolv.conf of each sandbox, as a file of the node that its containers mount."""

import asyncio
import shutil
from pathlib import Path

from orlop.kubelet.runtime.values import ContainerConfig, DNSConfig, Mount

RESOLV_CONF = "/etc/resolv.conf"


class ResolvFiles:
    """One file per sandbox, below `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    async def write(self, sandbox_id: str, dns: DNSConfig) -> None:
        """Nothing is written without a configuration: the engine then gives the node's own file."""
        if dns != DNSConfig():
            await asyncio.to_thread(self._write, sandbox_id, dns)

    def mounts(self, sandbox_id: str, dns: DNSConfig, config: ContainerConfig) -> tuple[Mount, ...]:
        """The mount for a container, unless it brings a file of its own."""
        if dns == DNSConfig() or any(mount.container_path == RESOLV_CONF for mount in config.mounts):
            return ()
        readonly = config.security.readonly_rootfs
        return (Mount(container_path=RESOLV_CONF, host_path=str(self._path(sandbox_id)), readonly=readonly),)

    async def remove(self, sandbox_id: str) -> None:
        await asyncio.to_thread(shutil.rmtree, self._directory / sandbox_id, ignore_errors=True)

    async def clear(self) -> None:
        await asyncio.to_thread(shutil.rmtree, self._directory, ignore_errors=True)

    def _path(self, sandbox_id: str) -> Path:
        return (self._directory / sandbox_id / "resolv.conf").absolute()

    def _write(self, sandbox_id: str, dns: DNSConfig) -> None:
        path = self._path(sandbox_id)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(render(dns))
        path.chmod(0o644)


def render(dns: DNSConfig) -> str:
    """As upstream's runtimes write it: searches, servers, options."""
    lines = [f"search {' '.join(dns.searches)}"] if dns.searches else []
    lines += [f"nameserver {server}" for server in dns.servers]
    if dns.options:
        lines.append(f"options {' '.join(dns.options)}")
    return "".join(line + "\n" for line in lines)
