"""What makes pods: Deployments, ReplicaSets, and their revisions."""

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
