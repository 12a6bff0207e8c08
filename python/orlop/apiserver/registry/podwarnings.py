"""Advice on pods that are valid but probably not meant so: pkg/api/pod/warnings.go."""

from collections.abc import Iterable
from typing import Any

from orlop.api.quantity import parse
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import meta as meta_rules, names, pathwarnings
from orlop.apiserver.registry.addresswarnings import address
from orlop.apiserver.registry.mounts import AnyContainer
from orlop.apiserver.registry.nodelabels import OLD_LABELS, newer
from orlop.apiserver.registry.podannotations import APP_ARMOR, SECCOMP_CONTAINER, SECCOMP_POD
from orlop.apiserver.registry.projected import TOKEN_PROJECTION
from orlop.apiserver.registry.scheduling import PREFERRED, REQUIRED
from orlop.apiserver.registry.windows import every

OLD_ANNOTATIONS = {
    "scheduler.alpha.kubernetes.io/critical-pod": ("v1.16", "priorityClassName"),
    "security.alpha.kubernetes.io/sysctls": ("v1.11", "sysctls"),
    "security.alpha.kubernetes.io/unsafe-sysctls": ("v1.11", "sysctls"),
}
"""Annotations that nothing reads any more: since when, and the field instead."""
OLD_VOLUMES = (
    ("photon_persistent_disk", "photonPersistentDisk", "deprecated in v1.11, non-functional in v1.16+"),
    ("git_repo", "gitRepo", "deprecated in v1.11, and disabled by default in v1.33+"),
    ("scale_io", "scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "storageOS", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "rbd", "deprecated in v1.28, non-functional in v1.31+"),
)
BYTES = ("memory", "ephemeral-storage")
NO_PODS = "a null labelSelector results in matching no pod"
SECCOMP_FIELD = 'non-functional in v1.27+; use the "seccompProfile" field instead'
APP_ARMOR_FIELD = 'deprecated since v1.30; use the "appArmorProfile" field instead'


def seen(new: Any, old: Any) -> bool:
    """Whether an update leaves the spec as it was, of which its writer has been told already."""
    return old is not None and bool(new.metadata.generation == old.metadata.generation)


def owner_name(metadata: meta_v1.ObjectMeta) -> list[str]:
    """Advice on the name of what makes pods: theirs begin with it."""
    if not (problems := names.label(metadata.name)):
        return []
    return [
        "metadata.name: this is used in Pod names and hostnames, which can result in surprising behavior; a DNS label "
        f"is recommended: [{' '.join(problems)}]"
    ]


def warnings(spec: core_v1.PodSpec, metadata: meta_v1.ObjectMeta, prefix: str = "") -> list[str]:
    """What a person should know of a pod, or with a prefix (`spec.template.`) of a template."""
    path = f"{prefix}spec"
    found: list[str] = []
    for label in sorted(OLD_LABELS.keys() & spec.node_selector.keys()):
        found.append(f"{path}.nodeSelector[{label}]: {newer(label)}")
    if spec.affinity is not None and spec.affinity.node_affinity is not None:
        found += _node_affinity(spec.affinity.node_affinity, f"{path}.affinity.nodeAffinity")
    for i, spread in enumerate(spec.topology_spread_constraints):
        where = f"{path}.topologySpreadConstraints[{i}]"
        if spread.topology_key in OLD_LABELS:
            found.append(f"{where}.topologyKey: {spread.topology_key} is {newer(spread.topology_key)}")
        if spread.label_selector is None:
            found.append(f"{where}.labelSelector: {NO_PODS}")
    if metadata.annotations:
        found += _annotations(metadata.annotations, f"{prefix}metadata.annotations")
    for i, volume in enumerate(spec.volumes):
        if volume.projected is None or volume.projected != TOKEN_PROJECTION:
            found += [f"{path}.volumes[{i}].{j}: {why}" for a, j, why in OLD_VOLUMES if getattr(volume, a) is not None]
        if volume.ephemeral is not None and (template := volume.ephemeral.volume_claim_template) is not None:
            found += claim(template.spec, f"{path}.volumes[{i}].ephemeral.volumeClaimTemplate.spec")
    if spec.volumes:
        found += pathwarnings.overlapping(spec.volumes)
    if len(spec.volumes) > 1:
        found += _token_paths(spec.volumes, f"{path}.volumes")
    found += _addresses(spec, path)
    if len(spec.image_pull_secrets) > 1:
        listed = [s.name for s in spec.image_pull_secrets]
        found += _again(listed, f"{path}.imagePullSecrets", "name")
    for i, secret in enumerate(spec.image_pull_secrets):
        if not secret.name:
            found.append(f'{path}.imagePullSecrets[{i}].name: invalid empty name ""')
    found += _fractions(spec.overhead, f"{path}.overhead")
    found += _containers(spec, metadata, path, template=bool(prefix))
    found += _ports(spec, path)
    if (grace := spec.termination_grace_period_seconds) is not None and grace < 0:
        words = "must be >= 0; negative values are invalid and will be treated as 1"
        found.append(f"{path}.terminationGracePeriodSeconds: {words}")
    if spec.affinity is not None:
        found += _pod_affinity(spec.affinity, f"{path}.affinity")
    return found


def claim(spec: core_v1.PersistentVolumeClaimSpec, path: str) -> list[str]:
    """What a person should know of a claim's spec, wherever it stands: parts of a byte."""
    return [
        f'{path}.resources.{json}[storage]: fractional byte value "{value}" is invalid, must be an integer'
        for json, amounts in (("requests", spec.resources.requests), ("limits", spec.resources.limits))
        if (value := amounts.get("storage")) is not None and parse(value) % 1
    ]


def _node_affinity(node: core_v1.NodeAffinity, path: str) -> list[str]:
    found: list[str] = []
    wanted = node.required_during_scheduling_ignored_during_execution
    if wanted is not None:
        for i, term in enumerate(wanted.node_selector_terms):
            found += _term(term, f"{path}.{REQUIRED}.nodeSelectorTerms[{i}]", values=False)
    for i, preferred in enumerate(node.preferred_during_scheduling_ignored_during_execution):
        found += _term(preferred.preference, f"{path}.{PREFERRED}[{i}].preference", values=True)
    return found


def _term(term: core_v1.NodeSelectorTerm, path: str, *, values: bool) -> list[str]:
    found: list[str] = []
    for i, expression in enumerate(term.match_expressions):
        where = f"{path}.matchExpressions[{i}]"
        if expression.key in OLD_LABELS:
            found.append(f"{where}.key: {expression.key} is {newer(expression.key)}")
        if values:
            for j, value in enumerate(expression.values):
                found += [f"{where}.values[{j}]: {value} is invalid, {m}" for m in meta_rules.value_errors(value)]
    return found


def _annotations(annotations: dict[str, str], path: str) -> list[str]:
    return [
        f'{path}[{key}]: non-functional in {since}+; use the "{field}" field instead'
        for key, (since, field) in OLD_ANNOTATIONS.items()
        if key in annotations
    ]


def _token_paths(volumes: list[core_v1.Volume], path: str) -> list[str]:
    """Files of other sources that lie where a token lies."""
    projected = [(i, v.projected) for i, v in enumerate(volumes) if v.projected is not None]
    tokens = {
        source.service_account_token.path
        for _, projection in projected
        for source in projection.sources
        if source.service_account_token is not None
    }
    if not tokens:
        return []
    found: list[str] = []
    for i, projection in projected:
        if projection == TOKEN_PROJECTION:
            continue
        where = f"{path}[{i}].projected.sources"
        for source in projection.sources:
            parts = (
                ("configMap", [item.path for item in source.config_map.items] if source.config_map else []),
                ("secrets", [item.path for item in source.secret.items] if source.secret else []),
                ("downwardAPI", [item.path for item in source.downward_api.items] if source.downward_api else []),
            )
            found += [
                f'{where}.{json}[{j}]: has duplicated path with ServiceAccountToken "{file}"'
                for json, files in parts
                for j, file in enumerate(files)
                if file in tokens
            ]
            bundle = source.cluster_trust_bundle
            if bundle is not None and bundle.path in tokens:
                words = f'has duplicated path with ServiceAccountToken "{bundle.path}"'
                found.append(f"{where}.ClusterTrustBundle: {words}")
    return found


def _addresses(spec: core_v1.PodSpec, path: str) -> list[str]:
    found: list[str] = []
    if len(spec.host_aliases) > 1:
        found += _again([a.ip for a in spec.host_aliases], f"{path}.hostAliases", "ip")
    for i, alias in enumerate(spec.host_aliases):
        found += address(alias.ip, f"{path}.hostAliases[{i}].ip")
    if spec.dns_config is not None:
        for i, server in enumerate(spec.dns_config.nameservers):
            found += address(server, f"{path}.dnsConfig.nameservers[{i}]")
    return found


def _again(values: list[str], path: str, field: str) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for i, value in enumerate(values):
        if value in seen:
            found.append(f'{path}[{i}].{field}: duplicate {field} "{value}"')
        seen.add(value)
    return found


def _fractions(amounts: dict[str, str], path: str) -> list[str]:
    """Parts of a byte."""
    found: list[str] = []
    for name in BYTES:
        value = amounts.get(name)
        if value is not None and value[-1:] in ("m", "u", "n") and parse(value) % 1:
            found.append(f'{path}[{name}]: fractional byte value "{value}" is invalid, must be an integer')
    return found


def _containers(spec: core_v1.PodSpec, metadata: meta_v1.ObjectMeta, path: str, *, template: bool) -> list[str]:
    found: list[str] = []
    annotations = metadata.annotations
    where_annotations = path.removesuffix("spec") + "metadata.annotations"
    context = spec.security_context
    if SECCOMP_POD in annotations and (context is None or context.seccomp_profile is None):
        found.append(f"{where_annotations}[{SECCOMP_POD}]: {SECCOMP_FIELD}")
    for container, where in every(spec, path):
        if annotations:
            found += _profiles(container, annotations, context, where_annotations, template=template)
        amounts = container.resources
        for name in BYTES:
            # Limits and requests of one resource come together.
            found += [
                f'{where}.resources.{json}[{name}]: fractional byte value "{value}" is invalid, must be an integer'
                for json, value in (("limits", amounts.limits.get(name)), ("requests", amounts.requests.get(name)))
                if value is not None and value[-1:] in ("m", "u", "n") and parse(value) % 1
            ]
        if len(container.env) > 1:
            found += _variables(container.env, f"{where}.env")
    return found


def _profiles(
    container: AnyContainer,
    annotations: dict[str, str],
    of_pod: core_v1.PodSecurityContext | None,
    path: str,
    *,
    template: bool,
) -> list[str]:
    """Profiles that are given as annotations alone."""
    found: list[str] = []
    context = container.security_context
    key = SECCOMP_CONTAINER + container.name
    if key in annotations and (context is None or context.seccomp_profile is None):
        found.append(f"{path}[{key}]: {SECCOMP_FIELD}")
    key = APP_ARMOR + container.name
    if key in annotations:
        # By now the server has made a field of a pod's annotation where it could.
        field = context.app_armor_profile if context is not None else None
        given = field is not None or (of_pod is not None and of_pod.app_armor_profile is not None)
        if not template or not given:
            found.append(f"{path}[{key}]: {APP_ARMOR_FIELD}")
    return found


def _variables(env: Iterable[core_v1.EnvVar], path: str) -> list[str]:
    found: list[str] = []
    seen: set[str] = set()
    for i, variable in enumerate(env):
        name = variable.name
        if name in seen:
            # A value that adds to the earlier one is meant.
            before = f"$({name})"
            if variable.value_from is not None or variable.value == before or before not in variable.value:
                words = f'hides previous definition of "{name}", which may be dropped when using apply'
                found.append(f"{path}[{i}]: {words}")
        seen.add(name)
    return found


def _ports(spec: core_v1.PodSpec, path: str) -> list[str]:
    found: list[str] = []
    known: dict[tuple[int, str], list[tuple[str, core_v1.ContainerPort]]] = {}
    for container, of in every(spec, path):
        for i, port in enumerate(container.ports):
            where = f"{of}.ports[{i}]"
            if port.host_ip and not port.host_port:
                shown = (
                    f"{{Name:{port.name} HostPort:0 ContainerPort:{port.container_port} "
                    f"Protocol:{port.protocol} HostIP:{port.host_ip}}}"
                )
                found.append(f"{where}: hostIP set without hostPort: {shown}")
            others = known.setdefault((port.container_port, port.protocol), [])
            for at, other in others:
                what = _clash(port, other)
                if what:
                    found.append(f"{where}: {what} port definition with {at}")
            others.append((where, port))
    return found


def _clash(port: core_v1.ContainerPort, other: core_v1.ContainerPort) -> str:
    if port.host_ip == other.host_ip and port.host_port == other.host_port:
        return "duplicate"
    if not port.host_port or not other.host_port:
        return "overlapping"
    if port.host_port == other.host_port and bool(port.host_ip) != bool(other.host_ip):
        return "dangerously ambiguous"
    return ""


def _pod_affinity(affinity: core_v1.Affinity, path: str) -> list[str]:
    found: list[str] = []
    for json, pods in (("podAffinity", affinity.pod_affinity), ("podAntiAffinity", affinity.pod_anti_affinity)):
        if pods is None:
            continue
        found += [
            f"{path}.{json}.{REQUIRED}[{i}].labelSelector: {NO_PODS}"
            for i, term in enumerate(pods.required_during_scheduling_ignored_during_execution)
            if term.label_selector is None
        ]
        found += [
            f"{path}.{json}.{PREFERRED}[{i}].podAffinityTerm.labelSelector: {NO_PODS}"
            for i, weighted in enumerate(pods.preferred_during_scheduling_ignored_during_execution)
            if weighted.pod_affinity_term.label_selector is None
        ]
    return found
