"""The work that asks what slow and dead watchers cost everybody else."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from orlop.bench.watches import FILL_PAD, OPENING, SETTLE, Maker, Watcher, Watches, path
from orlop.bench.work import Load, Result

TURNS = 4
"""With and without, in turn: what else runs on the machine then meets both."""
WINDOW = 4096
"""Bytes that the kernel holds for one of the others at the client's end: its way is soon full."""
FILL = 40
"""Events of 100 kB that fill it."""
SIP = 0.1
"""Seconds between two times that a slow watcher takes what there is: less than is made for it."""


class Turn(NamedTuple):
    """What it was like for the others."""

    cpu: float
    """Seconds an event."""
    create: float
    """Milliseconds from a create to its answer, half of them."""
    behind: float
    """Milliseconds from the answer to a watcher, half of them."""
    late: float
    """The 99th percentile of that."""


async def beside(load: Load, watchers: int, events: int, rate: float, asleep: int = 0, slow: int = 0) -> Result:
    """Paced events to watchers who take them, with and without others beside them who take nothing, or too little."""
    alone, with_them = [], []
    began, cpu = time.perf_counter(), load.processes.cpu()
    for _ in range(TURNS):
        alone.append(await _turn(load, watchers, events, rate))
        async with _others(load, asleep, slow):
            with_them.append(await _turn(load, watchers, events, rate))
    result = Result(2 * TURNS * watchers * events, time.perf_counter() - began, load.processes.cpu() - cpu)

    def times(part: Callable[[Turn], float]) -> float:
        return statistics.median(map(part, with_them)) / statistics.median(map(part, alone))

    result.more = {
        "times the CPU": times(lambda turn: turn.cpu),
        "times a create's time": times(lambda turn: turn.create),
        "times the time to a watcher": times(lambda turn: turn.behind),
        "p99 ms behind the answer alone": min(turn.late for turn in alone),
        "p99 ms behind the answer": min(turn.late for turn in with_them),
    }
    return result


async def _turn(load: Load, watchers: int, events: int, rate: float) -> Turn:
    load.one.close()  # a server may have ended it meanwhile
    watches, maker = Watches(load.target, await path(load)), Maker(load)
    try:
        await watches.open(watchers)
        await asyncio.sleep(SETTLE)
        cpu = load.processes.cpu()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(watches.seen(events))
            tasks.create_task(maker.make_paced(load, events, rate))
        cpu = load.processes.cpu() - cpu
    finally:
        watches.close()
    behind = maker.behind(watches.taken)
    create = statistics.median(answered - sent for sent, answered in maker.answered.items()) / 1e6
    # A watcher may have an event before its creator has the answer: what is compared begins with the request.
    return Turn(cpu / events, create, create + statistics.median(behind), behind[len(behind) * 99 // 100])


@asynccontextmanager
async def _others(load: Load, asleep: int, slow: int) -> AsyncIterator[None]:
    """Watchers that take nothing, and whose way is full; and such as take less than there is."""
    load.one.close()
    others = Watches(load.target, await path(load))
    try:
        async with asyncio.TaskGroup() as tasks:
            sips: list[asyncio.Task[None]] = []
            await others.open_asleep(asleep, WINDOW)
            for _ in range(slow):
                sips.append(tasks.create_task(_sip(await others.connect(Watcher([]), WINDOW))))
            await load.spread(FILL, OPENING, Maker(load, FILL_PAD).make)
            await asyncio.sleep(SETTLE)
            yield
            for sip in sips:
                sip.cancel()
    finally:
        others.close()


async def _sip(transport: asyncio.Transport) -> None:
    transport.pause_reading()
    while not transport.is_closing():
        await asyncio.sleep(SIP)
        transport.resume_reading()
        await asyncio.sleep(0)  # one read
        await asyncio.sleep(0)
        transport.pause_reading()


WORKS: dict[str, Callable[..., Awaitable[Result]]] = {"beside": beside}
"""By the name in scenarios.yaml; arguments are the scenario's sizes."""
