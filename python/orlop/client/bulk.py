"""Many bindings in one request, where the server offers it: bulk.orlop.dev, an extension of the API."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from orlop.api import errors
from orlop.api.types import meta_v1
from orlop.client.client import Client
from orlop.client.decode import decode, encode, error_of

GROUP_VERSION = "bulk.orlop.dev/v1alpha1"
PATH = f"/apis/{GROUP_VERSION}/bindings"
MAX_BINDINGS = 500
"""What a server takes in one request."""


class Assignment(NamedTuple):
    """A pod and the node that it is to run on."""

    namespace: str
    pod: str
    uid: str
    """Of the pod that is meant; "" for whichever has the name."""
    node: str


class _Answer(msgspec.Struct):
    items: list[meta_v1.Status]


async def offered(client: Client) -> bool:
    """Whether the server takes bindings in bulk. Raises Unreachable, and ApiError where it cannot say."""
    answer = await client.request("GET", f"/apis/{GROUP_VERSION}")
    if answer.status in (403, 404):
        return False
    if answer.status >= 400:
        raise error_of(answer)
    listed = decode(meta_v1.APIResourceList, answer.body).resources
    return any(one.name == "bindings" and "create" in one.verbs for one in listed)


async def bind(client: Client, assignments: Sequence[Assignment]) -> list[errors.ApiError | None]:
    """Assigns pods to nodes, at most MAX_BINDINGS; what hindered each, None where it is bound.

    Raises ApiError where the request as a whole is refused: then, as far as is known, nothing is bound.
    """
    items = [
        {
            "metadata": {"namespace": one.namespace, "name": one.pod, **({"uid": one.uid} if one.uid else {})},
            "target": {"apiVersion": "v1", "kind": "Node", "name": one.node},
        }
        for one in assignments
    ]
    body = encode({"apiVersion": GROUP_VERSION, "kind": "BindingList", "items": items})
    answer = await client.request("POST", PATH, body=body)
    if answer.status >= 400:
        raise error_of(answer)
    found = decode(_Answer, answer.body).items
    if len(found) != len(assignments):
        why = f"{len(assignments)} bindings were sent and {len(found)} answered"
        raise errors.InternalError(why)
    return [None if status.status == "Success" else errors.from_status(status) for status in found]
