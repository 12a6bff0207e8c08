"""The hub against the plain one, over random histories."""

import json
import os
from typing import Any

import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from tests.model.hub import Object, PlainHub, PlainWatcher, Selects

from orlop.native import Expired, Hub, Watcher

CAMPAIGN = int(os.environ.get("ORLOP_CAMPAIGN", "1"))
RING = 6
NAMESPACES = ("a", "a-b", "b")
NAMES = ("x", "y", "z")
NODES = ("", "n1", "n2")
APPS = ("", "web", "db")


def label(object_: Object) -> str | None:
    found: str | None = object_["metadata"]["labels"].get("app")
    return found


def named(object_: Object) -> str:
    return str(object_["metadata"]["name"])


def placed(object_: Object) -> str:
    return str(object_["metadata"]["namespace"])


LABELS: dict[str, Selects] = {
    "": lambda o: True,
    "app=web": lambda o: label(o) == "web",
    "app!=web": lambda o: label(o) != "web",
    "app in (web,db)": lambda o: label(o) in ("web", "db"),
    "app notin (web, db),app": lambda o: label(o) == "",
    "!app": lambda o: label(o) is None,
}
FIELDS: dict[str, Selects] = {
    "": lambda o: True,
    "spec.nodeName=n1": lambda o: o["spec"]["nodeName"] == "n1",
    "spec.nodeName!=n1": lambda o: o["spec"]["nodeName"] != "n1",
    "spec.nodeName=": lambda o: o["spec"]["nodeName"] == "",
    "metadata.name=x": lambda o: o["metadata"]["name"] == "x",
    "metadata.name=y,metadata.namespace=b": lambda o: (
        o["metadata"]["name"] == "y" and o["metadata"]["namespace"] == "b"
    ),
    "metadata.namespace=a,spec.nodeName=n2": lambda o: (
        o["metadata"]["namespace"] == "a" and o["spec"]["nodeName"] == "n2"
    ),
    "metadata.name!=x": lambda o: o["metadata"]["name"] != "x",
}

namespaces = st.sampled_from((None, *NAMESPACES))
labels = st.sampled_from(sorted(LABELS))
fields = st.sampled_from(sorted(FIELDS))


def selects(namespace: str | None, by_label: str, by_field: str) -> Selects:
    def selects(object_: Object) -> bool:
        there = namespace is None or object_["metadata"]["namespace"] == namespace
        return there and LABELS[by_label](object_) and FIELDS[by_field](object_)

    return selects


class HubMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.hub = Hub(RING)
        self.hub.declare("pods", [("spec.nodeName", "spec.nodeName")], True, "v1", "Pod")
        self.hub.declare("nodes", [], False, "v1", "Node")
        self.plain = PlainHub(RING)
        self.watchers: list[tuple[Watcher, PlainWatcher]] = []
        self.waiting: set[int] = set()
        """Ids of those that have been told that there is something, and have not been emptied since."""

    def batch(self, changes: list[tuple[str, str, str, str | None, bool]]) -> None:
        rows = []
        for namespace, name, node, app, deleted in changes:
            place = namespace, name
            revision = self.plain.revision + 1
            if deleted and place not in self.plain.objects:
                deleted = False
            object_: Object = {
                "metadata": {
                    "name": name,
                    "namespace": namespace,
                    "labels": {} if app is None else {"other": "}", "app": app},
                    "resourceVersion": str(revision),
                },
                "spec": {"text": '"\\{[', "nodeName": node},
            }
            kind = 3 if deleted else 2 if place in self.plain.objects else 1
            rows.append(("pods", namespace, name, revision, kind, json.dumps(object_, separators=(",", ":")).encode()))
            self.plain.apply(place, revision, deleted, object_)
            for _, plain in self.watchers:
                plain.look()
        self.hub.apply(rows)

    @rule(
        changes=st.lists(
            st.tuples(
                st.sampled_from(NAMESPACES),
                st.sampled_from(NAMES),
                st.sampled_from(NODES),
                st.sampled_from((None, *APPS)),
                st.booleans(),
            ),
            min_size=1,
            max_size=4,
        )
    )
    def apply(self, changes: list[tuple[str, str, str, str | None, bool]]) -> None:
        self.batch(changes)

    @precondition(lambda self: self.plain.revision == 0)
    @rule(revision=st.integers(1, 5))
    def start(self, revision: int) -> None:
        object_ = {
            "metadata": {"name": "x", "namespace": "a", "labels": {"app": "web"}, "resourceVersion": str(revision)},
            "spec": {"nodeName": "n1"},
        }
        self.hub.load("pods", [("a", "x", revision, json.dumps(object_).encode())])
        self.hub.start(revision)
        self.plain.objects["a", "x"] = object_
        self.plain.started = self.plain.revision = revision
        for _, plain in self.watchers:
            plain.since = max(plain.since, 0)

    @rule(namespace=namespaces, by_label=labels, by_field=fields, limit=st.integers(0, 4), start=st.booleans())
    def list(self, namespace: str | None, by_label: str, by_field: str, limit: int, start: bool) -> None:
        wanted = self.plain.list(selects(namespace, by_label, by_field))
        after = ("a-b", "x") if start else None
        if after:
            wanted = [o for o in wanted if f"{o['metadata']['namespace']}/{o['metadata']['name']}" > "/".join(after)]
        found = self.hub.list("pods", namespace, by_label, by_field, limit, after)
        page = wanted[:limit] if limit else wanted
        assert [json.loads(item) for item in found.items] == page
        assert json.loads(found.join(b"[", b"]")) == page
        assert (found.revision, found.more) == (self.plain.revision, len(page) < len(wanted))
        if not by_label and not by_field:
            assert found.remaining == len(wanted) - len(page)
        else:
            assert found.remaining is None or found.remaining == len(wanted) - len(page)
        assert found.last == ((page[-1]["metadata"]["namespace"], page[-1]["metadata"]["name"]) if page else None)

    @rule(
        namespace=namespaces,
        by_label=labels,
        by_field=fields,
        back=st.one_of(st.none(), st.integers(0, RING + 3)),
        initial=st.booleans(),
        bookmarks=st.booleans(),
    )
    def watch(
        self, namespace: str | None, by_label: str, by_field: str, back: int | None, initial: bool, bookmarks: bool
    ) -> None:
        since = None if back is None else max(0, self.plain.revision - back)
        too_old = since is not None and not initial and since < self.plain.oldest
        if too_old:
            message = rf"too old resource version: {since} \({self.plain.oldest}\)"
            with pytest.raises(Expired, match=message):
                self.hub.watch("pods", namespace, by_label, by_field, since, initial, bookmarks)
            return
        watcher = self.hub.watch("pods", namespace, by_label, by_field, since, initial, bookmarks)
        plain = PlainWatcher(self.plain, selects(namespace, by_label, by_field), since, initial, bookmarks)
        self.watchers.append((watcher, plain))

    @precondition(lambda self: self.watchers)
    @rule(index=st.integers(0, 100), count=st.integers(1, 5), whole=st.booleans())
    def take(self, index: int, count: int, whole: bool) -> None:
        watcher, plain = self.watchers[index % len(self.watchers)]
        self.hear()
        found: list[tuple[str, int, Any]]
        if whole:
            wanted = plain.take(1000)
            lines = watcher.take(1 << 20).decode().splitlines()
            frames = [json.loads(line) for line in lines]
            found = [(f["type"], int(f["object"]["metadata"].get("resourceVersion", 0)), f["object"]) for f in frames]
        else:
            wanted = plain.take(count)
            found = [(kind, revision, json.loads(value)) for kind, revision, value in watcher.events(count)]
        if wanted and wanted[0][0] == "ERROR":
            ((kind, _, status),) = found
            assert (kind, status["code"], status["reason"]) == ("ERROR", 410, "Expired")
            assert watcher.state == "expired"
        else:
            assert found == wanted
        if wanted:
            assert watcher.id in self.waiting, "it was never told"
        self.waiting.discard(watcher.id)
        self.hear()

    @precondition(lambda self: self.watchers)
    @rule(index=st.integers(0, 100))
    def close(self, index: int) -> None:
        watcher, _ = self.watchers.pop(index % len(self.watchers))
        watcher.close()
        assert (watcher.take(1000), watcher.state) == (b"", "closed")

    @rule()
    def bookmark(self) -> None:
        self.hub.bookmark()
        for _, plain in self.watchers:
            plain.bookmark_due |= plain.bookmarks and not plain.expired

    def hear(self) -> None:
        self.waiting.update(self.hub.ready())

    @invariant()
    def the_same_state(self) -> None:
        assert self.hub.revision == self.plain.revision
        for namespace in NAMESPACES:
            for name in NAMES:
                found = self.hub.get("pods", namespace, name)
                there = self.plain.objects.get((namespace, name))
                assert (json.loads(found[0]) if found else None) == there
        assert {name: rest for name, *rest in self.hub.stats()}["pods"] == [
            len(self.plain.objects),
            len(self.watchers),
        ]


HubMachine.TestCase.settings = settings(max_examples=100 * CAMPAIGN, stateful_step_count=40, deadline=None)
TestHub = pytest.mark.campaign(pytest.mark.timeout(120 * CAMPAIGN)(HubMachine.TestCase))
