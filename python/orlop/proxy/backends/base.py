"""What a backend promises, whatever it programs."""

from collections.abc import Sequence
from typing import Protocol

from orlop.clock import Clock
from orlop.native import ForwardChanges, ServicePort
from orlop.nftables.command import ProgramError as ProgramError, Unsupported as Unsupported


class Backend(Protocol):
    """Programs service ports. Not for two tasks at a time.

    Established connections to an endpoint that stays are never broken, by no method but `cleanup`.
    """

    name: str

    async def check(self) -> None:
        """Raises Unsupported where programs, privileges or kernel features are missing."""
        ...

    async def sync(self, wanted: Sequence[ServicePort]) -> bool:
        """Makes what is programmed equal to `wanted`, whatever is there from an earlier life: what is right is left
        alone, what is wrong or unknown goes. Returns whether anything had to change. Raises ProgramError."""
        ...

    async def apply(self, changes: ForwardChanges) -> None:
        """Programs the changes since the last `sync` or `apply`, in one step and nothing else. Raises ProgramError."""
        ...

    async def tend(self, clock: Clock) -> None:
        """Does what has to be done beside changes, until cancelled; may return at once. One task runs it while another
        calls the rest."""
        ...

    async def cleanup(self) -> None:
        """Takes away everything that this backend ever programs, also of an earlier life. Safe to repeat."""
        ...
