"""The metrics API: what two readings say together, and how it is served."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from tests.apiserver.conftest import PODS, Api, pod

from orlop.apiserver.resourcemetrics.samples import Point, parse, usage
from orlop.apiserver.server import ApiServer

GROUP = "/apis/metrics.k8s.io/v1beta1"
TEXT = """\
# TYPE container_cpu_usage_seconds_total counter
container_cpu_usage_seconds_total{container="c",namespace="default",pod="p"} 1.5 1700000000000
container_memory_working_set_bytes{container="c",namespace="default",pod="p"} 1024 1700000000000
container_cpu_usage_seconds_total{container="d",namespace="default",pod="p"} 2
container_start_time_seconds{container="c",namespace="default",pod="p"} 5
node_cpu_usage_seconds_total 100.25 1700000000500
node_memory_working_set_bytes 4096 1700000000500
pod_cpu_usage_seconds_total{namespace="default",pod="p"} 1.5 1700000000000
nonsense
"""


def test_a_reading() -> None:
    sample = parse(TEXT, 7.0)
    assert sample.node == Point(1700000000.5, 100.25, 4096)
    assert sample.pods == {("default", "p"): {"c": Point(1700000000.0, 1.5, 1024), "d": Point(7.0, 2.0, -1)}}
    assert not sample.pods["default", "p"]["d"].whole


@pytest.mark.parametrize(
    ("before", "after", "cpu"),
    [
        (Point(10, 1.0, 5), Point(25, 4.0, 6), 200_000_000),
        (Point(10, 1.0, 5), Point(25, 1.0, 6), 0),
        (Point(10, 4.0, 5), Point(25, 1.0, 6), None),  # another container of the same name
        (Point(10, 1.0, 5), Point(10, 1.0, 5), None),  # the same reading
        (Point(10, 1.0, 5), Point(25, 4.0), None),  # no memory
        (None, Point(25, 4.0, 6), None),
    ],
)
def test_use_between_two_readings(before: Point | None, after: Point, cpu: int | None) -> None:
    used = usage(before, after)
    assert (used.cpu if used is not None else None) == cpu
    if used is not None:
        assert (used.at, used.window, used.memory) == (25, 15, 6)


async def test_the_group_is_discovered_and_only_read(api: Api) -> None:
    groups = {g["name"] for g in (await api("GET", "/apis")).body["groups"]}
    assert "metrics.k8s.io" in groups
    listed = (await api("GET", GROUP)).body["resources"]
    assert [(r["name"], r["kind"], r["namespaced"], r["verbs"]) for r in listed] == [
        ("nodes", "NodeMetrics", False, ["get", "list"]),
        ("pods", "PodMetrics", True, ["get", "list"]),
    ]
    assert (await api("POST", f"{GROUP}/nodes", {})).status == 405
    assert (await api("GET", f"{GROUP}/services")).status == 404
    assert (await api("GET", f"{GROUP}/nodes?watch=1")).status == 405
    assert (await api("GET", f"{GROUP}/namespaces/default/pods/nobody")).status == 404


class Readings:
    """What a node's kubelet would say, one second of CPU more each time."""

    def __init__(self) -> None:
        self.asked = 0

    async def serve(self, _: web.Request) -> web.Response:
        self.asked += 1
        stamp = 1_700_000_000_000 + 2000 * self.asked
        where = '{container="c",namespace="default",pod="p"}'
        return web.Response(
            text=f"container_cpu_usage_seconds_total{where} {self.asked} {stamp}\n"
            f"container_memory_working_set_bytes{where} {10 << 20} {stamp}\n"
            f"node_cpu_usage_seconds_total {10 * self.asked} {stamp}\n"
            f"node_memory_working_set_bytes {1 << 30} {stamp}\n"
        )


@pytest.fixture
async def readings(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Readings]:
    """A kubelet without TLS, and a server that finds it."""
    from aiohttp import ClientSession

    from orlop.apiserver.resourcemetrics import scraper

    one = Readings()
    app = web.Application()
    app.router.add_get("/metrics/resource", one.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    api = Api(server)
    await api.made("/api/v1/nodes", {"metadata": {"name": "n", "labels": {"zone": "a"}}})
    body = pod("p", nodeName="n")
    body["metadata"]["labels"] = {"app": "web"}
    await api.made(PODS, body)
    async with ClientSession() as session:

        class Way:
            def url(self, path: str, _: Any) -> str:
                return f"http://127.0.0.1:{port}{path}"

            def session(self) -> ClientSession:
                return session

        monkeypatch.setattr(scraper, "locate", lambda core, node: Way())
        monkeypatch.setattr(scraper, "kubelets_of", lambda core: Way())
        yield one
    await runner.cleanup()
    await api.transport.close()


async def test_nobody_asks_nobody_measures(api: Api, readings: Readings) -> None:
    assert readings.asked == 0
    nodes = (await api("GET", f"{GROUP}/nodes")).body
    assert readings.asked == 2, "the first answer needs two readings"
    (node,) = nodes["items"]
    assert node["metadata"]["labels"] == {"zone": "a"}
    assert node["usage"] == {"cpu": "5000000000n", "memory": f"{1 << 20}Ki"}
    assert node["window"] == "2s"
    pods = (await api("GET", f"{GROUP}/pods?labelSelector=app%3Dweb")).body["items"]
    assert readings.asked == 2, "what is not old is not read again"
    assert pods[0]["containers"] == [{"name": "c", "usage": {"cpu": "500000000n", "memory": "10240Ki"}}]
    assert (await api("GET", f"{GROUP}/pods?labelSelector=app%3Dother")).body["items"] == []
    one = (await api("GET", f"{GROUP}/namespaces/default/pods/p")).body
    assert (one["kind"], one["metadata"]["name"]) == ("PodMetrics", "p")
    protobuf = await api("GET", f"{GROUP}/nodes", accept="application/vnd.kubernetes.protobuf,application/json")
    assert protobuf.body["kind"] == "NodeMetricsList"
