"""What the kernel must have and how it must be set for IPVS to serve Services."""

import os
import re
from collections.abc import Sequence
from contextlib import suppress

from orlop import logging
from orlop.proxy.backends.base import ProgramError, Unsupported
from orlop.proxy.backends.command import Command

SETTINGS = {
    # IPVS' packets pass conntrack, without which nothing could be masqueraded.
    "net.ipv4.vs.conntrack": "1",
    # A client whose destination was removed is scheduled anew instead of being left to wait.
    "net.ipv4.vs.expire_nodest_conn": "1",
    # Persistence ends where its destination is on its way out, so that weight 0 means no new connections.
    "net.ipv4.vs.expire_quiescent_template": "1",
}
REUSE_FIXED = (5, 9)
"""The kernel from which a reused source port costs no second (upstream's figure): before it, conn_reuse_mode must be 0,
as each new connection from a port that is still known waited a second for its first packet to be sent again."""
BRIDGED = ("net.bridge.bridge-nf-call-iptables", "net.bridge.bridge-nf-call-ip6tables")
"""Answers between two pods on one bridge pass the rules and IPVS too (module br_netfilter). Without it the client would
get them from the endpoint's address, which it never asked."""
STRICT_ARP = {
    # Answer ARP only for addresses of the link that is asked on, and ask with such a one: another node may hold it too.
    "net.ipv4.conf.all.arp_ignore": "1",
    "net.ipv4.conf.all.arp_announce": "2",
}

_log = logging.get("proxy")


class System:
    """Modules and settings, here or in another network namespace."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._sysctl = Command("sysctl", "procps", prefix)
        self._modprobe = Command("modprobe", "kmod")

    async def load(self, *modules: str) -> None:
        """Loads kernel modules. What cannot be loaded may be built in: what needs it will say."""
        with suppress(Unsupported, ProgramError):
            await self._modprobe.run("-a", "-q", *modules)

    async def settle(self, strict_arp: bool) -> None:
        """Sets what must be set. Raises Unsupported where the kernel has no such setting."""
        wanted = dict(SETTINGS)
        if kernel_release() < REUSE_FIXED:
            wanted["net.ipv4.vs.conn_reuse_mode"] = "0"
        if strict_arp:
            wanted |= STRICT_ARP
        _, text, _ = await self._sysctl.run("-e", *wanted, *BRIDGED)
        now = {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in text.splitlines())}
        wanted |= {name: "1" for name in BRIDGED if name in now}
        if not set(BRIDGED) <= now.keys():
            _log.warning("no br_netfilter: pods on one bridge may not reach each other through a Service")
        changes = [f"{name}={value}" for name, value in wanted.items() if now.get(name) != value]
        if not changes:
            return
        code, _, err = await self._sysctl.run("-q", "-w", *changes)
        if code:
            raise Unsupported(f"the IPVS proxy cannot set {', '.join(changes)}: {err.strip()}")
        _log.info("set kernel parameters", extra={"settings": ", ".join(changes)})


def kernel_release() -> tuple[int, int]:
    """The running kernel's first two numbers."""
    found = re.match(r"(\d+)\.(\d+)", os.uname().release)
    return (int(found[1]), int(found[2])) if found else (0, 0)
