"""The hub's border: what Python sees of it. How it behaves is compared with a plain one in tests/model."""

import gc
import json
import select
import threading

import pytest

from orlop.native import Expired, Hub


def new_hub(ring: int = 100) -> Hub:
    hub = Hub(ring)
    hub.declare("pods", [("spec.nodeName", "spec.nodeName")], True, "v1", "Pod")
    hub.declare("nodes", [("spec.unschedulable", "spec.unschedulable=false")], False, "v1", "Node")
    return hub


def pod(name: str, revision: int, kind: int = 1, node: str = "") -> tuple[str, str, str, int, int, bytes]:
    value = {"metadata": {"name": name, "resourceVersion": str(revision)}, "spec": {"nodeName": node}}
    return "pods", "default", name, revision, kind, json.dumps(value).encode()


def test_what_is_refused() -> None:
    hub = new_hub()
    with pytest.raises(LookupError, match='knows no resource "none"'):
        hub.list("none", None)
    with pytest.raises(LookupError):
        hub.watch("none", None)
    with pytest.raises(LookupError):
        hub.get("none", "", "a")
    with pytest.raises(ValueError, match=r"field label not supported: spec\.x"):
        hub.list("pods", None, "", "spec.x=1")
    with pytest.raises(ValueError, match=r"field label not supported: metadata\.namespace"):
        hub.list("nodes", None, "", "metadata.namespace=a")
    with pytest.raises(ValueError, match="unable to parse requirement"):
        hub.watch("pods", None, "a b")
    with pytest.raises(ValueError, match="type is 1, 2 or 3, not 4"):
        hub.apply([pod("a", 1, 4)])
    hub.apply([pod("a", 1), pod("b", 2)])
    hub.start(2)
    with pytest.raises(Expired, match=r"too old resource version: 1 \(2\)"):
        hub.watch("pods", None, "", "", 1)


def test_the_eventfd_is_readable_while_there_is_something() -> None:
    hub = new_hub()
    watcher = hub.watch("pods", None)

    def readable() -> bool:
        return bool(select.select([hub.fileno()], [], [], 0)[0])

    assert not readable()
    hub.apply([pod("a", 1)])
    hub.apply([pod("a", 2, 2)])
    assert readable()
    assert hub.ready() == [watcher.id]
    assert (readable(), hub.ready()) == (False, [])


def test_frames_and_lists_are_the_stored_bytes() -> None:
    hub = new_hub()
    watcher = hub.watch("pods", None)
    rows = [pod(f"p{n}", n + 1) for n in range(3)]
    hub.apply(rows)
    frames = b"".join(b'{"type":"ADDED","object":' + row[5] + b"}\n" for row in rows)
    assert watcher.take(1 << 20) == frames
    listed = hub.list("pods", "default")
    assert listed.items == [row[5] for row in rows]
    assert listed.keys == [("default", f"p{n}") for n in range(3)]
    assert listed.join(b'{"items":[', b"]}") == b'{"items":[' + b",".join(row[5] for row in rows) + b"]}"
    assert hub.list("pods", "none").join(b"[", b"]") == b"[]"


def test_long_lists_are_joined_without_the_gil() -> None:
    hub = new_hub()
    value = b'{"x":"' + b"x" * 2700 + b'"}'
    hub.apply([("pods", "default", f"p{n:05}", n + 1, 1, value) for n in range(2000)])
    assert hub.list("pods", None).join(b"[", b"]") == b"[" + b",".join([value] * 2000) + b"]"


def test_a_default_of_an_absent_field() -> None:
    hub = new_hub()
    for revision, (name, spec) in enumerate([("a", b"{}"), ("b", b'{"unschedulable":true}')], start=1):
        hub.apply([("nodes", "", name, revision, 1, b'{"spec":%b}' % spec)])
    assert hub.list("nodes", None, "", "spec.unschedulable=false").keys == [("", "a")]
    assert hub.list("nodes", None, "", "spec.unschedulable=true").keys == [("", "b")]
    assert hub.list("nodes", None, "", "metadata.name=a,spec.unschedulable=true").keys == []


def test_a_watcher_that_is_dropped_is_gone() -> None:
    hub = new_hub()
    hub.watch("pods", None)
    gc.collect()
    assert {name: watchers for name, _, watchers in hub.stats()}["pods"] == 0
    hub.apply([pod("a", 1)])
    assert hub.ready() == []


def test_bookmarks_only_for_those_that_want_them() -> None:
    hub = new_hub()
    hub.apply([pod("a", 1)])
    plain = hub.watch("pods", None, "", "", None, True)
    both = hub.watch("pods", None, "", "", None, True, True)
    from_zero = hub.watch("pods", None, "", "", None, True, True, False)
    end = {"kind": "Pod", "apiVersion": "v1", "metadata": {"resourceVersion": "1"}}
    annotated = {**end, "metadata": {"resourceVersion": "1", "annotations": {"k8s.io/initial-events-end": "true"}}}
    assert [kind for kind, _, _ in plain.events(10)] == ["ADDED"]
    assert [kind for kind, _, _ in from_zero.events(10)] == ["ADDED"]
    (added, bookmark) = both.events(10)
    assert (added[0], json.loads(bookmark[2])) == ("ADDED", annotated)
    hub.apply([("nodes", "", "n", 7, 1, b"{}")])
    hub.bookmark()
    hub.bookmark()
    assert plain.events(10) == []
    for watcher in (both, from_zero):
        ((kind, revision, value),) = watcher.events(10)
        assert (kind, revision, json.loads(value)["metadata"]) == ("BOOKMARK", 7, {"resourceVersion": "7"})


def test_threads() -> None:
    hub = new_hub(ring=100_000)
    watchers = [hub.watch("pods", None) for _ in range(4)]
    counts = [0] * 4

    def follow(index: int) -> None:
        while counts[index] < 2000:
            counts[index] += len(watchers[index].events(100))

    threads = [threading.Thread(target=follow, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for start in range(0, 2000, 100):
        hub.apply([pod(f"p{n % 10}", n + 1) for n in range(start, start + 100)])
    for thread in threads:
        thread.join(timeout=30)
    assert counts == [2000] * 4
