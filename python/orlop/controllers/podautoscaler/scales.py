"""The target's scale subresource, of any kind that has one."""

from typing import NamedTuple

import msgspec

from orlop.api import errors, scheme
from orlop.api.types import autoscaling_v1, autoscaling_v2, meta_v1
from orlop.client import Client
from orlop.client.decode import error_of


class Resource(NamedTuple):
    """Where objects of a kind are."""

    group: str
    version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{namespace}" if self.namespaced else ""
        return f"{root}{where}/{self.plural}/{name}"


class Scales:
    """Reads and writes scales."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def resource(self, ref: autoscaling_v2.CrossVersionObjectReference) -> Resource:
        """What the reference's kind is called. Raises ApiError if the server has none such."""
        version = ref.api_version or "v1"
        known = scheme.by_kind(version, ref.kind)
        if known is not None:
            return Resource(known.group, known.version, known.plural, known.namespaced)
        group, _, number = version.rpartition("/")
        root = f"/apis/{version}" if group else f"/api/{version}"
        response = await self._client.request("GET", root)
        if response.status not in (200, 404):
            raise error_of(response)
        served = msgspec.json.decode(response.body, type=meta_v1.APIResourceList) if response.status == 200 else None
        for resource in served.resources if served is not None else ():
            if resource.kind == ref.kind and "/" not in resource.name:
                return Resource(group, number, resource.name, resource.namespaced)
        raise errors.NotFound(f'no matches for kind "{ref.kind}" in group "{group}"')

    async def get(self, resource: Resource, namespace: str, name: str) -> autoscaling_v1.Scale:
        """The scale as it is. Raises ApiError."""
        response = await self._client.request("GET", f"{resource.path(namespace, name)}/scale")
        if response.status != 200:
            raise error_of(response)
        return msgspec.json.decode(response.body, type=autoscaling_v1.Scale)

    async def put(self, resource: Resource, scale: autoscaling_v1.Scale) -> None:
        """Writes the scale. Raises ApiError, Conflict among them."""
        path = f"{resource.path(scale.metadata.namespace, scale.metadata.name)}/scale"
        body = msgspec.json.encode(scale)
        response = await self._client.request("PUT", path, body=body, headers={"content-type": "application/json"})
        if response.status != 200:
            raise error_of(response)
