"""The ways to program a kernel with the wanted table. `make` is the list of them."""

from collections.abc import Sequence

from orlop.proxy.backends.base import Backend as Backend, ProgramError as ProgramError, Unsupported as Unsupported
from orlop.proxy.config import ProxyConfig

MODES = ("nftables", "ipvs", "iptables", "userspace")


def make(config: ProxyConfig, prefix: Sequence[str] = ()) -> Backend:
    """The backend of `config.proxy_mode`. `prefix` runs its programs elsewhere, as in another network namespace."""
    if config.proxy_mode == "nftables":
        from orlop.proxy.backends.nftables import Nftables

        return Nftables(config, prefix=prefix)
    if config.proxy_mode == "ipvs":
        from orlop.proxy.backends.ipvs import Ipvs

        return Ipvs(config, prefix=prefix)
    if config.proxy_mode == "iptables":
        from orlop.proxy.backends.iptables import Iptables

        return Iptables(config, prefix=prefix)
    if config.proxy_mode == "userspace":
        from orlop.proxy.backends.userspace import Userspace

        return Userspace(config, prefix=prefix)
    supported = ", ".join(f'"{mode}"' for mode in MODES)
    raise ValueError(f'--proxy-mode: Unsupported value: "{config.proxy_mode}": supported values: {supported}')
