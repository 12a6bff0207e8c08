"""What can be asked of each resource, as OpenAPI tells it: methods, parameters, bodies and answers."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from orlop.api.scheme import Kind
from orlop.apiserver.discovery import PROXY_KINDS, SUBRESOURCE_KINDS

STATUS_KEY = "meta/v1.Status"
OPTIONS_KEY = "meta/v1.DeleteOptions"
EVENT_KEY = "meta/v1.WatchEvent"
PATCH_BODY = "patch"
"""Instead of a type key: a body of one of the patches' forms."""

SUBRESOURCE_KEYS = {
    "scale": "autoscaling/v1.Scale",
    "binding": "core/v1.Binding",
    "eviction": "policy/v1.Eviction",
    "token": "authentication/v1.TokenRequest",
}
"""Subresources whose bodies are of another type than the resource's."""

RETURNED = frozenset(
    {
        "core/v1.PersistentVolume",
        "core/v1.PersistentVolumeClaim",
        "core/v1.Pod",
        "core/v1.PodTemplate",
        "core/v1.ResourceQuota",
        "core/v1.Service",
        "core/v1.ServiceAccount",
        "resource/v1.DeviceClass",
        "resource/v1.ResourceClaim",
        "resource/v1.ResourceClaimTemplate",
        "resource/v1.ResourceSlice",
        "storage/v1.CSIDriver",
        "storage/v1.CSINode",
        "storage/v1.StorageClass",
        "storage/v1.VolumeAttachment",
        "storage/v1.VolumeAttributesClass",
    }
)
"""Kinds whose deletion answers with the object."""

CHANGED = ("get", "patch", "put")
PROXIED = ("delete", "get", "head", "options", "patch", "post", "put")
SUBRESOURCE_METHODS: dict[str, tuple[str, ...]] = {
    "status": CHANGED,
    "scale": CHANGED,
    "approval": CHANGED,
    "resize": CHANGED,
    "ephemeralcontainers": CHANGED,
    "finalize": ("put",),
    "binding": ("post",),
    "eviction": ("post",),
    "token": ("post",),
    "log": ("get",),
    "exec": ("get", "post"),
    "attach": ("get", "post"),
    "portforward": ("get", "post"),
    "proxy": PROXIED,
}
STREAM_QUERY: dict[str, tuple[str, ...]] = {
    "log": (
        *("container", "follow", "insecureSkipTLSVerifyBackend", "limitBytes", "previous", "sinceSeconds", "stream"),
        *("tailLines", "timestamps"),
    ),
    "exec": tuple(f"exec.{name}" for name in ("command", "container", "stderr", "stdin", "stdout", "tty")),
    "attach": tuple(f"attach.{name}" for name in ("container", "stderr", "stdin", "stdout", "tty")),
    "portforward": ("ports",),
    "proxy": ("proxy.path",),
}
LIST_QUERY = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion"),
    *("resourceVersionMatch", "sendInitialEvents", "shardSelector", "timeoutSeconds", "watch"),
)
WRITE_QUERY = ("dryRun", "fieldManager", "fieldValidation")
PATCH_QUERY = ("dryRun", "patch.fieldManager", "fieldValidation", "force")
DELETE_QUERY = (
    *("dryRun", "gracePeriodSeconds", "ignoreStoreReadErrorWithClusterBreakingPotential", "orphanDependents"),
    "propagationPolicy",
)
DELETE_MANY_QUERY = tuple(sorted({*LIST_QUERY, *DELETE_QUERY} - {"watch", "allowWatchBookmarks"}))

OLD_WATCH = "deprecated: use the 'watch' parameter with a list operation instead"
ONE_WATCH = f"{OLD_WATCH}, filtered to a single item with the 'fieldSelector' parameter"


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str
    action: str
    about: str
    name: str
    """The operationId's parts before and behind the group: `delete Collection` → `deleteCoreV1CollectionPod`."""
    query: tuple[str, ...]
    answer: str
    """The answer's type key, or "" for text."""
    body: str = ""
    """The body's type key, or `PATCH_BODY`."""
    codes: tuple[tuple[str, str], ...] = (("200", "OK"),)
    suffix: str = ""
    """What ends the operationId."""
    of: tuple[str, str, str] | None = None
    """Group, version and kind that it speaks of, where they are not the resource's."""
    indented: bool = True
    """Whether `pretty` may be said."""


OK = ("200", "OK")
CREATED = ("201", "Created")
ACCEPTED = ("202", "Accepted")


def _article(kind: Kind) -> str:
    if kind.kind.endswith("s") and not kind.kind.endswith("ss"):
        return kind.kind  # a plural
    return f"{'an' if kind.kind[0] in 'AEIOU' else 'a'} {kind.kind}"


def collection(kind: Kind) -> Iterator[Operation]:
    """What can be asked of a collection."""
    key, name = kind.type_key, kind.kind
    if "list" in kind.verbs:
        about = f"{'list or watch' if 'watch' in kind.verbs else 'list'} objects of kind {name}"
        yield Operation("get", "list", about, "list", LIST_QUERY, key + "List")
    if "create" in kind.verbs:
        codes = (OK, CREATED, ACCEPTED)
        yield Operation("post", "post", f"create {_article(kind)}", "create", WRITE_QUERY, key, key, codes)
    if "deletecollection" in kind.verbs:
        about = f"delete collection of {name}"
        verb = "delete Collection"
        yield Operation("delete", "deletecollection", about, verb, DELETE_MANY_QUERY, STATUS_KEY, OPTIONS_KEY)


def everywhere(kind: Kind) -> Iterator[Operation]:
    """What can be asked of the collection in all namespaces."""
    for operation in collection(kind):
        if operation.action == "list":
            yield replace(operation, suffix="ForAllNamespaces")


def single(kind: Kind) -> Iterator[Operation]:
    """What can be asked of one object."""
    key, name = kind.type_key, kind.kind
    if "get" in kind.verbs:
        yield Operation("get", "get", f"read the specified {name}", "read", (), key)
    if "update" in kind.verbs:
        yield Operation("put", "put", f"replace the specified {name}", "replace", WRITE_QUERY, key, key, (OK, CREATED))
    if "patch" in kind.verbs:
        about = f"partially update the specified {name}"
        yield Operation("patch", "patch", about, "patch", PATCH_QUERY, key, PATCH_BODY, (OK, CREATED))
    if "delete" in kind.verbs:
        answer = key if key in RETURNED else STATUS_KEY
        about, codes = f"delete {_article(kind)}", (OK, ACCEPTED)
        yield Operation("delete", "delete", about, "delete", DELETE_QUERY, answer, OPTIONS_KEY, codes)


def watching(kind: Kind, many: bool, suffix: str = "") -> Iterator[Operation]:
    """The deprecated paths that do nothing but watch."""
    if "watch" not in kind.verbs:
        return
    if many:
        about = f"watch individual changes to a list of {kind.kind}. {OLD_WATCH}."
        yield Operation("get", "watchlist", about, "watch", LIST_QUERY, EVENT_KEY, suffix=f"List{suffix}")
    else:
        about = f"watch changes to an object of kind {kind.kind}. {ONE_WATCH}."
        yield Operation("get", "watch", about, "watch", LIST_QUERY, EVENT_KEY)


def subresource(kind: Kind, name: str) -> Iterator[Operation]:
    """What can be asked of a subresource."""
    key = SUBRESOURCE_KEYS.get(name, kind.type_key)
    of = PROXY_KINDS.get(kind.plural) if name == "proxy" else SUBRESOURCE_KINDS.get(name)
    suffix, query = name.title(), STREAM_QUERY.get(name, ())
    if name == "proxy":
        query = (f"proxy.{kind.plural}.path",)
    for method in SUBRESOURCE_METHODS.get(name, ()):
        about = f"{name} of the specified {kind.kind}"
        if name == "log":
            yield Operation(method, "get", f"read {about}", "read", query, "", suffix=suffix)
        elif name in STREAM_QUERY:
            about = f"connect {method.upper()} requests to {name} of {kind.kind}"
            verb = f"connect {method.title()}"
            yield Operation(method, "connect", about, verb, query, "", suffix=suffix, of=of, indented=False)
        elif method == "get":
            yield Operation(method, "get", f"read {about}", "read", (), key, suffix=suffix, of=of)
        elif method == "patch":
            about = f"partially update {about}"
            yield Operation(method, "patch", about, "patch", PATCH_QUERY, key, PATCH_BODY, (OK, CREATED), suffix, of)
        elif method == "post":
            about, codes = f"create {name} of {_article(kind)}", (OK, CREATED, ACCEPTED)
            yield Operation(method, method, about, "create", WRITE_QUERY, key, key, codes, suffix, of)
        else:
            about = f"replace {about}"
            yield Operation(method, method, about, "replace", WRITE_QUERY, key, key, (OK, CREATED), suffix, of)


def types_of(kind: Kind) -> set[str]:
    """The type keys that the resource's paths speak of."""
    operations = [*collection(kind), *single(kind), *watching(kind, False)]
    for name in kind.subresources:
        operations += subresource(kind, name)
    return {key for op in operations for key in (op.answer, op.body) if key and key != PATCH_BODY}
