"""Manifests as people write them: files, folders, YAML text or dictionaries."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from orlop.api import errors, scheme
from orlop.client.client import Client
from orlop.client.decode import error_of

Manifest = str | Path | Mapping[str, Any] | Iterable[Mapping[str, Any]]
"""A path of a file or folder, or objects themselves."""

SUFFIXES = (".yaml", ".yml", ".json")


class ManifestError(ValueError):
    """What was given is no manifest of a kind that is served."""


def documents(source: Manifest) -> list[dict[str, Any]]:
    """The objects in `source`, Lists opened. Raises ManifestError, FileNotFoundError."""
    found: list[Any] = []
    if isinstance(source, str | Path):
        path = Path(source)
        files = sorted(f for f in path.iterdir() if f.suffix in SUFFIXES) if path.is_dir() else [path]
        for file in files:
            try:
                found += [d for d in yaml.safe_load_all(file.read_text(encoding="utf-8")) if d is not None]
            except yaml.YAMLError as error:
                raise ManifestError(f"error parsing {file}: {error}") from error
    elif isinstance(source, Mapping):
        found = [source]
    else:
        found = list(source)
    objects: list[dict[str, Any]] = []
    for document in found:
        if not isinstance(document, Mapping) or "kind" not in document or "apiVersion" not in document:
            raise ManifestError("Object 'Kind' is missing in a document: apiVersion and kind must be set")
        objects += document["items"] if document["kind"] == "List" else [dict(document)]
    return objects


async def apply(client: Client, source: Manifest, namespace: str = "default") -> list[dict[str, Any]]:
    """Creates what is not there and merges the rest into what is. Returns the objects as the server answered them.

    Raises ManifestError, and ApiError with the server's words.
    """
    return [await _apply_one(client, document, namespace) for document in documents(source)]


async def _apply_one(client: Client, document: dict[str, Any], namespace: str) -> dict[str, Any]:
    kind = scheme.by_kind(document["apiVersion"], document["kind"])
    if kind is None:
        raise ManifestError(f'no matches for kind "{document["kind"]}" in version "{document["apiVersion"]}"')
    metadata = document.get("metadata", {})
    where = metadata.get("namespace", namespace) if kind.namespaced else None
    name = metadata.get("name", "")
    body = {**document, "metadata": {**metadata, **({"namespace": where} if where else {})}}
    if name:
        # First as a change: a manifest may say only what is to be different.
        try:
            return await send(client, "PATCH", kind.path(where, name), body, "application/strategic-merge-patch+json")
        except errors.NotFound:
            pass
    return await send(client, "POST", kind.path(where), body)


async def send(
    client: Client, method: str, path: str, body: dict[str, Any], content_type: str = "application/json"
) -> dict[str, Any]:
    """One write of an untyped object. Returns the answer; raises ApiError."""
    answer = await client.request(method, path, body=msgspec.json.encode(body), headers={"content-type": content_type})
    if answer.status >= 400:
        raise error_of(answer)
    result: dict[str, Any] = msgspec.json.decode(answer.body)
    return result
