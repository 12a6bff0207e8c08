"""Controllers by example: a YAML world in, the writes and events of the controllers out.

A case is a pair of files, `NAME.input.yaml` and `NAME.output.yaml`. The input's documents are objects, made in order
before the controllers start (the namespace default has its service account), and steps, taken while they run; after
each step the controllers run until they are quiet:

    do: apply                   make or change an object (a strategic merge patch of what is there)
    object: {...}
    do: status                  merge into an object's status
    of: Pod/default/web-*       kind/namespace/name, of cluster-scoped kinds kind/name; `*` stands for any text
    status: {...}
    do: delete                  with the propagation policy, if one is given
    of: Deployment/default/web
    propagation: Foreground
    do: run                     what a kubelet would report: the pods that match are Running and Ready
    of: Pod/default/*
    do: end                     what a kubelet does when pods are being deleted: they are gone
    of: Pod/default/*
    do: own                     add an owner that is made later than what it owns
    of: Secret/default/a
    owner: Secret/default/b
    do: reserve                 what a scheduler does when a pod is to use a claim
    of: ResourceClaim/default/a
    pod: Pod/default/a
    do: heartbeat               what a kubelet says of its node: the Lease is renewed, conditions are good, or not ready
    of: Node/*
    ready: "False"
    do: load                    what metrics.k8s.io says of the pods that match: each container uses so much; nothing,
                                of pods that no such step names
    of: Pod/default/web-*
    usage: {cpu: 300m}
    do: serve                   what a server behind the aggregation layer answers to a GET of the path
    path: /apis/external.metrics.k8s.io/v1beta1/namespaces/default/queue
    body: {...}
    do: make                    as a user of this name, who belongs to no group of note
    as: jane
    object: {...}
    do: approve                 what a person says of a CertificateSigningRequest: Approved, or another type
    of: CertificateSigningRequest/a
    type: Denied
    do: wait                    time passes
    seconds: 600

A step with `early: true` is taken before the controllers start, in its place among the objects. A document of `options`
gives the controllers other options than the defaults (`orlop.controllers.Options`).

The output has a document for each step (the first for the start) that lists what the controllers did, in order: what
they created (as they sent it), changed (what is different), deleted, and the events they told. What is different in
every run is left out or made plain: uids and revisions are gone, times are `start` or `start+30s`, generated suffixes
count up. Owner references in the input need no uid, and may name a
namespace.

`ORLOP_REWRITE_FIXTURES=1` writes the outputs anew; read the difference before you commit it.
"""

import asyncio
import base64
import fnmatch
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.apiserver.auth.user import User
from orlop.client import Client, Response
from orlop.client.asgi import ASGITransport
from orlop.client.dryrun import difference, short
from orlop.clock import FakeClock, parse_time, rfc3339, rfc3339_micro
from orlop.control import Controller, Manager

Send = Callable[[str, str, Mapping[str, str], bytes], Awaitable[Response]]

REWRITE = "ORLOP_REWRITE_FIXTURES"
ADMIN = User("kubernetes-admin", ("system:masters", "system:authenticated"))
MANAGER = User("system:kube-controller-manager", ("system:authenticated",))
QUIET_TURNS = 60
"""Turns of the loop without a write after which the controllers count as quiet."""
PATIENCE = 0.02
"""Seconds of the clock that a delayed key may need to count as work at hand (retries), not as a timer."""
DROPPED_META = ("uid", "resourceVersion", "generation", "managedFields", "selfLink")
"""Metadata that differs in every run, or says nothing of the controller."""

_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TOKEN = re.compile(r"^ZXlK[A-Za-z0-9+/]{99,}=*$")
"""A JSON Web Token in a Secret's data: no signature is like another."""
_CERTIFICATE = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
_COLLECTION = re.compile(r"/namespaces/[^/]+/[^/]+$")
_TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$")


def cases(folder: Path) -> list[Path]:
    """The inputs of a folder."""
    return sorted(folder.glob("*.input.yaml"))


async def check(case: Path, make: Callable[[Mapping[str, Any]], Sequence[Controller]]) -> None:
    """Runs a case with the controllers that `make` gives for its options, and compares it with its output."""
    expected = case.with_name(case.name.replace(".input.", ".output."))
    documents = list(yaml.safe_load_all(case.read_text()))  # noqa: ASYNC240
    options = next((d["options"] for d in documents if "options" in d), {})
    got = await play([d for d in documents if "options" not in d], make(options))
    text = yaml.safe_dump_all(got, sort_keys=False, width=120, explicit_start=True)
    if os.environ.get(REWRITE):
        expected.write_text(text)
        return
    assert got == list(yaml.safe_load_all(expected.read_text())), f"{expected.name} should be:\n{text}"


async def play(documents: Sequence[dict[str, Any]], controllers: Sequence[Controller]) -> list[list[Any]]:
    """What the controllers do in each step."""
    async with server() as (app, clock):
        admin = Client(ASGITransport(app, ADMIN), clock=clock, user_agent="kubectl/v1.37.0")
        recording = Recording(app, MANAGER)
        world = World(admin, app, clock, recording.served)
        await world.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}})
        steps = [d for d in documents if "do" in d and not d.get("early")]
        for document in documents:
            if "do" not in document:
                await world.make(document)
            elif document.get("early"):
                await world.take(document)
        client = Client(recording, clock=clock, user_agent="kube-controller-manager/v1.37.0")
        manager = Manager(client, clock, controllers, accounts=recording.account)
        task = asyncio.ensure_future(manager.run())
        output = []
        try:
            for step in (None, *steps):
                if step is not None:
                    await world.take(step)
                await quiet(manager, recording, clock)
                output.append(recording.shown(clock))
        finally:
            task.cancel()
            await asyncio.wait({task})
            await recording.close()
        if not task.cancelled() and (error := task.exception()) is not None:
            raise error
        return output


@asynccontextmanager
async def server() -> AsyncIterator[tuple[Any, FakeClock]]:
    """An API server in memory, and its clock."""
    import tempfile

    from orlop.apiserver.config import Config
    from orlop.apiserver.server import ApiServer

    clock = FakeClock()
    with tempfile.TemporaryDirectory() as folder:
        config = Config(data_dir=Path(folder), secure_port=None, store="memory")
        async with ApiServer(config, clock) as api:
            clock.random.seed(0)  # names and uids do not depend on how many objects a server makes for itself
            yield api.app, clock


def side_by_side(writes: list[Any]) -> list[Any]:
    """Collections but those of pods are emptied side by side: which comes first is chance, so they are put in order."""
    ordered: list[Any] = []
    for collections, group in groupby(writes, lambda write: write.pop("collection", False)):
        run = list(group)
        if collections:
            run.sort(key=lambda write: (not write["delete"].startswith("pods/"), write["delete"]))
        ordered += run
    return ordered


async def quiet(manager: Manager, recording: "Recording", clock: FakeClock) -> None:
    """Returns when the controllers have done all that there is to do without time passing."""
    calm, seen = 0, -1
    while calm < QUIET_TURNS:
        await asyncio.sleep(0)
        busy = not manager.idle or recording.count != seen
        seen = recording.count
        calm = 0 if busy else calm + 1
        if calm == QUIET_TURNS:
            due = [loop.queue.next_due for loop in manager.loops if loop.queue.next_due is not None]
            if due and min(due) <= clock.monotonic() + PATIENCE:
                await clock.advance(min(due) - clock.monotonic())
                calm = 0


class World:
    """Objects as a user, a scheduler and a kubelet would make and change them."""

    def __init__(self, client: Client, app: Any, clock: FakeClock, served: dict[str, Any]) -> None:
        self._client = client
        self._app = app
        self._clock = clock
        self._served = served

    async def make(self, document: dict[str, Any]) -> None:
        kind = _kind(document)
        meta = document["metadata"]
        if kind.namespaced:
            meta.setdefault("namespace", "default")
        for ref in meta.get("ownerReferences", ()):
            if "uid" not in ref:
                owner = _kind(ref)
                where = ref.pop("namespace", meta.get("namespace"))
                found = await self._get(owner, where if owner.namespaced else None, ref["name"])
                ref["uid"] = found["metadata"]["uid"]
        await self._send("POST", kind.path(meta.get("namespace")), document)
        if kind.kind == "CustomResourceDefinition":
            await self._served_by(document["spec"])
        if "status" in document:
            await self._status(kind, meta.get("namespace"), meta["name"], document["status"])

    async def take(self, step: dict[str, Any]) -> None:
        match step["do"]:
            case "apply":
                await self._apply(step["object"])
            case "status":
                for kind, obj in await self._matching(step["of"]):
                    await self._status(kind, obj["metadata"].get("namespace"), obj["metadata"]["name"], step["status"])
            case "delete":
                for kind, obj in await self._matching(step["of"]):
                    options = {"propagationPolicy": step["propagation"]} if "propagation" in step else {}
                    await self._send("DELETE", _path(kind, obj), options)
            case "run":
                for kind, obj in await self._matching(step["of"]):
                    now = rfc3339(self._clock.now())
                    condition = {"type": "Ready", "status": "True", "lastTransitionTime": now}
                    status = {"phase": "Running", "conditions": [condition]}
                    await self._status(kind, obj["metadata"]["namespace"], obj["metadata"]["name"], status)
            case "end":
                for kind, obj in await self._matching(step["of"]):
                    if "deletionTimestamp" in obj["metadata"]:
                        await self._send("DELETE", _path(kind, obj), {"gracePeriodSeconds": 0})
            case "own":
                ((of, owner),) = await self._matching(step["owner"])
                meta = owner["metadata"]
                named = {"apiVersion": of.api_version, "kind": of.kind, "name": meta["name"]}
                ref = {**named, "uid": meta["uid"], "blockOwnerDeletion": True}
                for kind, obj in await self._matching(step["of"]):
                    patch = {"metadata": {"ownerReferences": [ref]}}
                    await self._send("PATCH", _path(kind, obj), patch, "application/merge-patch+json")
            case "reserve":
                ((_, pod),) = await self._matching(step["pod"])
                user = {"resource": "pods", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"]}
                for kind, obj in await self._matching(step["of"]):
                    meta = obj["metadata"]
                    await self._status(kind, meta["namespace"], meta["name"], {"reservedFor": [user]})
            case "heartbeat":
                for _, obj in await self._matching(step["of"]):
                    await self._heartbeat(obj["metadata"]["name"], step.get("ready", "True"))
            case "load":
                await self._load(step["of"], step["usage"])
            case "make":
                user = Client(
                    ASGITransport(self._app, User(step["as"], ("system:authenticated",))),
                    clock=self._clock,
                    user_agent="kubectl",
                )
                await World(user, self._app, self._clock, self._served).make(step["object"])
            case "approve":
                await self._approve(step["of"], step.get("type", "Approved"))
            case "serve":
                self._served[step["path"]] = step["body"]
            case "wait":
                await self._clock.advance(step["seconds"])
            case unknown:
                raise ValueError(f"no such step: {unknown}")

    async def _served_by(self, spec: dict[str, Any]) -> None:
        """Waits until the kind of a definition is served: the server follows its definitions in its own time."""
        for version in spec["versions"]:
            path = f"/apis/{spec['group']}/{version['name']}/{spec['names']['plural']}"
            while version["served"] and (await self._client.request("GET", path)).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async def _approve(self, of: str, type_: str) -> None:
        now = rfc3339(self._clock.now())
        for kind, obj in await self._matching(of):
            condition = {"type": type_, "status": "True", "reason": "Asked", "message": "", "lastUpdateTime": now}
            obj["status"]["conditions"] = [*obj["status"].get("conditions", ()), condition]
            await self._send("PUT", f"{_path(kind, obj)}/approval", obj)

    async def _load(self, of: str, usage: dict[str, str]) -> None:
        """Metrics of the pods that match, measured just now over the last half minute."""
        pods = [obj for _, obj in await self._matching(of)]
        path = f"/apis/metrics.k8s.io/v1beta1/namespaces/{pods[0]['metadata']['namespace']}/pods"
        known = {item["metadata"]["name"]: item for item in self._served.get(path, {"items": []})["items"]}
        for pod in pods:
            containers = [{"name": c["name"], "usage": usage} for c in pod["spec"]["containers"]]
            metadata = {"name": pod["metadata"]["name"], "namespace": pod["metadata"]["namespace"]}
            stamp = rfc3339(self._clock.now())
            known[metadata["name"]] = {
                "metadata": metadata,
                "timestamp": stamp,
                "window": "30s",
                "containers": containers,
            }
        self._served[path] = {"items": list(known.values())}

    async def _heartbeat(self, node: str, ready: str) -> None:
        now = self._clock.now()
        lease = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": node, "namespace": "kube-node-lease"},
            "spec": {"holderIdentity": node, "renewTime": rfc3339_micro(now)},
        }
        await self._apply(lease)
        kind = next(k for k in scheme.KINDS if k.kind == "Node")
        good = {"Ready": ready, "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
        conditions = [{"type": t, "status": s, "lastHeartbeatTime": rfc3339(now)} for t, s in good.items()]
        path = kind.path(None, node, "status")
        media = "application/strategic-merge-patch+json"
        await self._send("PATCH", path, {"status": {"conditions": conditions}}, media)

    async def _apply(self, obj: dict[str, Any]) -> None:
        kind = _kind(obj)
        path = kind.path(
            obj["metadata"].get("namespace", "default" if kind.namespaced else None), obj["metadata"]["name"]
        )
        if (await self._client.request("GET", path)).status == 404:
            await self.make(obj)
        else:
            await self._send("PATCH", path, obj, "application/strategic-merge-patch+json")

    async def _status(self, kind: Kind, namespace: str | None, name: str, status: Any) -> None:
        path = kind.path(namespace, name, "status")
        await self._send("PATCH", path, {"status": status}, "application/merge-patch+json")

    async def _matching(self, pattern: str) -> list[tuple[Kind, dict[str, Any]]]:
        name_of_kind, _, rest = pattern.partition("/")
        kind = next(k for k in scheme.KINDS if k.kind == name_of_kind)
        namespace, _, name = rest.rpartition("/")
        response = await self._client.request("GET", kind.path(namespace or None))
        items = msgspec.json.decode(response.body)["items"]
        found = [(kind, item) for item in items if fnmatch.fnmatchcase(item["metadata"]["name"], name)]
        assert found, f"nothing matches {pattern}: {[i['metadata']['name'] for i in items]}"
        return found

    async def _get(self, kind: Kind, namespace: str | None, name: str) -> Any:
        response = await self._client.request("GET", kind.path(namespace, name))
        assert response.status == 200, response.body.decode()
        return msgspec.json.decode(response.body)

    async def _send(self, method: str, path: str, body: Any, media: str = "application/json") -> None:
        response = await self._client.request(
            method, path, body=msgspec.json.encode(body), headers={"content-type": media}
        )
        assert response.status < 300, f"{method} {path}: {response.body.decode()}"


def _kind(document: dict[str, Any]) -> Kind:
    kind = scheme.by_kind(document["apiVersion"], document["kind"])
    assert kind is not None, f"{document['apiVersion']} {document['kind']} is not served"
    return kind


def _path(kind: Kind, obj: dict[str, Any]) -> str:
    return kind.path(obj["metadata"].get("namespace"), obj["metadata"]["name"])


class Recording(ASGITransport):
    """Notes what is written through it."""

    def __init__(self, app: Any, user: User) -> None:
        super().__init__(app, user)
        self.count = 0
        self.served: dict[str, Any] = {}
        """What is answered to a GET of a path instead of asking the server."""
        self._writes: list[Any] = []
        self._known: dict[tuple[str, str], Any] = {}
        self._names: dict[str, str] = {}
        self._counts: dict[str, int] = {}
        self._accounts: list[Account] = []

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        return await self.noted(super().request, method, target, headers, body)

    def account(self, name: str) -> "Account":
        """The same way, taken by a ServiceAccount of kube-system."""
        made = Account(self, name)
        self._accounts.append(made)
        return made

    async def close(self) -> None:
        for account in self._accounts:
            await account.close()
        await super().close()

    async def noted(self, send: Send, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Sends what somebody asks and notes it."""
        path = target.partition("?")[0]
        # there is nobody to measure: the server would wait for its scrape
        measured = {"items": []} if path.startswith("/apis/metrics.k8s.io/") else None
        if method == "GET" and (served := self.served.get(path, measured)) is not None:
            return Response(200, {"content-type": "application/json"}, msgspec.json.encode(served))
        before = await self._before(method, target)
        response = await send(method, target, headers, body)
        if method in ("POST", "PUT", "PATCH", "DELETE"):
            self.count += 1
            self._note(method, target, body, response, before)
        return response

    async def _before(self, method: str, target: str) -> Any:
        """The object that is about to be changed."""
        if method not in ("PUT", "PATCH"):
            return None
        path = target.partition("?")[0].removesuffix("/status").removesuffix("/finalize")
        response = await super().request("GET", path, {"accept": "application/json"}, b"")
        return msgspec.json.decode(response.body) if response.status == 200 else None

    def _note(self, method: str, target: str, body: bytes, response: Response, before: Any) -> None:
        answer = msgspec.json.decode(response.body) if response.body else {}
        path = target.partition("?")[0]
        if response.status >= 400:
            self._writes.append({"refused": f"{method} {path}", "because": answer.get("message", "")})
        elif answer.get("kind") == "Event":
            sent = msgspec.json.decode(body)
            count = sent.get("count", 1)
            about = answer["involvedObject"]
            named = "/".join(p for p in (about["kind"], about.get("namespace", ""), about["name"]) if p)
            line = f"{answer['type']} {answer['reason']} {named}: {answer['message']}"
            self._writes.append({"event": line if count == 1 else f"{line} (x{count})"})
        elif method == "POST" and "name" not in answer["metadata"]:
            pass  # a question, as a SubjectAccessReview is: nothing was made
        elif method == "POST":
            created = msgspec.json.decode(body)
            if "name" in created["metadata"]:
                created["metadata"].pop("generateName", None)  # it has made no name
            created["metadata"]["name"] = answer["metadata"]["name"]
            self._writes.append({"create": created})
        elif method == "DELETE":
            options = msgspec.json.decode(body) if body else {}
            entry: dict[str, Any] = {"delete": short(path)}
            if _COLLECTION.search(path):
                entry["collection"] = True
            if "propagationPolicy" in options:
                entry["propagation"] = options["propagationPolicy"]
            if options.get("gracePeriodSeconds") is not None:
                entry["grace"] = options["gracePeriodSeconds"]
            self._writes.append(entry)
        else:
            change = difference(_plain(before or {}), _plain(answer))
            if change:
                self._writes.append({"update": short(path), "change": change})

    def shown(self, clock: FakeClock) -> list[Any]:
        """What was written since the last time, made plain."""
        writes, self._writes = side_by_side(self._writes), []
        start = clock.now() - clock.monotonic()
        return [
            self._made_plain(_plain(write) if "create" not in write else {"create": _plain(write["create"])}, start)
            for write in writes
        ]

    def _made_plain(self, value: Any, start: float) -> Any:
        if isinstance(value, dict):
            generated = value.get("generateName")
            if generated and "name" in value:
                self._name(generated, value["name"])
            return {k: self._made_plain(v, start) for k, v in value.items() if not (k == "generateName" and generated)}
        if isinstance(value, list):
            return [self._made_plain(v, start) for v in value]
        if isinstance(value, str):
            if value.startswith(_CERTIFICATE):
                return _described(value, start)
            if _TIME.match(value):
                passed = round(parse_time(value) - start)
                return "start" if passed == 0 else f"start+{passed}s"
            if _TOKEN.match(value):
                return "TOKEN"
            for name, plain in self._names.items():
                value = value.replace(name, plain)
            return _UID.sub("UID", value)
        return value

    def _name(self, prefix: str, name: str) -> None:
        if name not in self._names:
            plain_prefix = prefix
            for known, plain in self._names.items():
                plain_prefix = plain_prefix.replace(known, plain)
            self._counts[prefix] = self._counts.get(prefix, 0) + 1
            self._names[name] = f"{plain_prefix}{self._counts[prefix]}"


class Account(ASGITransport):
    """One controller's account, whose writes are noted with those of the others."""

    def __init__(self, recording: Recording, name: str) -> None:
        super().__init__(recording._app, service_account(name))
        self._recording = recording

    async def request(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Response:
        return await self._recording.noted(super().request, method, target, headers, body)


def service_account(name: str) -> User:
    """Who a ServiceAccount of kube-system is."""
    groups = ("system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated")
    return User(f"system:serviceaccount:kube-system:{name}", groups)


def _described(certificate: str, start: float) -> str:
    """What a certificate (base64 of PEM) says: signatures differ in every run."""
    from cryptography import x509

    found = x509.load_pem_x509_certificate(base64.b64decode(certificate))
    extensions = [found.extensions.get_extension_for_class(c) for c in (x509.ExtendedKeyUsage,)]
    purposes = [purpose._name for extension in extensions for purpose in extension.value]
    begin, end = (round(t.timestamp() - start) for t in (found.not_valid_before_utc, found.not_valid_after_utc))
    try:
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        also = f" as {', '.join(str(name.value) for name in names)}"
    except x509.ExtensionNotFound:
        also = ""
    return f"{found.subject.rfc4514_string()}{also} for {', '.join(purposes)}, from start{begin:+}s to start{end:+}s"


def _plain(value: Any) -> Any:
    """Without what differs in every run."""
    if isinstance(value, dict):
        dropped = DROPPED_META if "name" in value or "resourceVersion" in value else ()
        return {k: _plain(v) for k, v in value.items() if k not in dropped and k != "managedFields"}
    if isinstance(value, list):
        return [_plain(v) for v in value]
    return value
