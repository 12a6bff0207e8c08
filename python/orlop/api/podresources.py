"""What a pod asks for altogether: k8s.io/component-helpers/resource, PodRequests and PodLimits (KEP-753, KEP-2837)."""

from collections.abc import Mapping

from orlop.api import amounts
from orlop.api.amounts import Amounts
from orlop.api.types import core_v1


def pod_requests(pod: core_v1.Pod) -> Amounts:
    """Containers and sidecars together, or the step of initialisation that needs more; and the overhead.

    While a container is being resized it counts with the greater of what it has and what it is to have.
    """
    statuses = {s.name: s for s in (*pod.status.container_statuses, *pod.status.init_container_statuses)}

    def of(container: core_v1.Container) -> Amounts:
        asked = amounts.parsed(container.resources.requests)
        status = statuses.get(container.name)
        if status is None:
            return asked
        actual = status.resources.requests if status.resources is not None else {}
        for has in (actual, status.allocated_resources):
            known = {name: amount for name, amount in amounts.parsed(has).items() if name in asked}
            asked = amounts.largest(asked, known)
        return asked

    spec = pod.spec
    own = spec.resources.requests if spec.resources is not None else {}
    return _whole(spec, {c.name: of(c) for c in (*spec.containers, *spec.init_containers)}, own, spec.overhead)


def pod_limits(pod: core_v1.Pod) -> Amounts:
    """The same of limits; overhead counts only for what has a limit."""
    spec = pod.spec
    each = {c.name: amounts.parsed(c.resources.limits) for c in (*spec.containers, *spec.init_containers)}
    own = spec.resources.limits if spec.resources is not None else {}
    bare = _whole(spec, each, own, {})
    return amounts.add(bare, {n: a for n, a in amounts.parsed(spec.overhead).items() if n in bare})


def _whole(
    spec: core_v1.PodSpec, each: Mapping[str, Amounts], own: Mapping[str, str], overhead: Mapping[str, str]
) -> Amounts:
    running = amounts.total(each[c.name] for c in spec.containers)
    sidecars: Amounts = {}
    peak: Amounts = {}
    for container in spec.init_containers:
        if container.restart_policy == "Always":
            sidecars = amounts.add(sidecars, each[container.name])
            peak = amounts.largest(peak, sidecars)
        else:
            peak = amounts.largest(peak, amounts.add(sidecars, each[container.name]))
    result = amounts.largest(amounts.add(running, sidecars), peak)
    result.update(amounts.parsed(own))
    return amounts.add(result, amounts.parsed(overhead))
