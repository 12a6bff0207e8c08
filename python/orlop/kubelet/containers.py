"""From a pod's spec to what the runtime is told: sandbox and container configurations.

Numbers as upstream: pkg/kubelet/cm/helpers_linux.go (CPU shares and quota), pkg/kubelet/qos/policy.go (OOM score).
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orlop.api import quantity
from orlop.api.types import core_v1
from orlop.kubelet.environment import ConfigError, expand
from orlop.kubelet.network.base import PortMapping
from orlop.kubelet.plan import HASH_ANNOTATION, container_hash
from orlop.kubelet.runtime import base, values as v
from orlop.kubelet.status import qos_class
from orlop.kubelet.volumes import host
from orlop.kubelet.volumes.payload import VolumeError

CPU_PERIOD = 100_000
"""Microseconds: the kernel's default CFS period."""
MIN_QUOTA = 1_000
"""Microseconds: the least the kernel accepts."""
MIN_SHARES, MAX_SHARES = 2, 262_144
"""The kernel's bounds."""


def labels(pod: core_v1.Pod) -> dict[str, str]:
    """What tools look for on a pod's sandbox and containers."""
    return {
        base.LABEL_POD_NAME: pod.metadata.name,
        base.LABEL_POD_NAMESPACE: pod.metadata.namespace,
        base.LABEL_POD_UID: pod.metadata.uid,
    }


def sandbox_config(pod: core_v1.Pod, attempt: int, dns: v.DNSConfig, log_directory: Path) -> v.PodSandboxConfig:
    """The pod's sandbox."""
    spec = pod.spec
    ports = tuple(
        PortMapping(
            protocol=port.protocol or "TCP",  # type: ignore[arg-type]
            container_port=port.container_port,
            host_port=port.host_port,
            host_ip=port.host_ip,
        )
        for container in [*spec.init_containers, *spec.containers]
        for port in container.ports
        if port.host_port and not spec.host_network
    )
    security = spec.security_context
    return v.PodSandboxConfig(
        metadata=v.PodSandboxMetadata(
            name=pod.metadata.name, uid=pod.metadata.uid, namespace=pod.metadata.namespace, attempt=attempt
        ),
        hostname="" if spec.host_network else hostname(pod),
        log_directory=str(log_directory),
        dns=dns,
        port_mappings=ports,
        labels=labels(pod) | pod.metadata.labels,
        annotations=dict(pod.metadata.annotations),
        namespaces=v.Namespaces(
            network="node" if spec.host_network else "pod",
            pid="node" if spec.host_pid else "pod" if spec.share_process_namespace else "container",
            ipc="node" if spec.host_ipc else "pod",
        ),
        sysctls={s.name: s.value for s in security.sysctls} if security else {},
        privileged=any(c.security_context and c.security_context.privileged for c in spec.containers),
    )


def hostname(pod: core_v1.Pod) -> str:
    """The pod's host name: at most 63 characters, as the kernel's limit."""
    name = pod.spec.hostname_override or pod.spec.hostname or pod.metadata.name
    return name[:63].rstrip("-.")


def hosts_file(pod: core_v1.Pod, ips: Sequence[str], domain: str) -> str:
    """/etc/hosts of the pod's containers."""
    lines = [
        "# Kubernetes-managed hosts file.",
        "127.0.0.1\tlocalhost",
        "::1\tlocalhost ip6-localhost ip6-loopback",
        "fe00::0\tip6-localnet",
        "fe00::0\tip6-mcastprefix",
        "fe00::1\tip6-allnodes",
        "fe00::2\tip6-allrouters",
    ]
    own = hostname(pod)
    qualified = f"{own}.{pod.spec.subdomain}.{pod.metadata.namespace}.svc.{domain}\t" if pod.spec.subdomain else ""
    lines += [f"{ip}\t{qualified}{own}" for ip in ips]
    if pod.spec.host_aliases:
        lines += ["", "# Entries added by HostAliases."]
        lines += ["\t".join([alias.ip, *alias.hostnames]) for alias in pod.spec.host_aliases]
    return "\n".join(lines) + "\n"


def resources(pod: core_v1.Pod, container: core_v1.Container, node_memory: int) -> v.Resources:
    """cgroup limits and OOM score."""
    requests, limits = container.resources.requests, container.resources.limits
    cpu_request = requests.get("cpu") or limits.get("cpu")
    shares = MIN_SHARES
    if cpu_request:
        shares = min(MAX_SHARES, max(MIN_SHARES, quantity.milli(cpu_request) * 1024 // 1000))
    quota = 0
    if limits.get("cpu") and quantity.milli(limits["cpu"]):
        quota = max(MIN_QUOTA, quantity.milli(limits["cpu"]) * CPU_PERIOD // 1000)
    return v.Resources(
        cpu_shares=shares,
        cpu_period=CPU_PERIOD if quota else 0,
        cpu_quota=quota,
        memory_limit_in_bytes=quantity.value(limits["memory"]) if limits.get("memory") else 0,
        oom_score_adj=_oom_score(pod, container, node_memory),
    )


def _oom_score(pod: core_v1.Pod, container: core_v1.Container, node_memory: int) -> int:
    if pod.spec.priority is not None and pod.spec.priority >= 2_000_000_000:
        return -997
    qos = qos_class(pod)
    if qos != "Burstable":
        return -997 if qos == "Guaranteed" else 1000
    request = quantity.value(container.resources.requests.get("memory", "0"))
    score = 1000 - 1000 * request // max(1, node_memory)
    return 999 if score >= 1000 else max(3, score)


def security(pod: core_v1.Pod, container: core_v1.Container) -> v.SecurityContext:
    """The container's own settings over the pod's."""
    pod_level = pod.spec.security_context or core_v1.PodSecurityContext()
    own = container.security_context or core_v1.SecurityContext()

    def choose(mine: Any, theirs: Any) -> Any:
        return mine if mine is not None else theirs

    profile = choose(own.seccomp_profile, pod_level.seccomp_profile)
    seccomp = "runtime/default"
    if own.privileged or (profile and profile.type == "Unconfined"):
        seccomp = "unconfined"
    elif profile and profile.type == "Localhost":
        seccomp = f"localhost/{profile.localhost_profile}"
    groups = list(pod_level.supplemental_groups)
    if pod_level.fs_group is not None:
        groups.append(pod_level.fs_group)
    capabilities = own.capabilities or core_v1.Capabilities()
    return v.SecurityContext(
        run_as_user=choose(own.run_as_user, pod_level.run_as_user),
        run_as_group=choose(own.run_as_group, pod_level.run_as_group),
        supplemental_groups=tuple(groups),
        privileged=bool(own.privileged),
        add_capabilities=tuple(capabilities.add),
        drop_capabilities=tuple(capabilities.drop),
        readonly_rootfs=bool(own.read_only_root_filesystem),
        no_new_privs=own.allow_privilege_escalation is False,
        seccomp=seccomp,
        unmasked_proc=own.proc_mount == "Unmasked",
    )


def check_non_root(pod: core_v1.Pod, container: core_v1.Container, image: v.Image | None) -> None:
    """Raises ConfigError where runAsNonRoot is asked for and the user is, or may be, root."""
    pod_level = pod.spec.security_context
    own = container.security_context
    wanted = own.run_as_non_root if own else None
    if wanted is None and pod_level:
        wanted = pod_level.run_as_non_root
    if not wanted:
        return
    user = security(pod, container).run_as_user
    if user is None and image is not None:
        user = image.uid
        if user is None and image.username:
            raise ConfigError(
                f"container has runAsNonRoot and image has non-numeric user ({image.username}), "
                "cannot verify user is non-root"
            )
    if not user:
        what = (
            "container's runAsUser breaks non-root policy"
            if user == 0 and own and own.run_as_user == 0
            else ("container has runAsNonRoot and image will run as root")
        )
        raise ConfigError(what)


def container_config(
    pod: core_v1.Pod,
    container: core_v1.Container,
    *,
    attempt: int,
    environment: Mapping[str, str],
    mounts: Sequence[v.Mount],
    node_memory: int,
) -> v.ContainerConfig:
    """The container, everything resolved."""
    return v.ContainerConfig(
        metadata=v.ContainerMetadata(name=container.name, attempt=attempt),
        image=container.image,
        command=tuple(expand(part, environment) for part in container.command),
        args=tuple(expand(part, environment) for part in container.args),
        working_dir=container.working_dir,
        envs=tuple(environment.items()),
        mounts=tuple(mounts),
        labels=labels(pod) | {base.LABEL_CONTAINER_NAME: container.name},
        annotations={HASH_ANNOTATION: container_hash(container)},
        log_path=f"{container.name}/{attempt}.log",
        stdin=container.stdin,
        stdin_once=container.stdin_once,
        tty=container.tty,
        resources=resources(pod, container, node_memory),
        security=security(pod, container),
    )


_PROPAGATION = {"HostToContainer": "host_to_container", "Bidirectional": "bidirectional"}


def volume_mounts(
    pod: core_v1.Pod, container: core_v1.Container, paths: Mapping[str, Path], environment: Mapping[str, str]
) -> list[v.Mount]:
    """The container's mounts of the pod's volumes. Raises VolumeError. Blocks: call it in a thread."""
    mounts = []
    user = security(pod, container).run_as_user
    claims = ((volume.name, volume.persistent_volume_claim) for volume in pod.spec.volumes)
    read_only = {name for name, claim in claims if claim is not None and claim.read_only}
    for mount in container.volume_mounts:
        path = paths.get(mount.name)
        if path is None:
            raise VolumeError(f'volume mount "{mount.name}" of container {container.name} names no volume of the pod')
        relative = expand(mount.sub_path_expr, environment) if mount.sub_path_expr else mount.sub_path
        if relative:
            path = host.sub_path(path, relative, user)
        mounts.append(
            v.Mount(
                container_path=mount.mount_path,
                host_path=str(path),
                readonly=mount.read_only or mount.name in read_only,
                propagation=_PROPAGATION.get(mount.mount_propagation or "", "private"),  # type: ignore[arg-type]
            )
        )
    return mounts
