"""kubescheduler.config.k8s.io/v1: the structs of KubeSchedulerConfiguration (k8s.io/kube-scheduler/config/v1).

Durations are texts as in Go ("15s"); `None` is a field that was not given and gets a default.
"""

from typing import Any

import msgspec

from orlop.api.types import core_v1


class _Base(msgspec.Struct, kw_only=True, rename="camel", omit_defaults=True):
    """Unknown fields are found by the reader, which says where they are."""


class LeaderElection(_Base):
    leader_elect: bool | None = None
    lease_duration: str = "15s"
    renew_deadline: str = "10s"
    retry_period: str = "2s"
    resource_lock: str = "leases"
    resource_name: str = "kube-scheduler"
    resource_namespace: str = "kube-system"


class ClientConnection(_Base):
    kubeconfig: str = ""
    accept_content_types: str = ""
    content_type: str = ""
    qps: float = 50.0
    burst: int = 100


class Plugin(_Base):
    name: str
    weight: int | None = None


class PluginSet(_Base):
    enabled: list[Plugin] | None = None
    disabled: list[Plugin] | None = None


class Plugins(_Base):
    pre_enqueue: PluginSet | None = None
    queue_sort: PluginSet | None = None
    pre_filter: PluginSet | None = None
    filter: PluginSet | None = None
    post_filter: PluginSet | None = None
    pre_score: PluginSet | None = None
    score: PluginSet | None = None
    reserve: PluginSet | None = None
    permit: PluginSet | None = None
    pre_bind: PluginSet | None = None
    bind: PluginSet | None = None
    post_bind: PluginSet | None = None
    multi_point: PluginSet | None = None


class PluginConfig(_Base):
    name: str
    args: dict[str, Any] | None = None


class Profile(_Base):
    scheduler_name: str | None = None
    percentage_of_nodes_to_score: int | None = None
    plugins: Plugins | None = None
    plugin_config: list[PluginConfig] | None = None


class ManagedResource(_Base):
    name: str
    ignored_by_scheduler: bool = False


class ExtenderTLS(_Base):
    """Files by name, or their content in base64 (`…Data`)."""

    insecure: bool = False
    server_name: str = ""
    cert_file: str = ""
    key_file: str = ""
    ca_file: str = ""
    cert_data: bytes = b""
    key_data: bytes = b""
    ca_data: bytes = b""


class Extender(_Base):
    url_prefix: str
    filter_verb: str = ""
    preempt_verb: str = ""
    prioritize_verb: str = ""
    weight: int = 0
    bind_verb: str = ""
    enable_https: bool = msgspec.field(default=False, name="enableHTTPS")
    tls_config: ExtenderTLS | None = None
    http_timeout: str = "5s"
    node_cache_capable: bool = False
    managed_resources: list[ManagedResource] | None = None
    ignorable: bool = False


class Configuration(_Base):
    api_version: str = ""
    kind: str = ""
    parallelism: int = 16
    leader_election: LeaderElection = msgspec.field(default_factory=LeaderElection)
    client_connection: ClientConnection = msgspec.field(default_factory=ClientConnection)
    enable_profiling: bool = True
    enable_contention_profiling: bool = True
    percentage_of_nodes_to_score: int | None = None
    pod_initial_backoff_seconds: int = 1
    pod_max_backoff_seconds: int = 10
    profiles: list[Profile] | None = None
    extenders: list[Extender] | None = None
    delay_cache_until_active: bool = False


# --- arguments of plug-ins


class Args(_Base):
    """What every plug-in's arguments may carry."""

    api_version: str = ""
    kind: str = ""


class ResourceSpec(_Base):
    name: str
    weight: int = 0


class ShapePoint(_Base):
    utilization: int = 0
    score: int = 0


class Ratio(_Base):
    shape: list[ShapePoint] = msgspec.field(default_factory=list)


class ScoringStrategy(_Base):
    type: str = ""
    resources: list[ResourceSpec] = msgspec.field(default_factory=list)
    requested_to_capacity_ratio: Ratio | None = None


class NodeResourcesFitArgs(Args):
    ignored_resources: list[str] = msgspec.field(default_factory=list)
    ignored_resource_groups: list[str] = msgspec.field(default_factory=list)
    scoring_strategy: ScoringStrategy | None = None


class NodeResourcesBalancedAllocationArgs(Args):
    resources: list[ResourceSpec] = msgspec.field(default_factory=list)


class InterPodAffinityArgs(Args):
    hard_pod_affinity_weight: int | None = None
    ignore_preferred_terms_of_existing_pods: bool = False


class NodeAffinityArgs(Args):
    added_affinity: core_v1.NodeAffinity | None = None


class PodTopologySpreadArgs(Args):
    default_constraints: list[core_v1.TopologySpreadConstraint] = msgspec.field(default_factory=list)
    defaulting_type: str = ""


class VolumeBindingArgs(Args):
    bind_timeout_seconds: int | None = None
    shape: list[ShapePoint] | None = None


class DefaultPreemptionArgs(Args):
    min_candidate_nodes_percentage: int | None = None
    min_candidate_nodes_absolute: int | None = None


class DynamicResourcesArgs(Args):
    filter_timeout: str | None = None
    binding_timeout: str | None = None


ARGS: dict[str, type[Args]] = {
    "DefaultPreemption": DefaultPreemptionArgs,
    "DynamicResources": DynamicResourcesArgs,
    "InterPodAffinity": InterPodAffinityArgs,
    "NodeAffinity": NodeAffinityArgs,
    "NodeResourcesBalancedAllocation": NodeResourcesBalancedAllocationArgs,
    "NodeResourcesFit": NodeResourcesFitArgs,
    "PodTopologySpread": PodTopologySpreadArgs,
    "VolumeBinding": VolumeBindingArgs,
}
"""Plug-ins of upstream that take arguments."""
