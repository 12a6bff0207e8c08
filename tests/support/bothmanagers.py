"""A fixture's world twice, each on an API server of orlop's: with orlop's controller, and with upstream's.

Time is real here, so a fixture is played up to its first long wait. What is there after each step is told in words that
are the same in every run: names that were generated count up, and so do hashes of templates.
"""

import asyncio
import json
import re
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, cast

import msgspec
import yaml
from tests.support.upstream import MANAGER, running
from tests.support.worlds import ADMIN, World

from orlop import tasks
from orlop.api import scheme
from orlop.client import Client
from orlop.client.asgi import ASGITransport
from orlop.clock import FakeClock, SystemClock
from orlop.cluster.inprocess import AsyncCluster
from orlop.control import Controller, Manager

QUIET = 3.5
"""Seconds without a write after which controllers have done what there is to do: upstream's batch their work."""
START = 12.0
"""Seconds that upstream's manager has to begin."""
MOST = 25.0
"""Seconds that a step may take."""
LONG = 5.0
"""Seconds of waiting at which a fixture ends here."""
OTHERS = {"APIService", "ClusterRole", "ClusterRoleBinding", "ComponentStatus", "FlowSchema", "PriorityClass"}
OTHERS |= {"PriorityLevelConfiguration", "Role", "RoleBinding"}
"""Kinds of which servers make their own, or that cannot be listed."""
SYSTEM = {"kube-system", "kube-public", "kube-node-lease"}
DROPPED = {"managedFields", "uid", "resourceVersion", "creationTimestamp", "generateName"}
HASHES = ("pod-template-hash", "controller-revision-hash", "controller.kubernetes.io/hash")
INDEX = "batch.kubernetes.io/job-completion-index"

Step = dict[str, Any]
Lines = dict[str, str]
"""What is there, by kind, namespace and name; and what events tell."""

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_VOLUME = re.compile(r"kube-api-access-[a-z0-9]{5}")


class RealClock(SystemClock):
    """Time that passes by itself."""

    async def advance(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class _Bare(AsyncCluster):
    """An API server and nothing else."""

    async def _start_control(self, group: tasks.Group) -> None:
        """Nobody."""

    @property
    def app(self) -> Any:
        return self._server.app


class Played:
    """One of the two."""

    def __init__(self, documents: Sequence[Step]) -> None:
        self._objects = [d for d in documents if "do" not in d or d.get("early")]
        self._steps = [d for d in documents if "do" in d and not d.get("early")]
        self.shown: list[tuple[str, Lines]] = []
        """What is there after each step."""
        self.hashes: list[str] = []
        """Of templates, in the order of their use."""
        self._numbers: dict[str, str] = {}
        self._prefixes: set[str] = set()
        """Those of generated names."""

    async def ours(self, controllers: Sequence[Controller]) -> None:
        clock = RealClock()
        async with _Bare(nodes=0, clock=clock) as cluster:
            await self._prepare(cluster, clock)
            manager = Manager(cluster.client_as("system:kube-controller-manager"), clock, controllers)
            task = asyncio.ensure_future(manager.run())
            try:
                await self._play(0.0, None)
            finally:
                task.cancel()
                await asyncio.wait({task})

    async def theirs(self, name: str, folder: Path, ours: "Played") -> None:
        """Raises NoGo where the program cannot be had."""
        clock = RealClock()
        async with _Bare(nodes=0, port=0, clock=clock) as cluster:
            await self._prepare(cluster, clock)
            config = folder / "kubeconfig"
            config.write_text(await cluster.kubeconfig())
            flags = [f"--kubeconfig={config}", f"--controllers={name}", "--leader-elect=false", "--secure-port=0"]
            flags += [f"--authentication-kubeconfig={config}", f"--authorization-kubeconfig={config}"]
            async with running(MANAGER, folder, flags):
                await self._play(START, ours)

    async def _prepare(self, cluster: _Bare, clock: RealClock) -> None:
        self._client = Client(ASGITransport(cluster.app, ADMIN), clock=clock, user_agent="kubectl")
        self._world = World(self._client, cluster.app, cast(FakeClock, clock), {})
        await self._world.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        for document in self._objects:
            await (self._world.take(document) if "do" in document else self._world.make(document))

    async def _play(self, first: float, ours: "Played | None") -> None:
        await self._rest(first)
        await self._show("the start")
        for step in self._steps:
            if step["do"] == "wait" and step["seconds"] > LONG:
                break
            await self._world.take(step if ours is None else await self._translated(step, ours))
            await self._rest(0.0)
            await self._show(f"{step['do']} {step.get('of', '')}")
        await self._client.close()

    async def _rest(self, least: float) -> None:
        """Returns when nothing has been written for a while."""
        began = changed = time.monotonic()
        revision = ""
        while (now := time.monotonic()) < began + MOST:
            answer = await self._client.request("GET", "/api/v1/nodes?limit=1")
            newest = str(msgspec.json.decode(answer.body)["metadata"]["resourceVersion"])
            if newest != revision:
                revision, changed = newest, now
            if now > max(began + least, changed) + QUIET:
                return
            await asyncio.sleep(0.3)

    async def _translated(self, step: Step, ours: "Played") -> Step:
        """The step where it names a template's hash, which upstream works out in another way."""
        kind, _, rest = str(step.get("of", "")).partition("/")
        namespace, _, name = rest.rpartition("/")
        if kind != "ReplicaSet" or any(fnmatchcase(n, name) for n in await self._names(kind, namespace)):
            return step
        start = name.rstrip("*").rpartition("-")[2]
        for mine, other in zip(ours.hashes, self.hashes, strict=False):
            if mine.startswith(start):
                return {**step, "of": step["of"].replace(start, other)}
        return step

    async def _names(self, kind: str, namespace: str) -> list[str]:
        path = next(k for k in scheme.KINDS if k.kind == kind).path(namespace or None)
        answer = await self._client.request("GET", path)
        return [item["metadata"]["name"] for item in msgspec.json.decode(answer.body)["items"]]

    async def _show(self, after: str) -> None:
        found: list[dict[str, Any]] = []
        for kind in scheme.KINDS:
            if kind.kind in OTHERS or "list" not in kind.verbs:
                continue
            answer = await self._client.request("GET", kind.path(None))
            if answer.status == 200:
                items = msgspec.json.decode(answer.body)["items"] or []
                found += [{**item, "kind": kind.kind} for item in items]
        told = [o for o in found if o["kind"] == "Event" and "involvedObject" in o]
        found = [o for o in found if o["kind"] != "Event" and o["metadata"].get("namespace") not in SYSTEM]
        plain = self._plain(found)
        lines: Lines = {}
        for o in found:
            key = f"{o['kind']}/{o['metadata'].get('namespace', '')}/{o['metadata']['name']}"
            lines[plain(key)] = plain(yaml.safe_dump(_stripped(o), width=200))
        events = Counter(map(self._event, told))
        self.shown.append((after, lines | {f"event {event}": f"{count} times" for event, count in events.items()}))

    def _event(self, event: Mapping[str, Any]) -> str:
        """What it tells. Whom it names may be gone, so generated names do not count up."""
        about = event["involvedObject"]
        where = f"{about['kind']}/{about.get('namespace', '')}/{about['name']}"
        text = f"{event['type']} {event['reason']} {where}: {event.get('message', '')} (x{event.get('count')})"
        for value, number in self._numbers.items():
            text = text.replace(value, number)
        for prefix in self._prefixes:
            text = re.sub(rf"{re.escape(prefix)}[a-z0-9]{{5}}\b", f"{prefix}N", text)
        return _UID.sub("UID", text)

    def _plain(self, found: Sequence[Mapping[str, Any]]) -> Any:
        """A function that makes texts alike in every run."""

        def order(o: Mapping[str, Any]) -> tuple[str, ...]:
            meta = o["metadata"]
            index = (meta.get("annotations") or {}).get(INDEX, "")
            where = json.dumps(o.get("spec", {}).get("affinity"))
            return meta["creationTimestamp"], index, where, meta["name"]

        hashes = self._numbers
        names: dict[str, str] = {}
        counts: dict[str, int] = {}
        inorder = sorted(found, key=order)
        for o in inorder:
            labels = o["metadata"].get("labels") or {}
            own = [o["metadata"]["name"]] if o["kind"] == "ControllerRevision" else []
            for value in (*(labels[name] for name in HASHES if name in labels), *own):
                hashes.setdefault(value.rpartition("-")[2], f"HASH{len(hashes) + 1}")
        self.hashes = list(hashes)

        def plain(text: str) -> str:
            for name in sorted(names, key=len, reverse=True):
                text = text.replace(name, names[name])
            for value, number in hashes.items():
                text = text.replace(value, number)
            for pattern, word in ((_VOLUME, "VOLUME"), (_UID, "UID"), (_TIME, "TIME")):
                text = pattern.sub(word, text)
            return text

        for o in inorder:
            prefix = o["metadata"].get("generateName")
            if prefix and o["kind"] != "ReplicaSet":
                prefix = plain(prefix)
                self._prefixes.add(prefix)
                counts[prefix] = counts.get(prefix, 0) + 1
                names[o["metadata"]["name"]] = f"{prefix}{counts[prefix]}"
        return plain


def _stripped(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _stripped(v) for k, v in value.items() if k not in DROPPED}
    return [_stripped(v) for v in value] if isinstance(value, list) else value
