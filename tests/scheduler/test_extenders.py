"""Extenders: a real HTTP server beside the real API server."""

import asyncio
import base64
import ipaddress
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from orlop.api.types import core_v1, scheduling_v1
from orlop.clock import SystemClock
from orlop.pki.authority import Authority, certificate_pem, key_pem, new_key
from orlop.pki.identities import Identity, Names
from orlop.scheduler import config
from orlop.scheduler.config import types
from tests.scheduler.conftest import World, eventually

Answer = Callable[[dict[str, Any]], Any]


class Server:
    """Answers as it is told, and keeps what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.port = 0

    async def handle(self, request: web.Request) -> web.Response:
        verb, body = request.path.rsplit("/", 1)[1], await request.json()
        self.asked.append((verb, body))
        answer = self.answers[verb](body)
        if asyncio.iscoroutine(answer):
            answer = await answer
        return answer if isinstance(answer, web.Response) else web.json_response(answer)

    def bodies(self, verb: str) -> list[dict[str, Any]]:
        return [body for asked, body in self.asked if asked == verb]

    def settings(self, scheme: str = "http", **given: Any) -> config.Settings:
        extender = types.Extender(url_prefix=f"{scheme}://127.0.0.1:{self.port}/scheduler/", **given)
        return config.settings(types.Configuration(extenders=[extender]))


@asynccontextmanager
async def serving(context: ssl.SSLContext | None = None) -> AsyncIterator[Server]:
    server = Server()
    app = web.Application(client_max_size=1 << 30)
    app.router.add_post("/scheduler/{verb}", server.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
    await site.start()
    server.port = runner.addresses[0][1]
    try:
        yield server
    finally:
        await runner.cleanup()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    async with serving() as server:
        yield server


def without(*names: str) -> Answer:
    def answer(body: dict[str, Any]) -> Any:
        left = [name for name in body["NodeNames"] if name not in names]
        return {"NodeNames": left, "FailedNodes": dict.fromkeys(names, "node(s) the extender dislikes")}

    return answer


async def test_filters_and_prioritizes_by_name(world: World, server: Server) -> None:
    for name in ("n1", "n2", "n3"):
        await world.node(name)
    server.answers["filter"] = without("n1")
    server.answers["score"] = lambda body: [{"Host": name, "Score": 10 * (name == "n3")} for name in body["NodeNames"]]
    settings = server.settings(filter_verb="filter", prioritize_verb="score", weight=2, node_cache_capable=True)
    async with world.scheduler(settings=settings):
        for name in ("a", "b", "c"):
            await world.pod(name)
            assert await world.placed(name) == "n3"
        await world.pod("big", cpu="4")
        assert await world.placed("big") == "n2"
        await world.pod("toobig", cpu="3")
        assert await world.condition("toobig", "Unschedulable") == (
            "0/3 nodes are available: 1 node(s) the extender dislikes, 2 Insufficient cpu. preemption: "
            "0/3 nodes are available: 1 Preemption is not helpful for scheduling, "
            "2 No preemption victims found for incoming pod."
        )
    first = server.bodies("filter")[0]
    assert (first["Pod"]["metadata"]["name"], sorted(first["NodeNames"]), first["Nodes"]) == (
        "a",
        ["n1", "n2", "n3"],
        None,
    )
    assert sorted(server.bodies("score")[0]["NodeNames"]) == ["n2", "n3"]


async def test_gets_whole_nodes_where_it_keeps_none(world: World, server: Server) -> None:
    await world.node("n1")
    await world.node("n2")

    def answer(body: dict[str, Any]) -> Any:
        assert body["NodeNames"] is None
        items = [node for node in body["Nodes"]["items"] if node["metadata"]["name"] == "n2"]
        return {"nodes": {"items": items}, "failedNodes": {}}

    server.answers["filter"] = answer
    async with world.scheduler(settings=server.settings(filter_verb="filter")):
        await world.pod("a")
        assert await world.placed("a") == "n2"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda body: {"Error": "out of order"}, "out of order"),
        (lambda body: web.Response(status=500), "failed filter with extender at URL {url}filter, code 500"),
        (lambda body: [1], "extender at URL {url}filter: the answer is a list"),
        (lambda body: web.Response(text="{"), "extender at URL {url}filter: Input data was truncated"),
        (
            lambda body: {"NodeNames": ["other"]},
            'extender "{url}" claims a filtered node "other" which is not found in the input node list',
        ),
    ],
)
async def test_what_goes_wrong_is_told(world: World, server: Server, answer: Answer, words: str) -> None:
    await world.node("n1")
    server.answers["filter"] = answer
    settings = server.settings(filter_verb="filter", node_cache_capable=True)
    async with world.scheduler(settings=settings):
        await world.pod("a")
        message = await world.condition("a", "SchedulerError")
        assert message == words.format(url=f"http://127.0.0.1:{server.port}/scheduler/")
        server.answers["filter"] = without()
        await world.clock.advance(2)
        assert await world.placed("a") == "n1"


async def test_an_ignorable_one_that_hangs_costs_its_time_alone(world: World, server: Server) -> None:
    await world.node("n1")
    never = asyncio.Event()
    server.answers["filter"] = lambda body: never.wait()
    settings = server.settings(filter_verb="filter", node_cache_capable=True, http_timeout="50ms", ignorable=True)
    async with world.scheduler(settings=settings):
        await world.pod("a")
        assert await world.placed("a") == "n1"
    never.set()


async def test_is_asked_about_pods_with_its_resources_alone(world: World, server: Server) -> None:
    """And what it manages is none of the scheduler's business, where the configuration says so."""
    await world.node("n1")
    server.answers["filter"] = without()
    managed = [types.ManagedResource(name="example.com/fpga", ignored_by_scheduler=True)]
    settings = server.settings(filter_verb="filter", node_cache_capable=True, managed_resources=managed)
    async with world.scheduler(settings=settings):
        await world.pod("plain")
        await world.placed("plain")
        assert server.asked == []
        amount = {"example.com/fpga": "1"}
        container = {"name": "c", "image": "i", "resources": {"requests": amount, "limits": amount}}
        await world.pod("fast", containers=[container])
        assert await world.placed("fast") == "n1"
        assert len(server.bodies("filter")) == 1


async def test_binds(world: World, server: Server) -> None:
    await world.node("n1")

    async def bind(body: dict[str, Any]) -> Any:
        if not refusing:
            await world.admin.bind(body["PodNamespace"], body["PodName"], body["Node"], uid=body["PodUID"])
        return {"Error": "not now" if refusing else ""}

    refusing = True
    server.answers["bind"] = bind
    async with world.scheduler(settings=server.settings(bind_verb="bind")):
        await world.pod("a")
        assert await world.condition("a", "SchedulerError") == "not now"
        refusing = False
        await world.clock.advance(2)
        assert await world.placed("a") == "n1"
        await world.event("a", "Scheduled")


async def test_has_a_say_in_preemption(world: World, server: Server) -> None:
    """Of two nodes on which evictions would help it leaves the one that would not have been chosen."""
    for value in (1, 2, 5, 10):
        wanted = {"metadata": {"name": f"p{value}"}, "value": value}
        await world.admin.create(msgspec.convert(wanted, scheduling_v1.PriorityClass))
    for name, priority in (("n1", "p1"), ("n2", "p2")):
        await world.node(name, cpu="2")
        await world.pod(f"on-{name}", cpu="2", nodeName=name, priorityClassName=priority)

    def preempt(body: dict[str, Any]) -> Any:
        assert body["NodeNameToVictims"] is None
        return {"NodeNameToMetaVictims": {"n2": body["NodeNameToMetaVictims"]["n2"]}}

    server.answers["preempt"] = preempt
    async with world.scheduler(settings=server.settings(preempt_verb="preempt", node_cache_capable=True)):
        await world.pod("high", cpu="2", priorityClassName="p10")
        event = await world.event("on-n2", "Preempted")
        assert event.message.endswith("on node n2")

        async def nominated() -> str:
            return (await world.get("high")).status.nominated_node_name

        assert await eventually(nominated) == "n2"
        assert (await world.get("on-n1")).metadata.deletion_timestamp is None
        [body] = server.bodies("preempt")
        victims = {node: len(found["Pods"]) for node, found in body["NodeNameToMetaVictims"].items()}
        assert victims == {"n1": 1, "n2": 1}
        server.answers["preempt"] = lambda body: {"NodeNameToMetaVictims": {}}
        await world.pod("other", cpu="2", priorityClassName="p5")
        await world.condition("other", "Unschedulable")
        assert (await world.get("on-n1")).metadata.deletion_timestamp is None


async def test_over_tls(world: World, tmp_path: Path) -> None:
    authority, key = Authority.create(new_key(), SystemClock()), new_key()
    names = Names((), (ipaddress.ip_address("127.0.0.1"),))
    for name, pem in (
        ("cert", certificate_pem(authority.issue(key, Identity("", "extender"), names))),
        ("key", key_pem(key)),
    ):
        (tmp_path / name).write_bytes(pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    ca = certificate_pem(authority.certificate)
    tls = types.ExtenderTLS(ca_data=base64.b64decode(base64.b64encode(ca)))
    await world.node("n1")
    async with serving(context) as server:
        server.answers["filter"] = without()
        settings = server.settings(
            "https", filter_verb="filter", node_cache_capable=True, enable_https=True, tls_config=tls
        )
        async with world.scheduler(settings=settings):
            await world.pod("a")
            assert await world.placed("a") == "n1"
        asked = len(server.asked)
        settings = server.settings("https", filter_verb="filter", node_cache_capable=True, enable_https=True)
        async with world.scheduler(settings=settings):
            await world.pod("b")
            assert "certificate verify failed" in await world.condition("b", "SchedulerError")
        assert len(server.asked) == asked


async def test_nodes_that_come_meanwhile(world: World, server: Server) -> None:
    """The decision is made anew: what was said of the slots does not hold any more."""
    await world.node("n1", cpu="1")

    async def slow(body: dict[str, Any]) -> Any:
        if len(server.asked) == 1:
            await world.admin.delete(core_v1.Node, "n1")
            await world.node("n2")

            async def known() -> bool:
                return scheduler.core.columns().names == ["n2"]

            await eventually(known)
        return {"NodeNames": body["NodeNames"]}

    server.answers["filter"] = slow
    settings = server.settings(filter_verb="filter", node_cache_capable=True)
    async with world.scheduler(settings=settings) as scheduler:
        await world.pod("a")
        assert await world.placed("a") == "n2"
    assert [body["NodeNames"] for body in server.bodies("filter")] == [["n1"], ["n2"]]
