"""What makes pods and keeps them: Deployments, ReplicaSets, StatefulSets, DaemonSets and their revisions."""

from typing import Any

import msgspec

from orlop.api import selectors
from orlop.api.types import meta_v1
from orlop.apiserver.table.printer import (
    AGE,
    CONTAINERS,
    IMAGES,
    NAME,
    NONE,
    Column,
    Fields,
    Metadata,
    Object,
    Printer,
    Template,
    age,
    labels,
    selector,
    wide,
)


class _Spec(Fields):
    replicas: int = 0
    selector: meta_v1.LabelSelector | None = None
    template: Template = msgspec.field(default_factory=Template)


class _Status(Fields):
    replicas: int = 0
    ready_replicas: int = 0
    updated_replicas: int = 0
    available_replicas: int = 0


class _Workload(Object):
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _Status = msgspec.field(default_factory=_Status)


def _deployment(obj: _Workload, metadata: Metadata, now: float) -> list[Any]:
    chosen = obj.spec.selector
    try:
        shown = "" if chosen is None else str(selectors.from_struct(chosen))
    except ValueError:
        shown = "<invalid>"
    return [
        metadata.name,
        f"{obj.status.ready_replicas}/{obj.spec.replicas}",
        obj.status.updated_replicas,
        obj.status.available_replicas,
        age(metadata, now),
        *obj.spec.template.cells(),
        shown,
    ]


DEPLOYMENT = Printer(
    _Workload,
    _deployment,
    NAME,
    Column("Ready", description="Number of the pod with ready state"),
    Column("Up-to-date", description="Pods that are of the current template."),
    Column("Available", description="Pods that have been ready for minReadySeconds."),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", "Labels by which the Deployment knows its pods."),
)


def _replica_set(obj: _Workload, metadata: Metadata, now: float) -> list[Any]:
    return [
        metadata.name,
        obj.spec.replicas,
        obj.status.replicas,
        obj.status.ready_replicas,
        age(metadata, now),
        *obj.spec.template.cells(),
        selector(obj.spec.selector),
    ]


REPLICA_SET = Printer(
    _Workload,
    _replica_set,
    NAME,
    Column("Desired", "integer", description="Pods that there should be."),
    Column("Current", "integer", description="Pods that there are."),
    Column("Ready", "integer", description="Pods that are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", "Labels by which the ReplicaSet knows its pods."),
)


def _stateful_set(obj: _Workload, metadata: Metadata, now: float) -> list[Any]:
    return [
        metadata.name,
        f"{obj.status.ready_replicas}/{obj.spec.replicas}",
        age(metadata, now),
        *obj.spec.template.cells(),
    ]


STATEFUL_SET = Printer(
    _Workload,
    _stateful_set,
    NAME,
    Column("Ready", description="Number of the pod with ready state"),
    AGE,
    CONTAINERS,
    IMAGES,
)


class _DaemonStatus(Fields):
    desired_number_scheduled: int = 0
    current_number_scheduled: int = 0
    number_ready: int = 0
    updated_number_scheduled: int = 0
    number_available: int = 0


class _DaemonSet(Object):
    spec: _Spec = msgspec.field(default_factory=_Spec)
    status: _DaemonStatus = msgspec.field(default_factory=_DaemonStatus)


def _daemon_set(obj: _DaemonSet, metadata: Metadata, now: float) -> list[Any]:
    status = obj.status
    return [
        metadata.name,
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        status.updated_number_scheduled,
        status.number_available,
        labels(obj.spec.template.spec.node_selector),
        age(metadata, now),
        *obj.spec.template.cells(),
        selector(obj.spec.selector),
    ]


DAEMON_SET = Printer(
    _DaemonSet,
    _daemon_set,
    NAME,
    Column("Desired", "integer", description="Nodes that should run the pod."),
    Column("Current", "integer", description="Nodes that have a pod."),
    Column("Ready", "integer", description="Nodes whose pod is ready."),
    Column("Up-to-date", "integer", description="Nodes whose pod is of the current template."),
    Column("Available", "integer", description="Nodes whose pod has been ready for minReadySeconds."),
    Column("Node Selector", description="Labels of the nodes that are meant."),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", "Labels by which the DaemonSet knows its pods."),
)


class _ReplicationSpec(Fields):
    replicas: int = 0
    selector: dict[str, str] = msgspec.field(default_factory=dict)
    template: Template | None = None


class _Replication(Object):
    spec: _ReplicationSpec = msgspec.field(default_factory=_ReplicationSpec)
    status: _Status = msgspec.field(default_factory=_Status)


def _replication_controller(obj: _Replication, metadata: Metadata, now: float) -> list[Any]:
    return [
        metadata.name,
        obj.spec.replicas,
        obj.status.replicas,
        obj.status.ready_replicas,
        age(metadata, now),
        *(obj.spec.template or Template()).cells(),
        labels(obj.spec.selector),
    ]


REPLICATION_CONTROLLER = Printer(
    _Replication,
    _replication_controller,
    NAME,
    Column("Desired", "integer", description="Pods that there should be."),
    Column("Current", "integer", description="Pods that there are."),
    Column("Ready", "integer", description="Pods that are ready."),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("Selector", "Labels by which the ReplicationController knows its pods."),
)


class _PodTemplate(Object):
    template: Template = msgspec.field(default_factory=Template)


def _pod_template(obj: _PodTemplate, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, *obj.template.cells(), labels(obj.template.metadata.labels)]


POD_TEMPLATE = Printer(
    _PodTemplate,
    _pod_template,
    NAME,
    Column("Containers", description="Names of each container in the template."),
    Column("Images", description="Images referenced by each container in the template."),
    Column("Pod Labels", description="The labels for the pod template."),
)


class _Revision(Object):
    revision: int = 0


def _controller_revision(obj: _Revision, metadata: Metadata, now: float) -> list[Any]:
    owner = NONE
    for reference in metadata.owner_references:
        if reference.controller:
            group = reference.api_version.rpartition("/")[0]
            kind = f"{reference.kind}.{group}" if group else reference.kind
            owner = f"{kind.lower()}/{reference.name}"
    return [metadata.name, owner, obj.revision, age(metadata, now)]


CONTROLLER_REVISION = Printer(
    _Revision,
    _controller_revision,
    NAME,
    Column("Controller", description="Controller of the object"),
    Column("Revision", description="Number of this state among those of its controller."),
    AGE,
)


class _ScaleSpec(Fields):
    replicas: int = 0


class _Scale(Object):
    spec: _ScaleSpec = msgspec.field(default_factory=_ScaleSpec)
    status: _ScaleSpec = msgspec.field(default_factory=_ScaleSpec)


def _scale(obj: _Scale, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, obj.spec.replicas, obj.status.replicas, age(metadata, now)]


SCALE = Printer(
    _Scale,
    _scale,
    NAME,
    Column("Desired", "integer", description="Pods that there should be."),
    Column("Available", "integer", description="Pods that there are."),
    AGE,
)
