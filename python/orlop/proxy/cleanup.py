"""Takes away what proxies have programmed on this machine, of every mode."""

import shutil
from collections.abc import Sequence

from orlop.proxy.backends import MODES, make
from orlop.proxy.config import DEFAULT_SCOPE, ProxyConfig

PROGRAMS = {"nftables": "nft", "ipvs": "nft", "iptables": "iptables", "userspace": "nft"}
"""A mode whose program is not installed has programmed nothing."""


async def cleanup(scope: str = DEFAULT_SCOPE, prefix: Sequence[str] = ()) -> None:
    """Leaves nothing of the proxies of this scope. Safe to repeat. Raises ProgramError where the kernel refuses."""
    for mode in MODES:
        if shutil.which(PROGRAMS[mode]):
            await make(ProxyConfig(hostname_override="", proxy_mode=mode, scope=scope), prefix).cleanup()
