"""v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class AWSElasticBlockStoreVolumeSource(ApiStruct):
    volume_id: str = _f(default_factory=str, name="volumeID")
    fs_type: str = ""
    partition: int = 0
    read_only: bool = False


class NodeSelectorRequirement(ApiStruct):
    key: str = _f(default_factory=str)
    operator: str = _f(default_factory=str)
    values: list[str] = _f(default_factory=list)


class NodeSelectorTerm(ApiStruct):
    match_expressions: list[NodeSelectorRequirement] = _f(default_factory=list)
    match_fields: list[NodeSelectorRequirement] = _f(default_factory=list)


class NodeSelector(ApiStruct):
    node_selector_terms: list[NodeSelectorTerm] = _f(default_factory=lambda: list())


class PreferredSchedulingTerm(ApiStruct):
    weight: int = _f(default_factory=int)
    preference: NodeSelectorTerm = _f(default_factory=lambda: NodeSelectorTerm())


class NodeAffinity(ApiStruct):
    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    preferred_during_scheduling_ignored_during_execution: list[PreferredSchedulingTerm] = _f(default_factory=list)


class PodAffinityTerm(ApiStruct):
    label_selector: meta_v1.LabelSelector | None = None
    namespaces: list[str] = _f(default_factory=list)
    topology_key: str = _f(default_factory=str)
    namespace_selector: meta_v1.LabelSelector | None = None
    match_label_keys: list[str] = _f(default_factory=list)
    mismatch_label_keys: list[str] = _f(default_factory=list)


class WeightedPodAffinityTerm(ApiStruct):
    weight: int = _f(default_factory=int)
    pod_affinity_term: PodAffinityTerm = _f(default_factory=lambda: PodAffinityTerm())


class PodAffinity(ApiStruct):
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = _f(default_factory=list)
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = _f(default_factory=list)


class PodAntiAffinity(ApiStruct):
    required_during_scheduling_ignored_during_execution: list[PodAffinityTerm] = _f(default_factory=list)
    preferred_during_scheduling_ignored_during_execution: list[WeightedPodAffinityTerm] = _f(default_factory=list)


class Affinity(ApiStruct):
    node_affinity: NodeAffinity | None = None
    pod_affinity: PodAffinity | None = None
    pod_anti_affinity: PodAntiAffinity | None = None


class AppArmorProfile(ApiStruct):
    type: str = _f(default_factory=str)
    localhost_profile: str | None = None


class AttachedVolume(ApiStruct):
    name: str = _f(default_factory=str)
    device_path: str = _f(default_factory=str)


class PodSignature(ApiStruct):
    pod_controller: meta_v1.OwnerReference | None = None


class PreferAvoidPodsEntry(ApiStruct):
    pod_signature: PodSignature = _f(default_factory=lambda: PodSignature())
    eviction_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class AvoidPods(ApiStruct):
    prefer_avoid_pods: list[PreferAvoidPodsEntry] = _f(default_factory=list)


class AzureDiskVolumeSource(ApiStruct):
    disk_name: str = _f(default_factory=str)
    disk_uri: str = _f(default_factory=str, name="diskURI")
    caching_mode: str | None = None
    fs_type: str | None = None
    read_only: bool | None = None
    kind: str | None = None


class AzureFilePersistentVolumeSource(ApiStruct):
    secret_name: str = _f(default_factory=str)
    share_name: str = _f(default_factory=str)
    read_only: bool = False
    secret_namespace: str | None = _f(default_factory=_none)


class AzureFileVolumeSource(ApiStruct):
    secret_name: str = _f(default_factory=str)
    share_name: str = _f(default_factory=str)
    read_only: bool = False


class ObjectReference(ApiStruct):
    kind: str = ""
    namespace: str = ""
    name: str = ""
    uid: str = ""
    api_version: str = ""
    resource_version: str = ""
    field_path: str = ""


class Binding(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Binding")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    target: ObjectReference = _f(default_factory=lambda: ObjectReference())


class SecretReference(ApiStruct):
    name: str = ""
    namespace: str = ""


class CSIPersistentVolumeSource(ApiStruct):
    driver: str = _f(default_factory=str)
    volume_handle: str = _f(default_factory=str)
    read_only: bool = False
    fs_type: str = ""
    volume_attributes: dict[str, str] = _f(default_factory=dict)
    controller_publish_secret_ref: SecretReference | None = None
    node_stage_secret_ref: SecretReference | None = None
    node_publish_secret_ref: SecretReference | None = None
    controller_expand_secret_ref: SecretReference | None = None
    node_expand_secret_ref: SecretReference | None = None


class LocalObjectReference(ApiStruct):
    name: str = ""


class CSIVolumeSource(ApiStruct):
    driver: str = _f(default_factory=str)
    read_only: bool | None = None
    fs_type: str | None = None
    volume_attributes: dict[str, str] = _f(default_factory=dict)
    node_publish_secret_ref: LocalObjectReference | None = None


class Capabilities(ApiStruct):
    add: list[str] = _f(default_factory=list)
    drop: list[str] = _f(default_factory=list)


class CephFSPersistentVolumeSource(ApiStruct):
    monitors: list[str] = _f(default_factory=lambda: list())
    path: str = ""
    user: str = ""
    secret_file: str = ""
    secret_ref: SecretReference | None = None
    read_only: bool = False


class CephFSVolumeSource(ApiStruct):
    monitors: list[str] = _f(default_factory=lambda: list())
    path: str = ""
    user: str = ""
    secret_file: str = ""
    secret_ref: LocalObjectReference | None = None
    read_only: bool = False


class CinderPersistentVolumeSource(ApiStruct):
    volume_id: str = _f(default_factory=str, name="volumeID")
    fs_type: str = ""
    read_only: bool = False
    secret_ref: SecretReference | None = None


class CinderVolumeSource(ApiStruct):
    volume_id: str = _f(default_factory=str, name="volumeID")
    fs_type: str = ""
    read_only: bool = False
    secret_ref: LocalObjectReference | None = None


class ClientIPConfig(ApiStruct):
    timeout_seconds: int | None = None


class ClusterTrustBundleProjection(ApiStruct):
    name: str | None = None
    signer_name: str | None = None
    label_selector: meta_v1.LabelSelector | None = None
    optional: bool | None = None
    path: str = _f(default_factory=str)
    user: int | None = None


class ComponentCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    message: str = ""
    error: str = ""


class ComponentStatus(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ComponentStatus")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    conditions: list[ComponentCondition] = _f(default_factory=list)


class ComponentStatusList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ComponentStatusList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ComponentStatus] = _f(default_factory=lambda: list())


class ConfigMap(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ConfigMap")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    immutable: bool | None = None
    data: dict[str, str] = _f(default_factory=dict)
    binary_data: dict[str, bytes] = _f(default_factory=dict)


class ConfigMapEnvSource(ApiStruct):
    name: str = ""
    optional: bool | None = None


class ConfigMapKeySelector(ApiStruct):
    name: str = ""
    key: str = _f(default_factory=str)
    optional: bool | None = None


class ConfigMapList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ConfigMapList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ConfigMap] = _f(default_factory=lambda: list())


class ConfigMapNodeConfigSource(ApiStruct):
    namespace: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    uid: str = ""
    resource_version: str = ""
    kubelet_config_key: str = _f(default_factory=str)


class KeyToPath(ApiStruct):
    key: str = _f(default_factory=str)
    path: str = _f(default_factory=str)
    mode: int | None = None
    user: int | None = None


class ConfigMapProjection(ApiStruct):
    name: str = ""
    items: list[KeyToPath] = _f(default_factory=list)
    optional: bool | None = None


class ConfigMapVolumeSource(ApiStruct):
    name: str = ""
    items: list[KeyToPath] = _f(default_factory=list)
    default_mode: int | None = None
    optional: bool | None = None
    default_user: int | None = None


class ContainerPort(ApiStruct):
    name: str = ""
    host_port: int = 0
    container_port: int = _f(default_factory=int)
    protocol: str = ""
    host_ip: str = _f(default="", name="hostIP")


class ContainerResizePolicy(ApiStruct):
    resource_name: str = _f(default_factory=str)
    restart_policy: str = _f(default_factory=str)


class ContainerRestartRuleOnExitCodes(ApiStruct):
    operator: str = ""
    values: list[int] = _f(default_factory=list)


class ContainerRestartRule(ApiStruct):
    action: str = ""
    exit_codes: ContainerRestartRuleOnExitCodes | None = None


class SecretEnvSource(ApiStruct):
    name: str = ""
    optional: bool | None = None


class EnvFromSource(ApiStruct):
    prefix: str = ""
    config_map_ref: ConfigMapEnvSource | None = None
    secret_ref: SecretEnvSource | None = None


class FileKeySelector(ApiStruct):
    volume_name: str = _f(default_factory=str)
    path: str = _f(default_factory=str)
    key: str = _f(default_factory=str)
    optional: bool | None = None


class ObjectFieldSelector(ApiStruct):
    api_version: str = ""
    field_path: str = _f(default_factory=str)


class ResourceFieldSelector(ApiStruct):
    container_name: str = ""
    resource: str = _f(default_factory=str)
    divisor: str = "0"


class SecretKeySelector(ApiStruct):
    name: str = ""
    key: str = _f(default_factory=str)
    optional: bool | None = None


class EnvVarSource(ApiStruct):
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    config_map_key_ref: ConfigMapKeySelector | None = None
    secret_key_ref: SecretKeySelector | None = None
    file_key_ref: FileKeySelector | None = None


class EnvVar(ApiStruct):
    name: str = _f(default_factory=str)
    value: str = ""
    value_from: EnvVarSource | None = None


class ExecAction(ApiStruct):
    command: list[str] = _f(default_factory=list)


class HTTPHeader(ApiStruct):
    name: str = _f(default_factory=str)
    value: str = _f(default_factory=str)


class HTTPGetAction(ApiStruct):
    path: str = ""
    port: int | str = _f(default_factory=lambda: 0)
    host: str = ""
    scheme: str = ""
    http_headers: list[HTTPHeader] = _f(default_factory=list)
    protocol: str | None = None


class SleepAction(ApiStruct):
    seconds: int = _f(default_factory=int)


class TCPSocketAction(ApiStruct):
    port: int | str = _f(default_factory=lambda: 0)
    host: str = ""


class LifecycleHandler(ApiStruct):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    sleep: SleepAction | None = None


class Lifecycle(ApiStruct):
    post_start: LifecycleHandler | None = None
    pre_stop: LifecycleHandler | None = None
    stop_signal: str | None = None


class GRPCAction(ApiStruct):
    port: int = _f(default_factory=int)
    service: str | None = _f(default_factory=_none)
    mode: str | None = None


class Probe(ApiStruct):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None
    initial_delay_seconds: int = 0
    timeout_seconds: int = 0
    period_seconds: int = 0
    success_threshold: int = 0
    failure_threshold: int = 0
    termination_grace_period_seconds: int | None = None


class ResourceClaim(ApiStruct):
    name: str = _f(default_factory=str)
    request: str = ""


class ResourceRequirements(ApiStruct):
    limits: dict[str, str] = _f(default_factory=dict)
    requests: dict[str, str] = _f(default_factory=dict)
    claims: list[ResourceClaim] = _f(default_factory=list)


class SELinuxOptions(ApiStruct):
    user: str = ""
    role: str = ""
    type: str = ""
    level: str = ""


class SeccompProfile(ApiStruct):
    type: str = _f(default_factory=str)
    localhost_profile: str | None = None


class WindowsSecurityContextOptions(ApiStruct):
    gmsa_credential_spec_name: str | None = None
    gmsa_credential_spec: str | None = None
    run_as_user_name: str | None = None
    host_process: bool | None = None


class SecurityContext(ApiStruct):
    capabilities: Capabilities | None = None
    privileged: bool | None = None
    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    read_only_root_filesystem: bool | None = None
    allow_privilege_escalation: bool | None = None
    proc_mount: str | None = None
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None


class VolumeDevice(ApiStruct):
    name: str = _f(default_factory=str)
    device_path: str = _f(default_factory=str)


class VolumeMount(ApiStruct):
    name: str = _f(default_factory=str)
    read_only: bool = False
    recursive_read_only: str | None = None
    mount_path: str = _f(default_factory=str)
    sub_path: str = ""
    mount_propagation: str | None = None
    sub_path_expr: str = ""
    bind_mount_options: list[str] = _f(default_factory=list)


class Container(ApiStruct):
    name: str = _f(default_factory=str)
    image: str = ""
    command: list[str] = _f(default_factory=list)
    args: list[str] = _f(default_factory=list)
    working_dir: str = ""
    ports: list[ContainerPort] = _f(default_factory=list)
    env_from: list[EnvFromSource] = _f(default_factory=list)
    env: list[EnvVar] = _f(default_factory=list)
    resources: ResourceRequirements = _f(default_factory=lambda: ResourceRequirements())
    resize_policy: list[ContainerResizePolicy] = _f(default_factory=list)
    restart_policy: str | None = None
    restart_policy_rules: list[ContainerRestartRule] = _f(default_factory=list)
    volume_mounts: list[VolumeMount] = _f(default_factory=list)
    volume_devices: list[VolumeDevice] = _f(default_factory=list)
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    image_pull_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class ContainerExtendedResourceRequest(ApiStruct):
    container_name: str = _f(default_factory=str)
    resource_name: str = _f(default_factory=str)
    request_name: str = _f(default_factory=str)


class ContainerImage(ApiStruct):
    names: list[str] = _f(default_factory=lambda: list())
    size_bytes: int = 0


class ContainerStateRunning(ApiStruct):
    started_at: str | None = _f(default_factory=_none)


class ContainerStateTerminated(ApiStruct):
    exit_code: int = _f(default_factory=int)
    signal: int = 0
    reason: str = ""
    message: str = ""
    started_at: str | None = _f(default_factory=_none)
    finished_at: str | None = _f(default_factory=_none)
    container_id: str = _f(default="", name="containerID")


class ContainerStateWaiting(ApiStruct):
    reason: str = ""
    message: str = ""


class ContainerState(ApiStruct):
    waiting: ContainerStateWaiting | None = None
    running: ContainerStateRunning | None = None
    terminated: ContainerStateTerminated | None = None


class LinuxContainerUser(ApiStruct):
    uid: int = _f(default_factory=int)
    gid: int = _f(default_factory=int)
    supplemental_groups: list[int] = _f(default_factory=list)


class ContainerUser(ApiStruct):
    linux: LinuxContainerUser | None = None


class ResourceHealth(ApiStruct):
    resource_id: str = _f(default_factory=str, name="resourceID")
    health: str = ""
    message: str | None = None


class ResourceStatus(ApiStruct):
    name: str = _f(default_factory=str)
    resources: list[ResourceHealth] = _f(default_factory=list)


class ImageVolumeStatus(ApiStruct):
    image_ref: str = ""


class VolumeStatus(ApiStruct):
    image: ImageVolumeStatus | None = None


class VolumeMountStatus(ApiStruct):
    name: str = _f(default_factory=str)
    mount_path: str = _f(default_factory=str)
    read_only: bool = False
    recursive_read_only: str | None = None
    volume_status: VolumeStatus | None = None


class ContainerStatus(ApiStruct):
    name: str = _f(default_factory=str)
    state: ContainerState = _f(default_factory=lambda: ContainerState())
    last_state: ContainerState = _f(default_factory=lambda: ContainerState())
    ready: bool = _f(default_factory=bool)
    restart_count: int = _f(default_factory=int)
    image: str = _f(default_factory=str)
    image_id: str = _f(default_factory=str, name="imageID")
    container_id: str = _f(default="", name="containerID")
    started: bool | None = None
    allocated_resources: dict[str, str] = _f(default_factory=dict)
    resources: ResourceRequirements | None = None
    volume_mounts: list[VolumeMountStatus] = _f(default_factory=list)
    user: ContainerUser | None = None
    allocated_resources_status: list[ResourceStatus] = _f(default_factory=list)
    stop_signal: str | None = None


class DaemonEndpoint(ApiStruct):
    port: int = _f(default_factory=int, name="Port")


class DownwardAPIVolumeFile(ApiStruct):
    path: str = _f(default_factory=str)
    field_ref: ObjectFieldSelector | None = None
    resource_field_ref: ResourceFieldSelector | None = None
    mode: int | None = None
    user: int | None = None


class DownwardAPIProjection(ApiStruct):
    items: list[DownwardAPIVolumeFile] = _f(default_factory=list)


class DownwardAPIVolumeSource(ApiStruct):
    items: list[DownwardAPIVolumeFile] = _f(default_factory=list)
    default_mode: int | None = None
    default_user: int | None = None


class EmptyDirVolumeSource(ApiStruct):
    medium: str = ""
    size_limit: str | None = None
    mode: int | None = None


class EndpointAddress(ApiStruct):
    ip: str = _f(default_factory=str)
    hostname: str = ""
    node_name: str | None = None
    target_ref: ObjectReference | None = None


class EndpointPort(ApiStruct):
    name: str = ""
    port: int = _f(default_factory=int)
    protocol: str = ""
    app_protocol: str | None = None


class EndpointSubset(ApiStruct):
    addresses: list[EndpointAddress] = _f(default_factory=list)
    not_ready_addresses: list[EndpointAddress] = _f(default_factory=list)
    ports: list[EndpointPort] = _f(default_factory=list)


class Endpoints(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Endpoints")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    subsets: list[EndpointSubset] = _f(default_factory=list)


class EndpointsList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "EndpointsList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Endpoints] = _f(default_factory=lambda: list())


class EphemeralContainer(ApiStruct):
    name: str = _f(default_factory=str)
    image: str = ""
    command: list[str] = _f(default_factory=list)
    args: list[str] = _f(default_factory=list)
    working_dir: str = ""
    ports: list[ContainerPort] = _f(default_factory=list)
    env_from: list[EnvFromSource] = _f(default_factory=list)
    env: list[EnvVar] = _f(default_factory=list)
    resources: ResourceRequirements = _f(default_factory=lambda: ResourceRequirements())
    resize_policy: list[ContainerResizePolicy] = _f(default_factory=list)
    restart_policy: str | None = None
    restart_policy_rules: list[ContainerRestartRule] = _f(default_factory=list)
    volume_mounts: list[VolumeMount] = _f(default_factory=list)
    volume_devices: list[VolumeDevice] = _f(default_factory=list)
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    image_pull_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    target_container_name: str = ""


class EphemeralContainerCommon(ApiStruct):
    name: str = _f(default_factory=str)
    image: str = ""
    command: list[str] = _f(default_factory=list)
    args: list[str] = _f(default_factory=list)
    working_dir: str = ""
    ports: list[ContainerPort] = _f(default_factory=list)
    env_from: list[EnvFromSource] = _f(default_factory=list)
    env: list[EnvVar] = _f(default_factory=list)
    resources: ResourceRequirements = _f(default_factory=lambda: ResourceRequirements())
    resize_policy: list[ContainerResizePolicy] = _f(default_factory=list)
    restart_policy: str | None = None
    restart_policy_rules: list[ContainerRestartRule] = _f(default_factory=list)
    volume_mounts: list[VolumeMount] = _f(default_factory=list)
    volume_devices: list[VolumeDevice] = _f(default_factory=list)
    liveness_probe: Probe | None = None
    readiness_probe: Probe | None = None
    startup_probe: Probe | None = None
    lifecycle: Lifecycle | None = None
    termination_message_path: str = ""
    termination_message_policy: str = ""
    image_pull_policy: str = ""
    security_context: SecurityContext | None = None
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False


class TypedLocalObjectReference(ApiStruct):
    api_group: str | None = _f(default_factory=_none)
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)


class TypedObjectReference(ApiStruct):
    api_group: str | None = _f(default_factory=_none)
    kind: str = _f(default_factory=str)
    name: str = _f(default_factory=str)
    namespace: str | None = None


class VolumeResourceRequirements(ApiStruct):
    limits: dict[str, str] = _f(default_factory=dict)
    requests: dict[str, str] = _f(default_factory=dict)


class PersistentVolumeClaimSpec(ApiStruct):
    access_modes: list[str] = _f(default_factory=list)
    selector: meta_v1.LabelSelector | None = None
    resources: VolumeResourceRequirements = _f(default_factory=lambda: VolumeResourceRequirements())
    volume_name: str = ""
    storage_class_name: str | None = None
    volume_mode: str | None = None
    data_source: TypedLocalObjectReference | None = None
    data_source_ref: TypedObjectReference | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeClaimTemplate(ApiStruct):
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PersistentVolumeClaimSpec = _f(default_factory=lambda: PersistentVolumeClaimSpec())


class EphemeralVolumeSource(ApiStruct):
    volume_claim_template: PersistentVolumeClaimTemplate | None = None


class EventSeries(ApiStruct):
    count: int = 0
    last_observed_time: str | None = _f(default_factory=_none)


class EventSource(ApiStruct):
    component: str = ""
    host: str = ""


class Event(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Event")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    involved_object: ObjectReference = _f(default_factory=lambda: ObjectReference())
    reason: str = ""
    message: str = ""
    source: EventSource = _f(default_factory=lambda: EventSource())
    first_timestamp: str | None = _f(default_factory=_none)
    last_timestamp: str | None = _f(default_factory=_none)
    count: int = 0
    type: str = ""
    event_time: str | None = _f(default_factory=_none)
    series: EventSeries | None = None
    action: str = ""
    related: ObjectReference | None = None
    reporting_component: str = _f(default_factory=str)
    reporting_instance: str = _f(default_factory=str)


class EventList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "EventList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Event] = _f(default_factory=lambda: list())


class EvictionResponder(ApiStruct):
    name: str = _f(default_factory=str)
    priority: int | None = _f(default_factory=_none)


class FCVolumeSource(ApiStruct):
    target_wwns: list[str] = _f(default_factory=list, name="targetWWNs")
    lun: int | None = None
    fs_type: str = ""
    read_only: bool = False
    wwids: list[str] = _f(default_factory=list)


class FlexPersistentVolumeSource(ApiStruct):
    driver: str = _f(default_factory=str)
    fs_type: str = ""
    secret_ref: SecretReference | None = None
    read_only: bool = False
    options: dict[str, str] = _f(default_factory=dict)


class FlexVolumeSource(ApiStruct):
    driver: str = _f(default_factory=str)
    fs_type: str = ""
    secret_ref: LocalObjectReference | None = None
    read_only: bool = False
    options: dict[str, str] = _f(default_factory=dict)


class FlockerVolumeSource(ApiStruct):
    dataset_name: str = ""
    dataset_uuid: str = _f(default="", name="datasetUUID")


class GCEPersistentDiskVolumeSource(ApiStruct):
    pd_name: str = _f(default_factory=str)
    fs_type: str = ""
    partition: int = 0
    read_only: bool = False


class GitRepoVolumeSource(ApiStruct):
    repository: str = _f(default_factory=str)
    revision: str = ""
    directory: str = ""


class GlusterfsPersistentVolumeSource(ApiStruct):
    endpoints: str = _f(default_factory=str)
    path: str = _f(default_factory=str)
    read_only: bool = False
    endpoints_namespace: str | None = None


class GlusterfsVolumeSource(ApiStruct):
    endpoints: str = _f(default_factory=str)
    path: str = _f(default_factory=str)
    read_only: bool = False


class HostAlias(ApiStruct):
    ip: str = _f(default_factory=str)
    hostnames: list[str] = _f(default_factory=list)


class HostIP(ApiStruct):
    ip: str = _f(default_factory=str)


class HostPathVolumeSource(ApiStruct):
    path: str = _f(default_factory=str)
    type: str | None = None


class ISCSIPersistentVolumeSource(ApiStruct):
    target_portal: str = _f(default_factory=str)
    iqn: str = _f(default_factory=str)
    lun: int = _f(default_factory=int)
    iscsi_interface: str = ""
    fs_type: str = ""
    read_only: bool = False
    portals: list[str] = _f(default_factory=list)
    chap_auth_discovery: bool = False
    chap_auth_session: bool = False
    secret_ref: SecretReference | None = None
    initiator_name: str | None = None


class ISCSIVolumeSource(ApiStruct):
    target_portal: str = _f(default_factory=str)
    iqn: str = _f(default_factory=str)
    lun: int = _f(default_factory=int)
    iscsi_interface: str = ""
    fs_type: str = ""
    read_only: bool = False
    portals: list[str] = _f(default_factory=list)
    chap_auth_discovery: bool = False
    chap_auth_session: bool = False
    secret_ref: LocalObjectReference | None = None
    initiator_name: str | None = None


class ImageVolumeSource(ApiStruct):
    reference: str = ""
    pull_policy: str = ""


class LimitRangeItem(ApiStruct):
    type: str = _f(default_factory=str)
    max: dict[str, str] = _f(default_factory=dict)
    min: dict[str, str] = _f(default_factory=dict)
    default: dict[str, str] = _f(default_factory=dict)
    default_request: dict[str, str] = _f(default_factory=dict)
    max_limit_request_ratio: dict[str, str] = _f(default_factory=dict)


class LimitRangeSpec(ApiStruct):
    limits: list[LimitRangeItem] = _f(default_factory=lambda: list())


class LimitRange(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "LimitRange")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: LimitRangeSpec = _f(default_factory=lambda: LimitRangeSpec())


class LimitRangeList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "LimitRangeList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[LimitRange] = _f(default_factory=lambda: list())


class PortStatus(ApiStruct):
    port: int = _f(default_factory=int)
    protocol: str = _f(default_factory=str)
    error: str | None = None


class LoadBalancerIngress(ApiStruct):
    ip: str = ""
    hostname: str = ""
    ip_mode: str | None = None
    ports: list[PortStatus] = _f(default_factory=list)


class LoadBalancerStatus(ApiStruct):
    ingress: list[LoadBalancerIngress] = _f(default_factory=list)


class LocalVolumeSource(ApiStruct):
    path: str = _f(default_factory=str)
    fs_type: str | None = None


class ModifyVolumeStatus(ApiStruct):
    target_volume_attributes_class_name: str = ""
    status: str = _f(default_factory=str)


class NFSVolumeSource(ApiStruct):
    server: str = _f(default_factory=str)
    path: str = _f(default_factory=str)
    read_only: bool = False


class NamespaceSpec(ApiStruct):
    finalizers: list[str] = _f(default_factory=list)


class NamespaceCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class NamespaceStatus(ApiStruct):
    phase: str = ""
    conditions: list[NamespaceCondition] = _f(default_factory=list)


class Namespace(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Namespace")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: NamespaceSpec = _f(default_factory=lambda: NamespaceSpec())
    status: NamespaceStatus = _f(default_factory=lambda: NamespaceStatus())


class NamespaceList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "NamespaceList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Namespace] = _f(default_factory=lambda: list())


class NodeConfigSource(ApiStruct):
    config_map: ConfigMapNodeConfigSource | None = None


class NodePodPreemptionPolicy(ApiStruct):
    disable_resize_preemption: list[str] = _f(default_factory=list)


class Taint(ApiStruct):
    key: str = _f(default_factory=str)
    value: str = ""
    effect: str = _f(default_factory=str)
    time_added: str | None = None


class NodeSpec(ApiStruct):
    pod_cidr: str = _f(default="", name="podCIDR")
    pod_cidrs: list[str] = _f(default_factory=list, name="podCIDRs")
    provider_id: str = _f(default="", name="providerID")
    unschedulable: bool = False
    taints: list[Taint] = _f(default_factory=list)
    config_source: NodeConfigSource | None = None
    external_id: str = _f(default="", name="externalID")
    pod_preemption_policy: NodePodPreemptionPolicy | None = None


class NodeAddress(ApiStruct):
    type: str = _f(default_factory=str)
    address: str = _f(default_factory=str)


class NodeCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_heartbeat_time: str | None = _f(default_factory=_none)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class NodeConfigStatus(ApiStruct):
    assigned: NodeConfigSource | None = None
    active: NodeConfigSource | None = None
    last_known_good: NodeConfigSource | None = None
    error: str = ""


class NodeDaemonEndpoints(ApiStruct):
    kubelet_endpoint: DaemonEndpoint = _f(default_factory=lambda: DaemonEndpoint())


class NodeFeatures(ApiStruct):
    supplemental_groups_policy: bool | None = None


class NodeRuntimeHandlerFeatures(ApiStruct):
    recursive_read_only_mounts: bool | None = None
    user_namespaces: bool | None = None


class NodeRuntimeHandler(ApiStruct):
    name: str = _f(default_factory=str)
    features: NodeRuntimeHandlerFeatures | None = None


class NodeSwapStatus(ApiStruct):
    capacity: int | None = None


class NodeSystemInfo(ApiStruct):
    machine_id: str = _f(default_factory=str, name="machineID")
    system_uuid: str = _f(default_factory=str, name="systemUUID")
    boot_id: str = _f(default_factory=str, name="bootID")
    kernel_version: str = _f(default_factory=str)
    os_image: str = _f(default_factory=str)
    container_runtime_version: str = _f(default_factory=str)
    kubelet_version: str = _f(default_factory=str)
    kube_proxy_version: str = _f(default_factory=str)
    operating_system: str = _f(default_factory=str)
    architecture: str = _f(default_factory=str)
    swap: NodeSwapStatus | None = None
    running_in_user_namespace: bool | None = None


class NodeStatus(ApiStruct):
    capacity: dict[str, str] = _f(default_factory=dict)
    allocatable: dict[str, str] = _f(default_factory=dict)
    phase: str = ""
    conditions: list[NodeCondition] = _f(default_factory=list)
    addresses: list[NodeAddress] = _f(default_factory=list)
    daemon_endpoints: NodeDaemonEndpoints = _f(default_factory=lambda: NodeDaemonEndpoints())
    node_info: NodeSystemInfo = _f(default_factory=lambda: NodeSystemInfo())
    images: list[ContainerImage] = _f(default_factory=list)
    volumes_in_use: list[str] = _f(default_factory=list)
    volumes_attached: list[AttachedVolume] = _f(default_factory=list)
    config: NodeConfigStatus | None = None
    runtime_handlers: list[NodeRuntimeHandler] = _f(default_factory=list)
    features: NodeFeatures | None = None
    declared_features: list[str] = _f(default_factory=list)


class Node(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Node")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: NodeSpec = _f(default_factory=lambda: NodeSpec())
    status: NodeStatus = _f(default_factory=lambda: NodeStatus())


class NodeAllocatableMappedResources(ApiStruct):
    name: str = _f(default_factory=str)
    quantity: str | None = _f(default_factory=_none)


class NodeAllocatableOverheadResources(ApiStruct):
    name: str = _f(default_factory=str)
    per_pod: str | None = None
    per_container: str | None = None


class NodeAllocatableResourceClaimStatus(ApiStruct):
    resource_claim_name: str = _f(default_factory=str)
    containers: list[str] = _f(default_factory=list)
    mapping: list[NodeAllocatableMappedResources] = _f(default_factory=list)
    overhead: list[NodeAllocatableOverheadResources] = _f(default_factory=list)


class NodeList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "NodeList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Node] = _f(default_factory=lambda: list())


class NodeProxyOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "NodeProxyOptions")
    path: str = ""


class PhotonPersistentDiskVolumeSource(ApiStruct):
    pd_id: str = _f(default_factory=str, name="pdID")
    fs_type: str = ""


class PortworxVolumeSource(ApiStruct):
    volume_id: str = _f(default_factory=str, name="volumeID")
    fs_type: str = ""
    read_only: bool = False


class QuobyteVolumeSource(ApiStruct):
    registry: str = _f(default_factory=str)
    volume: str = _f(default_factory=str)
    read_only: bool = False
    user: str = ""
    group: str = ""
    tenant: str = ""


class RBDPersistentVolumeSource(ApiStruct):
    monitors: list[str] = _f(default_factory=lambda: list())
    image: str = _f(default_factory=str)
    fs_type: str = ""
    pool: str = ""
    user: str = ""
    keyring: str = ""
    secret_ref: SecretReference | None = None
    read_only: bool = False


class ScaleIOPersistentVolumeSource(ApiStruct):
    gateway: str = _f(default_factory=str)
    system: str = _f(default_factory=str)
    secret_ref: SecretReference | None = _f(default_factory=_none)
    ssl_enabled: bool = False
    protection_domain: str = ""
    storage_pool: str = ""
    storage_mode: str = ""
    volume_name: str = ""
    fs_type: str = ""
    read_only: bool = False


class StorageOSPersistentVolumeSource(ApiStruct):
    volume_name: str = ""
    volume_namespace: str = ""
    fs_type: str = ""
    read_only: bool = False
    secret_ref: ObjectReference | None = None


class VolumeNodeAffinity(ApiStruct):
    required: NodeSelector | None = None


class VsphereVirtualDiskVolumeSource(ApiStruct):
    volume_path: str = _f(default_factory=str)
    fs_type: str = ""
    storage_policy_name: str = ""
    storage_policy_id: str = _f(default="", name="storagePolicyID")


class PersistentVolumeSpec(ApiStruct):
    capacity: dict[str, str] = _f(default_factory=dict)
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    rbd: RBDPersistentVolumeSource | None = None
    iscsi: ISCSIPersistentVolumeSource | None = None
    cinder: CinderPersistentVolumeSource | None = None
    cephfs: CephFSPersistentVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    flex_volume: FlexPersistentVolumeSource | None = None
    azure_file: AzureFilePersistentVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOPersistentVolumeSource | None = _f(default=None, name="scaleIO")
    local: LocalVolumeSource | None = None
    storageos: StorageOSPersistentVolumeSource | None = None
    csi: CSIPersistentVolumeSource | None = None
    access_modes: list[str] = _f(default_factory=list)
    claim_ref: ObjectReference | None = None
    persistent_volume_reclaim_policy: str = ""
    storage_class_name: str = ""
    mount_options: list[str] = _f(default_factory=list)
    volume_mode: str | None = None
    node_affinity: VolumeNodeAffinity | None = None
    volume_attributes_class_name: str | None = None


class PersistentVolumeStatus(ApiStruct):
    phase: str = ""
    message: str = ""
    reason: str = ""
    last_phase_transition_time: str | None = None


class PersistentVolume(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PersistentVolume")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PersistentVolumeSpec = _f(default_factory=lambda: PersistentVolumeSpec())
    status: PersistentVolumeStatus = _f(default_factory=lambda: PersistentVolumeStatus())


class PersistentVolumeClaimCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_probe_time: str | None = _f(default_factory=_none)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class VolumeHealthCondition(ApiStruct):
    status: str = _f(default_factory=str)
    reason: str = _f(default_factory=str)
    message: str = ""


class VolumeHealthStatus(ApiStruct):
    health_conditions: list[VolumeHealthCondition] = _f(default_factory=list)
    last_transition_time: str | None = _f(default_factory=_none)


class PersistentVolumeClaimStatus(ApiStruct):
    phase: str = ""
    access_modes: list[str] = _f(default_factory=list)
    capacity: dict[str, str] = _f(default_factory=dict)
    conditions: list[PersistentVolumeClaimCondition] = _f(default_factory=list)
    allocated_resources: dict[str, str] = _f(default_factory=dict)
    allocated_resource_statuses: dict[str, str] = _f(default_factory=dict)
    current_volume_attributes_class_name: str | None = None
    modify_volume_status: ModifyVolumeStatus | None = None
    health_status: VolumeHealthStatus | None = None


class PersistentVolumeClaim(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PersistentVolumeClaim")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PersistentVolumeClaimSpec = _f(default_factory=lambda: PersistentVolumeClaimSpec())
    status: PersistentVolumeClaimStatus = _f(default_factory=lambda: PersistentVolumeClaimStatus())


class PersistentVolumeClaimList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PersistentVolumeClaimList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PersistentVolumeClaim] = _f(default_factory=lambda: list())


class PersistentVolumeClaimVolumeSource(ApiStruct):
    claim_name: str = _f(default_factory=str)
    read_only: bool = False


class PersistentVolumeList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PersistentVolumeList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PersistentVolume] = _f(default_factory=lambda: list())


class PersistentVolumeSource(ApiStruct):
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    host_path: HostPathVolumeSource | None = None
    glusterfs: GlusterfsPersistentVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    rbd: RBDPersistentVolumeSource | None = None
    iscsi: ISCSIPersistentVolumeSource | None = None
    cinder: CinderPersistentVolumeSource | None = None
    cephfs: CephFSPersistentVolumeSource | None = None
    fc: FCVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    flex_volume: FlexPersistentVolumeSource | None = None
    azure_file: AzureFilePersistentVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOPersistentVolumeSource | None = _f(default=None, name="scaleIO")
    local: LocalVolumeSource | None = None
    storageos: StorageOSPersistentVolumeSource | None = None
    csi: CSIPersistentVolumeSource | None = None


class PodDNSConfigOption(ApiStruct):
    name: str = ""
    value: str | None = None


class PodDNSConfig(ApiStruct):
    nameservers: list[str] = _f(default_factory=list)
    searches: list[str] = _f(default_factory=list)
    options: list[PodDNSConfigOption] = _f(default_factory=list)


class PodOS(ApiStruct):
    name: str = _f(default_factory=str)


class PodReadinessGate(ApiStruct):
    condition_type: str = _f(default_factory=str)


class PodResourceClaim(ApiStruct):
    name: str = _f(default_factory=str)
    resource_claim_name: str | None = None
    resource_claim_template_name: str | None = None


class PodSchedulingGate(ApiStruct):
    name: str = _f(default_factory=str)


class PodSchedulingGroup(ApiStruct):
    pod_group_name: str | None = None


class Sysctl(ApiStruct):
    name: str = _f(default_factory=str)
    value: str = _f(default_factory=str)


class PodSecurityContext(ApiStruct):
    se_linux_options: SELinuxOptions | None = None
    windows_options: WindowsSecurityContextOptions | None = None
    run_as_user: int | None = None
    run_as_group: int | None = None
    run_as_non_root: bool | None = None
    supplemental_groups: list[int] = _f(default_factory=list)
    supplemental_groups_policy: str | None = None
    fs_group: int | None = None
    sysctls: list[Sysctl] = _f(default_factory=list)
    fs_group_change_policy: str | None = None
    seccomp_profile: SeccompProfile | None = None
    app_armor_profile: AppArmorProfile | None = None
    se_linux_change_policy: str | None = None


class Toleration(ApiStruct):
    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class TopologySpreadConstraint(ApiStruct):
    max_skew: int = _f(default_factory=int)
    topology_key: str = _f(default_factory=str)
    when_unsatisfiable: str = _f(default_factory=str)
    label_selector: meta_v1.LabelSelector | None = None
    min_domains: int | None = None
    node_affinity_policy: str | None = None
    node_taints_policy: str | None = None
    match_label_keys: list[str] = _f(default_factory=list)


class PodCertificateProjection(ApiStruct):
    signer_name: str = ""
    key_type: str = ""
    max_expiration_seconds: int | None = None
    credential_bundle_path: str = ""
    key_path: str = ""
    certificate_chain_path: str = ""
    user_annotations: dict[str, str] = _f(default_factory=dict)
    user: int | None = None


class SecretProjection(ApiStruct):
    name: str = ""
    items: list[KeyToPath] = _f(default_factory=list)
    optional: bool | None = None


class ServiceAccountTokenProjection(ApiStruct):
    audience: str = ""
    expiration_seconds: int | None = None
    path: str = _f(default_factory=str)
    user: int | None = None


class VolumeProjection(ApiStruct):
    secret: SecretProjection | None = None
    downward_api: DownwardAPIProjection | None = _f(default=None, name="downwardAPI")
    config_map: ConfigMapProjection | None = None
    service_account_token: ServiceAccountTokenProjection | None = None
    cluster_trust_bundle: ClusterTrustBundleProjection | None = None
    pod_certificate: PodCertificateProjection | None = None


class ProjectedVolumeSource(ApiStruct):
    sources: list[VolumeProjection] = _f(default_factory=lambda: list())
    default_mode: int | None = None
    default_user: int | None = None


class RBDVolumeSource(ApiStruct):
    monitors: list[str] = _f(default_factory=lambda: list())
    image: str = _f(default_factory=str)
    fs_type: str = ""
    pool: str = ""
    user: str = ""
    keyring: str = ""
    secret_ref: LocalObjectReference | None = None
    read_only: bool = False


class ScaleIOVolumeSource(ApiStruct):
    gateway: str = _f(default_factory=str)
    system: str = _f(default_factory=str)
    secret_ref: LocalObjectReference | None = _f(default_factory=_none)
    ssl_enabled: bool = False
    protection_domain: str = ""
    storage_pool: str = ""
    storage_mode: str = ""
    volume_name: str = ""
    fs_type: str = ""
    read_only: bool = False


class SecretVolumeSource(ApiStruct):
    secret_name: str = ""
    items: list[KeyToPath] = _f(default_factory=list)
    default_mode: int | None = None
    optional: bool | None = None
    default_user: int | None = None


class StorageOSVolumeSource(ApiStruct):
    volume_name: str = ""
    volume_namespace: str = ""
    fs_type: str = ""
    read_only: bool = False
    secret_ref: LocalObjectReference | None = None


class Volume(ApiStruct):
    name: str = _f(default_factory=str)
    host_path: HostPathVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    git_repo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flex_volume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = _f(default=None, name="downwardAPI")
    fc: FCVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOVolumeSource | None = _f(default=None, name="scaleIO")
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None


class PodSpec(ApiStruct):
    volumes: list[Volume] = _f(default_factory=list)
    init_containers: list[Container] = _f(default_factory=list)
    containers: list[Container] = _f(default_factory=lambda: list())
    ephemeral_containers: list[EphemeralContainer] = _f(default_factory=list)
    restart_policy: str = ""
    termination_grace_period_seconds: int | None = None
    active_deadline_seconds: int | None = None
    dns_policy: str = ""
    node_selector: dict[str, str] = _f(default_factory=dict)
    service_account_name: str = ""
    service_account: str = ""
    automount_service_account_token: bool | None = None
    node_name: str = ""
    host_network: bool = False
    host_pid: bool = _f(default=False, name="hostPID")
    host_ipc: bool = _f(default=False, name="hostIPC")
    share_process_namespace: bool | None = None
    security_context: PodSecurityContext | None = None
    image_pull_secrets: list[LocalObjectReference] = _f(default_factory=list)
    hostname: str = ""
    subdomain: str = ""
    affinity: Affinity | None = None
    scheduler_name: str = ""
    tolerations: list[Toleration] = _f(default_factory=list)
    host_aliases: list[HostAlias] = _f(default_factory=list)
    priority_class_name: str = ""
    priority: int | None = None
    dns_config: PodDNSConfig | None = None
    readiness_gates: list[PodReadinessGate] = _f(default_factory=list)
    runtime_class_name: str | None = None
    enable_service_links: bool | None = None
    preemption_policy: str | None = None
    overhead: dict[str, str] = _f(default_factory=dict)
    topology_spread_constraints: list[TopologySpreadConstraint] = _f(default_factory=list)
    set_hostname_as_fqdn: bool | None = _f(default=None, name="setHostnameAsFQDN")
    os: PodOS | None = None
    host_users: bool | None = None
    scheduling_gates: list[PodSchedulingGate] = _f(default_factory=list)
    resource_claims: list[PodResourceClaim] = _f(default_factory=list)
    resources: ResourceRequirements | None = None
    hostname_override: str | None = None
    scheduling_group: PodSchedulingGroup | None = None
    eviction_responders: list[EvictionResponder] = _f(default_factory=list)


class PodCondition(ApiStruct):
    type: str = _f(default_factory=str)
    observed_generation: int = 0
    status: str = _f(default_factory=str)
    last_probe_time: str | None = _f(default_factory=_none)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class PodExtendedResourceClaimStatus(ApiStruct):
    request_mappings: list[ContainerExtendedResourceRequest] = _f(default_factory=lambda: list())
    resource_claim_name: str = _f(default_factory=str)


class PodIP(ApiStruct):
    ip: str = _f(default_factory=str)


class PodResourceClaimStatus(ApiStruct):
    name: str = _f(default_factory=str)
    resource_claim_name: str | None = None


class PodVolumeHealth(ApiStruct):
    name: str = _f(default_factory=str)
    health_conditions: list[VolumeHealthCondition] = _f(default_factory=list)
    last_transition_time: str | None = _f(default_factory=_none)


class PodStatus(ApiStruct):
    observed_generation: int = 0
    phase: str = ""
    conditions: list[PodCondition] = _f(default_factory=list)
    message: str = ""
    reason: str = ""
    nominated_node_name: str = ""
    host_ip: str = _f(default="", name="hostIP")
    host_ips: list[HostIP] = _f(default_factory=list, name="hostIPs")
    pod_ip: str = _f(default="", name="podIP")
    pod_ips: list[PodIP] = _f(default_factory=list, name="podIPs")
    start_time: str | None = None
    init_container_statuses: list[ContainerStatus] = _f(default_factory=list)
    container_statuses: list[ContainerStatus] = _f(default_factory=list)
    qos_class: str = ""
    ephemeral_container_statuses: list[ContainerStatus] = _f(default_factory=list)
    resize: str = ""
    resource_claim_statuses: list[PodResourceClaimStatus] = _f(default_factory=list)
    extended_resource_claim_status: PodExtendedResourceClaimStatus | None = None
    allocated_resources: dict[str, str] = _f(default_factory=dict)
    resources: ResourceRequirements | None = None
    node_allocatable_resource_claim_statuses: list[NodeAllocatableResourceClaimStatus] = _f(default_factory=list)
    volume_health: list[PodVolumeHealth] = _f(default_factory=list)


class Pod(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Pod")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PodSpec = _f(default_factory=lambda: PodSpec())
    status: PodStatus = _f(default_factory=lambda: PodStatus())


class PodAttachOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodAttachOptions")
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    container: str = ""


class PodExecOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodExecOptions")
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False
    container: str = ""
    command: list[str] = _f(default_factory=lambda: list())


class PodList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Pod] = _f(default_factory=lambda: list())


class PodLogOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodLogOptions")
    container: str = ""
    follow: bool = False
    previous: bool = False
    since_seconds: int | None = None
    since_time: str | None = None
    timestamps: bool = False
    tail_lines: int | None = None
    limit_bytes: int | None = None
    insecure_skip_tls_verify_backend: bool = _f(default=False, name="insecureSkipTLSVerifyBackend")
    stream: str | None = None


class PodPortForwardOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodPortForwardOptions")
    ports: list[int] = _f(default_factory=list)


class PodProxyOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodProxyOptions")
    path: str = ""


class PodTemplateSpec(ApiStruct):
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PodSpec = _f(default_factory=lambda: PodSpec())


class PodTemplate(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodTemplate")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    template: PodTemplateSpec = _f(default_factory=lambda: PodTemplateSpec())


class PodTemplateList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "PodTemplateList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PodTemplate] = _f(default_factory=lambda: list())


class Preconditions(ApiStruct):
    uid: str | None = None


class ProbeHandler(ApiStruct):
    exec: ExecAction | None = None
    http_get: HTTPGetAction | None = None
    tcp_socket: TCPSocketAction | None = None
    grpc: GRPCAction | None = None


class RangeAllocation(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "RangeAllocation")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    range: str = _f(default_factory=str)
    data: bytes = _f(default_factory=bytes)


class ReplicationControllerSpec(ApiStruct):
    replicas: int | None = None
    min_ready_seconds: int = 0
    selector: dict[str, str] = _f(default_factory=dict)
    template: PodTemplateSpec | None = None


class ReplicationControllerCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class ReplicationControllerStatus(ApiStruct):
    replicas: int = _f(default_factory=int)
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    observed_generation: int = 0
    conditions: list[ReplicationControllerCondition] = _f(default_factory=list)


class ReplicationController(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ReplicationController")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ReplicationControllerSpec = _f(default_factory=lambda: ReplicationControllerSpec())
    status: ReplicationControllerStatus = _f(default_factory=lambda: ReplicationControllerStatus())


class ReplicationControllerList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ReplicationControllerList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ReplicationController] = _f(default_factory=lambda: list())


class ScopedResourceSelectorRequirement(ApiStruct):
    scope_name: str = _f(default_factory=str)
    operator: str = _f(default_factory=str)
    values: list[str] = _f(default_factory=list)


class ScopeSelector(ApiStruct):
    match_expressions: list[ScopedResourceSelectorRequirement] = _f(default_factory=list)


class ResourceQuotaSpec(ApiStruct):
    hard: dict[str, str] = _f(default_factory=dict)
    scopes: list[str] = _f(default_factory=list)
    scope_selector: ScopeSelector | None = None


class ResourceQuotaStatus(ApiStruct):
    hard: dict[str, str] = _f(default_factory=dict)
    used: dict[str, str] = _f(default_factory=dict)


class ResourceQuota(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ResourceQuota")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ResourceQuotaSpec = _f(default_factory=lambda: ResourceQuotaSpec())
    status: ResourceQuotaStatus = _f(default_factory=lambda: ResourceQuotaStatus())


class ResourceQuotaList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ResourceQuotaList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ResourceQuota] = _f(default_factory=lambda: list())


class Secret(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Secret")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    immutable: bool | None = None
    data: dict[str, bytes] = _f(default_factory=dict)
    string_data: dict[str, str] = _f(default_factory=dict)
    type: str = ""


class SecretList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "SecretList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Secret] = _f(default_factory=lambda: list())


class SerializedReference(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "SerializedReference")
    reference: ObjectReference = _f(default_factory=lambda: ObjectReference())


class ServicePort(ApiStruct):
    name: str = ""
    protocol: str = ""
    app_protocol: str | None = None
    port: int = _f(default_factory=int)
    target_port: int | str = _f(default_factory=lambda: 0)
    node_port: int = 0


class SessionAffinityConfig(ApiStruct):
    client_ip: ClientIPConfig | None = _f(default=None, name="clientIP")


class ServiceSpec(ApiStruct):
    ports: list[ServicePort] = _f(default_factory=list)
    selector: dict[str, str] = _f(default_factory=dict)
    cluster_ip: str = _f(default="", name="clusterIP")
    cluster_ips: list[str] = _f(default_factory=list, name="clusterIPs")
    type: str = ""
    external_ips: list[str] = _f(default_factory=list, name="externalIPs")
    session_affinity: str = ""
    load_balancer_ip: str = _f(default="", name="loadBalancerIP")
    load_balancer_source_ranges: list[str] = _f(default_factory=list)
    external_name: str = ""
    external_traffic_policy: str = ""
    health_check_node_port: int = 0
    publish_not_ready_addresses: bool = False
    session_affinity_config: SessionAffinityConfig | None = None
    ip_families: list[str] = _f(default_factory=list)
    ip_family_policy: str | None = None
    allocate_load_balancer_node_ports: bool | None = None
    load_balancer_class: str | None = None
    internal_traffic_policy: str | None = None
    traffic_distribution: str | None = None


class ServiceStatus(ApiStruct):
    load_balancer: LoadBalancerStatus = _f(default_factory=lambda: LoadBalancerStatus())
    conditions: list[meta_v1.Condition] = _f(default_factory=list)


class Service(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "Service")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ServiceSpec = _f(default_factory=lambda: ServiceSpec())
    status: ServiceStatus = _f(default_factory=lambda: ServiceStatus())


class ServiceAccount(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ServiceAccount")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    secrets: list[ObjectReference] = _f(default_factory=list)
    image_pull_secrets: list[LocalObjectReference] = _f(default_factory=list)
    automount_service_account_token: bool | None = None


class ServiceAccountList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ServiceAccountList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ServiceAccount] = _f(default_factory=lambda: list())


class ServiceList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ServiceList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Service] = _f(default_factory=lambda: list())


class ServiceProxyOptions(ApiStruct):
    api_version: str = _f(default_factory=lambda: "v1")
    kind: str = _f(default_factory=lambda: "ServiceProxyOptions")
    path: str = ""


class TopologySelectorLabelRequirement(ApiStruct):
    key: str = _f(default_factory=str)
    values: list[str] = _f(default_factory=lambda: list())


class TopologySelectorTerm(ApiStruct):
    match_label_expressions: list[TopologySelectorLabelRequirement] = _f(default_factory=list)


class VolumeSource(ApiStruct):
    host_path: HostPathVolumeSource | None = None
    empty_dir: EmptyDirVolumeSource | None = None
    gce_persistent_disk: GCEPersistentDiskVolumeSource | None = None
    aws_elastic_block_store: AWSElasticBlockStoreVolumeSource | None = None
    git_repo: GitRepoVolumeSource | None = None
    secret: SecretVolumeSource | None = None
    nfs: NFSVolumeSource | None = None
    iscsi: ISCSIVolumeSource | None = None
    glusterfs: GlusterfsVolumeSource | None = None
    persistent_volume_claim: PersistentVolumeClaimVolumeSource | None = None
    rbd: RBDVolumeSource | None = None
    flex_volume: FlexVolumeSource | None = None
    cinder: CinderVolumeSource | None = None
    cephfs: CephFSVolumeSource | None = None
    flocker: FlockerVolumeSource | None = None
    downward_api: DownwardAPIVolumeSource | None = _f(default=None, name="downwardAPI")
    fc: FCVolumeSource | None = None
    azure_file: AzureFileVolumeSource | None = None
    config_map: ConfigMapVolumeSource | None = None
    vsphere_volume: VsphereVirtualDiskVolumeSource | None = None
    quobyte: QuobyteVolumeSource | None = None
    azure_disk: AzureDiskVolumeSource | None = None
    photon_persistent_disk: PhotonPersistentDiskVolumeSource | None = None
    projected: ProjectedVolumeSource | None = None
    portworx_volume: PortworxVolumeSource | None = None
    scale_io: ScaleIOVolumeSource | None = _f(default=None, name="scaleIO")
    storageos: StorageOSVolumeSource | None = None
    csi: CSIVolumeSource | None = None
    ephemeral: EphemeralVolumeSource | None = None
    image: ImageVolumeSource | None = None
