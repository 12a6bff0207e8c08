"""The paths of OpenAPI: what can be asked of each resource, said once and written in either dialect."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from orlop.api.scheme import Kind
from orlop.apiserver.discovery import SUBRESOURCE_KINDS
from orlop.apiserver.openapi_schemas import PATCH, Dialect

JSON = "application/json"
PRODUCES = [JSON, "application/yaml", "application/vnd.kubernetes.protobuf"]
WATCH_PRODUCES = [*PRODUCES, "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"]
PATCHES = ["application/json-patch+json", "application/merge-patch+json", "application/strategic-merge-patch+json"]
ANY = "*/*"

STATUS_KEY = "meta/v1.Status"
OPTIONS_KEY = "meta/v1.DeleteOptions"

SUBRESOURCE_KEYS = {
    "scale": "autoscaling/v1.Scale",
    "binding": "core/v1.Binding",
    "eviction": "policy/v1.Eviction",
    "token": "authentication/v1.TokenRequest",
}
"""Subresources whose bodies are of another type than the resource's."""

SUBRESOURCE_METHODS: dict[str, tuple[str, ...]] = {
    "status": ("get", "patch", "put"),
    "scale": ("get", "patch", "put"),
    "ephemeralcontainers": ("get", "patch", "put"),
    "finalize": ("put",),
    "binding": ("post",),
    "eviction": ("post",),
    "token": ("post",),
    "log": ("get",),
    "exec": ("get", "post"),
    "attach": ("get", "post"),
    "portforward": ("get", "post"),
}

QUERY: dict[str, tuple[str, str]] = {
    "pretty": ("string", "If 'true', the output is indented."),
    "dryRun": ("string", "With 'All' every stage runs and nothing is stored."),
    "fieldManager": ("string", "Who makes the change: at most 128 printable characters."),
    "fieldValidation": (
        "string",
        "What becomes of unknown and duplicate fields: Ignore drops them, Warn drops them with a warning (the default),"
        " Strict refuses the request.",
    ),
    "force": ("boolean", "Take over fields that others own. Only for apply."),
    "allowWatchBookmarks": ("boolean", "Ask a watch for bookmarks."),
    "continue": ("string", "The token of the next page, from the last one."),
    "fieldSelector": ("string", "Only objects whose fields are so."),
    "labelSelector": ("string", "Only objects whose labels are so."),
    "limit": ("integer", "The most objects that one answer holds."),
    "resourceVersion": ("string", "How new the answer must be."),
    "resourceVersionMatch": ("string", "How resourceVersion is meant: Exact or NotOlderThan."),
    "sendInitialEvents": ("boolean", "Begin a watch with what there is."),
    "timeoutSeconds": ("integer", "When a list or watch ends at the latest."),
    "watch": ("boolean", "Follow changes instead of listing."),
    "gracePeriodSeconds": ("integer", "How long the object may take to end."),
    "orphanDependents": ("boolean", "Deprecated: use propagationPolicy."),
    "propagationPolicy": ("string", "What becomes of dependents: Orphan, Background or Foreground."),
}
LIST_QUERY = (
    *("allowWatchBookmarks", "continue", "fieldSelector", "labelSelector", "limit", "resourceVersion"),
    *("resourceVersionMatch", "sendInitialEvents", "timeoutSeconds", "watch"),
)
WRITE_QUERY = ("dryRun", "fieldManager", "fieldValidation")
DELETE_QUERY = ("dryRun", "gracePeriodSeconds", "orphanDependents", "propagationPolicy")


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
    """The body's type key, or `patch`."""
    codes: tuple[tuple[str, str], ...] = (("200", "OK"),)


OK = ("200", "OK")
CREATED = ("201", "Created")
ACCEPTED = ("202", "Accepted")


def collection(kind: Kind) -> Iterator[Operation]:
    """What can be asked of a collection."""
    key, name = kind.type_key, kind.kind
    if "list" in kind.verbs:
        yield Operation("get", "list", f"list or watch objects of kind {name}", "list", LIST_QUERY, key + "List")
    if "create" in kind.verbs:
        codes = (OK, CREATED, ACCEPTED)
        yield Operation("post", "post", f"create a {name}", "create", WRITE_QUERY, key, key, codes)
    if "deletecollection" in kind.verbs:
        query = tuple(sorted({*LIST_QUERY, *DELETE_QUERY} - {"watch", "allowWatchBookmarks"}))
        about = f"delete collection of {name}"
        yield Operation("delete", "deletecollection", about, "delete Collection", query, STATUS_KEY, OPTIONS_KEY)


def single(kind: Kind) -> Iterator[Operation]:
    """What can be asked of one object."""
    key, name = kind.type_key, kind.kind
    if "get" in kind.verbs:
        yield Operation("get", "get", f"read the specified {name}", "read", (), key)
    if "update" in kind.verbs:
        yield Operation("put", "put", f"replace the specified {name}", "replace", WRITE_QUERY, key, key, (OK, CREATED))
    if "patch" in kind.verbs:
        about = f"partially update the specified {name}"
        yield Operation("patch", "patch", about, "patch", (*WRITE_QUERY, "force"), key, "patch", (OK, CREATED))
    if "delete" in kind.verbs:
        yield Operation(
            "delete", "delete", f"delete a {name}", "delete", DELETE_QUERY, STATUS_KEY, OPTIONS_KEY, (OK, ACCEPTED)
        )


def subresource(kind: Kind, name: str) -> Iterator[Operation]:
    """What can be asked of a subresource."""
    key = SUBRESOURCE_KEYS.get(name, kind.type_key)
    streams = name in ("log", "exec", "attach", "portforward")
    for method in SUBRESOURCE_METHODS.get(name, ()):
        about = f"{method} {name} of the specified {kind.kind}"
        if streams:
            action, verb = ("get", "read") if name == "log" else ("connect", f"connect {method.title()}")
            yield Operation(method, action, about, verb, (), "")
        elif method == "get":
            yield Operation(method, "get", about, "read", (), key)
        elif method == "patch":
            yield Operation(method, "patch", about, "patch", (*WRITE_QUERY, "force"), key, "patch", (OK, CREATED))
        else:
            verb = "create" if method == "post" else "replace"
            yield Operation(method, method, about, verb, WRITE_QUERY, key, key, (OK, CREATED))


def types_of(kind: Kind) -> set[str]:
    """The type keys that the resource's paths speak of."""
    operations = [*collection(kind), *single(kind)]
    for name in kind.subresources:
        operations += subresource(kind, name)
    return {key for op in operations for key in (op.answer, op.body) if key and key != "patch"}


class Paths:
    """Writes the paths of kinds in one dialect."""

    patches: ClassVar[list[str]] = PATCHES
    produces: ClassVar[list[str]] = PRODUCES
    watch_produces: ClassVar[list[str]] = WATCH_PRODUCES

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def of(self, kind: Kind) -> dict[str, Any]:
        """Path → what can be asked there."""
        out: dict[str, Any] = {}
        spaces = ["{namespace}"] if kind.namespaced else [None]
        if kind.namespaced and "list" in kind.verbs:
            everywhere = [op for op in collection(kind) if op.action == "list"]
            out[kind.path()] = self._item(kind, everywhere, False, False, "ForAllNamespaces")
        for space in spaces:
            if operations := list(collection(kind)):
                out[kind.path(space)] = self._item(kind, operations, bool(space), False)
            if operations := list(single(kind)):
                out[kind.path(space, "{name}")] = self._item(kind, operations, bool(space), True)
            for name in kind.subresources:
                if operations := list(subresource(kind, name)):
                    path = kind.path(space, "{name}", name)
                    out[path] = self._item(kind, operations, bool(space), True, name.title())
        return out

    def _item(self, kind: Kind, operations: list[Operation], spaced: bool, named: bool, suffix: str = "") -> Any:
        item: dict[str, Any] = {op.method: self._operation(kind, op, spaced, suffix) for op in operations}
        parameters = [self._query("pretty")]
        if named:
            parameters.append(self._path_parameter("name", f"name of the {kind.kind}"))
        if spaced:
            parameters.append(self._path_parameter("namespace", "the namespace that the object is in"))
        item["parameters"] = parameters
        return item

    def _operation(self, kind: Kind, op: Operation, spaced: bool, suffix: str) -> dict[str, Any]:
        group = "".join(part.title() for part in (kind.group or "core").removesuffix(".k8s.io").split("."))
        verb, _, behind = op.name.partition(" ")
        scope = "Namespaced" if spaced else ""
        out: dict[str, Any] = {
            "description": op.about,
            "operationId": f"{verb}{group}{kind.version.title()}{behind}{scope}{kind.kind}{suffix}",
            "parameters": [self._query(name) for name in op.query],
            "tags": [f"{kind.folder}_{kind.version}"],
            "x-kubernetes-action": op.action,
            "x-kubernetes-group-version-kind": self._gvk(kind, suffix),
        }
        answer = self.dialect.ref(op.answer) if op.answer else {"type": "string"}
        produces = self.watch_produces if op.action == "list" else self.produces if op.answer else ["text/plain"]
        consumes = self.patches if op.body == "patch" else [ANY]
        body: dict[str, Any] | None = None
        if op.body:
            named = {"$ref": self.dialect.prefix + PATCH} if op.body == "patch" else self.dialect.ref(op.body)
            body = named
        required = op.body != OPTIONS_KEY
        if self.dialect.v3:
            content = {media: {"schema": answer} for media in produces}
            out["responses"] = {code: {"description": text, "content": content} for code, text in op.codes}
            if body is not None:
                out["requestBody"] = {"content": {media: {"schema": body} for media in consumes}}
                if required:
                    out["requestBody"]["required"] = True
        else:
            out |= {"consumes": consumes, "produces": produces, "schemes": ["https"]}
            out["responses"] = {code: {"description": text, "schema": answer} for code, text in op.codes}
            if body is not None:
                parameter = {"in": "body", "name": "body", "schema": body}
                out["parameters"].insert(0, parameter | ({"required": True} if required else {}))
        out["responses"]["401"] = {"description": "Unauthorized"}
        return out

    @staticmethod
    def _gvk(kind: Kind, suffix: str) -> dict[str, str]:
        own = (kind.group, kind.version, kind.kind)
        group, version, name = SUBRESOURCE_KINDS.get(suffix.lower(), own)
        return {"group": group, "kind": name, "version": version}

    def _query(self, name: str) -> dict[str, Any]:
        type_, about = QUERY[name]
        where = {"description": about, "in": "query", "name": name}
        schema = {"type": type_, "uniqueItems": True}
        return where | ({"schema": schema} if self.dialect.v3 else schema)

    def _path_parameter(self, name: str, about: str) -> dict[str, Any]:
        where = {"description": about, "in": "path", "name": name, "required": True}
        schema = {"type": "string", "uniqueItems": True}
        return where | ({"schema": schema} if self.dialect.v3 else schema)
