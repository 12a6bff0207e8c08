"""Scheduler extenders: other programs that are asked over HTTP (filter, prioritize, preempt, bind).

Upstream: pkg/scheduler/extender.go, types in k8s.io/kube-scheduler/extender/v1 (which have no JSON names: Go's field
names are sent, and answers are read without regard to case, as Go does).
"""

import asyncio
import ssl
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from orlop.scheduler.config.durations import seconds
from orlop.scheduler.config.types import Extender as Settings, ExtenderTLS
from orlop.tasks import in_thread

if TYPE_CHECKING:
    import aiohttp

MAX_SCORE = 10
"""An extender scores from 0 to this (MaxExtenderPriority)."""
SCALE = 10
"""The core scores to 100."""
MAX_ANSWER = 64 << 20
"""Bytes of an answer: 15,000 nodes in full are some 45 MiB."""


class ExtenderError(Exception):
    """An extender did not answer, or with an error; upstream's words."""


class Filtered(NamedTuple):
    """What an extender makes of the nodes."""

    kept: frozenset[str]
    failed: Mapping[str, str]
    unresolvable: Mapping[str, str]


class Extender:
    """One of `extenders` in a KubeSchedulerConfiguration."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.name = settings.url_prefix
        self._managed = {resource.name for resource in settings.managed_resources or ()}
        self._session: aiohttp.ClientSession | None = None
        self._opening = asyncio.Lock()

    @property
    def ignorable(self) -> bool:
        """Whether pods are scheduled without it while it does not answer."""
        return self.settings.ignorable

    def interested(self, pod: Mapping[str, Any]) -> bool:
        """Whether it is asked about a pod: where it manages resources, only if the pod wants one of them."""
        if not self._managed:
            return True
        spec = pod.get("spec", {})
        containers = [*spec.get("containers", ()), *(spec.get("initContainers") or ())]
        return any(
            self._managed & (container.get("resources", {}).get(kind) or {}).keys()
            for container in containers
            for kind in ("requests", "limits")
        )

    # --- verbs

    async def filter(
        self, pod: Mapping[str, Any], names: Sequence[str], objects: Callable[[str], bytes | None]
    ) -> Filtered:
        """Which of the nodes are left. Raises ExtenderError."""
        answer = await self._ask(self.settings.filter_verb, self._nodes(pod, names, objects))
        if error := answer.get("error"):
            raise ExtenderError(str(error))
        listed = answer.get("nodenames") if self.settings.node_cache_capable else None
        if listed is None and answer.get("nodes") is not None:
            items = _lower(answer["nodes"]).get("items") or ()
            listed = [item.get("metadata", {}).get("name", "") for item in items]
        kept = frozenset(listed or ())
        for name in kept - set(names):
            where = "which is not found in the input node list"
            raise ExtenderError(f'extender "{self.name}" claims a filtered node "{name}" {where}')
        failed, unresolvable = answer.get("failednodes") or {}, answer.get("failedandunresolvablenodes") or {}
        return Filtered(kept, failed, unresolvable)

    async def prioritize(
        self, pod: Mapping[str, Any], names: Sequence[str], objects: Callable[[str], bytes | None]
    ) -> dict[str, int]:
        """What it adds to the totals of nodes: score × weight, on the core's scale. Raises ExtenderError."""
        answer = await self._ask(self.settings.prioritize_verb, self._nodes(pod, names, objects), of=list)
        scores = {}
        for entry in map(_lower, answer):
            score = entry.get("score", 0)
            if not isinstance(score, int) or not 0 <= score <= MAX_SCORE:
                raise ExtenderError(f"score {score!r} of node {entry.get('host')!r} is not in [0, {MAX_SCORE}]")
            scores[str(entry.get("host", ""))] = score * self.settings.weight * SCALE
        return scores

    async def preempt(
        self,
        pod: Mapping[str, Any],
        candidates: Mapping[str, tuple[Sequence[tuple[str, str, str]], int]],
        victim: Callable[[tuple[str, str]], Mapping[str, Any] | None],
    ) -> dict[str, tuple[list[str], int]]:
        """Which nodes are left for preemption, with the uids of the victims there and how many budgets they break.

        `candidates` are victims (namespace, name, uid) and broken budgets by node. Raises ExtenderError."""
        full: dict[str, Any] = {}
        meta: dict[str, Any] = {}
        for node, (victims, violations) in candidates.items():
            meta[node] = {"Pods": [{"UID": uid} for _, _, uid in victims], "NumPDBViolations": violations}
            pods = [
                victim((namespace, name)) or {"metadata": {"namespace": namespace, "name": name, "uid": uid}}
                for namespace, name, uid in victims
            ]
            full[node] = {"Pods": pods, "NumPDBViolations": violations}
        cached = self.settings.node_cache_capable
        body = {
            "Pod": pod,
            "NodeNameToVictims": None if cached else full,
            "NodeNameToMetaVictims": meta if cached else None,
        }
        answer = await self._ask(self.settings.preempt_verb, body)
        left = {}
        for node, raw in (answer.get("nodenametometavictims") or {}).items():
            if node not in candidates:
                raise ExtenderError(f'extender "{self.name}" claims unknown node "{node}" for preemption')
            entry = _lower(raw)
            uids = [str(_lower(pod).get("uid", "")) for pod in entry.get("pods") or ()]
            left[node] = (uids, int(entry.get("numpdbviolations") or 0))
        return left

    async def bind(self, namespace: str, name: str, uid: str, node: str) -> None:
        """Lets it bind the pod. Raises ExtenderError."""
        body = {"PodName": name, "PodNamespace": namespace, "PodUID": uid, "Node": node}
        answer = await self._ask(self.settings.bind_verb, body)
        if error := answer.get("error"):
            raise ExtenderError(str(error))

    # --- inside

    def _nodes(
        self, pod: Mapping[str, Any], names: Sequence[str], objects: Callable[[str], bytes | None]
    ) -> dict[str, Any]:
        if self.settings.node_cache_capable:
            return {"Pod": pod, "Nodes": None, "NodeNames": list(names)}
        items = [msgspec.Raw(found) for name in names if (found := objects(name)) is not None]
        return {"Pod": pod, "Nodes": {"apiVersion": "v1", "kind": "NodeList", "items": items}, "NodeNames": None}

    async def _ask(self, verb: str, body: Any, of: type[Any] = dict) -> Any:
        import aiohttp

        url = f"{self.settings.url_prefix.rstrip('/')}/{verb}"
        try:
            session = await self._opened()
            tls = self.settings.tls_config
            async with session.post(
                url,
                data=msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
                server_hostname=tls.server_name or None if tls is not None else None,
            ) as answer:
                if answer.status != 200:
                    raise ExtenderError(f"failed {verb} with extender at URL {url}, code {answer.status}")
                data = await answer.content.read(MAX_ANSWER + 1)
                while chunk := await answer.content.read(MAX_ANSWER + 1 - len(data)):
                    data += chunk
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            why = str(error) or "context deadline exceeded"
            raise ExtenderError(f'Post "{url}": {why}') from error
        if len(data) > MAX_ANSWER:
            raise ExtenderError(f"extender at URL {url}: the answer is longer than {MAX_ANSWER} bytes")
        try:
            found = msgspec.json.decode(data) if data.strip() else of()
        except msgspec.MsgspecError as error:
            raise ExtenderError(f"extender at URL {url}: {error}") from error
        found = of() if found is None else found
        if not isinstance(found, of):
            raise ExtenderError(f"extender at URL {url}: the answer is a {type(found).__name__}")
        return _lower(found) if of is dict else found

    async def _opened(self) -> "aiohttp.ClientSession":
        import aiohttp

        async with self._opening:
            if self._session is None:
                tls = self.settings.tls_config
                context: ssl.SSLContext | bool = True
                if tls is not None or self.settings.enable_https:
                    context = await in_thread(None, ssl_context, tls or ExtenderTLS())
                self._session = aiohttp.ClientSession(
                    connector=aiohttp.TCPConnector(ssl=context),
                    timeout=aiohttp.ClientTimeout(total=seconds(self.settings.http_timeout) or None),
                )
            return self._session

    async def close(self) -> None:
        """Ends its connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def ssl_context(tls: ExtenderTLS) -> ssl.SSLContext:
    """TLS as `tlsConfig` says. Raises OSError and ssl.SSLError where a file cannot be used."""
    ca = tls.ca_data.decode() or None
    context = ssl.create_default_context(cafile=None if ca else tls.ca_file or None, cadata=ca)
    if tls.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.cert_data and tls.key_data:
        # The ssl module takes certificates from files alone.
        with tempfile.NamedTemporaryFile() as file:
            file.write(tls.cert_data + b"\n" + tls.key_data)
            file.flush()
            context.load_cert_chain(file.name)
    elif tls.cert_file:
        context.load_cert_chain(tls.cert_file, tls.key_file or None)
    return context


def _lower(raw: Mapping[str, Any]) -> dict[str, Any]:
    return {key.lower(): value for key, value in raw.items()}


def made(settings: Iterable[Settings]) -> list[Extender]:
    """The extenders of a configuration, in its order."""
    return [Extender(one) for one in settings]
