"""Where events go: a file that is put aside when it has grown, and a server that is sent lists."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from tests.apiserver.audit.conftest import Log, Start

from orlop import tasks
from orlop.api.types import authentication_v1
from orlop.apiserver.audit import AuditError, BatchSettings, LogSettings, TruncateSettings, WebhookSettings
from orlop.apiserver.audit.event import Event, ObjectReference, ResponseStatus, as_text
from orlop.apiserver.audit.logfile import DAY, LogFile
from orlop.apiserver.audit.sinks import Batch, Form
from orlop.clock import FakeClock, SystemClock

MAPS = "/api/v1/namespaces/default/configmaps"
LINE = b"x" * (300 * 1024)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_that_has_grown_is_put_aside(tmp_path: Path) -> None:
    clock = FakeClock()
    file = LogFile(LogSettings(path=str(tmp_path / "a" / "audit.log"), max_size=1, max_backups=2), clock)
    for _ in range(14):
        await file.write([LINE])
        await clock.advance(1)
    await file.close()
    found = names(tmp_path / "a")
    assert len(found) == 3, "the file and two put aside"
    assert found[-1] == "audit.log"
    assert found[0] == "audit-2023-11-14T22-13-29.000.log"
    assert all((tmp_path / "a" / name).stat().st_size <= 1 << 20 for name in found)
    assert (tmp_path / "a" / "audit.log").stat().st_mode & 0o777 == 0o600


async def test_old_files_go_and_others_stay(tmp_path: Path) -> None:
    clock = FakeClock()
    (tmp_path / "audit-notes.log").write_text("mine")
    settings = LogSettings(path=str(tmp_path / "audit.log"), max_size=1, max_age=1, compress=True)
    file = LogFile(settings, clock)
    for _ in range(3):
        await file.write([LINE] * 4)
        await clock.advance(DAY * 0.75)
    await file.close()
    kept = ["audit-2023-11-15T16-13-20.000.log.gz", "audit-2023-11-16T10-13-20.000.log.gz"]
    assert names(tmp_path) == [*kept, "audit-notes.log", "audit.log"]
    assert all(gzip.decompress((tmp_path / name).read_bytes()) == (LINE + b"\n") * 3 for name in kept)


async def test_a_file_is_gone_on_with(tmp_path: Path) -> None:
    for line in (b"one", b"two"):
        file = LogFile(LogSettings(path=str(tmp_path / "audit.log")), SystemClock())
        await file.write([line])
        await file.close()
    assert (tmp_path / "audit.log").read_bytes() == b"one\ntwo\n"


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AuditError, match=f"--audit-log-path: {tmp_path} cannot be written"):
        LogFile(LogSettings(path=str(tmp_path)), SystemClock())


def event(**more: Any) -> Event:
    return Event(
        level="Request",
        audit_id="id-1",
        stage="ResponseComplete",
        request_uri="/api/v1/namespaces/default/pods",
        verb="list",
        user=authentication_v1.UserInfo(username="ann", groups=["dev", "ops"]),
        source_ips=["10.0.0.1"],
        user_agent='a "quoted" one',
        object_ref=ObjectReference(resource="pods", namespace="default"),
        request_received_timestamp="2026-01-02T03:04:05.000006Z",
        stage_timestamp="2026-01-02T03:04:05.000007Z",
        **more,
    )


def test_the_legacy_form() -> None:
    text = as_text(event(response_status=ResponseStatus(code=200))).decode()
    assert text == (
        '2026-01-02T03:04:05.000006Z AUDIT: id="id-1" stage="ResponseComplete" ip="10.0.0.1" method="list" '
        'user="ann" groups="\\"dev\\",\\"ops\\"" as="<self>" asgroups="<lookup>" user-agent="a \\"quoted\\" one" '
        'namespace="default" uri="/api/v1/namespaces/default/pods" response="200"'
    )
    assert 'response="<deferred>"' in as_text(event()).decode()


def test_large_events_lose_their_objects() -> None:
    form = Form("json", TruncateSettings(enabled=True, max_event_size=1000, max_batch_size=1000))
    line = form(event(request_object=msgspec.Raw(b'{"data":"%b"}' % (b"x" * 1000))))
    assert line is not None
    told = json.loads(line)
    assert "requestObject" not in told
    assert told["annotations"] == {"audit.k8s.io/truncated": "true"}
    assert form(event(annotations={"a": "x" * 1000})) is None


class Lists:
    """A server that is sent lists of events."""

    def __init__(self) -> None:
        self.lists: list[dict[str, Any]] = []
        self.answers: list[int] = []
        """Statuses of the next answers; 200 after them."""
        self.arrived = asyncio.Condition()
        self.authorization = ""

    async def handle(self, request: web.Request) -> web.Response:
        status = self.answers.pop(0) if self.answers else 200
        self.authorization = request.headers.get("authorization", "")
        async with self.arrived:
            self.lists.append({"status": status, "path": request.path_qs, **await request.json()})
            self.arrived.notify_all()
        return web.Response(status=status)

    async def until(self, count: int) -> None:
        async with self.arrived:
            await self.arrived.wait_for(lambda: len(self.lists) >= count)


@asynccontextmanager
async def listening(folder: Path) -> AsyncIterator[tuple[Lists, Path]]:
    """Such a server and a kubeconfig for it."""
    lists = Lists()
    app = web.Application()
    app.router.add_post("/{path:.*}", lists.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    config = folder / "webhook.kubeconfig"
    named = [
        ("clusters", "cluster", {"server": f"http://127.0.0.1:{port}/audit?who=me"}),
        ("users", "user", {"token": "secret"}),
        ("contexts", "context", {"cluster": "a", "user": "a"}),
    ]
    entries: dict[str, Any] = {many: [{"name": "a", one: value}] for many, one, value in named}
    config.write_text(json.dumps({"apiVersion": "v1", "kind": "Config", "current-context": "a", **entries}))
    try:
        yield lists, config
    finally:
        await runner.cleanup()


async def test_a_webhook_is_sent_lists(start: Start, log: Log, tmp_path: Path) -> None:
    async with listening(tmp_path) as (lists, config):
        batch = BatchSettings(max_size=3, max_wait=60.0)
        settings = WebhookSettings(config_file=config, batch=batch)
        rules = "[{level: Metadata, resources: [{resources: [configmaps]}]}]"
        async with start(rules, "omitStages: [RequestReceived]", webhook=settings) as api:
            for i in range(3):
                await api.made(MAPS, {"metadata": {"name": f"a{i}"}})
            await lists.until(1)
            await api.made(MAPS, {"metadata": {"name": "last"}})
        sent = lists.lists
    assert [len(each["items"]) for each in sent] == [3, 1], "the last is sent when the server ends"
    assert (sent[0]["kind"], sent[0]["apiVersion"]) == ("EventList", "audit.k8s.io/v1")
    assert lists.authorization == "Bearer secret"
    told = [item["auditID"] for each in sent for item in each["items"]]
    assert told == [event["auditID"] for event in log.events()], "log and webhook are told the same"


async def test_what_a_webhook_does_not_take_is_sent_again(start: Start, tmp_path: Path) -> None:
    async with listening(tmp_path) as (lists, config):
        lists.answers = [503, 429]
        blocking = BatchSettings(mode="blocking")
        settings = WebhookSettings(config_file=config, batch=blocking, initial_backoff=0.001)
        rules = "[{level: Metadata, resources: [{resources: [configmaps]}]}]"
        async with start(rules, "omitStages: [RequestReceived]", webhook=settings, log=None) as api:
            await api.made(MAPS, {"metadata": {"name": "a"}})
            assert [each["status"] for each in lists.lists] == [503, 429, 200]
            lists.answers = [400]
            await api.made(MAPS, {"metadata": {"name": "b"}})
            assert lists.lists[-1]["status"] == 400, "what is wrong is not sent again, and hinders nobody"


class Kept:
    """A backend in memory."""

    name = "kept"

    def __init__(self) -> None:
        self.batches: list[tuple[float, int]] = []

    async def write(self, events: Any) -> None:
        self.batches.append((self.clock.monotonic() - self.began, len(events)))

    async def close(self) -> None:
        """Nothing is open."""


async def batched(settings: BatchSettings, events: int, seconds: float, size: int = 0) -> list[tuple[float, int]]:
    """When batches were written, and of how many events."""
    clock, kept = FakeClock(), Kept()
    kept.clock, kept.began = clock, clock.monotonic()  # type: ignore[attr-defined]
    form = Form("json", TruncateSettings())
    async with tasks.Group(lambda name, error: None) as group:
        batch = Batch(kept, form, group.start, clock, settings, size)
        for _ in range(events):
            batch.take(event())
        await clock.advance(seconds)
        written = list(kept.batches)
        await batch.close()
    return written


async def test_batches_wait_for_each_other() -> None:
    settings = BatchSettings(max_size=2, max_wait=5.0, qps=1.0, burst=2)
    assert await batched(settings, 7, 30.0) == [(0.0, 2), (0.0, 2), (1.0, 2), (6.0, 1)]


async def test_a_few_events_do_not_wait_for_long() -> None:
    assert await batched(BatchSettings(max_size=400, max_wait=30.0), 3, 29.0) == []
    assert await batched(BatchSettings(max_size=400, max_wait=30.0), 3, 31.0) == [(30.0, 3)]


async def test_what_finds_no_room_is_lost() -> None:
    settings = BatchSettings(buffer_size=4, max_size=10, max_wait=1.0, throttle=False)
    assert await batched(settings, 9, 2.0) == [(1.0, 4)]


async def test_batches_can_be_limited_in_bytes() -> None:
    settings = BatchSettings(max_size=4, max_wait=1.0, throttle=False)
    size = len(Form("json", TruncateSettings())(event()) or b"")
    assert [count for _, count in await batched(settings, 4, 5.0, 3 * size)] == [3, 1]
