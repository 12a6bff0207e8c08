"""The paths of OpenAPI: what can be asked of each resource, said once and written in either dialect."""

from collections.abc import Iterable, Iterator
from typing import Any

from orlop.api.scheme import Kind
from orlop.apiserver import openapi_operations as ops
from orlop.apiserver.openapi_operations import OPTIONS_KEY, PATCH_BODY, Operation
from orlop.apiserver.openapi_schemas import PATCH, Dialect, words

JSON = "application/json"
PRODUCES = [JSON, "application/yaml", "application/vnd.kubernetes.protobuf"]
WATCH_PRODUCES = [*PRODUCES, "application/json;stream=watch", "application/vnd.kubernetes.protobuf;stream=watch"]
LOG_PRODUCES = ["text/plain", *PRODUCES]
PATCHES = [
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
]
ANY = "*/*"
BOOLEANS = frozenset(
    (
        *("allowWatchBookmarks", "follow", "force", "ignoreStoreReadErrorWithClusterBreakingPotential"),
        *("insecureSkipTLSVerifyBackend", "orphanDependents", "previous", "sendInitialEvents", "stderr", "stdin"),
        *("stdout", "timestamps", "tty", "watch"),
    )
)
INTEGERS = frozenset(
    ("gracePeriodSeconds", "limit", "limitBytes", "ports", "sinceSeconds", "tailLines", "timeoutSeconds")
)
"""Parameters that are no strings."""


def camel(group: str) -> str:
    """A group's name in identifiers: `rbac.authorization.k8s.io` → `RbacAuthorization`."""
    return "".join(part.title() for part in (group or "core").removesuffix(".k8s.io").split("."))


def tag(group: str, version: str = "") -> str:
    """What operations of a group, or of a version of it, are marked with."""
    name = camel(group)
    return f"{name[0].lower()}{name[1:]}{f'_{version}' if version else ''}"


class Paths:
    """Writes the paths of kinds in one dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect

    def of(self, kind: Kind) -> dict[str, Any]:
        """Path → what can be asked there."""
        return {path: item for path, item in self._of(kind) if item is not None}

    def _of(self, kind: Kind) -> Iterator[tuple[str, dict[str, Any] | None]]:
        space = "{namespace}" if kind.namespaced else None
        listed = "list" in kind.verbs
        if kind.namespaced and listed:
            yield kind.path(), self._item(kind, ops.everywhere(kind))
            yield _watch(kind, kind.path()), self._item(kind, ops.watching(kind, True, "ForAllNamespaces"))
        places: list[tuple[str, bool, bool, Iterable[Operation]]] = [
            (kind.path(space), kind.namespaced, False, ops.collection(kind)),
            (kind.path(space, "{name}"), kind.namespaced, True, ops.single(kind)),
            (_watch(kind, kind.path(space)), kind.namespaced, False, ops.watching(kind, True)),
            (_watch(kind, kind.path(space, "{name}")), kind.namespaced, True, ops.watching(kind, False)),
        ]
        for path, spaced, named, operations in places:
            yield path, self._item(kind, operations, spaced, named)
        for name in kind.subresources:
            path = kind.path(space, "{name}", name)
            operations = list(ops.subresource(kind, name))
            yield path, self._item(kind, operations, kind.namespaced, True)
            if name == "proxy":
                yield f"{path}/{{path}}", self._item(kind, operations, kind.namespaced, True, "WithPath")

    def simple(self, about: str, name: str, marked: str, answer: str, media: list[str]) -> dict[str, Any]:
        """A path that is only read, its operationId and tag; `answer` is a type key, or "" for text."""
        operation = Operation("get", "", about, name, (), answer)
        said = self._said(operation, media)
        if not self.dialect.v3:
            del said["consumes"]
            if answer or marked == "version":
                said["consumes"] = media
        return {"get": {"operationId": name, "tags": [marked], **said}}

    def _item(
        self, kind: Kind, operations: Iterable[Operation], spaced: bool = False, named: bool = False, behind: str = ""
    ) -> dict[str, Any] | None:
        every = list(operations)
        if not every:
            return None
        common = set.intersection(*(set(op.query) for op in every))
        item: dict[str, Any] = {op.method: self._operation(kind, op, spaced, common, behind) for op in every}
        parameters = [self._query(name) for name in common]
        if every[0].indented:
            parameters.append(self._query("pretty"))
        if named:
            shown = (every[0].of or (kind.group, kind.version, kind.kind))[2]
            parameters.append(self._path_parameter("name", f"name of the {shown}"))
        if spaced:
            parameters.append(self._path_parameter("namespace", words()["?namespace"]))
        if behind:
            parameters.append(self._path_parameter("path", words()["?path"]))
        item["parameters"] = sorted(parameters, key=lambda said: (said["name"], said["in"]))
        return item

    def _operation(self, kind: Kind, op: Operation, spaced: bool, common: set[str], behind: str) -> dict[str, Any]:
        verb, _, more = op.name.partition(" ")
        scope, place = "Namespaced" if spaced else "", f"{camel(kind.group)}{kind.version.title()}"
        group, version, name = op.of or (kind.group, kind.version, kind.kind)
        produces = PRODUCES if op.answer else LOG_PRODUCES
        if op.action in ("list", "watch", "watchlist"):
            produces = WATCH_PRODUCES
        elif op.action == "connect":
            produces = [ANY]
        out: dict[str, Any] = {
            "operationId": f"{verb}{place}{more}{scope}{kind.kind}{op.suffix}{behind}",
            "tags": [tag(kind.group, kind.version)],
            "x-kubernetes-action": op.action,
            "x-kubernetes-group-version-kind": {"group": group, "kind": name, "version": version},
        }
        parameters = [self._query(name) for name in op.query if name not in common]
        said = self._said(op, produces)
        if body := said.pop("body", None):
            parameters.insert(0, body)
        if parameters:
            out["parameters"] = parameters
        return out | said

    def _said(self, op: Operation, produces: list[str]) -> dict[str, Any]:
        """What an operation takes and answers; in v2 the body is a parameter."""
        answer = self.dialect.ref(op.answer) if op.answer else {"type": "string"}
        consumes = PATCHES if op.body == PATCH_BODY else [ANY]
        body: dict[str, Any] = {}
        if op.body:
            body = {"$ref": self.dialect.prefix + PATCH} if op.body == PATCH_BODY else self.dialect.ref(op.body)
        required = {} if op.body == OPTIONS_KEY else {"required": True}
        out: dict[str, Any] = {"description": op.about}
        if self.dialect.v3:
            content = {media: {"schema": answer} for media in produces}
            out["responses"] = {code: {"description": text, "content": content} for code, text in op.codes}
            if body:
                out["requestBody"] = {"content": {media: {"schema": body} for media in consumes}} | required
        else:
            out |= {"consumes": consumes, "produces": produces, "schemes": ["https"]}
            out["responses"] = {code: {"description": text, "schema": answer} for code, text in op.codes}
            if body:
                out["body"] = {"in": "body", "name": "body", "schema": body} | required
        out["responses"]["401"] = {"description": "Unauthorized"}
        return out

    def _query(self, key: str) -> dict[str, Any]:
        name = key.rpartition(".")[2]
        type_ = "boolean" if name in BOOLEANS else "integer" if name in INTEGERS else "string"
        return self._parameter(name, "query", type_, words()[f"?{key}"])

    def _path_parameter(self, name: str, about: str) -> dict[str, Any]:
        return self._parameter(name, "path", "string", about) | {"required": True}

    def _parameter(self, name: str, where: str, type_: str, about: str) -> dict[str, Any]:
        said = {"description": about, "in": where, "name": name}
        schema = {"type": type_, "uniqueItems": True}
        return said | ({"schema": schema} if self.dialect.v3 else schema)


def _watch(kind: Kind, path: str) -> str:
    """The path that watches what another reads."""
    head = f"/apis/{kind.group}/{kind.version}" if kind.group else f"/api/{kind.version}"
    return f"{head}/watch{path.removeprefix(head)}"
