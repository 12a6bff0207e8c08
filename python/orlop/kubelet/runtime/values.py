"""The nouns of the runtime contract: CRI's messages (k8s.io/cri-api runtime/v1) as far as orlop uses them.

Times are nanoseconds since 1970, 0 for "not yet". Sizes are bytes, CPU time is nanoseconds of one core.
"""

from typing import Literal

import msgspec

from orlop.kubelet.network.base import PortMapping

SandboxState = Literal["ready", "notready"]
ContainerState = Literal["created", "running", "exited", "unknown"]
NamespaceMode = Literal["pod", "container", "node"]
Propagation = Literal["private", "host_to_container", "bidirectional"]
EventType = Literal["created", "started", "stopped", "deleted", "relist"]
LogStream = Literal["stdout", "stderr"]


class Value(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every noun here: immutable, compared by value."""


class Version(Value, frozen=True, kw_only=True):
    """What is running below: shown as Node.status.nodeInfo.containerRuntimeVersion, `name://version`."""

    runtime_name: str
    runtime_version: str
    runtime_api_version: str = "v1"


class RuntimeStatus(Value, frozen=True, kw_only=True):
    """The two conditions of CRI. A reason and a message go with a condition that is not met."""

    runtime_ready: bool
    runtime_reason: str = ""
    runtime_message: str = ""
    network_ready: bool
    network_reason: str = ""
    network_message: str = ""


# Pod sandboxes


class PodSandboxMetadata(Value, frozen=True, kw_only=True):
    """Names one sandbox of one pod; `attempt` grows with each new sandbox of the same pod."""

    name: str
    uid: str
    namespace: str
    attempt: int = 0


class DNSConfig(Value, frozen=True, kw_only=True):
    """What /etc/resolv.conf in the pod's containers says."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


class Namespaces(Value, frozen=True, kw_only=True):
    """Where a sandbox's or container's namespaces come from: the node's, the pod's, or the container's own."""

    network: Literal["pod", "node"] = "pod"
    pid: NamespaceMode = "container"
    ipc: Literal["pod", "node"] = "pod"


class PodSandboxConfig(Value, frozen=True, kw_only=True):
    """All that a sandbox is made from."""

    metadata: PodSandboxMetadata
    hostname: str = ""
    log_directory: str = ""
    dns: DNSConfig = DNSConfig()
    port_mappings: tuple[PortMapping, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    cgroup_parent: str = ""
    namespaces: Namespaces = Namespaces()
    sysctls: dict[str, str] = {}
    privileged: bool = False


class PodSandbox(Value, frozen=True, kw_only=True):
    """One row of `list_pod_sandbox`."""

    id: str
    metadata: PodSandboxMetadata
    state: SandboxState
    created_at: int
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class PodSandboxStatus(PodSandbox, frozen=True, kw_only=True):
    """A sandbox in full. `ips` is empty with the node's network."""

    ips: tuple[str, ...] = ()
    namespaces: Namespaces = Namespaces()
    pid: int = 0


# Containers


class ContainerMetadata(Value, frozen=True, kw_only=True):
    """Names a container within its pod; `attempt` is the pod status' restartCount at its creation."""

    name: str
    attempt: int = 0


class Mount(Value, frozen=True, kw_only=True):
    """A file or directory of the node (absolute path) at a path in the container."""

    container_path: str
    host_path: str
    readonly: bool = False
    propagation: Propagation = "private"


class Device(Value, frozen=True, kw_only=True):
    """A device of the node; permissions are letters of "rwm"."""

    container_path: str
    host_path: str
    permissions: str = "rwm"


class Resources(Value, frozen=True, kw_only=True):
    """CRI's LinuxContainerResources. 0 and "" mean: not set."""

    cpu_shares: int = 0
    cpu_period: int = 0
    cpu_quota: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    memory_limit_in_bytes: int = 0
    pids_limit: int = 0
    oom_score_adj: int = 0


class SecurityContext(Value, frozen=True, kw_only=True):
    """CRI's LinuxContainerSecurityContext. A user or group of None is the image's own."""

    run_as_user: int | None = None
    run_as_group: int | None = None
    supplemental_groups: tuple[int, ...] = ()
    privileged: bool = False
    add_capabilities: tuple[str, ...] = ()
    drop_capabilities: tuple[str, ...] = ()
    readonly_rootfs: bool = False
    no_new_privs: bool = False
    seccomp: str = "runtime/default"
    """`runtime/default`, `unconfined`, or `localhost/` and the absolute path of a profile."""
    unmasked_proc: bool = False


class ContainerConfig(Value, frozen=True, kw_only=True):
    """All that a container is made from. `command` and `args` have Kubernetes' meaning: ENTRYPOINT and CMD."""

    metadata: ContainerMetadata
    image: str
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    working_dir: str = ""
    envs: tuple[tuple[str, str], ...] = ()
    mounts: tuple[Mount, ...] = ()
    devices: tuple[Device, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    log_path: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    stop_signal: str = ""
    resources: Resources = Resources()
    security: SecurityContext = SecurityContext()
    pid_target: str = ""
    """The id of a container whose process namespace this one joins (CRI: NamespaceMode TARGET)."""


class Container(Value, frozen=True, kw_only=True):
    """One row of `list_containers`. The pod's identity comes along, so that a restarted kubelet needs no other call."""

    id: str
    pod_sandbox_id: str
    metadata: ContainerMetadata
    pod: PodSandboxMetadata
    image: str
    image_ref: str
    state: ContainerState
    created_at: int
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class ContainerStatus(Container, frozen=True, kw_only=True):
    """A container in full.

    `reason` is Kubernetes' word for a terminated state: Completed, Error, OOMKilled, StartError, ContainerCannotRun.
    `exit_code` is 128 + n for a container ended by signal n, and 128 with StartError.
    """

    started_at: int = 0
    finished_at: int = 0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    log_path: str = ""
    pid: int = 0
    mounts: tuple[Mount, ...] = ()
    resources: Resources = Resources()
    stop_signal: str = ""


class ExecResult(Value, frozen=True, kw_only=True):
    """What `exec_sync` returns; the outputs are cut at EXEC_SYNC_MAX_OUTPUT."""

    stdout: bytes
    stderr: bytes
    exit_code: int


class LogOptions(Value, frozen=True, kw_only=True):
    """Which part of a container's log, as PodLogOptions says it. `tail_lines` of None is all of it."""

    follow: bool = False
    tail_lines: int | None = None
    since: int = 0
    timestamps: bool = False
    limit_bytes: int | None = None
    stream: LogStream | None = None


class ContainerEvent(Value, frozen=True, kw_only=True):
    """Something happened to a sandbox or container (`container_id` of a sandbox's own events is the sandbox's id).

    `relist` says that events may have been missed: the reader lists everything again. `exit_code` and `oom_killed`
    are set with `stopped` where the runtime's event tells them; `container_status` is the authority.
    """

    type: EventType
    at: int = 0
    pod_sandbox_id: str = ""
    container_id: str = ""
    container_name: str = ""
    pod: PodSandboxMetadata | None = None
    exit_code: int | None = None
    oom_killed: bool = False


# Resource use


class ContainerStats(Value, frozen=True, kw_only=True):
    """Use by one container; working set is memory that reclaim cannot take at once, as `kubectl top` shows it."""

    container_id: str
    metadata: ContainerMetadata
    timestamp: int
    cpu_usage_core_nanoseconds: int = 0
    memory_usage_bytes: int = 0
    memory_working_set_bytes: int = 0
    memory_rss_bytes: int = 0
    pids: int = 0


class ContainerDiskStats(Value, frozen=True, kw_only=True):
    """What a container has on disk: CRI's `writable_layer` of ContainerStats, and its logs."""

    container_id: str
    layer_bytes: int = 0
    layer_inodes: int = 0
    log_bytes: int = 0
    log_inodes: int = 0


class InterfaceStats(Value, frozen=True, kw_only=True):
    """Traffic of one interface in the pod's network namespace."""

    name: str
    rx_bytes: int = 0
    rx_errors: int = 0
    tx_bytes: int = 0
    tx_errors: int = 0


class PodSandboxStats(Value, frozen=True, kw_only=True):
    """Use by one pod: its containers, and its network where it has its own."""

    pod_sandbox_id: str
    metadata: PodSandboxMetadata
    timestamp: int
    containers: tuple[ContainerStats, ...] = ()
    interfaces: tuple[InterfaceStats, ...] = ()


# Images


class AuthConfig(Value, frozen=True, kw_only=True):
    """Credentials for a registry, from an imagePullSecret."""

    username: str = ""
    password: str = ""
    server_address: str = ""
    identity_token: str = ""
    registry_token: str = ""


class Image(Value, frozen=True, kw_only=True):
    """An image the runtime holds. `user` is what the image says (uid or name, with or without group)."""

    id: str
    repo_tags: tuple[str, ...] = ()
    repo_digests: tuple[str, ...] = ()
    size: int = 0
    uid: int | None = None
    username: str = ""
    pinned: bool = False
    """Never to be removed for want of space: it could not be fetched again, or belongs to others too."""


class FilesystemUsage(Value, frozen=True, kw_only=True):
    """Space and inodes an image or container store uses."""

    timestamp: int
    mountpoint: str
    used_bytes: int = 0
    inodes_used: int = 0


class Filesystems(Value, frozen=True, kw_only=True):
    """Directories by which to ask the kernel of the file systems in use (CRI: ImageFsInfo, which tells both)."""

    images: str
    layers: str
    """Of containers' writable layers."""


class LogLimits(msgspec.Struct, frozen=True, kw_only=True):
    """How much of a container's log is kept: `max_files` files of about `max_size` bytes, the current one included.

    Upstream: KubeletConfiguration's containerLogMaxSize and containerLogMaxFiles.
    """

    max_size: int = 10 * 1024 * 1024
    max_files: int = 5
