"""Advice on pods that are valid but probably not meant so: pkg/api/pod/warnings.go."""

from orlop.api.quantity import parse
from orlop.api.types import core_v1

OLD_LABELS = {
    "beta.kubernetes.io/arch": ("v1.14", "kubernetes.io/arch"),
    "beta.kubernetes.io/os": ("v1.14", "kubernetes.io/os"),
    "failure-domain.beta.kubernetes.io/region": ("v1.17", "topology.kubernetes.io/region"),
    "failure-domain.beta.kubernetes.io/zone": ("v1.17", "topology.kubernetes.io/zone"),
    "beta.kubernetes.io/instance-type": ("v1.17", "node.kubernetes.io/instance-type"),
}
"""Node labels that have newer names: since when, and which."""
BYTES = ("memory", "ephemeral-storage")


def warnings(spec: core_v1.PodSpec, path: str) -> list[str]:
    """What a person should know of a pod's spec, in a pod or in a template."""
    found: list[str] = []
    for label in sorted(OLD_LABELS.keys() & spec.node_selector.keys()):
        since, new = OLD_LABELS[label]
        found.append(f'{path}.nodeSelector[{label}]: deprecated since {since}; use "{new}" instead')
    if (grace := spec.termination_grace_period_seconds) is not None and grace < 0:
        found.append(
            f"{path}.terminationGracePeriodSeconds: must be >= 0; negative values are invalid and will be treated as 1"
        )
    for json, containers in (("initContainers", spec.init_containers), ("containers", spec.containers)):
        for i, container in enumerate(containers):
            found += _container(container, f"{path}.{json}[{i}]")
    return found


def _container(container: core_v1.Container, path: str) -> list[str]:
    found: list[str] = []
    if len(container.env) > 1:
        seen: set[str] = set()
        for i, variable in enumerate(container.env):
            # A value that refers to the earlier one is meant.
            if variable.name in seen and f"$({variable.name})" not in variable.value:
                found.append(
                    f'{path}.env[{i}]: hides previous definition of "{variable.name}", which may be dropped when '
                    "using apply"
                )
            seen.add(variable.name)
    if len(container.ports) > 1:
        first: dict[tuple[int, int, str, str], int] = {}
        for i, port in enumerate(container.ports):
            key = (port.container_port, port.host_port, port.host_ip, port.protocol)
            if key in first:
                found.append(f"{path}.ports[{i}]: duplicate port definition with {path}.ports[{first[key]}]")
            first.setdefault(key, i)
    for json, amounts in (("limits", container.resources.limits), ("requests", container.resources.requests)):
        for name in BYTES:
            if name in amounts and amounts[name].endswith("m") and parse(amounts[name]) % 1:
                found.append(
                    f'{path}.resources.{json}[{name}]: fractional byte value "{amounts[name]}" is invalid, must be an '
                    "integer"
                )
    return found
