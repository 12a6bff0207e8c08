"""What happens in a forked child of the supervisor, from the fork to its end."""

import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Awaitable

import msgspec

from orlop import logging
from orlop.cluster.parts import Part
from orlop.cluster.settings import Settings

PR_SET_PDEATHSIG = 1
"""linux/prctl.h"""

UNUSABLE = 3
"""Exit code of a child that a restart cannot help (a store of a newer version, a taken port)."""


def preload() -> None:
    """Imports what all children use, so that they share its memory."""
    import asyncio
    import gc

    import uvloop

    from orlop import native
    from orlop.api import scheme, selectors
    from orlop.api.types import apps_v1, coordination_v1, core_v1, discovery_v1, meta_v1
    from orlop.client import client, http1, informer, tls

    _ = (asyncio, uvloop, scheme, selectors, apps_v1, coordination_v1, core_v1, discovery_v1, meta_v1)
    _ = (client, http1, informer, tls, native)
    gc.collect()
    gc.freeze()


M_ARENA_MAX = -8
ARENAS = 2
"""malloc.h: the C library keeps a heap for each thread that allocates, which for a dozen threads that work in turns is
memory that is never given back."""


def run_child(settings: Settings, part: Part, report: int, gate: int) -> None:
    """In the forked child: runs one component, then ends the process. Never returns."""
    name = part.name
    code = 1
    try:
        die_with_parent()
        if part.node is not None:
            limit_heaps()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        redirect(settings, name)
        part.prepare()
        if name != "apiserver":
            # Closed by the parent once the API server answers; until then there is nothing to do.
            os.read(gate, 1)

        def ready(text: str) -> None:
            os.write(report, msgspec.json.encode(("ready", name, text)) + b"\n")

        code = run_component(part.work(ready))
    except BaseException as error:
        traceback.print_exc()
        known = describe(error)
        if known is not None:
            os.write(report, msgspec.json.encode(("error", name, known)) + b"\n")
            code = UNUSABLE
    finally:
        sys.stderr.flush()
        os._exit(code)


def describe(error: BaseException) -> str | None:
    """The message for a person, if the error is one that starting again cannot mend."""
    from orlop.cluster.failures import fatal

    return fatal(error)


COLLECT_AFTER = 20_000
"""Objects that may be made before the collector looks for cycles among them: Python's 700 are one to three requests or
events, and what they make is no cycle."""


def run_component(work: Awaitable[None]) -> int:
    """Runs to its end; SIGTERM and SIGINT cancel it and count as a clean end."""
    import asyncio
    import gc

    import uvloop

    gc.set_threshold(COLLECT_AFTER)

    async def main() -> int:
        task = asyncio.ensure_future(work)
        loop = asyncio.get_running_loop()
        stopped = False

        def stop() -> None:
            nonlocal stopped
            stopped = True
            task.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        try:
            await task
        except asyncio.CancelledError:
            if not stopped:
                raise
        return 0

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main())


def limit_heaps() -> None:
    """For a process whose threads only wait for others: the runtime's and the network's."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # the GNU C library's
    if mallopt is not None:
        mallopt(M_ARENA_MAX, ARENAS)


def die_with_parent() -> None:
    """The kernel ends this process when the supervisor ends, however that happens."""
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def redirect(settings: Settings, name: str) -> None:
    """stdout and stderr go to the component's log file."""
    settings.logs.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(settings.logs / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    logging.setup(format=settings.log_format, stream=sys.stderr)
