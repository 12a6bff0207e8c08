"""A check in a process of its own: a file that is badly damaged, or cut short, can end the process that maps it."""

import faulthandler
import os
import signal

import msgspec

from orlop.store.base import StoreError
from orlop.store.findings import WHOLE, Counted, Finding
from orlop.store.lmdb_check import check

_Line = tuple[Finding | None, Counted | None, str]


def check_guarded(path: str) -> tuple[list[Finding], Counted | None]:
    """As `lmdb_check.check`, all at once; without counts where it could not be read to the end. Raises StoreError.

    Forks: only for processes of one thread.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.close(reader)
        _child(path, writer)
    os.close(writer)
    findings: list[Finding] = []
    counted: Counted | None = None
    error = ""
    with os.fdopen(reader, "rb") as lines:
        for line in lines:
            finding, counts, failure = msgspec.json.decode(line, type=_Line)
            findings += [finding] if finding is not None else []
            counted = counts or counted
            error = failure or error
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        name = signal.Signals(os.WTERMSIG(status)).name
        findings.append(Finding("the file", 0, f"its pages cannot be read: LMDB ended with {name}", WHOLE))
    elif error:
        raise StoreError(error)
    return findings, counted


def _child(path: str, writer: int) -> None:
    faulthandler.disable()  # the caller says what it ended with
    code = 1
    try:
        with os.fdopen(writer, "wb") as out:

            def say(finding: Finding | None, counted: Counted | None, error: str = "") -> None:
                out.write(msgspec.json.encode((finding, counted, error)) + b"\n")
                out.flush()

            try:
                for found in check(path):
                    say(found if isinstance(found, Finding) else None, found if isinstance(found, Counted) else None)
            except Exception as error:
                say(None, None, str(error))
        code = 0
    finally:
        os._exit(code)
