"""The client's side: a cache that is filled and follows, the queue of keys."""

import asyncio
from pathlib import Path
from typing import Any

from benches.micro.test_api import ADMIN, PODS, Api
from orlop.api.types import core_v1
from orlop.client import Client, Informer
from orlop.client.asgi import ASGITransport
from orlop.client.workqueue import WorkQueue
from orlop.clock import SystemClock

OBJECTS = 50
KEYS = 500


def test_fill(benchmark: Any, tmp_path: Path) -> None:
    """A pod of a cache that is filled, the server's part included."""
    api = Api(tmp_path)
    for _ in range(OBJECTS):
        api.run(api.ask("POST", PODS, api.body()))
    client = Client(ASGITransport(api._server.app, ADMIN), clock=SystemClock(), user_agent="bench")

    async def fill() -> int:
        informer = Informer(client, core_v1.Pod)
        task = asyncio.ensure_future(informer.run())
        await informer.synced()
        found = len(informer)
        task.cancel()
        await asyncio.wait({task})
        return found

    benchmark.extra_info["units"] = OBJECTS
    assert benchmark.pedantic(lambda: api.run(fill()), rounds=5) == OBJECTS
    api.close()


def test_queue(benchmark: Any) -> None:
    """A key through the queue."""
    with asyncio.Runner() as runner:

        async def work() -> int:
            queue: WorkQueue[tuple[str, str]] = WorkQueue(SystemClock())
            for n in range(KEYS):
                queue.add(("default", f"p{n}"))
            done = 0
            while len(queue):
                queue.done(await queue.get())
                done += 1
            await queue.close()
            return done

        benchmark.extra_info["units"] = KEYS
        assert benchmark.pedantic(lambda: runner.run(work()), rounds=5) == KEYS
