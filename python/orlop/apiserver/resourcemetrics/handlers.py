"""get and list of NodeMetrics and PodMetrics."""

from collections.abc import Iterator

import msgspec

from orlop.api import errors
from orlop.api.scheme import Kind, by_resource
from orlop.api.types import core_v1, meta_v1
from orlop.api.types.metrics_v1beta1 import ContainerMetrics, NodeMetrics, PodMetrics
from orlop.apiserver import negotiate, output
from orlop.apiserver.core import Core
from orlop.apiserver.handlers.list import read_options
from orlop.apiserver.negotiate import Accepted
from orlop.apiserver.request import Request
from orlop.apiserver.resourcemetrics.kinds import KINDS, NODE, VERSION
from orlop.apiserver.resourcemetrics.samples import Usage
from orlop.apiserver.resourcemetrics.scraper import Scraper
from orlop.apiserver.response import Response
from orlop.clock import rfc3339

METHOD = "the server does not allow this method on the requested resource"
UNKNOWN = "the server could not find the requested resource"
NODES, PODS = by_resource("", "v1", "nodes"), by_resource("", "v1", "pods")


async def answer(core: Core, request: Request) -> Response:
    """A request for the group. Raises NotFound and MethodNotSupported."""
    info = request.info
    kind = next((k for k in KINDS if k.plural == info.resource), None)
    if kind is None or info.version != VERSION or info.subresource:
        raise errors.NotFound(UNKNOWN, details=meta_v1.StatusDetails())
    if info.verb not in kind.verbs:
        raise errors.MethodNotSupported(METHOD, details=meta_v1.StatusDetails())
    accepted = _accepted(request)
    scraper: Scraper = core.scraper
    of = NODES if kind is NODE else PODS
    assert of is not None
    if info.verb == "get":
        try:
            value, _ = core.objects.find(of, info.namespace if kind.namespaced else "", info.name)
        except errors.NotFound:
            raise errors.not_found(kind.plural, kind.group, info.name) from None
        await scraper.wanted()
        found = next(_measured(core, scraper, kind, of, [value]), None)
        if found is None:
            raise errors.not_found(kind.plural, kind.group, info.name)
        return output.one(core, request, kind, found, accepted)
    options = read_options(core, request, of)
    await scraper.wanted()
    namespace = info.namespace or None if kind.namespaced else None
    listed = core.hub.list(of.resource, namespace, options.labels, options.fields, 0, None)
    measured = list(_measured(core, scraper, kind, of, listed.items))
    return output.many(core, request, kind, measured, b"{}", accepted)


def _accepted(request: Request) -> Accepted:
    """JSON or YAML: there is no protobuf of what is made up as it is asked."""
    accepted = negotiate.accept(request.header(b"accept"))
    if accepted.media != "protobuf":
        return accepted
    others = [c for c in request.header(b"accept").split(",") if not c.strip().startswith(negotiate.PROTOBUF)]
    return negotiate.accept(",".join(others) or negotiate.JSON)


def _measured(core: Core, scraper: Scraper, kind: Kind, of: Kind, objects: "list[bytes]") -> Iterator[bytes]:
    """The metrics of nodes or pods, those that there are."""
    for value in objects:
        obj = core.objects.decode(of, value)
        metrics = _node(scraper, obj) if kind is NODE else _pod(scraper, obj)
        if metrics is not None:
            metrics.metadata.creation_timestamp = rfc3339(core.clock.now())
            yield msgspec.json.encode(metrics)


def _node(scraper: Scraper, node: core_v1.Node) -> NodeMetrics | None:
    used = scraper.node(node.metadata.name)
    if used is None:
        return None
    return NodeMetrics(
        metadata=meta_v1.ObjectMeta(name=node.metadata.name, labels=node.metadata.labels),
        timestamp=rfc3339(used.at),
        window=_duration(used.window),
        usage=_usage(used),
    )


def _pod(scraper: Scraper, pod: core_v1.Pod) -> PodMetrics | None:
    m = pod.metadata
    used = scraper.pod(pod.spec.node_name, m.namespace, m.name)
    if not used or pod.status.phase in ("Succeeded", "Failed"):
        return None
    oldest = min(used.values(), key=lambda u: u.at)
    return PodMetrics(
        metadata=meta_v1.ObjectMeta(name=m.name, namespace=m.namespace, labels=m.labels),
        timestamp=rfc3339(oldest.at),
        window=_duration(oldest.window),
        containers=[ContainerMetrics(name=name, usage=_usage(u)) for name, u in sorted(used.items())],
    )


def _usage(used: Usage) -> dict[str, str]:
    """As metrics-server writes them: billionths of a core, KiB."""
    return {"cpu": f"{used.cpu}n" if used.cpu else "0", "memory": f"{-(-used.memory // 1024)}Ki"}


def _duration(seconds: float) -> str:
    """As Go prints it, to the millisecond."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
