"""Runs the programs that backends need, here or in another network namespace."""

import asyncio
from collections.abc import Mapping, Sequence

from orlop.proxy.backends.base import ProgramError, Unsupported

TIMEOUT = 120.0
"""Seconds for one command: a full sync of 10,000 services takes some ten."""
XTABLES_LOCK = 5
"""Seconds to wait for another program that changes the same tables (only legacy iptables locks them)."""
NOTHING_THERE = "No such file or directory"


class Command:
    """One program. `prefix` comes before it on the command line, as `ip netns exec NAME`."""

    def __init__(self, program: str, package: str, prefix: Sequence[str] = ()) -> None:
        self.program = program
        self._package = package
        self._prefix = tuple(prefix)

    async def run(self, *arguments: str, input: str = "") -> tuple[int, str, str]:
        """Exit code, stdout and stderr. Raises Unsupported where the program is not installed."""
        try:
            process = await asyncio.create_subprocess_exec(
                *self._prefix,
                self.program,
                *arguments,
                # A program that reads nothing may end before a pipe to it is written, which uvloop takes ill.
                stdin=asyncio.subprocess.PIPE if input else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except FileNotFoundError:
            raise self._missing() from None
        try:
            async with asyncio.timeout(TIMEOUT):
                out, err = await process.communicate(input.encode() if input else None)
        except TimeoutError:
            raise ProgramError(f"{self.program} did not end within {TIMEOUT:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        code = process.returncode or 0
        # `ip netns exec` tells of a missing program in its own words.
        if code and f'exec of "{self.program}" failed' in err.decode(errors="replace"):
            raise self._missing()
        return code, out.decode(errors="replace"), err.decode(errors="replace")

    def _missing(self) -> Unsupported:
        return Unsupported(f"the program {self.program} is not installed: install the package {self._package}")


class Nft:
    """The nft program."""

    def __init__(self, prefix: Sequence[str] = ()) -> None:
        self._nft = Command("nft", "nftables", prefix)

    async def execute(self, script: str) -> None:
        """Runs the commands as one transaction: all or nothing. Raises ProgramError."""
        code, _, err = await self._nft.run("-f", "-", input=script)
        if code:
            raise ProgramError(err.strip() or f"nft ended with {code}")

    async def check(self, script: str) -> None:
        """As `execute`, but the kernel only says whether it would."""
        code, _, err = await self._nft.run("-c", "-f", "-", input=script)
        if code:
            raise ProgramError(err.strip() or f"nft ended with {code}")

    async def list_table(self, table: str) -> str | None:
        """The table as nft prints it with numbers for protocols and priorities; None where there is none."""
        code, out, err = await self._nft.run("-s", "-p", "-y", "list", "table", *table.split())
        if not code:
            return out
        if NOTHING_THERE in err:
            return None
        raise ProgramError(err.strip() or f"nft ended with {code}")


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
