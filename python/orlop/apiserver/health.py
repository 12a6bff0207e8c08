"""/version, /livez, /readyz, /healthz, /metrics and the list of paths at /."""

import platform
import sys
from collections.abc import Awaitable, Callable

import msgspec

from orlop import metrics, native
from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.apiserver import negotiate
from orlop.apiserver.core import Core
from orlop.apiserver.request import Request
from orlop.apiserver.response import JSON, NO_PAGE, NO_SNIFF, TEXT, Response
from orlop.logging import get as logger

KUBERNETES = ("1", "37")
"""The Kubernetes version whose API is served."""

log = logger("apiserver")

Check = Callable[[Core], bool]
CHECKS: dict[str, Check] = {
    "ping": lambda core: True,
    "log": lambda core: True,
    "etcd": lambda core: not core.stopping and not core.store.failure,
    "informer-sync": lambda core: core.ready(),
    "poststarthook/start-apiextensions-controllers": lambda core: core.ready(),
    "poststarthook/bootstrap-controller": lambda core: core.ready(),
    "poststarthook/rbac/bootstrap-roles": lambda core: core.ready(),
    "shutdown": lambda core: not core.stopping,
}
"""Checks by name. `etcd` is what upstream calls the store."""
PATH_CHECKS = {
    "/livez": ("ping", "log", "etcd"),
    "/readyz": ("ping", "log", "etcd", "informer-sync", "poststarthook/rbac/bootstrap-roles", "shutdown"),
    "/healthz": ("ping", "log", "etcd", "poststarthook/rbac/bootstrap-roles"),
}


def version_info() -> dict[str, str]:
    """The body of /version."""
    return {
        "major": KUBERNETES[0],
        "minor": KUBERNETES[1],
        "emulationMajor": KUBERNETES[0],
        "emulationMinor": KUBERNETES[1],
        "minCompatibilityMajor": KUBERNETES[0],
        "minCompatibilityMinor": str(int(KUBERNETES[1]) - 1),
        "gitVersion": f"v{KUBERNETES[0]}.{KUBERNETES[1]}.0+orlop{native.__version__}",
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": f"python{platform.python_version()}",
        "compiler": platform.python_implementation(),
        "platform": f"{sys.platform}/{_ARCHITECTURES.get(platform.machine(), platform.machine())}",
    }


_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


async def version(core: Core, request: Request) -> Response:
    """GET /version."""
    negotiate.only_json(request.header(b"accept"))
    return Response(200, msgspec.json.format(msgspec.json.encode(version_info()), indent=2), JSON)


def _report(core: Core, path: str, names: tuple[str, ...], verbose: bool, excluded: list[str]) -> Response:
    lines = []
    failed = False
    for name in names:
        if name in excluded:
            lines.append(f"[+]{name} excluded: ok")
        elif CHECKS[name](core):
            lines.append(f"[+]{name} ok")
        else:
            failed = True
            lines.append(f"[-]{name} failed: reason withheld")
    word = path.strip("/").split("/")[0]
    if failed:
        log.warning("%s check failed", word, extra={"checks": "; ".join(li for li in lines if li.startswith("[-]"))})
        return Response(500, ("\n".join(lines) + f"\n{word} check failed\n").encode(), TEXT, NO_SNIFF)
    if verbose:
        return Response(200, ("\n".join(lines) + f"\n{word} check passed\n").encode(), TEXT, NO_SNIFF)
    return Response(200, b"ok", TEXT, NO_SNIFF if len(names) > 1 else ())


async def health(core: Core, request: Request) -> Response:
    """GET /livez, /readyz, /healthz and one check below them; `verbose` and `exclude` as upstream."""
    path = request.scope["path"].rstrip("/")
    base = "/" + path.strip("/").split("/")[0]
    names = PATH_CHECKS[base]
    if path != base:
        wanted = path[len(base) + 1 :]
        if wanted not in names:
            return NO_PAGE
        names = (wanted,)
    return _report(core, base, names, "verbose" in request.query, request.query.get("exclude", []))


METRICS_TYPE = f"{metrics.CONTENT_TYPE}; escaping=underscores".encode()
"""Names are of letters, digits and underscores: what they are in every version of the format."""


async def metrics_page(core: Core, request: Request) -> Response:
    """GET /metrics."""
    if request.method == "DELETE":  # upstream begins to count anew; what reads the counters would not know
        raise errors.MethodNotSupported("the counters cannot be reset", details=meta_v1.StatusDetails())
    return Response(200, metrics.render(), METRICS_TYPE)


async def index(core: Core, request: Request) -> Response:
    """GET /: the paths there are."""
    from orlop.api import scheme

    paths = {"/api", "/api/v1", "/apis", "/apis/", "/metrics", "/openapi/v2", "/openapi/v3", "/openapi/v3/", "/version"}
    paths |= {"/.well-known/openid-configuration", "/openid/v1/jwks"}
    for group, version_ in scheme.group_versions():
        if group:
            paths |= {f"/apis/{group}", f"/apis/{group}/{version_}"}
    for base, names in PATH_CHECKS.items():
        paths.add(base)
        paths |= {f"{base}/{name}" for name in names}
    return Response(200, msgspec.json.format(msgspec.json.encode({"paths": sorted(paths)}), indent=2), JSON)


Page = Callable[[Core, Request], Awaitable[Response | None]]
PAGES: dict[str, Page] = {
    "/": index,
    "/version": version,
    "/livez": health,
    "/readyz": health,
    "/healthz": health,
    "/metrics": metrics_page,
}
PREFIXES: list[tuple[str, Page]] = [(f"{base}/", health) for base in PATH_CHECKS]
