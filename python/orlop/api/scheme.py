"""The kinds that are served: one row each. Adding a resource starts here."""

import importlib
from collections.abc import Iterator
from typing import Any

import msgspec

from orlop.api.types.base import ApiStruct

STANDARD_VERBS = ("create", "delete", "deletecollection", "get", "list", "patch", "update", "watch")


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """What discovery, routing, storage and the wire need to know of a kind."""

    group: str
    version: str
    kind: str
    plural: str
    folder: str
    """Where the type is declared, the group's first part: `core`, `apps`, `rbac`."""
    namespaced: bool
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[str, ...] = ()
    verbs: tuple[str, ...] = STANDARD_VERBS
    storage: str = ""
    """The resource it is stored as, where several served versions share one."""

    @property
    def singular(self) -> str:
        return self.kind.lower()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def type_key(self) -> str:
        """The type's name in the wire table: `core/v1.Pod`."""
        return f"{self.folder}/{self.version}.{self.kind}"

    @property
    def list_kind(self) -> str:
        return self.kind + "List"

    @property
    def resource(self) -> str:
        """The name in the store and the hub: `pods`, `apps/deployments`."""
        return self.storage or (f"{self.group}/{self.plural}" if self.group else self.plural)

    @property
    def stored(self) -> bool:
        """Whether objects of it are kept; reviews are only answered."""
        return "get" in self.verbs

    @property
    def struct(self) -> type[Any]:
        """The type's struct, imported at first use."""
        module = importlib.import_module(f"orlop.api.types.{self.folder}_{self.version}")
        struct: type[Any] = getattr(module, self.kind)
        return struct

    def path(self, namespace: str | None = None, name: str = "", subresource: str = "") -> str:
        """The URL path: of the collection without a name, across namespaces without a namespace."""
        path = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        if self.namespaced and namespace:
            path += f"/namespaces/{namespace}"
        path += f"/{self.plural}"
        if name:
            path += f"/{name}"
        if subresource:
            path += f"/{subresource}"
        return path


def _core(kind: str, plural: str, namespaced: bool = True, **more: Any) -> Kind:
    return Kind(group="", version="v1", kind=kind, plural=plural, folder="core", namespaced=namespaced, **more)


def _row(group: str, folder: str, kind: str, plural: str, namespaced: bool = True, **more: Any) -> Kind:
    return Kind(group=group, version="v1", kind=kind, plural=plural, folder=folder, namespaced=namespaced, **more)


_RBAC = "rbac.authorization.k8s.io"
_AUTHZ = "authorization.k8s.io"
_AUTHN = "authentication.k8s.io"
_ALL = ("all",)
_REVIEW = ("create",)

_POD_SUBRESOURCES = (
    "attach",
    "binding",
    "eviction",
    "exec",
    "log",
    "portforward",
    "proxy",
    "status",
)

KINDS: list[Kind] = [
    _core("ConfigMap", "configmaps", short_names=("cm",)),
    _core("Endpoints", "endpoints", short_names=("ep",)),
    _core("Event", "events", short_names=("ev",)),
    _core("Namespace", "namespaces", False, short_names=("ns",), subresources=("finalize", "status")),
    _core("Node", "nodes", False, short_names=("no",), subresources=("proxy", "status")),
    _core("Pod", "pods", short_names=("po",), categories=_ALL, subresources=_POD_SUBRESOURCES),
    _core("Secret", "secrets"),
    _core("Service", "services", short_names=("svc",), categories=_ALL, subresources=("proxy", "status")),
    _core("ServiceAccount", "serviceaccounts", short_names=("sa",), subresources=("token",)),
    _row("apps", "apps", "ControllerRevision", "controllerrevisions"),
    _row(
        "apps",
        "apps",
        "Deployment",
        "deployments",
        short_names=("deploy",),
        categories=_ALL,
        subresources=("scale", "status"),
    ),
    _row(
        "apps",
        "apps",
        "ReplicaSet",
        "replicasets",
        short_names=("rs",),
        categories=_ALL,
        subresources=("scale", "status"),
    ),
    _row(_AUTHN, "authentication", "SelfSubjectReview", "selfsubjectreviews", False, verbs=_REVIEW),
    _row(_AUTHN, "authentication", "TokenReview", "tokenreviews", False, verbs=_REVIEW),
    _row(_AUTHZ, "authorization", "LocalSubjectAccessReview", "localsubjectaccessreviews", verbs=_REVIEW),
    _row(_AUTHZ, "authorization", "SelfSubjectAccessReview", "selfsubjectaccessreviews", False, verbs=_REVIEW),
    _row(_AUTHZ, "authorization", "SelfSubjectRulesReview", "selfsubjectrulesreviews", False, verbs=_REVIEW),
    _row(_AUTHZ, "authorization", "SubjectAccessReview", "subjectaccessreviews", False, verbs=_REVIEW),
    _row("coordination.k8s.io", "coordination", "Lease", "leases"),
    _row("discovery.k8s.io", "discovery", "EndpointSlice", "endpointslices"),
    _row("events.k8s.io", "events", "Event", "events", short_names=("ev",), storage="events"),
    _row("networking.k8s.io", "networking", "IPAddress", "ipaddresses", False, short_names=("ip",)),
    _row("networking.k8s.io", "networking", "ServiceCIDR", "servicecidrs", False, subresources=("status",)),
    _row(
        "policy",
        "policy",
        "PodDisruptionBudget",
        "poddisruptionbudgets",
        short_names=("pdb",),
        subresources=("status",),
    ),
    _row(_RBAC, "rbac", "ClusterRole", "clusterroles", False),
    _row(_RBAC, "rbac", "ClusterRoleBinding", "clusterrolebindings", False),
    _row(_RBAC, "rbac", "Role", "roles"),
    _row(_RBAC, "rbac", "RoleBinding", "rolebindings"),
    _row("scheduling.k8s.io", "scheduling", "PriorityClass", "priorityclasses", False, short_names=("pc",)),
]

_BY_RESOURCE = {(k.group, k.version, k.plural): k for k in KINDS}
_BY_KIND = {(k.api_version, k.kind): k for k in KINDS}
_BY_STRUCT: dict[type[ApiStruct], Kind] = {}


def by_resource(group: str, version: str, plural: str) -> Kind | None:
    """The kind that a URL names; None if it is not served."""
    return _BY_RESOURCE.get((group, version, plural))


def by_kind(api_version: str, kind: str) -> Kind | None:
    """The kind that a body names; None if it is not served."""
    return _BY_KIND.get((api_version, kind))


def of(struct: type[Any] | Kind) -> Kind:
    """The row of a struct class. A smaller struct of a reader (a projection) names its kind, or its row, by `__kind__`.

    Raises LookupError if the kind is not served.
    """
    if isinstance(struct, Kind):
        return struct
    row = _BY_STRUCT.get(struct)
    if row is None:
        named = getattr(struct, "__kind__", None)
        if named is not None:
            return of(named)
        module = struct.__module__.rsplit(".", 1)[-1]
        row = next((k for k in KINDS if f"{k.folder}_{k.version}" == module and k.kind == struct.__name__), None)
        if row is None:
            raise LookupError(f"{struct.__module__}.{struct.__qualname__} is not a kind that is served")
        _BY_STRUCT[struct] = row
    return row


def group_versions() -> Iterator[tuple[str, str]]:
    """Every served (group, version), the core first, then by name."""
    seen = dict.fromkeys((k.group, k.version) for k in KINDS)
    return iter(sorted(seen, key=lambda gv: (gv[0] != "", gv)))
