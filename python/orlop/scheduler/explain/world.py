"""The cluster as a scheduler sees it at one moment, in a core of its own, where changes are tried.

It is filled by plain lists, so a kubeconfig is all that it needs. Nothing is written.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from orlop.api import errors
from orlop.client import Client
from orlop.client.decode import RawList, decode, error_of
from orlop.native import Decision, SchedulerCore
from orlop.scheduler import volumevotes
from orlop.scheduler.config import Profile
from orlop.scheduler.devices import DYNAMIC, AllocationFailed, deciding as devices
from orlop.scheduler.explain import devices as listed_devices, storage as listed_storage
from orlop.scheduler.explain.devices import ListedDevices
from orlop.scheduler.explain.narrow import narrow
from orlop.scheduler.explain.results import NodeReport, Reason
from orlop.scheduler.explain.said import Said
from orlop.scheduler.explain.storage import ListedStorage
from orlop.scheduler.explain.terms import Terms
from orlop.scheduler.plugins import Nodes as PluginNodes, PluginFailed, Pod
from orlop.scheduler.podvolumes import Nodes, Unfit, read
from orlop.scheduler.votes import Vote

Key = tuple[str, str]
Object = dict[str, Any]
"""An object as its JSON has it."""

NEEDED = {"nodes": "/api/v1/nodes", "pods": "/api/v1/pods", "namespaces": "/api/v1/namespaces"}
"""Without these nothing can be said."""
HELPFUL = {
    "poddisruptionbudgets": "/apis/policy/v1/poddisruptionbudgets",
    **listed_storage.RESOURCES,
    "priorityclasses": "/apis/scheduling.k8s.io/v1/priorityclasses",
    **listed_devices.RESOURCES,
}
"""What a user may not be allowed to list: then it is said that it was not looked at."""
STAMPED = frozenset({*NEEDED, "poddisruptionbudgets", "persistentvolumeclaims", "persistentvolumes", "storageclasses"})
"""What every scheduler notes the revision of; the rest not every server has."""
FIELDS = {"pods": "status.phase!=Succeeded,status.phase!=Failed"}
"""Pods that have ended hold nothing."""


class Outcome(NamedTuple):
    """What would be decided for a pod."""

    node: str | None
    feasible: int
    message: str
    nominated: str | None
    """The node on which evictions would make room."""
    victims: list[Key]


class _Meta(msgspec.Struct):
    name: str = ""
    namespace: str = ""
    uid: str = ""
    labels: dict[str, str] | None = None
    resource_version: str = msgspec.field(default="0", name="resourceVersion")


class _Head(msgspec.Struct):
    metadata: _Meta


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class _Placed(msgspec.Struct):
    spec: _Spec


class _Wanting(msgspec.Struct, rename="camel"):
    scheduler_name: str = ""


class _Named(msgspec.Struct):
    metadata: _Meta
    spec: _Wanting


_head = msgspec.json.Decoder(_Head).decode
_named = msgspec.json.Decoder(_Named).decode
_read_placed = msgspec.json.Decoder(_Placed).decode


class World:
    """Nodes, pods and all else that scheduling looks at."""

    def __init__(self, terms: Terms | None = None) -> None:
        """`terms` are those of the scheduler that is explained."""
        self.terms = terms or Terms()
        self.core = SchedulerCore(0, [profile.for_core() for profile in self.terms.settings.profiles])
        self.nodes: dict[str, bytes] = {}
        self.pods: dict[Key, bytes] = {}
        self.on: dict[str, dict[Key, None]] = {}
        """The pods on each node, in the order in which they came."""
        self.priority_classes: list[Object] = []
        self.storage = ListedStorage()
        self.devices = ListedDevices()
        self.revisions: dict[str, str] = {}
        self.notes: list[str] = self.terms.notes
        """What could not be looked at, each in a sentence."""
        self._labels = Nodes()

    # --- filling

    @classmethod
    async def load(cls, client: Client, at: Mapping[str, str] | None = None, *, terms: Terms | None = None) -> "World":
        """The present state, or that at these revisions. Raises ApiError: Expired where one is no longer kept."""
        world, lists = cls(terms), dict[str, list[bytes]]()
        for resource, path in (NEEDED | HELPFUL).items():
            if at is not None and resource not in at:
                if resource in STAMPED:
                    raise errors.Expired(f"the revision of {resource} was not noted")
                continue
            try:
                lists[resource] = await world._list(client, resource, path, at)
            except errors.NotFound:
                if resource in STAMPED:
                    raise
            except errors.Forbidden as error:
                if resource in NEEDED:
                    raise
                world.notes.append(f"{resource} cannot be listed, so they were not looked at: {error}")
        world._fill(lists)
        return world

    async def _list(self, client: Client, resource: str, path: str, at: Mapping[str, str] | None) -> list[bytes]:
        if at is None:
            return await self._listed(client, resource, path, {})
        try:
            return await self._listed(client, resource, path, _exactly(at[resource]))
        except errors.Expired:
            # What has not changed for long has an old revision. It was the same at the newest one of the decision,
            # unless it changed in the moment in which that was not heard of yet.
            items = await self._listed(client, resource, path, _exactly(max(at.values(), key=int)))
        if any(int(_head(item).metadata.resource_version) > int(at[resource]) for item in items):
            self.notes.append(f"some of the {resource} are a moment newer than what was decided on")
        return items

    async def _listed(self, client: Client, resource: str, path: str, query: Mapping[str, str]) -> list[bytes]:
        fields = {"fieldSelector": FIELDS[resource]} if resource in FIELDS else {}
        answer = await client.request("GET", path, query={**query, **fields})
        if answer.status >= 400:
            raise error_of(answer)
        listed = decode(RawList, answer.body)
        self.revisions[resource] = listed.metadata.resource_version
        return [bytes(item) for item in listed.items or ()]

    def _fill(self, lists: Mapping[str, list[bytes]]) -> None:
        self.storage.fill(*(lists.get(name, ()) for name in listed_storage.RESOURCES))
        self.devices.fill(*(lists.get(name, ()) for name in listed_devices.RESOURCES))
        self.priority_classes = [msgspec.json.decode(value) for value in lists.get("priorityclasses", ())]
        for value in lists["namespaces"]:
            self._try(lambda value=value: self.core.upsert_namespace(value))
        for value in lists["nodes"]:
            self._try(lambda value=value: self.set_node(value))
        for value in lists.get("poddisruptionbudgets", ()):
            self._try(lambda value=value: self.core.upsert_budget(value))
        for value in lists["pods"]:
            self._try(lambda value=value: self.set_pod(value))

    def _try(self, step: Any) -> None:
        try:
            step()
        except ValueError as error:
            self.notes.append(f"an object cannot be read and was left out, as the scheduler leaves it out: {error}")

    def set_node(self, value: bytes) -> None:
        """Takes over a node. Raises ValueError."""
        self.core.upsert_node(value)
        meta = _head(value).metadata
        self.nodes[meta.name] = value
        self._labels.set(meta.name, meta.labels or {})

    def drop_node(self, name: str) -> None:
        """Takes a node out."""
        self.core.delete_node(name)
        self.nodes.pop(name, None)
        self._labels.set(name, None)

    def set_pod(self, value: bytes) -> None:
        """Takes over a pod. Raises ValueError."""
        facts = self.core.upsert_pod(value)
        key = facts.namespace, facts.name
        if (before := self.pods.pop(key, None)) is not None:
            self._leave(key, before)
        if facts.ended:
            return
        self.pods[key] = value
        if facts.node:
            self.on.setdefault(facts.node, {})[key] = None
            self._use(key, value, facts.node, on=True)

    def drop_pod(self, key: Key) -> bytes | None:
        """Takes a pod out."""
        value = self.pods.pop(key, None)
        if value is not None:
            self.core.delete_pod(*key)
            self._leave(key, value)
        return value

    def _leave(self, key: Key, value: bytes) -> None:
        if node := _read_placed(value).spec.node_name:
            self.on.get(node, {}).pop(key, None)
            self._use(key, value, node, on=False)

    def _use(self, key: Key, value: bytes, node: str, *, on: bool) -> None:
        self.storage.use(key, value, node, on=on)
        self.devices.use(key, value, on=on)

    def settle(self, pod: Object, node: str) -> None:
        """The pod comes to the node, and what it claims is its own. Raises ValueError."""
        value, labels = msgspec.json.encode(pod), dict(self._labels.labels[node])
        if (volumes := read(value)) is not None:
            self.storage.settle(volumes, node, labels)
        if (claims := devices.read(value)) is not None:
            self.devices.settle(claims, node, labels)
        self.set_pod(msgspec.json.encode({**pod, "spec": {**pod["spec"], "nodeName": node}}))

    def node(self, name: str) -> Object:
        """A copy of a node."""
        node: Object = msgspec.json.decode(self.nodes[name])
        return node

    def pod(self, key: Key) -> Object:
        """A copy of a pod."""
        pod: Object = msgspec.json.decode(self.pods[key])
        return pod

    # --- asking

    def explain(self, pod: Object) -> list[NodeReport]:
        """What is said of every node for a pod."""
        value = msgspec.json.encode(pod)
        told = self.core.why(value)
        said = self._ask(value, [node for node, refusals, *_ in told if not refusals])
        reports = [said.report(of) for of in told]
        names = [report.node for report in reports if report.feasible]
        if names and len(names) < sum(not refusals for _, refusals, *_ in told):
            # Scores are relative to the feasible nodes, which others made fewer.
            narrowed = {of[0]: said.report(of) for of in self.core.why(narrow(value, names))}
            reports = [narrowed[of.node] if of.feasible else of for of in reports]
        return [said.scored(of, names) if of.feasible else of for of in reports]

    def place(self, pod: Object) -> Outcome:
        """What would be decided for a waiting pod."""
        value = msgspec.json.encode(pod)
        said = self._ask(value)
        if said.unfit is not None:
            return Outcome(None, 0, f"0/{len(self.nodes)} nodes are available: {said.unfit}.", None, [])
        names = [name for name in self.nodes if said.allows(name)]
        if len(names) == len(self.nodes) and not said.scores:
            return _outcome(self.core.preview(value))
        if not names:
            return Outcome(None, 0, message(self.explain(pod)), None, [])
        outcome = _outcome(self.core.preview(narrow(value, names)))
        if outcome.node is not None:
            return self._rescored(pod, outcome) if said.scores else outcome
        return outcome if outcome.nominated else outcome._replace(message=message(self.explain(pod)))

    def _rescored(self, pod: Object, outcome: Outcome) -> Outcome:
        """The best node where others than the core have scores too."""
        best = max(self.explain(pod), key=lambda report: (report.feasible, report.total))
        return outcome._replace(node=best.node)

    def _ask(self, value: bytes, feasible: Sequence[str] | None = None) -> Said:
        """What others than the core say of the nodes for a pod; `feasible` are those that the core leaves."""
        head = _named(value)
        profile = self.terms.profile(head.spec.scheduler_name)
        filters = profile.points["filter"]
        votes: list[Vote] = []
        scores: dict[str, Mapping[str, int]] = {}
        try:
            if (volumes := read(value)) is not None:
                key = volumes.metadata.namespace, volumes.metadata.name
                votes += volumevotes.votes(self.storage, key, volumes, self._labels, filters)
            if DYNAMIC in filters and (claims := devices.read(value)) is not None:
                vote, found = self.devices.vote(self.devices.wanted(claims), self._labels, self.nodes)
                votes.append(vote)
                if any(found.values()) and DYNAMIC in profile.points["score"]:
                    scores[DYNAMIC] = found
            if self.terms.plugins:
                pod = Pod(head.metadata.namespace, head.metadata.name, head.metadata.uid, value)
                self._ask_plugins(profile, pod, feasible, votes, scores)
        except Unfit as unfit:
            return Said(profile, unfit)
        except AllocationFailed as failed:
            return Said(profile, Unfit(DYNAMIC, str(failed)))
        except PluginFailed as failed:
            return Said(profile, Unfit("Plugin", str(failed)))
        return Said(profile, None, tuple(votes), scores, frozenset({DYNAMIC}))

    def _ask_plugins(
        self,
        profile: Profile,
        pod: Pod,
        feasible: Sequence[str] | None,
        votes: list[Vote],
        scores: dict[str, Mapping[str, int]],
    ) -> None:
        """Asks the Python plug-ins of the profile, in its order, as the scheduler does. Raises PluginFailed."""
        columns, plugins = self.core.columns(), self.terms.plugins
        if feasible is None:
            feasible = [node for node, refusals, *_ in self.core.why(pod.json) if not refusals]
        left = set(feasible)

        def view() -> PluginNodes:
            now = {name for name in left if not any(vote.reasons(name) for vote in votes)}
            return PluginNodes(columns, self._labels.labels, bytes(name in now for name in columns.names))

        for name in profile.points["filter"]:
            if name in plugins and (answer := plugins[name].filter(pod, view())) is not None:
                values, reason = answer
                gone = {node for node, value in zip(columns.names, values, strict=True) if node and not value}
                votes.append(Vote(name, lambda node, gone=gone, r=reason: [r] if node in gone else []))  # type: ignore[misc]
        for name in profile.points["score"]:
            if name in plugins and (given := plugins[name].score(pod, view())) is not None:
                scores[name] = {node: value for node, value in zip(columns.names, given, strict=True) if node}

    # --- trying

    @contextmanager
    def changed(self, nodes: Mapping[str, Object], gone: Iterable[Key]) -> Iterator[None]:
        """The world with other nodes (new ones, or others of the same name) and without some pods, for a while."""
        before = {name: self.nodes.get(name) for name in nodes}
        pods = [value for key in gone if (value := self.drop_pod(key)) is not None]
        try:
            for node in nodes.values():
                self.set_node(msgspec.json.encode(node))
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    self.drop_node(name)
                else:
                    self.set_node(value)
            for value in pods:
                self.set_pod(value)


def _exactly(revision: str) -> dict[str, str]:
    return {"resourceVersion": revision, "resourceVersionMatch": "Exact"}


def _outcome(decision: Decision) -> Outcome:
    victims = [(namespace, name) for namespace, name, _ in decision.victims]
    return Outcome(decision.node, decision.feasible, decision.message, decision.nominated, victims)


def message(reports: list[NodeReport]) -> str:
    """A refusal by all nodes as upstream's FitError has it, without what preemption adds."""
    counted = Counter(words for report in reports for words in (report.refusals[0].reasons if report.refusals else ()))
    told = ", ".join(sorted(f"{count} {words}" for words, count in counted.items()))
    return f"0/{len(reports)} nodes are available: {told}."


def reasons(reports: list[NodeReport]) -> list[Reason]:
    """The first refusals, those of most nodes first."""
    found: dict[tuple[str, str], list[str]] = {}
    for report in reports:
        for refusal in report.refusals[:1]:
            for words in refusal.reasons:
                found.setdefault((refusal.plugin, words), []).append(report.node)
    sort = sorted(found.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Reason(plugin=plugin, words=words, nodes=nodes) for (plugin, words), nodes in sort]
