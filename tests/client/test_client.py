"""What the client sends, and what it makes of the answers."""

import asyncio
from typing import Any

import msgspec
import pytest

from orlop.api import errors
from orlop.api.types import apps_v1, core_v1, meta_v1
from orlop.client import Client, Unreachable
from orlop.client.asgi import ASGITransport
from orlop.client.decode import Meta
from orlop.clock import FakeClock
from tests.client.faults import BREAK, Answer, Faults, failed, ok


def client_of(*answers: Answer) -> tuple[Client, Faults, FakeClock]:
    app, clock = Faults(*answers), FakeClock()
    return Client(ASGITransport(app, "test"), clock=clock, user_agent="test/1"), app, clock


def pod(name: str = "a", **meta: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default", **meta}}


async def test_get_reads_the_object() -> None:
    client, app, _ = client_of(ok(pod(labels={"app": "web"})))
    got = await client.get(core_v1.Pod, "a", "default")
    assert got.metadata.labels == {"app": "web"}
    assert app.requests == [("GET", "/api/v1/namespaces/default/pods/a", {})]


class PodNode(msgspec.Struct, rename="camel"):
    class Spec(msgspec.Struct, rename="camel"):
        node_name: str = ""

    __kind__ = core_v1.Pod
    metadata: Meta
    spec: Spec


async def test_a_projection_reads_only_its_fields() -> None:
    client, app, _ = client_of(ok({**pod(), "spec": {"nodeName": "n1", "containers": [{"name": "c"}]}}))
    got = await client.get(PodNode, "a", "default")
    assert got == PodNode(Meta(name="a", namespace="default"), PodNode.Spec("n1"))
    assert app.requests[0][1] == "/api/v1/namespaces/default/pods/a"


async def test_nulls_of_other_servers_are_taken_for_empty() -> None:
    client, _, _ = client_of(ok({**pod(creationTimestamp=None), "spec": {"containers": None}}))
    assert (await client.get(core_v1.Pod, "a", "default")).spec.containers == []


async def test_list_gives_items_and_the_way_on() -> None:
    meta = {"resourceVersion": "7", "continue": "abc", "remainingItemCount": 4}
    client, app, _ = client_of(ok({"kind": "PodList", "metadata": meta, "items": [pod("a"), pod("b")]}))
    page = await client.list(core_v1.Pod, labels="app in (a,b)", fields="spec.nodeName=n", limit=2)
    assert [p.metadata.name for p in page.items] == ["a", "b"]
    assert (page.resource_version, page.continue_, page.remaining) == ("7", "abc", 4)
    assert app.requests[0][1] == "/api/v1/pods"
    assert app.requests[0][2] == {
        "labelSelector": "app+in+%28a%2Cb%29",
        "fieldSelector": "spec.nodeName%3Dn",
        "limit": "2",
    }


async def test_create_update_and_status_go_where_they_belong() -> None:
    deployment = apps_v1.Deployment(metadata=meta_v1.ObjectMeta(name="web", namespace="ns"))
    body = ok({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "resourceVersion": "5"}})
    client, app, _ = client_of(body, body, body)
    assert (await client.create(deployment, dry_run=True)).metadata.resource_version == "5"
    await client.update(deployment)
    await client.update_status(deployment)
    base = "/apis/apps/v1/namespaces/ns/deployments"
    assert app.requests == [
        ("POST", base, {"dryRun": "All"}),
        ("PUT", f"{base}/web", {}),
        ("PUT", f"{base}/web/status", {}),
    ]
    assert msgspec.json.decode(app.bodies[0])["kind"] == "Deployment"


async def test_delete_sends_its_preconditions() -> None:
    client, app, _ = client_of(ok({"kind": "Status", "status": "Success"}))
    await client.delete(core_v1.Pod, "a", "default", grace=0, uid="u", propagation="Background")
    assert msgspec.json.decode(app.bodies[0]) == {
        "apiVersion": "v1",
        "kind": "DeleteOptions",
        "gracePeriodSeconds": 0,
        "propagationPolicy": "Background",
        "preconditions": {"uid": "u"},
    }


async def test_a_status_is_raised_as_the_error_it_is() -> None:
    client, _, _ = client_of(failed(errors.not_found("pods", "", "a")), failed(errors.conflict("pods", "", "a", "x")))
    with pytest.raises(errors.NotFound, match='pods "a" not found'):
        await client.get(core_v1.Pod, "a", "default")
    with pytest.raises(errors.Conflict):
        await client.get(core_v1.Pod, "a", "default")


async def test_an_answer_that_is_no_status_is_still_an_error() -> None:
    client, _, _ = client_of(Answer(("send", b"<html>"), status=502))
    with pytest.raises(errors.ApiError, match="the server responded with the status code 502: <html>"):
        await client.get(core_v1.Pod, "a", "default")


async def finish(clock: FakeClock, work: Any, seconds: float) -> Any:
    task = asyncio.ensure_future(work)
    await clock.advance(seconds)
    assert task.done()
    return task.result()


@pytest.mark.parametrize("error", [errors.TooManyRequests("slow down"), errors.ServiceUnavailable("starting")])
async def test_an_answer_that_says_when_is_tried_again_then(error: errors.ApiError) -> None:
    client, app, clock = client_of(failed(error, retry_after="3"), ok(pod()))
    task = asyncio.ensure_future(client.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(namespace="default"))))
    await clock.advance(2.9)
    assert len(app.requests) == 1
    await clock.advance(0.2)
    assert (await task).metadata.name == "a"


async def test_it_is_tried_again_ten_times_and_no_more() -> None:
    client, app, clock = client_of(*(failed(errors.TooManyRequests("no"), retry_after="1") for _ in range(30)))
    with pytest.raises(errors.TooManyRequests):
        await finish(clock, client.get(core_v1.Pod, "a", "default"), 20)
    assert len(app.requests) == 11


async def test_without_a_retry_after_it_is_not_tried_again() -> None:
    client, app, _ = client_of(failed(errors.TooManyRequests("Cannot evict pod")), ok(pod()))
    with pytest.raises(errors.TooManyRequests):
        await client.evict("default", "a")
    assert len(app.requests) == 1


async def test_a_read_whose_answer_breaks_off_is_tried_again_and_a_write_is_not() -> None:
    half = Answer(("send", b'{"kind"'), BREAK)
    client, app, clock = client_of(half, ok(pod()))
    assert (await finish(clock, client.get(core_v1.Pod, "a", "default"), 5)).metadata.name == "a"
    client, app, clock = client_of(half, ok(pod()))
    with pytest.raises(Unreachable):
        await client.create(core_v1.Pod(metadata=meta_v1.ObjectMeta(namespace="default")))
    assert len(app.requests) == 1
