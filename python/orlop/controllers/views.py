"""What controllers keep of kinds that there are many of: projections, shared so that there is one cache of each."""

from functools import cache
from sys import intern
from typing import cast

import msgspec
from msgspec import field

from orlop.api.scheme import Kind
from orlop.api.types import core_v1, meta_v1
from orlop.api.types.base import ApiStruct, _none
from orlop.client.sharing import share


class MetaView(ApiStruct):
    """Metadata without managed fields."""

    name: str = ""
    generate_name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str | None = None
    deletion_grace_period_seconds: int | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    owner_references: list[meta_v1.OwnerReference] = field(default_factory=list)
    finalizers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.namespace = intern(self.namespace)
        self.generate_name = intern(self.generate_name)
        self.creation_timestamp = intern(self.creation_timestamp)
        self.labels = share(self.labels)
        self.annotations = share(self.annotations)
        self.owner_references = share(self.owner_references)
        self.finalizers = share(self.finalizers)


class ContainerPortsView(ApiStruct):
    name: str = ""
    restart_policy: str | None = None
    ports: list[core_v1.ContainerPort] = field(default_factory=list)


class ClaimSourceView(ApiStruct):
    claim_name: str = ""


class VolumeView(ApiStruct):
    """A volume: its name, and its claim if that is what it is."""

    name: str = ""
    persistent_volume_claim: ClaimSourceView | None = None
    ephemeral: core_v1.EphemeralVolumeSource | None = None

    @property
    def has_claim(self) -> bool:
        return self.persistent_volume_claim is not None or self.ephemeral is not None


class NodeFieldsView(ApiStruct):
    match_fields: list[core_v1.NodeSelectorRequirement] = field(default_factory=list)


class RequiredNodesView(ApiStruct):
    node_selector_terms: list[NodeFieldsView] = field(default_factory=list)


class NodeAffinityView(ApiStruct):
    required: RequiredNodesView | None = field(default=None, name="requiredDuringSchedulingIgnoredDuringExecution")


class AffinityView(ApiStruct):
    """The nodes that a pod is bound to by name."""

    node_affinity: NodeAffinityView | None = None


class PodSpecView(ApiStruct):
    node_name: str = ""
    hostname: str = ""
    subdomain: str = ""
    termination_grace_period_seconds: int | None = None
    tolerations: list[core_v1.Toleration] = field(default_factory=list)
    affinity: AffinityView | None = None
    volumes: list[VolumeView] = field(default_factory=list)
    containers: list[ContainerPortsView] = field(default_factory=list)
    init_containers: list[ContainerPortsView] = field(default_factory=list)
    resource_claims: list[core_v1.PodResourceClaim] | None = None

    def __post_init__(self) -> None:
        self.node_name = intern(self.node_name)
        self.tolerations = share(self.tolerations)
        self.containers = share(self.containers)
        self.init_containers = share(self.init_containers)
        self.volumes = share([volume for volume in self.volumes if volume.has_claim])


class PodConditionView(ApiStruct):
    type: str = field(default_factory=str)
    status: str = field(default_factory=str)
    reason: str = ""
    last_transition_time: str | None = field(default_factory=_none)


class ContainerEndView(ApiStruct):
    exit_code: int = field(default_factory=int)
    finished_at: str | None = None


class ContainerStateView(ApiStruct):
    terminated: ContainerEndView | None = None


class ContainerStatusView(ApiStruct):
    name: str = ""
    restart_count: int = field(default_factory=int)
    state: ContainerStateView | None = None


class PodStatusView(ApiStruct):
    phase: str = ""
    reason: str = ""
    pod_ips: list[core_v1.PodIP] = field(default_factory=list, name="podIPs")
    conditions: list[PodConditionView] = field(default_factory=list)
    container_statuses: list[ContainerStatusView] = field(default_factory=list)
    init_container_statuses: list[ContainerStatusView] = field(default_factory=list)
    resource_claim_statuses: list[core_v1.PodResourceClaimStatus] | None = None

    def __post_init__(self) -> None:
        self.phase = intern(self.phase)
        self.conditions = share(self.conditions)
        self.container_statuses = share(self.container_statuses)
        self.init_container_statuses = share(self.init_container_statuses)


class PodView(ApiStruct):
    """A pod as the controllers see it: about a quarter of the whole, and of that what equals another pod's once.

    Of its volumes only those with a claim are kept.
    """

    __kind__ = core_v1.Pod

    metadata: MetaView = field(default_factory=MetaView)
    spec: PodSpecView = field(default_factory=PodSpecView)
    status: PodStatusView = field(default_factory=PodStatusView)


class OwnedMeta(ApiStruct):
    """Metadata as the garbage collector needs it."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    deletion_timestamp: str | None = None
    owner_references: list[meta_v1.OwnerReference] = field(default_factory=list)
    finalizers: list[str] = field(default_factory=list)


class Owned(ApiStruct):
    """An object of any kind, as the garbage collector sees it."""

    metadata: OwnedMeta = field(default_factory=OwnedMeta)


@cache
def owned(kind: Kind) -> type[Owned]:
    """The projection `Owned` of a kind."""
    made = msgspec.defstruct(f"Owned{kind.kind}", [], bases=(Owned,), namespace={"__kind__": kind})
    return cast(type[Owned], made)
