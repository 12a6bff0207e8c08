"""Which groups, versions and resources there are: /api, /apis and below, plain and aggregated."""

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.api.types import apidiscovery_v2, meta_v1
from orlop.api.versions import age
from orlop.apiserver import negotiate
from orlop.apiserver.aggregate import priorities
from orlop.apiserver.bulk import kinds as bulk
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.resourcemetrics import kinds as metrics
from orlop.apiserver.response import Response, encoded

AGGREGATED = b"application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
SUBRESOURCE_KINDS: dict[str, tuple[str, str, str]] = {
    "scale": ("autoscaling", "v1", "Scale"),
    "binding": ("", "v1", "Binding"),
    "eviction": ("policy", "v1", "Eviction"),
    "token": ("authentication.k8s.io", "v1", "TokenRequest"),
    "exec": ("", "v1", "PodExecOptions"),
    "attach": ("", "v1", "PodAttachOptions"),
    "portforward": ("", "v1", "PodPortForwardOptions"),
}
_NONE: Mapping[tuple[str, str], priorities.Priority] = {}
PROXY_KINDS = {
    "nodes": ("", "v1", "NodeProxyOptions"),
    "pods": ("", "v1", "PodProxyOptions"),
    "services": ("", "v1", "ServiceProxyOptions"),
}
SUBRESOURCE_VERBS: dict[str, list[str]] = {
    "status": ["get", "patch", "update"],
    "scale": ["get", "patch", "update"],
    "approval": ["get", "patch", "update"],
    "resize": ["get", "patch", "update"],
    "ephemeralcontainers": ["get", "patch", "update"],
    "finalize": ["update"],
    "binding": ["create"],
    "eviction": ["create"],
    "token": ["create"],
    "log": ["get"],
    "exec": ["create", "get"],
    "attach": ["create", "get"],
    "portforward": ["create", "get"],
    "proxy": ["create", "delete", "get", "patch", "update"],
}


UNSTORED = (*metrics.KINDS, *bulk.KINDS)
"""Kinds that are answered without a table of stored ones."""


def every() -> tuple[Kind, ...]:
    """The built-in kinds."""
    return (*scheme.KINDS, *UNSTORED)


def kinds_of(group: str, version: str, custom: Sequence[Kind] = ()) -> list[Kind]:
    return sorted((k for k in (*every(), *custom) if (k.group, k.version) == (group, version)), key=lambda k: k.plural)


def versions_by_group(
    custom: Iterable[tuple[str, str]] = (), remote: Mapping[tuple[str, str], priorities.Priority] = _NONE
) -> dict[str, list[str]]:
    """Versions by group, in the order of lists: by priority, groups of the same by name, versions by their age."""
    ranks = {
        gv: remote.get(gv) or priorities.of(*gv)
        for gv in (*scheme.group_versions(), *((kind.group, kind.version) for kind in UNSTORED), *custom, *remote)
    }
    groups: dict[str, list[str]] = {}
    for group, version in ranks:
        groups.setdefault(group, []).append(version)
    first = {group: max(ranks[group, version].group for version in versions) for group, versions in groups.items()}
    return {
        group: sorted(groups[group], key=lambda v: (ranks[group, v].version, age(v)), reverse=True)
        for group in sorted(groups, key=lambda g: (-first[g], g))
    }


def _storage_hash(kind: Kind) -> str:
    """Tells clients whether the stored form has changed; upstream's is made from group, version and kind."""
    from base64 import b64encode

    text = f"{kind.group}/{kind.version}/{kind.kind}"
    return b64encode(hashlib.sha256(text.encode()).digest()[:8]).decode()


def _unversioned(obj: Any) -> bytes:
    """The core group's documents are older than apiVersion."""
    tree = msgspec.to_builtins(obj)
    del tree["apiVersion"]
    return msgspec.json.encode(tree)


@lru_cache(1)
def api_versions() -> bytes:
    """/api."""
    return _unversioned(
        meta_v1.APIVersions(
            versions=["v1"],
            server_address_by_client_cidrs=[
                meta_v1.ServerAddressByClientCIDR(client_cidr="0.0.0.0/0", server_address="")
            ],
        )
    )


def group_of(name: str, versions: list[str]) -> meta_v1.APIGroup:
    """A group as /apis/GROUP shows it."""
    listed = [meta_v1.GroupVersionForDiscovery(group_version=f"{name}/{v}", version=v) for v in versions]
    return meta_v1.APIGroup(name=name, versions=listed, preferred_version=listed[0])


@lru_cache(1)
def api_groups() -> bytes:
    """/apis of the built-in kinds."""
    return group_list(versions_by_group())


def group_list(by_name: dict[str, list[str]]) -> bytes:
    """/apis."""
    groups = [group_of(name, versions) for name, versions in by_name.items() if name]
    tree = msgspec.to_builtins(meta_v1.APIGroupList(groups=groups))
    for group in tree["groups"]:
        del group["apiVersion"], group["kind"]
    return msgspec.json.encode(tree)


@lru_cache(64)
def resources(group: str, version: str) -> bytes:
    """/api/v1 or /apis/GROUP/VERSION of the built-in kinds."""
    return resource_list(group, version, kinds_of(group, version))


def resource_list(group: str, version: str, rows: Iterable[Kind]) -> bytes:
    """/api/v1 or /apis/GROUP/VERSION."""
    listed: list[meta_v1.APIResource] = []
    for kind in rows:
        listed.append(
            meta_v1.APIResource(
                name=kind.plural,
                singular_name=kind.singular,
                namespaced=kind.namespaced,
                kind=kind.kind,
                verbs=list(kind.verbs),
                short_names=list(kind.short_names),
                categories=list(kind.categories),
                storage_version_hash=_storage_hash(kind) if "delete" in kind.verbs else "",
            )
        )
        for sub in kind.subresources:
            if sub not in SUBRESOURCE_VERBS:
                continue
            of = PROXY_KINDS.get(kind.plural) if sub == "proxy" else SUBRESOURCE_KINDS.get(sub)
            foreign = of is not None and of[:2] != (kind.group, kind.version)
            listed.append(
                meta_v1.APIResource(
                    name=f"{kind.plural}/{sub}",
                    singular_name="",
                    namespaced=kind.namespaced,
                    group=of[0] if of and foreign else "",
                    version=of[1] if of and foreign else "",
                    kind=of[2] if of else kind.kind,
                    verbs=SUBRESOURCE_VERBS[sub],
                )
            )
    gv = f"{group}/{version}" if group else version
    document = meta_v1.APIResourceList(group_version=gv, resources=listed)
    return msgspec.json.encode(document) if group else _unversioned(document)


def _response_kind(kind: Kind, group: str, version: str, name: str) -> meta_v1.GroupVersionKind:
    """What a built-in resource answers with: the group and version are named where they are others than its own."""
    if (group, version) == (kind.group, kind.version) and scheme.by_resource(group, version, kind.plural) is not None:
        group = version = ""
    return meta_v1.GroupVersionKind(group=group, version=version, kind=name)


def _discovered(kind: Kind) -> apidiscovery_v2.APIResourceDiscovery:
    subs = []
    for sub in kind.subresources:
        if sub not in SUBRESOURCE_VERBS:
            continue
        of = PROXY_KINDS.get(kind.plural) if sub == "proxy" else SUBRESOURCE_KINDS.get(sub)
        group, version, name = of or (kind.group, kind.version, kind.kind)
        subs.append(
            apidiscovery_v2.APISubresourceDiscovery(
                subresource=sub,
                response_kind=_response_kind(kind, group, version, name),
                verbs=SUBRESOURCE_VERBS[sub],
            )
        )
    return apidiscovery_v2.APIResourceDiscovery(
        resource=kind.plural,
        response_kind=_response_kind(kind, kind.group, kind.version, kind.kind),
        scope="Namespaced" if kind.namespaced else "Cluster",
        singular_resource=kind.singular,
        verbs=list(kind.verbs),
        short_names=list(kind.short_names),
        categories=list(kind.categories),
        subresources=subs,
    )


@lru_cache(2)
def aggregated(core_group: bool) -> bytes:
    """The APIGroupDiscoveryList of /api or /apis of the built-in kinds."""
    wanted = {name: versions for name, versions in versions_by_group().items() if (name == "") == core_group}
    return group_discoveries(wanted, kinds_of)


Ready = Mapping[tuple[str, str], apidiscovery_v2.APIVersionDiscovery]
"""Versions that others have described."""
_DESCRIBED: Ready = {}


def group_discoveries(
    groups: dict[str, list[str]], rows: Callable[[str, str], Iterable[Kind]], described: Ready = _DESCRIBED
) -> bytes:
    """An APIGroupDiscoveryList."""
    items = [
        apidiscovery_v2.APIGroupDiscovery(
            metadata=meta_v1.ObjectMeta(name=name),
            versions=[
                described.get((name, version))
                or apidiscovery_v2.APIVersionDiscovery(
                    version=version,
                    resources=[_discovered(kind) for kind in rows(name, version)],
                    freshness="Current",
                )
                for version in versions
            ],
        )
        for name, versions in groups.items()
    ]
    tree = msgspec.to_builtins(apidiscovery_v2.APIGroupDiscoveryList(items=items))
    for item in tree["items"]:
        del item["apiVersion"], item["kind"]
    return msgspec.json.encode(tree)


@scheme.on_change
def _forget() -> None:
    for made in (api_groups, resources, aggregated):
        made.cache_clear()


def _wants_aggregated(accept: str) -> bool:
    for clause in accept.split(","):
        name, *parameters = (part.strip() for part in clause.split(";"))
        options = dict(p.partition("=")[::2] for p in parameters)
        if name == negotiate.JSON and options.get("as") == "APIGroupDiscoveryList":
            if options.get("g") == "apidiscovery.k8s.io" and options.get("v") == "v2":
                return True
            continue
        if name in (negotiate.JSON, "*/*", "application/*", negotiate.PROTOBUF, negotiate.YAML) and not options.get(
            "as"
        ):
            return False
    return False


def _with_etag(request: Request, body: bytes, content_type: bytes) -> Response:
    etag = b'"%b"' % hashlib.sha512(body).hexdigest().upper().encode()
    headers = ((b"etag", etag), (b"vary", b"Accept"), (b"cache-control", b"public"))
    if request.headers.get(b"if-none-match") == etag:
        return Response(304, b"", content_type, headers)
    return Response(200, body, content_type, headers)


def _plain(request: Request, type_key: str, body: bytes, routed: bool = True) -> Response:
    accepted = negotiate.accept(request.header(b"accept"), tables=False, routed=routed)
    if accepted.media == "protobuf" and not body.startswith(b'{"apiVersion"'):
        body = b'{"apiVersion":"v1",' + body[1:]
    return Response(200, *encoded(accepted.media, type_key, body))


async def api(core: Core, request: Request) -> Response:
    """GET /api."""
    if _wants_aggregated(request.header(b"accept")):
        return _with_etag(request, aggregated(True), AGGREGATED)
    return _plain(request, "meta/v1.APIVersions", api_versions())


async def apis(core: Core, request: Request) -> Response:
    """GET /apis."""
    from orlop.apiserver.crd import discovery as custom

    if _wants_aggregated(request.header(b"accept")):
        return _with_etag(request, custom.aggregated(core.custom), AGGREGATED)
    return _plain(request, "meta/v1.APIGroupList", custom.api_groups(core.custom), routed=False)


async def core_resources(core: Core, request: Request) -> Response:
    """GET /api/v1."""
    return _plain(request, "meta/v1.APIResourceList", resources("", "v1"))


async def group_or_version(core: Core, request: Request) -> Response | None:
    """GET /apis/GROUP and /apis/GROUP/VERSION."""
    from orlop.apiserver.aggregate.proxy import proxy
    from orlop.apiserver.crd import discovery as custom

    parts = request.scope["path"].strip("/").split("/")[1:]
    if len(parts) == 2 and (remote := core.aggregator.remote.get((parts[0], parts[1]))) is not None:
        return await proxy(core, request, remote)
    groups = custom.groups(core.custom)
    if parts and parts[0] not in groups:
        raise NoSuchPage
    if parts and parts[0]:
        if len(parts) == 1:
            group = group_of(parts[0], groups[parts[0]])
            return _plain(request, "meta/v1.APIGroup", msgspec.json.encode(group), routed=False)
        if len(parts) == 2 and parts[1] in groups[parts[0]]:
            if request.method != "GET":
                raise errors.MethodNotSupported(NOT_ALLOWED, details=meta_v1.StatusDetails())
            return _plain(request, "meta/v1.APIResourceList", custom.resources(core.custom, parts[0], parts[1]))
    raise errors.NotFound("the server could not find the requested resource", details=meta_v1.StatusDetails())


NOT_ALLOWED = "the server does not allow this method on the requested resource"


class NoSuchPage(Exception):
    """A path that nothing answers: `404 page not found` as text, no Status."""


PAGES: dict[str, Callable[[Core, Request], Awaitable[Response | None]]] = {
    "/api": api,
    "/apis": apis,
    "/api/v1": core_resources,
}
PREFIXES: list[tuple[str, Callable[[Core, Request], Awaitable[Response | None]]]] = [("/apis/", group_or_version)]
