"""What a server serves, as it says itself: for controllers that deal with every kind."""

from orlop.api import scheme
from orlop.api.scheme import Kind
from orlop.api.types import apidiscovery_v2
from orlop.client.client import Client
from orlop.client.decode import decode, error_of

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


async def kinds(client: Client) -> tuple[list[Kind], list[str]]:
    """A row for each kind, in the preferred version of its group, and the group versions that could not be asked.

    A group version whose aggregated server does not answer is stale: what it serves is not known.
    """
    rows: list[Kind] = []
    stale: list[str] = []
    for group in await _groups(client):
        seen: set[str] = set()
        for version in group.versions:
            if version.freshness == "Stale":
                stale.append(f"{group.metadata.name}/{version.version}")
            for resource in version.resources:
                if resource.resource not in seen:  # versions come in order of preference
                    seen.add(resource.resource)
                    rows.append(_row(group.metadata.name, version.version, resource))
    return rows, stale


async def resources(client: Client) -> dict[tuple[str, str, str], str]:
    """The kind of each resource in each version, by group, version and plural."""
    return {
        (group.metadata.name, version.version, resource.resource): resource.response_kind.kind
        for group in await _groups(client)
        for version in group.versions
        for resource in version.resources
        if resource.response_kind is not None
    }


async def _groups(client: Client) -> list[apidiscovery_v2.APIGroupDiscovery]:
    found: list[apidiscovery_v2.APIGroupDiscovery] = []
    for path in ("/api", "/apis"):
        response = await client.request("GET", path, headers={"accept": AGGREGATED})
        if response.status >= 400:
            raise error_of(response)
        found += decode(apidiscovery_v2.APIGroupDiscoveryList, response.body).items
    return found


def _row(group: str, version: str, resource: apidiscovery_v2.APIResourceDiscovery) -> Kind:
    known = scheme.by_resource(group, version, resource.resource)
    if known is not None:
        return known
    return Kind(
        group=group,
        version=version,
        kind=resource.response_kind.kind if resource.response_kind is not None else "",
        plural=resource.resource,
        folder="",
        namespaced=resource.scope == "Namespaced",
        verbs=tuple(resource.verbs),
    )
