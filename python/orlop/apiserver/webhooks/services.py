"""From a Service to one of the addresses behind it, without the service network.

kube-aggregator's ResolveEndpoint (pkg/util/proxy): by port number, ready endpoints alone, one of them by chance.
"""

from typing import TYPE_CHECKING

from orlop.api import errors, scheme
from orlop.api.types import core_v1, discovery_v1

if TYPE_CHECKING:
    from orlop.apiserver.registry.objects import Objects

_SERVICE = scheme.by_resource("", "v1", "services")
_SLICE = scheme.by_resource("discovery.k8s.io", "v1", "endpointslices")


def service_port(
    objects: "Objects", namespace: str, name: str, port: int
) -> tuple[core_v1.Service, core_v1.ServicePort]:
    """A Service and its port. Raises NotFound, ServiceUnavailable."""
    assert _SERVICE is not None
    service: core_v1.Service | None = objects.get(_SERVICE, namespace, name)
    if service is None:
        raise errors.not_found("service", "", name)  # the word of upstream's listers
    for found in service.spec.ports:
        if found.port == port:
            return service, found
    raise errors.ServiceUnavailable(f'no service port {port} found for service "{name}"')


def has_slices(objects: "Objects", namespace: str, name: str) -> bool:
    """Whether any EndpointSlice is a Service's."""
    assert _SLICE is not None
    selector = f"kubernetes.io/service-name={name}"
    return bool(objects.hub.list(_SLICE.resource, namespace, selector, "", 1, None).items)


def addresses(objects: "Objects", namespace: str, name: str, port: core_v1.ServicePort) -> list[tuple[str, int]]:
    """Where a Service's ready endpoints listen for one of its ports."""
    assert _SLICE is not None
    selector = f"kubernetes.io/service-name={name}"
    ready: list[tuple[str, int]] = []
    for item in objects.hub.list(_SLICE.resource, namespace, selector, "", 0, None).items:
        endpoints: discovery_v1.EndpointSlice = objects.decode(_SLICE, item)
        numbers = [p.port for p in endpoints.ports if (p.name or "") == port.name and p.port]
        for endpoint in endpoints.endpoints:
            if endpoint.conditions.ready is not False and numbers and numbers[0]:
                ready += [(address, numbers[0]) for address in endpoint.addresses]
    return ready


def resolve(objects: "Objects", namespace: str, name: str, port: int) -> tuple[str, int]:
    """Host and port of one endpoint. Raises NotFound, ServiceUnavailable."""
    service, found = service_port(objects, namespace, name, port)
    if service.spec.type == "ExternalName":
        return service.spec.external_name, port
    ready = addresses(objects, namespace, name, found)
    if not ready:
        raise errors.ServiceUnavailable(f'no endpoints available for service "{name}"')
    return objects.clock.random.choice(ready)
