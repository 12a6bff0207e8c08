"""The schemas of a server's kinds, as its OpenAPI says: whole, without references.

As k8s.io/apiserver's pkg/cel/openapi/resolver, and WithTypeAndObjectMeta of pkg/cel/common.
"""

from typing import Any

import msgspec

from orlop.client.client import Client
from orlop.client.decode import error_of
from orlop.tasks import in_thread

_REFERENCE = "#/components/schemas/"
_GVK = "x-kubernetes-group-version-kind"
_KEPT = (
    "type",
    "format",
    "required",
    "enum",
    "default",
    "maxLength",
    "maxItems",
    "maxProperties",
    "x-kubernetes-int-or-string",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-embedded-resource",
)
"""What of a schema says of what type its values are."""
_TEXT = {"type": "string"}

Schema = dict[str, Any]


class Schemas:
    """Asked for once a group version."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._documents: dict[str, dict[str, Schema]] = {}

    async def of(self, api_version: str, kind: str) -> bytes | None:
        """The schema of a kind as JSON, as far as it says of what type values are; None where there is none."""
        if api_version not in self._documents:
            self._documents[api_version] = await self._read(api_version)
        schemas = self._documents[api_version]
        group, _, version = api_version.rpartition("/")
        wanted = {"group": group, "version": version, "kind": kind}
        name = next((n for n, schema in schemas.items() if wanted in schema.get(_GVK, ())), None)
        return None if name is None else await in_thread(None, _whole, schemas, name)

    async def _read(self, api_version: str) -> dict[str, Schema]:
        path = f"/openapi/v3/{'apis' if '/' in api_version else 'api'}/{api_version}"
        response = await self._client.request("GET", path, headers={"accept": "application/json"})
        if response.status == 404:
            return {}
        if response.status >= 400:
            raise error_of(response)
        document: dict[str, Any] = await in_thread(None, msgspec.json.decode, response.body)
        found: dict[str, Schema] = document.get("components", {}).get("schemas", {})
        return found


def _whole(schemas: dict[str, Schema], name: str) -> bytes:
    return msgspec.json.encode(_with_metadata(_resolved(schemas, schemas[name], (name,))))


def _resolved(schemas: dict[str, Schema], schema: Schema, within: tuple[str, ...]) -> Schema:
    """A schema with what it refers to in its place; what refers to what it is in is any object."""
    name = _reference(schema)
    if name is not None:
        if name in within or name not in schemas:
            return {"type": "object"}
        schema, within = schemas[name], (*within, name)
    out = {key: schema[key] for key in _KEPT if key in schema}
    # Built-in types have the format, and quantities alternatives without a type: they may be either.
    if out.get("format") == "int-or-string" or ("oneOf" in schema and "type" not in schema):
        out["x-kubernetes-int-or-string"] = True
    if "properties" in schema:
        out["properties"] = {key: _resolved(schemas, one, within) for key, one in schema["properties"].items()}
    if "items" in schema:
        out["items"] = _resolved(schemas, schema["items"], within)
    more = schema.get("additionalProperties")
    if more is not None:
        out["additionalProperties"] = _resolved(schemas, more, within) if isinstance(more, dict) else more
    return out


def _reference(schema: Schema) -> str | None:
    """What a schema refers to, which may be wrapped in allOf for the sake of a description."""
    if "$ref" in schema:
        return str(schema["$ref"]).removeprefix(_REFERENCE)
    return next((name for one in schema.get("allOf", ()) if (name := _reference(one)) is not None), None)


def _with_metadata(schema: Schema) -> Schema:
    """Names can be spoken of whatever a schema says."""
    fields = schema.get("properties", {})
    own = fields.get("metadata", {}).get("properties", {})
    known = (fields.get("kind"), fields.get("apiVersion"), own.get("name"), own.get("generateName"))
    if all(one is not None and one.get("type") == "string" for one in known):
        return schema
    metadata = {"type": "object", "properties": {"name": _TEXT, "generateName": _TEXT}}
    return {**schema, "properties": {**fields, "kind": _TEXT, "apiVersion": _TEXT, "metadata": metadata}}
