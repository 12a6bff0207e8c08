"""The way to kubelets, and logs, which are passed on from there.

The API server speaks to it as `kube-apiserver-kubelet-client`; the address and the port are those in the Node's status.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import core_v1
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.response import Response, warning_headers
from orlop.apiserver.subresources.upgrade import REASONS

PREFERRED = ("InternalIP", "ExternalIP", "Hostname", "InternalDNS", "ExternalDNS")
"""--kubelet-preferred-address-types. Upstream's own default begins with Hostname, which asks for a name service."""
if TYPE_CHECKING:
    # Imported where it is used: a server that nobody asks for logs starts a tenth of a second sooner without it.
    import aiohttp

CONNECT_SECONDS = 10.0
CHUNK = 64 * 1024
_NODE = scheme.by_resource("", "v1", "nodes")

LOG_PARAMETERS = (
    "follow",
    "previous",
    "tailLines",
    "sinceSeconds",
    "sinceTime",
    "timestamps",
    "limitBytes",
    "stream",
)


class Location(NamedTuple):
    """Where a container's kubelet listens."""

    host: str
    port: int

    def url(self, path: str, query: list[tuple[str, str]]) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"https://{host}:{self.port}{path}" + (f"?{urlencode(query)}" if query else "")


class Kubelets:
    """Connections to kubelets, with one session for all of them."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.tls = tls
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> "aiohttp.ClientSession":
        """The session, made at first use inside the loop."""
        import aiohttp

        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self.tls, limit=0),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
                auto_decompress=False,
            )
        return self._session

    async def close(self) -> None:
        """Ends what is still open."""
        if self._session is not None:
            await self._session.close()


def container_of(pod: core_v1.Pod, asked: str) -> str:
    """The container that is meant; the only one where none is named. Raises BadRequest in upstream's words."""
    names = [c.name for c in pod.spec.containers]
    others = [c.name for c in pod.spec.init_containers] + [c.name for c in pod.spec.ephemeral_containers]
    if asked:
        if asked not in names and asked not in others:
            raise errors.BadRequest(f"container {asked} is not valid for pod {pod.metadata.name}")
        return asked
    default = pod.metadata.annotations.get("kubectl.kubernetes.io/default-container", "")
    if default in names:
        return default
    if len(names) == 1:
        return names[0]
    if not names:
        raise errors.BadRequest(f"a container name must be specified for pod {pod.metadata.name}")
    init = [c.name for c in pod.spec.init_containers]
    hint = f" or one of the init containers: [{' '.join(init)}]" if init else ""
    raise errors.BadRequest(
        f"a container name must be specified for pod {pod.metadata.name}, choose one of: [{' '.join(names)}]{hint}"
    )


def locate(core: Core, node_name: str) -> Location:
    """The kubelet of a node. Raises NotFound, ServiceUnavailable, InternalError where there is no address."""
    assert _NODE is not None
    node: core_v1.Node = core.objects.decode(_NODE, core.objects.find(_NODE, "", node_name)[0])
    addresses = {a.type: a.address for a in reversed(node.status.addresses)}
    for type_ in PREFERRED:
        if type_ in addresses:
            port = node.status.daemon_endpoints.kubelet_endpoint.port
            if not port:
                raise errors.ServiceUnavailable(f"the kubelet of node {node_name} serves no API: it named no port")
            return Location(addresses[type_], port)
    raise errors.InternalError(
        f"no preferred addresses found; known addresses: {[a.address for a in node.status.addresses]}"
    )


def pod_of(core: Core, request: Request, kind: Kind) -> core_v1.Pod:
    """The pod that a request names. Raises NotFound."""
    value, _ = core.objects.find(kind, request.info.namespace, request.info.name)
    pod: core_v1.Pod = core.objects.decode(kind, value)
    return pod


def kubelets_of(core: Core) -> Kubelets:
    """The way to kubelets. Raises ServiceUnavailable where there is none."""
    if core.kubelets is None:
        raise errors.ServiceUnavailable("this server has no way to its kubelets")
    return core.kubelets


async def log(core: Core, request: Request, kind: Kind) -> Response | None:
    """A container's log as the kubelet gives it, streamed."""
    pod = pod_of(core, request, kind)
    container = container_of(pod, request.param("container"))
    if not pod.spec.node_name:
        return Response(200, b"", b"text/plain")
    _check_log_options(request)
    where = locate(core, pod.spec.node_name)
    query = [(k, v) for k in LOG_PARAMETERS for v in request.query.get(k, [])[:1]]
    import aiohttp

    path = f"/containerLogs/{pod.metadata.namespace}/{pod.metadata.name}/{container}"
    try:
        async with kubelets_of(core).session().get(where.url(path, query)) as answer:
            if answer.status >= 300:
                text = (await answer.read()).decode(errors="replace").strip()
                if answer.status == 404:
                    raise errors.NotFound(text or f"container {container} not found")
                raise errors.ApiError(text, code=answer.status, reason=REASONS.get(answer.status, "InternalError"))
            request.started = True
            await request.send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        *request.common,
                        (b"cache-control", b"no-cache, private"),
                        (b"content-type", b"text/plain"),
                        *warning_headers(request.warnings),
                    ],
                }
            )
            async for chunk in _until_disconnect(request, answer):
                await request.send({"type": "http.response.body", "body": chunk, "more_body": True})
            await request.send({"type": "http.response.body", "body": b""})
            return None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        if request.started:
            await request.send({"type": "http.response.body", "body": b""})
            return None
        raise unreachable(where.url(path, []), error) from None


def unreachable(url: str, error: BaseException) -> errors.ApiError:
    """A kubelet that does not answer, in upstream's words."""
    return errors.InternalError(f'Get "{url}": {error}')


async def _until_disconnect(request: Request, answer: "aiohttp.ClientResponse") -> AsyncIterator[bytes]:
    """The answer's chunks, until the client goes away."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    leaving = asyncio.ensure_future(gone())
    try:
        while True:
            reading = asyncio.ensure_future(answer.content.readany())
            await asyncio.wait({reading, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                reading.cancel()
                return
            chunk = reading.result()
            if not chunk:
                return
            yield chunk
    finally:
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


def _check_log_options(request: Request) -> None:
    wrong = []
    for name, least in (("tailLines", 0), ("limitBytes", 1), ("sinceSeconds", 1)):
        value = request.integer(name)
        if value is not None and value < least:
            words = "must be greater than or equal to 0" if least == 0 else "must be greater than 0"
            wrong.append(errors.invalid_value(name, value, words))
    if request.param("sinceSeconds") and request.param("sinceTime"):
        wrong.append(
            errors.forbidden_field("sinceTime", "at most one of `sinceTime` or `sinceSeconds` may be specified")
        )
    if wrong:
        raise errors.invalid("PodLogOptions", "", request.info.name, wrong)
