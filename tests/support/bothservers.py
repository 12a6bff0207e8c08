"""Upstream's kube-apiserver and orlop's API server side by side: the same writes to both, and how the answers differ.

What cannot be the same is evened out first: uids, versions, times, allocated addresses and ports, and the order of the
findings, which upstream often takes from Go's maps. An empty list is null in what comes from upstream's store and an
empty list in what comes from ours.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from tests.support.upstream import OnTheirs

from orlop import tasks
from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.apiserver.audit import AuditSettings, LogSettings
from orlop.apiserver.config import Config
from orlop.apiserver.server import ApiServer
from orlop.client.client import Client
from orlop.cluster import settings as cluster
from orlop.cluster.inprocess import AsyncCluster

NAMESPACE = "rules"
NO_ACCOUNT_SECONDS = 10
"""How long upstream may take to let a new namespace be used."""
PASSING = ("uid", "resourceVersion", "creationTimestamp", "managedFields")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MOUNT = re.compile(r"kube-api-access-\w{5}")
_KEY = re.compile(r"Key: \S+,")
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')


OPTIONAL = ("coordination.k8s.io/v1beta1", "scheduling.k8s.io/v1beta1")
"""What is served besides, so that its kinds can be compared too."""
THEIR_AUDIT, OUR_AUDIT = "theirs.audit", "ours.audit"
"""The logs of an audit."""
GATES = "GenericWorkload=true,DRAWorkloadResourceClaims=true"
"""What upstream serves some of them by."""


class _Theirs(OnTheirs):
    def __init__(self, folder: Path, audit: Path | None) -> None:
        super().__init__(folder)
        self._audit = audit

    def _flags(self, store: int) -> list[str]:
        config = ",".join(f"{version}=true" for version in OPTIONAL)
        flags = [*super()._flags(store), f"--runtime-config={config}", f"--feature-gates={GATES}"]
        if self._audit is not None:
            flags += [f"--audit-policy-file={self._audit}", f"--audit-log-path={self._place / THEIR_AUDIT}"]
        return flags

    async def _start_control(self, group: tasks.Group) -> None:
        """Nothing but the API server."""

    async def _start_nodes(self, group: tasks.Group) -> None:
        """No nodes."""


class _Ours(AsyncCluster):
    def __init__(self, audit: AuditSettings | None) -> None:
        super().__init__(nodes=0)
        self._audit = audit

    async def _start(self) -> None:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="orlop-")))
        asked = dict.fromkeys(OPTIONAL, "true")
        networks = tuple(map(ip_network, cluster.Settings(name="ours", data_dir=folder).service_cidrs))
        config = Config(
            data_dir=folder,
            store="memory",
            secure_port=None,
            service_cidrs=networks,
            runtime_config=asked,
            audit=self._audit,
        )
        self._server = await self._stack.enter_async_context(ApiServer(config, self._clock))
        self._stack.callback(scheme.serve, [])
        self._client = self.client_as("kubernetes-admin", "system:masters")


class Answer(NamedTuple):
    """What a server said."""

    status: int
    body: dict[str, Any]
    warnings: list[str]


class Both:
    """The two servers, each with a namespace and its service account."""

    def __init__(self, theirs: Client, ours: Client) -> None:
        self.clients = (theirs, ours)
        """Theirs and ours."""

    async def ask(
        self, method: str, path: str, *bodies: Any, dry: bool = False, media: str = "application/json"
    ) -> tuple[Answer, Answer]:
        """Their answer and ours. `bodies`: one for both, or theirs and ours."""
        theirs, ours = await asyncio.gather(
            *(_ask(c, method, path, bodies[min(i, len(bodies) - 1)], dry, media) for i, c in enumerate(self.clients))
        )
        return theirs, ours

    async def prepare(self) -> None:
        """Makes the namespace. Raises TimeoutError where it cannot be used."""
        account = {"metadata": {"name": "default"}}
        async with asyncio.timeout(NO_ACCOUNT_SECONDS):
            await self.ask("POST", "/api/v1/namespaces", {"metadata": {"name": NAMESPACE}})
            path = f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts"
            while any(  # noqa: ASYNC110  # the servers tell nobody here
                answer.status not in (201, 409) for answer in await self.ask("POST", path, account)
            ):
                await asyncio.sleep(0.1)


@asynccontextmanager
async def both(folder: Path, audit: Path | None = None) -> AsyncIterator[Both]:
    """Both servers, running; with an audit policy they write `THEIR_AUDIT` and `OUR_AUDIT` in `folder`. Raises NoGo."""
    log = LogSettings(path=str(folder / OUR_AUDIT))
    recorded = None if audit is None else AuditSettings(policy_file=audit, log=log)
    async with _Theirs(folder, audit) as theirs, _Ours(recorded) as ours:
        servers = Both(theirs.client, ours.client)
        await servers.prepare()
        yield servers


def path_of(kind: Kind, name: str = "", subresource: str = "") -> str:
    """Where a kind's objects are, or one of them."""
    base = "/api/v1" if kind.api_version == "v1" else f"/apis/{kind.api_version}"
    inside = f"/namespaces/{NAMESPACE}" if kind.namespaced else ""
    return "/".join(p for p in (f"{base}{inside}/{kind.plural}", name, subresource) if p)


async def _ask(client: Client, method: str, path: str, body: Any, dry: bool, media: str) -> Answer:
    query = {"dryRun": "All"} if dry else None
    data = b"" if body is None else json.dumps(body).encode()
    answer = await client.request(method, path, query=query, body=data, headers={"content-type": media})
    try:
        said = json.loads(answer.body)
    except ValueError:
        said = {"text": answer.body.decode(errors="replace")}
    return Answer(answer.status, said, sorted(_WARNING.findall(answer.headers.get("warning", ""))))


def differences(theirs: Answer, ours: Answer) -> list[str]:
    """What differs, a line each."""
    found = [] if theirs.status == ours.status else [f"status: theirs {theirs.status}, ours {ours.status}"]
    found += differing(even(theirs.body), even(ours.body))
    return [*found, *differing(theirs.warnings, ours.warnings, " warnings")]


def even(value: Any) -> Any:
    """The value with all that differs from server to server made the same."""
    if isinstance(value, dict):
        out = {k: _even_field(k, v) for k, v in value.items() if k not in PASSING}
        if out.get("kind") == "Status" and "causes" in out.get("details", {}):
            out["details"]["causes"] = sorted(f"{c.get('field')}: {c['message']}" for c in out["details"]["causes"])
            out["message"] = out["message"].partition(" is invalid: ")[0]
        return out
    if isinstance(value, list):
        return [even(item) for item in value] or None
    if isinstance(value, str):
        value = _KEY.sub("Key: …,", _MOUNT.sub("kube-api-access-…", _UID.sub("UID", value)))
        return _TIME.sub("TIME", value)
    return value


def _even_field(key: str, value: Any) -> Any:
    if key == "clusterIP" and value not in ("None", ""):
        return "IP"
    if key == "clusterIPs" and value != ["None"]:
        return ["IP"] * len(value)
    if key in ("nodePort", "healthCheckNodePort") and value:
        return "port"
    return even(value)


def differing(theirs: Any, ours: Any, path: str = "") -> list[str]:
    if isinstance(theirs, dict) and isinstance(ours, dict):
        return [
            line
            for key in sorted({*theirs, *ours})
            for line in differing(theirs.get(key, "(nothing)"), ours.get(key, "(nothing)"), f"{path}.{key}")
        ]
    if isinstance(theirs, list) and isinstance(ours, list):
        if len(theirs) == len(ours) and not all(isinstance(item, str) for item in (*theirs, *ours)):
            pairs = enumerate(zip(theirs, ours, strict=True))
            return [line for i, pair in pairs for line in differing(*pair, f"{path}[{i}]")]
        only = [f"{path}: theirs only {item}" for item in _less(theirs, ours)]
        return [*only, *(f"{path}: ours only {item}" for item in _less(ours, theirs))]
    if theirs == ours:
        return []
    return [f"{path}: theirs {json.dumps(theirs)}\n  {' ' * len(path)}  ours   {json.dumps(ours)}"]


def _less(some: list[Any], others: list[Any]) -> list[Any]:
    """What is in `some` more often than in `others`."""
    left = list(others)
    return [item for item in some if item not in left or left.remove(item) is not None]
