"""Objects that were exported, into a cluster that runs: through its API, so that all its rules hold.

Objects get new UIDs. References to owners are kept where the owner is imported too, or is there under the same name;
the others are dropped, since the garbage collector would delete what names an owner that does not exist. Who owns which
fields is kept, so that those who apply go on as before. Status is left to controllers unless it is asked for.
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import IO, Any, NamedTuple

import msgspec
import yaml

from orlop.api import errors, scheme
from orlop.api.scheme import Kind
from orlop.client.client import Client
from orlop.client.decode import error_of

SERVER_SET = (
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "selfLink",
    "managedFields",
)
"""Metadata that the server sets."""

FIRST = ("namespaces", "priorityclasses", "clusterroles", "roles", "serviceaccounts", "configmaps", "secrets")
"""Kinds that others need to be there before."""

MANAGER = "orlop-store-import"
"""The field manager, and the name of the client."""

ROUNDS = 10
"""How deep owners may stand above what they own."""

TRIES = 5
"""Writes of what goes with an object, when controllers change it at the same time."""

Object = dict[str, Any]


class Outcome(NamedTuple):
    """What became of one object: created, replaced, there (and left alone), or failed."""

    name: str
    what: str
    why: str = ""


def read(file: IO[str]) -> Iterator[Object]:
    """The objects in a file of JSON lines or of YAML documents; Lists are opened. Raises ValueError with the line."""
    text = file.read()
    documents: Iterable[Any]
    if text.lstrip().startswith("{") and "\n---" not in text:
        documents = _lines(text)
    else:
        documents = _documents(text)
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, dict) or "kind" not in document or "apiVersion" not in document:
            raise ValueError("a document is no object: apiVersion and kind must be set")
        yield from document["items"] if document["kind"] == "List" else [document]


def _lines(text: str) -> Iterator[Any]:
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                yield msgspec.json.decode(line)
            except msgspec.DecodeError as error:
                raise ValueError(f"line {number} is not JSON: {error}") from error


def _documents(text: str) -> Iterator[Any]:
    try:
        yield from yaml.load_all(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise ValueError(f"this is not YAML: {error}") from error


class Importer:
    """One import into one cluster."""

    def __init__(self, client: Client, *, replace: bool = False, dry_run: bool = False, status: bool = False) -> None:
        """`replace`: what is there under the same name is made as imported; without it, it is left alone. `status`:
        it is imported too."""
        self._client = client
        self._replace = replace
        self._status = status
        self._query = {"dryRun": "All"} if dry_run else None
        self._uids: dict[str, str] = {}
        """New UIDs by old."""

    async def run(self, objects: list[Object]) -> AsyncIterator[Outcome]:
        """Imports them, owners before what they own."""
        waiting = sorted(objects, key=_rank)
        for _ in range(ROUNDS):
            imported = {uid for obj in waiting if (uid := obj.get("metadata", {}).get("uid"))}
            ready = [obj for obj in waiting if not (_owners(obj) & imported)]
            if not ready:
                break
            waiting = [obj for obj in waiting if _owners(obj) & imported]
            for obj in ready:
                yield await self._one(obj)
        for obj in waiting:
            yield Outcome(_name(obj), "failed", "its owners own each other")

    async def _one(self, obj: Object) -> Outcome:
        name = _name(obj)
        kind = scheme.by_kind(str(obj["apiVersion"]), str(obj["kind"]))
        if kind is None:
            return Outcome(name, "failed", f'no matches for kind "{obj["kind"]}" in version "{obj["apiVersion"]}"')
        old = obj.get("metadata", {}).get("uid", "")
        try:
            body = await self._prepared(obj)
            what, stored = await self._write(kind, body)
            if what != "there" and self._query is None:
                if self._status and obj.get("status"):
                    await self._amend(kind, stored, "/status", {"status": obj["status"]})
                if owners := obj.get("metadata", {}).get("managedFields"):
                    await self._amend(kind, stored, "", {"managedFields": owners})
        except errors.ApiError as error:
            return Outcome(name, "failed", str(error))
        if old:
            self._uids[old] = stored.get("metadata", {}).get("uid", "")
        return Outcome(name, what)

    async def _write(self, kind: Kind, body: Object) -> tuple[str, Object]:
        metadata = body["metadata"]
        namespace = metadata.get("namespace") if kind.namespaced else None
        try:
            return "created", await self._send("POST", kind.path(namespace), body)
        except errors.AlreadyExists:
            path = kind.path(namespace, metadata["name"])
            there = await self._send("GET", path, None)
            if not self._replace:
                return "there", there
            metadata["resourceVersion"] = there["metadata"]["resourceVersion"]
            return "replaced", await self._send("PUT", path, body)

    async def _amend(self, kind: Kind, stored: Object, subresource: str, wanted: Object) -> None:
        """Sets what a create does not: the status, if the kind has that subresource, or who owns which fields."""
        path = kind.path(stored["metadata"].get("namespace") if kind.namespaced else None, stored["metadata"]["name"])
        for attempt in range(TRIES):
            there = await self._send("GET", path, None)
            metadata = there["metadata"]
            if "managedFields" in wanted:
                # Ours goes: nobody would give it up later. What others have written meanwhile stays.
                others = [e for e in metadata.get("managedFields") or () if e.get("manager") != MANAGER]
                given = [*wanted["managedFields"], *(e for e in others if e not in wanted["managedFields"])]
                there["metadata"] = {**metadata, "managedFields": given}
            else:
                there["status"] = wanted["status"]
            try:
                await self._send("PUT", path + subresource, there)
                return
            except errors.Conflict:
                if attempt == TRIES - 1:
                    raise
            except (errors.NotFound, errors.MethodNotSupported):
                if not subresource:
                    raise
                return  # a kind without one takes its status with the rest

    async def _prepared(self, obj: Object) -> Object:
        metadata = {k: v for k, v in obj.get("metadata", {}).items() if k not in SERVER_SET}
        if owners := metadata.pop("ownerReferences", None):
            kept = [owner for one in owners if (owner := await self._owner(one, metadata.get("namespace")))]
            if kept:
                metadata["ownerReferences"] = kept
        return {**{k: v for k, v in obj.items() if k != "status" or self._status}, "metadata": metadata}

    async def _owner(self, owner: Object, namespace: str | None) -> Object | None:
        """The reference to the same owner in this cluster, None if it is not here."""
        uid = self._uids.get(owner["uid"])
        if uid is None:
            kind = scheme.by_kind(owner["apiVersion"], owner["kind"])
            if kind is None:
                return None
            try:
                found = await self._send("GET", kind.path(namespace if kind.namespaced else None, owner["name"]), None)
            except errors.NotFound:
                return None
            uid = found["metadata"]["uid"]
        return {**owner, "uid": uid} if uid else None

    async def _send(self, method: str, path: str, body: Object | None) -> Object:
        query = self._query if body is not None else None
        data = msgspec.json.encode(body) if body is not None else b""
        answer = await self._client.request(method, path, query=query, body=data)
        if answer.status >= 400:
            raise error_of(answer)
        found: Object = msgspec.json.decode(answer.body)
        return found


def _owners(obj: Object) -> set[str]:
    return {owner.get("uid", "") for owner in obj.get("metadata", {}).get("ownerReferences") or ()}


def _rank(obj: Object) -> int:
    kind = scheme.by_kind(str(obj["apiVersion"]), str(obj["kind"]))
    return FIRST.index(kind.plural) if kind is not None and kind.plural in FIRST else len(FIRST)


def _name(obj: Object) -> str:
    metadata = obj.get("metadata", {})
    where = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{obj['kind']} {where}{metadata.get('name', '')}"
