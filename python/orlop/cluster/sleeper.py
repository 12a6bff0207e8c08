"""What a supervisor is while nothing happens: a program of a few modules that waits for a signal.

Run by path with `-I -S`, so that it takes 3 MiB and not the 30 of a supervisor, whose pages would be its own alone once
the children have written theirs. The process stays the same, so its children, its lock and their tie to its life do
too. The signals come in blocked, and the one that ends the wait is sent once more: the supervisor finds it waiting.
"""

import _signal  # type: ignore[import-not-found]  # `signal` would bring enum, re and functools
import os
import sys

SIGNALS = (1, 2, 15, 17)
"""HUP, INT, TERM and CHLD: asm-generic/signal.h."""


def main(argv: list[str]) -> None:
    """Waits, then becomes `argv`."""
    number = _signal.sigwait(SIGNALS)
    os.kill(os.getpid(), number)
    os.execv(argv[0], argv)


if __name__ == "__main__":
    main(sys.argv[1:])
