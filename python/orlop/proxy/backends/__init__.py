"""The ways to program a kernel with the wanted table. `make` is the list of them."""

from collections.abc import Sequence

from orlop.proxy.backends.base import Backend as Backend
from orlop.proxy.backends.base import ProgramError as ProgramError
from orlop.proxy.backends.base import Unsupported as Unsupported
from orlop.proxy.options import Options

MODES = ("nftables",)


def make(options: Options, prefix: Sequence[str] = ()) -> Backend:
    """The backend of `options.proxy_mode`. `prefix` runs its programs elsewhere, as in another network namespace."""
    if options.proxy_mode == "nftables":
        from orlop.proxy.backends.nftables import Nftables

        return Nftables(options, prefix=prefix)
    supported = ", ".join(f'"{mode}"' for mode in MODES)
    raise ValueError(f'--proxy-mode: Unsupported value: "{options.proxy_mode}": supported values: {supported}')
