"""The border to Rust: what a call from Python costs above the work behind it."""

from typing import Any

import msgspec

from benches.micro.objects import pod
from orlop import native
from orlop.native import Hub

WATCHERS, EVENTS = 50, 50
PLACE = b'"uid":'


def test_deliver(benchmark: Any) -> None:
    """A delivery taken by Python."""
    hub = Hub(4096)
    hub.declare("pods", [("spec.nodeName", "spec.nodeName")], True, "v1", "Pod")
    hub.start(1)
    watchers = {watcher.id: watcher for watcher in (hub.watch("pods", None) for _ in range(WATCHERS))}
    value = msgspec.json.encode(pod(1)).replace(PLACE, b'"resourceVersion":"7","uid":', 1)

    def deliver() -> int:
        size = 0
        for _ in range(EVENTS):
            hub.apply([("pods", "default", "p1", hub.revision + 1, 2, value)])
            size += sum(len(watchers[ready].take(1 << 20)) for ready in hub.ready())
        return size

    benchmark.extra_info["units"] = WATCHERS * EVENTS
    assert benchmark.pedantic(deliver, rounds=5) > WATCHERS * EVENTS * len(value)


def test_decode(benchmark: Any) -> None:
    """A pod read from JSON, called from Python."""
    body = msgspec.json.encode(pod(1))
    canonical, unknown, duplicate = benchmark(lambda: native.wire_decode("core/v1.Pod", "json", body))
    assert (unknown, duplicate) == ([], [])
    assert msgspec.json.decode(canonical)["metadata"]["name"] == "p1"


def test_typed(benchmark: Any) -> None:
    """A pod made an object of Python and encoded again."""
    decoder = msgspec.json.Decoder(type(pod(1)))
    body = msgspec.json.encode(pod(1))
    assert benchmark(lambda: msgspec.json.encode(decoder.decode(body))) == body
