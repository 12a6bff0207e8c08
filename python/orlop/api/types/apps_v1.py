"""apps/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from typing import Any

from msgspec import field as _f

from orlop.api.types import core_v1
from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class ControllerRevision(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "ControllerRevision")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    data: Any = _f(default_factory=_none)
    revision: int = _f(default_factory=int)


class ControllerRevisionList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "ControllerRevisionList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ControllerRevision] = _f(default_factory=lambda: list())


class RollingUpdateDaemonSet(ApiStruct):
    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class DaemonSetUpdateStrategy(ApiStruct):
    type: str = ""
    rolling_update: RollingUpdateDaemonSet | None = None


class DaemonSetSpec(ApiStruct):
    selector: meta_v1.LabelSelector | None = _f(default_factory=_none)
    template: core_v1.PodTemplateSpec = _f(default_factory=lambda: core_v1.PodTemplateSpec())
    update_strategy: DaemonSetUpdateStrategy = _f(default_factory=lambda: DaemonSetUpdateStrategy())
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None


class DaemonSetCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class DaemonSetStatus(ApiStruct):
    current_number_scheduled: int = _f(default_factory=int)
    number_misscheduled: int = _f(default_factory=int)
    desired_number_scheduled: int = _f(default_factory=int)
    number_ready: int = _f(default_factory=int)
    observed_generation: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0
    number_unavailable: int = 0
    collision_count: int | None = None
    conditions: list[DaemonSetCondition] = _f(default_factory=list)


class DaemonSet(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "DaemonSet")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: DaemonSetSpec = _f(default_factory=lambda: DaemonSetSpec())
    status: DaemonSetStatus = _f(default_factory=lambda: DaemonSetStatus())


class DaemonSetList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "DaemonSetList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[DaemonSet] = _f(default_factory=lambda: list())


class RollingUpdateDeployment(ApiStruct):
    max_unavailable: int | str | None = None
    max_surge: int | str | None = None


class DeploymentStrategy(ApiStruct):
    type: str = ""
    rolling_update: RollingUpdateDeployment | None = None


class DeploymentSpec(ApiStruct):
    replicas: int | None = None
    selector: meta_v1.LabelSelector | None = _f(default_factory=_none)
    template: core_v1.PodTemplateSpec = _f(default_factory=lambda: core_v1.PodTemplateSpec())
    strategy: DeploymentStrategy = _f(default_factory=lambda: DeploymentStrategy())
    min_ready_seconds: int = 0
    revision_history_limit: int | None = None
    paused: bool = False
    progress_deadline_seconds: int | None = None


class DeploymentCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_update_time: str | None = _f(default_factory=_none)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class DeploymentStatus(ApiStruct):
    observed_generation: int = 0
    replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    unavailable_replicas: int = 0
    terminating_replicas: int | None = None
    conditions: list[DeploymentCondition] = _f(default_factory=list)
    collision_count: int | None = None


class Deployment(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "Deployment")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: DeploymentSpec = _f(default_factory=lambda: DeploymentSpec())
    status: DeploymentStatus = _f(default_factory=lambda: DeploymentStatus())


class DeploymentList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "DeploymentList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[Deployment] = _f(default_factory=lambda: list())


class ReplicaSetSpec(ApiStruct):
    replicas: int | None = None
    min_ready_seconds: int = 0
    selector: meta_v1.LabelSelector | None = _f(default_factory=_none)
    template: core_v1.PodTemplateSpec = _f(default_factory=lambda: core_v1.PodTemplateSpec())


class ReplicaSetCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class ReplicaSetStatus(ApiStruct):
    replicas: int = _f(default_factory=int)
    fully_labeled_replicas: int = 0
    ready_replicas: int = 0
    available_replicas: int = 0
    terminating_replicas: int | None = None
    observed_generation: int = 0
    conditions: list[ReplicaSetCondition] = _f(default_factory=list)


class ReplicaSet(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "ReplicaSet")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ReplicaSetSpec = _f(default_factory=lambda: ReplicaSetSpec())
    status: ReplicaSetStatus = _f(default_factory=lambda: ReplicaSetStatus())


class ReplicaSetList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "ReplicaSetList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ReplicaSet] = _f(default_factory=lambda: list())


class RollingUpdateStatefulSetStrategy(ApiStruct):
    partition: int | None = None
    max_unavailable: int | str | None = None


class StatefulSetOrdinals(ApiStruct):
    start: int = _f(default_factory=int)


class StatefulSetPersistentVolumeClaimRetentionPolicy(ApiStruct):
    when_deleted: str = ""
    when_scaled: str = ""


class StatefulSetUpdateStrategy(ApiStruct):
    type: str = ""
    rolling_update: RollingUpdateStatefulSetStrategy | None = None


class StatefulSetSpec(ApiStruct):
    replicas: int | None = None
    selector: meta_v1.LabelSelector | None = _f(default_factory=_none)
    template: core_v1.PodTemplateSpec = _f(default_factory=lambda: core_v1.PodTemplateSpec())
    volume_claim_templates: list[core_v1.PersistentVolumeClaim] = _f(default_factory=list)
    service_name: str = _f(default_factory=str)
    pod_management_policy: str = ""
    update_strategy: StatefulSetUpdateStrategy = _f(default_factory=lambda: StatefulSetUpdateStrategy())
    revision_history_limit: int | None = None
    min_ready_seconds: int = 0
    persistent_volume_claim_retention_policy: StatefulSetPersistentVolumeClaimRetentionPolicy | None = None
    ordinals: StatefulSetOrdinals | None = None


class StatefulSetCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    last_transition_time: str | None = _f(default_factory=_none)
    reason: str = ""
    message: str = ""


class StatefulSetStatus(ApiStruct):
    observed_generation: int = 0
    replicas: int = _f(default_factory=int)
    ready_replicas: int = 0
    current_replicas: int = 0
    updated_replicas: int = 0
    current_revision: str = ""
    update_revision: str = ""
    collision_count: int | None = None
    conditions: list[StatefulSetCondition] = _f(default_factory=list)
    available_replicas: int = _f(default_factory=int)


class StatefulSet(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "StatefulSet")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: StatefulSetSpec = _f(default_factory=lambda: StatefulSetSpec())
    status: StatefulSetStatus = _f(default_factory=lambda: StatefulSetStatus())


class StatefulSetList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "apps/v1")
    kind: str = _f(default_factory=lambda: "StatefulSetList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[StatefulSet] = _f(default_factory=lambda: list())
