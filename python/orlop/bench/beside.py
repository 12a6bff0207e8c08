"""The work that asks what slow and dead watchers cost everybody else."""

import asyncio
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import NamedTuple

from orlop.bench.watches import FILL_PAD, OPENING, SETTLE, Maker, Watcher, Watches, path
from orlop.bench.work import Load, Result

TURNS = 6
"""With them, between turns without: what else runs on the machine meets both."""
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
    with_them = []
    began, cpu = time.perf_counter(), load.processes.cpu()
    alone = [await _turn(load, watchers, events, rate)]
    for _ in range(TURNS):
        async with _others(load, asleep, slow):
            with_them.append(await _turn(load, watchers, events, rate))
        alone.append(await _turn(load, watchers, events, rate))
    count = (len(alone) + len(with_them)) * watchers * events
    result = Result(count, time.perf_counter() - began, load.processes.cpu() - cpu)
    for name, part in PARTS.items():
        times, noise = compared([part(turn) for turn in alone], [part(turn) for turn in with_them])
        result.more |= {f"times {name}": times, f"times {name}, noise": noise}
        result.more[f"times {name}, beyond noise"] = times / noise
    result.more |= {
        "p99 ms behind the answer alone": min(turn.late for turn in alone),
        "p99 ms behind the answer": min(turn.late for turn in with_them),
    }
    return result


def compared(alone: list[float], between: list[float]) -> tuple[float, float]:
    """How many times as much each figure is as those before and after it, half of them; and how many times as much
    two figures that nothing is between differ from turn to turn, half of them: the noise of the same minutes."""
    times = [one / ((before + after) / 2) for before, one, after in zip(alone, between, alone[1:], strict=False)]
    noise = [max(before, after) / min(before, after) for before, after in pairwise(alone)]
    return statistics.median(times), statistics.median(noise)


PARTS: dict[str, Callable[[Turn], float]] = {
    "the CPU": lambda turn: turn.cpu,
    "a create's time": lambda turn: turn.create,
    "the time to a watcher": lambda turn: turn.behind,
}
"""What must stay the same beside them."""


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
