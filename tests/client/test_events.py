"""Which events are written, counted, combined and dropped: client-go's rules."""

import asyncio
from typing import Any

import msgspec

from orlop.api import errors, scheme
from orlop.api.types import core_v1, meta_v1
from orlop.client import Client, Recorder
from orlop.client.asgi import ASGITransport
from orlop.client.events import CLOSED_SECONDS, MAX_QUEUED
from orlop.clock import FakeClock
from orlop.controllers.views import MetaView, OwnedMeta, PodView, owned
from tests.client.faults import Answer, Faults, failed, ok

POD = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="web", namespace="shop", uid="u1", resource_version="7"))


class World:
    def __init__(self, *answers: Answer) -> None:
        self.clock = FakeClock()
        self.app = Faults(*answers, *(ok({"metadata": {}}) for _ in range(100)))
        client = Client(ASGITransport(self.app, "test"), clock=self.clock, user_agent="test")
        self.recorder = Recorder(client, self.clock, "kubelet", host="node-1")

    async def written(self, seconds: float = 0.0) -> list[tuple[str, dict[str, Any]]]:
        task = asyncio.ensure_future(self.recorder.run())
        for _ in range(60):
            await self.clock.advance(seconds / 60)
        task.cancel()
        await asyncio.wait({task})
        return [(r[0], msgspec.json.decode(b)) for r, b in zip(self.app.requests, self.app.bodies, strict=True)]


async def test_an_event_says_who_what_and_about_whom() -> None:
    world = World()
    world.recorder.event(POD, "Warning", "BackOff", "Back-off restarting", field_path="spec.containers{c}")
    (method, event), *_ = await world.written()
    assert method == "POST"
    assert world.app.requests[0][1] == "/api/v1/namespaces/shop/events"
    assert event["involvedObject"] == {
        "kind": "Pod",
        "namespace": "shop",
        "name": "web",
        "uid": "u1",
        "apiVersion": "v1",
        "resourceVersion": "7",
        "fieldPath": "spec.containers{c}",
    }
    assert (event["type"], event["reason"], event["message"]) == ("Warning", "BackOff", "Back-off restarting")
    assert event["source"] == {"component": "kubelet", "host": "node-1"}
    assert (event["reportingComponent"], event["reportingInstance"]) == ("kubelet", "node-1")
    assert event["count"] == 1
    assert event["firstTimestamp"] == event["lastTimestamp"] == "2023-11-14T22:13:20Z"
    name, _, stamp = event["metadata"]["name"].partition(".")
    assert name == "web"
    assert int(stamp, 16) == int(world.clock.now() * 1e9)


async def test_the_same_event_again_raises_the_count() -> None:
    world = World()
    for _ in range(3):
        world.recorder.event(POD, "Normal", "Pulled", "image is there")
    (_, first), (method, second), (_, third) = await world.written()
    assert method == "PATCH"
    assert world.app.requests[1][1].endswith("/events/" + first["metadata"]["name"])
    assert (second["count"], third["count"]) == (2, 3)


async def test_a_counted_event_that_has_expired_is_made_anew() -> None:
    world = World(ok({"metadata": {}}), failed(errors.not_found("events", "", "web.1")))
    for _ in range(2):
        world.recorder.event(POD, "Normal", "Pulled", "image is there")
    assert [method for method, _ in await world.written()] == ["POST", "PATCH", "POST"]


async def test_many_messages_for_one_reason_are_combined() -> None:
    world = World()
    for i in range(12):
        world.recorder.event(POD, "Warning", "Failed", f"try {i}")
    written = await world.written()
    assert [method for method, _ in written] == ["POST"] * 10 + ["PATCH"] * 2
    assert written[9][1]["message"] == "(combined from similar events): try 9"
    assert written[11][1]["count"] == 3


async def test_a_source_may_tell_25_events_of_an_object_then_one_in_five_minutes() -> None:
    world = World()
    for i in range(40):
        world.recorder.event(POD, "Normal", f"Reason{i}", "m")
    assert len(await world.written()) == 25
    await world.clock.advance(301)
    world.recorder.event(POD, "Normal", "Again", "m")
    world.recorder.event(POD, "Normal", "Dropped", "m")
    assert len(await world.written()) == 26


async def test_a_rejected_event_is_not_tried_again_and_the_next_one_is_written() -> None:
    world = World(failed(errors.forbidden("events", "", "", "namespace is being terminated")))
    world.recorder.event(POD, "Normal", "One", "m")
    world.recorder.event(POD, "Normal", "Two", "m")
    assert [event["reason"] for _, event in await world.written()] == ["One", "Two"]


async def test_a_full_queue_drops_and_never_blocks() -> None:
    world = World()
    for i in range(MAX_QUEUED + 10):
        world.recorder.event(POD, "Normal", "Reason", f"{i}")
    assert len(world.recorder._queue) == MAX_QUEUED


async def test_cluster_scoped_objects_have_their_events_in_default() -> None:
    world = World()
    world.recorder.event(core_v1.Node(metadata=meta_v1.ObjectMeta(name="n")), "Normal", "NodeReady", "m")
    await world.written()
    assert world.app.requests[0][1] == "/api/v1/namespaces/default/events"


async def test_a_projection_is_told_of_as_what_it_is_of() -> None:
    world = World()
    view = PodView(metadata=MetaView(name="web", namespace="shop", uid="u1", resource_version="7"))
    world.recorder.event(view, "Normal", "Killing", "m")
    config_map = scheme.by_kind("v1", "ConfigMap")
    assert config_map is not None
    world.recorder.event(owned(config_map)(metadata=OwnedMeta(name="m", namespace="shop")), "Normal", "Lost", "m")
    written = [event["involvedObject"] for _, event in await world.written()]
    assert [(about["apiVersion"], about["kind"], about["name"]) for about in written] == [
        ("v1", "Pod", "web"),
        ("v1", "ConfigMap", "m"),
    ]


async def test_what_is_queued_for_a_namespace_that_is_being_deleted_is_dropped() -> None:
    causes = [meta_v1.StatusCause(reason="NamespaceTerminating", field="metadata.namespace")]
    world = World(failed(errors.Forbidden("it is being terminated", details=meta_v1.StatusDetails(causes=causes))))
    for i in range(3):
        world.recorder.event(POD, "Normal", f"R{i}", "words")
    other = core_v1.Pod(metadata=meta_v1.ObjectMeta(name="web", namespace="other", uid="u2"))
    world.recorder.event(other, "Normal", "R", "words")
    written = await world.written()
    assert [event["metadata"]["namespace"] for _, event in written] == ["shop", "other"]
    assert world.recorder.idle


async def test_nothing_is_told_for_a_moment_of_a_namespace_that_is_being_deleted() -> None:
    causes = [meta_v1.StatusCause(reason="NamespaceTerminating", field="metadata.namespace")]
    world = World(failed(errors.Forbidden("it is being terminated", details=meta_v1.StatusDetails(causes=causes))))
    world.recorder.event(POD, "Normal", "R0", "words")
    assert len(await world.written()) == 1
    world.recorder.event(POD, "Normal", "R1", "words")
    assert len(await world.written()) == 1
    await world.clock.advance(CLOSED_SECONDS)
    world.recorder.event(POD, "Normal", "R2", "words")
    assert [event["reason"] for _, event in await world.written()] == ["R0", "R2"], "one of that name may be there"
