"""The cluster as a scheduler sees it at one moment, in a core of its own, where changes are tried.

It is filled by plain lists, so a kubeconfig is all that it needs. Nothing is written.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import msgspec

from orlop.api import errors
from orlop.client import Client
from orlop.client.decode import RawList, decode, error_of
from orlop.native import Decision, SchedulerCore
from orlop.scheduler.explain.narrow import narrow
from orlop.scheduler.explain.results import Lack, NodeReport, Reason, Refusal, Score
from orlop.scheduler.explain.storage import ListedStorage
from orlop.scheduler.podvolumes import (
    BINDING,
    ONE_POD,
    RESTRICTIONS,
    Allowed,
    Claim,
    Nodes,
    Unfit,
    read,
)

Key = tuple[str, str]
Object = dict[str, Any]
"""An object as its JSON has it."""

NEEDED = {"nodes": "/api/v1/nodes", "pods": "/api/v1/pods", "namespaces": "/api/v1/namespaces"}
"""Without these nothing can be said."""
HELPFUL = {
    "poddisruptionbudgets": "/apis/policy/v1/poddisruptionbudgets",
    "persistentvolumeclaims": "/api/v1/persistentvolumeclaims",
    "persistentvolumes": "/api/v1/persistentvolumes",
    "storageclasses": "/apis/storage.k8s.io/v1/storageclasses",
    "priorityclasses": "/apis/scheduling.k8s.io/v1/priorityclasses",
}
"""What a user may not be allowed to list: then it is said that it was not looked at."""
LATER_FILTERS = frozenset({"PodTopologySpread", "InterPodAffinity"})
"""Filters of the core that upstream runs after those of volumes."""
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
    labels: dict[str, str] | None = None
    resource_version: str = msgspec.field(default="0", name="resourceVersion")


class _Head(msgspec.Struct):
    metadata: _Meta


class _Spec(msgspec.Struct, rename="camel"):
    node_name: str = ""


class _Placed(msgspec.Struct):
    spec: _Spec


_head = msgspec.json.Decoder(_Head).decode
_read_placed = msgspec.json.Decoder(_Placed).decode


class World:
    """Nodes, pods and all else that scheduling looks at."""

    def __init__(self) -> None:
        self.core = SchedulerCore(0)
        self.nodes: dict[str, bytes] = {}
        self.pods: dict[Key, bytes] = {}
        self.on: dict[str, dict[Key, None]] = {}
        """The pods on each node, in the order in which they came."""
        self.priority_classes: list[Object] = []
        self.storage = ListedStorage()
        self.revisions: dict[str, str] = {}
        self.notes: list[str] = []
        """What could not be looked at, each in a sentence."""
        self._labels = Nodes()

    # --- filling

    @classmethod
    async def load(cls, client: Client, at: Mapping[str, str] | None = None) -> "World":
        """The present state, or that at these revisions. Raises ApiError: Expired where one is no longer kept."""
        world, lists = cls(), dict[str, list[bytes]]()
        for resource, path in (NEEDED | HELPFUL).items():
            if at is not None and resource not in at:
                if resource in NEEDED or resource != "priorityclasses":
                    raise errors.Expired(f"the revision of {resource} was not noted")
                continue
            try:
                lists[resource] = await world._list(client, resource, path, at)
            except (errors.Forbidden, errors.NotFound) as error:
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
        self.storage.fill(*(lists.get(name, ()) for name in list(HELPFUL)[1:4]))
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
            self.storage.use(key, value, on=True)

    def drop_pod(self, key: Key) -> bytes | None:
        """Takes a pod out."""
        value = self.pods.pop(key, None)
        if value is not None:
            self.core.delete_pod(*key)
            self._leave(key, value)
        return value

    def _leave(self, key: Key, value: bytes) -> None:
        self.storage.use(key, value, on=False)
        if node := _read_placed(value).spec.node_name:
            self.on.get(node, {}).pop(key, None)

    def node(self, name: str) -> Object:
        """A copy of a node."""
        node: Object = msgspec.json.decode(self.nodes[name])
        return node

    def pod(self, key: Key) -> Object:
        """A copy of a pod."""
        pod: Object = msgspec.json.decode(self.pods[key])
        return pod

    # --- asking

    def unfit(self, pod: Object) -> Unfit | None:
        """What is wrong with the pod's volumes themselves: then no node is looked at."""
        try:
            self._claims(msgspec.json.encode(pod))
        except Unfit as unfit:
            return unfit
        return None

    def explain(self, pod: Object) -> list[NodeReport]:
        """What is said of every node for a pod."""
        value = msgspec.json.encode(pod)
        plugin, allowed = self._volumes(value)
        reports = [self._report(told, plugin, allowed) for told in self.core.why(value)]
        if allowed is not None and allowed.names:
            # Scores are relative to the feasible nodes, which the claims made fewer.
            told = self.core.why(narrow(value, allowed.names))
            narrowed = {of[0]: self._report(of, plugin, allowed) for of in told}
            reports = [narrowed[of.node] if of.feasible else of for of in reports]
        return reports

    def _report(self, told: Any, plugin: str, allowed: Allowed | None) -> NodeReport:
        node, refusals, lacks, scores, total = told
        found = [Refusal(plugin=of, reasons=reasons) for of, reasons, _ in refusals]
        if allowed is not None and (why := allowed.reasons(node)):
            # One that is about the pod itself (upstream's PreFilter) comes before all filters.
            before = 0 if allowed.names == [] else sum(refusal.plugin not in LATER_FILTERS for refusal in found)
            found.insert(before, Refusal(plugin=plugin, reasons=why))
            scores, total = [], 0
        return NodeReport(
            node=node,
            refusals=found,
            lacks=[Lack(resource=of, wanted=w, free=f, allocatable=a) for of, w, f, a in lacks],
            scores=[Score(plugin=of, raw=raw, score=score, weight=w) for of, raw, score, w in scores],
            total=total,
        )

    def place(self, pod: Object) -> Outcome:
        """What would be decided for a waiting pod."""
        value = msgspec.json.encode(pod)
        _, allowed = self._volumes(value)
        if allowed is None or allowed.names is None or not self.nodes:
            return _outcome(self.core.preview(value))
        if not allowed.names:
            unfit = self.unfit(pod)
            words = (
                message(self.explain(pod)) if unfit is None else f"0/{len(self.nodes)} nodes are available: {unfit}."
            )
            return Outcome(None, 0, words, None, [])
        outcome = _outcome(self.core.preview(narrow(value, allowed.names)))
        if outcome.node is not None or outcome.nominated:
            return outcome
        return outcome._replace(message=message(self.explain(pod)))

    def _volumes(self, value: bytes) -> tuple[str, Allowed | None]:
        """Where the pod's claims let it be, and the plug-in that says so; None for a pod without claims."""
        try:
            found = self._claims(value)
        except Unfit as unfit:
            words = str(unfit)
            return unfit.plugin, Allowed([], lambda _: [words])
        if found is None:
            return BINDING, None
        key, claims = found
        if self.storage.taken(key, claims):
            return RESTRICTIONS, Allowed([], lambda _: [ONE_POD])
        return BINDING, self.storage.allowed(claims, self._labels)

    def _claims(self, value: bytes) -> tuple[Key, list[Claim]] | None:
        pod = read(value)
        if pod is None:
            return None
        return (pod.metadata.namespace, pod.metadata.name), self.storage.wanted(pod)

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
