"""The programs that backends need beside nft, here or in another network namespace."""

from collections.abc import Mapping, Sequence

from orlop.nftables.command import Command as Command, Nft as Nft
from orlop.proxy.backends.base import ProgramError, Unsupported

XTABLES_LOCK = 5
"""Seconds to wait for another program that changes the same tables (only legacy iptables locks them)."""


class Conntrack:
    """The conntrack program: forgets flows of UDP, which would follow their old translation for ever."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._conntrack = Command("conntrack", "conntrack", prefix)

    async def installed(self) -> bool:
        """Whether the program is there."""
        try:
            await self._conntrack.run("--version")
        except Unsupported:
            return False
        return True

    async def forget(
        self,
        protocol: str,
        address: str | None,
        port: int,
        family: int,
        *,
        answered_by: str | None = None,
    ) -> None:
        """Deletes the flows to this address (None: any, as for a node port) and port; with `answered_by` only those
        that were translated to it, by whoever. Raises ProgramError."""
        arguments = ["-D", "-p", protocol, "-f", f"ipv{family}", "--orig-port-dst", str(port)]
        if address:
            arguments += ["--orig-dst", address]
        if answered_by:
            arguments += ["--reply-src", answered_by]
        code, _, err = await self._conntrack.run(*arguments)
        if code and "0 flow entries have been deleted" not in err:
            raise ProgramError(err.strip() or f"conntrack ended with {code}")


class IptablesCommands:
    """The programs iptables-save and iptables-restore of one IP family."""

    def __init__(self, family: int, prefix: Sequence[str] = ()) -> None:
        name = "iptables" if family == 4 else "ip6tables"
        self._iptables = Command(name, "iptables", prefix)
        self._save = Command(f"{name}-save", "iptables", prefix)
        self._restore = Command(f"{name}-restore", "iptables", prefix)

    async def save(self) -> str:
        """All tables, as text. Raises ProgramError."""
        code, out, err = await self._save.run()
        if code:
            raise ProgramError(err.strip() or f"{self._save.program} ended with {code}")
        return out

    async def restore(self, text: str) -> None:
        """Makes the changes of the text, each table in one step, and nothing else. Raises ProgramError."""
        code, _, err = await self._restore.run("--noflush", "-w", str(XTABLES_LOCK), input=text)
        if code:
            raise ProgramError(err.strip() or f"{self._restore.program} ended with {code}")

    async def drop_empty(self, chains: Mapping[str, Sequence[str]]) -> None:
        """Deletes the kernel's own chains that are empty, which iptables over nftables makes and legacy always has."""
        for table, names in chains.items():
            for name in names:
                await self._iptables.run("-w", str(XTABLES_LOCK), "-t", table, "-X", name)
