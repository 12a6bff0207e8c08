"""Events are gone an hour after they were last written."""

from pathlib import Path
from typing import Any

from tests.apiserver.conftest import Api

from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.clock import FakeClock

EVENTS = "/api/v1/namespaces/default/events"


def event(name: str) -> dict[str, Any]:
    return {"metadata": {"name": name}, "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"}}


async def names(api: Api) -> list[str]:
    return [item["metadata"]["name"] for item in (await api("GET", EVENTS)).body["items"]]


async def test_events_end_after_their_time(tmp_path: Path) -> None:
    clock = FakeClock()
    config = Config(data_dir=tmp_path, store="memory", secure_port=None)
    async with ApiServer(config, clock) as server:
        api = Api(server)
        await api.made(EVENTS, event("old"))
        again = await api.made(EVENTS, event("again"))
        await clock.advance(1800)
        await api("PUT", f"{EVENTS}/again", {**again, "count": 2})
        await api.made(EVENTS, event("young"))
        await clock.advance(1700)
        assert await names(api) == ["again", "old", "young"]
        await clock.advance(180)
        assert await names(api) == ["again", "young"]
        await clock.advance(1800)
        assert await names(api) == []
