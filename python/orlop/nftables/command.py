"""Runs nft, and other programs, here or in another network namespace."""

import asyncio
from collections.abc import Sequence

TIMEOUT = 120.0
"""Seconds for one command: a full sync of 10,000 services takes some ten."""
NOTHING_THERE = "No such file or directory"


class Unsupported(Exception):
    """This machine cannot do what is asked; the text says what is missing and what to do."""


class ProgramError(Exception):
    """The kernel refused a change. Nothing of it was applied, or it is unknown what."""


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
