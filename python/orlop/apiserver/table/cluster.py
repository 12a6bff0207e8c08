"""Nodes, namespaces, leases and priorities."""

from typing import Any

import msgspec

from orlop.apiserver.table.printer import (
    AGE,
    NAME,
    NONE,
    Column,
    Fields,
    Metadata,
    Object,
    Printer,
    age,
    wide,
)

ROLE_PREFIX = "node-role.kubernetes.io/"
ROLE_LABEL = "kubernetes.io/role"
_UNKNOWN = "<unknown>"


class _NodeSpec(Fields):
    unschedulable: bool = False


class _Condition(Fields):
    type: str = ""
    status: str = ""


class _Address(Fields):
    type: str = ""
    address: str = ""


class _Info(Fields):
    kubelet_version: str = ""
    os_image: str = ""
    kernel_version: str = ""
    container_runtime_version: str = ""


class _NodeStatus(Fields):
    conditions: tuple[_Condition, ...] = ()
    addresses: tuple[_Address, ...] = ()
    node_info: _Info = msgspec.field(default_factory=_Info)


class _Node(Object):
    spec: _NodeSpec = msgspec.field(default_factory=_NodeSpec)
    status: _NodeStatus = msgspec.field(default_factory=_NodeStatus)


def _node_status(node: _Node) -> str:
    ready = [condition.status for condition in node.status.conditions if condition.type == "Ready"]
    shown = "Unknown" if not ready else "Ready" if ready[-1] == "True" else "NotReady"
    return f"{shown},SchedulingDisabled" if node.spec.unschedulable else shown


def _roles(labels: dict[str, str]) -> str:
    roles = {key[len(ROLE_PREFIX) :] for key in labels if key.startswith(ROLE_PREFIX)}
    roles.add(labels.get(ROLE_LABEL, ""))
    return ",".join(sorted(roles - {""})) or NONE


def _address(node: _Node, type_: str) -> str:
    return next((a.address for a in node.status.addresses if a.type == type_), NONE)


def _node(obj: _Node, metadata: Metadata, now: float) -> list[Any]:
    info = obj.status.node_info
    return [
        metadata.name,
        _node_status(obj),
        _roles(metadata.labels),
        age(metadata, now),
        info.kubelet_version,
        _address(obj, "InternalIP"),
        _address(obj, "ExternalIP"),
        info.os_image or _UNKNOWN,
        info.kernel_version or _UNKNOWN,
        info.container_runtime_version or _UNKNOWN,
    ]


NODE = Printer(
    _Node,
    _node,
    NAME,
    Column("Status", description="The status of the node"),
    Column("Roles", description="The roles of the node"),
    AGE,
    Column("Version", description="Version of the node's kubelet."),
    wide("Internal-IP", "The node's address within the cluster."),
    wide("External-IP", "The node's address from outside."),
    wide("OS-Image", "The node's operating system."),
    wide("Kernel-Version", "The node's kernel."),
    wide("Container-Runtime", "What runs the node's containers, and its version."),
)


class _Phase(Fields):
    phase: str = ""


class _Namespace(Object):
    status: _Phase = msgspec.field(default_factory=_Phase)


def _namespace(obj: _Namespace, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, obj.status.phase, age(metadata, now)]


NAMESPACE = Printer(_Namespace, _namespace, NAME, Column("Status", description="The status of the namespace"), AGE)


class _LeaseSpec(Fields):
    holder_identity: str | None = None


class _Lease(Object):
    spec: _LeaseSpec = msgspec.field(default_factory=_LeaseSpec)


def _lease(obj: _Lease, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, obj.spec.holder_identity or "", age(metadata, now)]


LEASE = Printer(_Lease, _lease, NAME, Column("Holder", description="Who holds the lease."), AGE)


class _CandidateSpec(Fields):
    lease_name: str = ""
    binary_version: str = ""
    emulation_version: str = ""


class _Candidate(Object):
    spec: _CandidateSpec = msgspec.field(default_factory=_CandidateSpec)


def _candidate(obj: _Candidate, metadata: Metadata, now: float) -> list[Any]:
    spec = obj.spec
    return [metadata.name, spec.lease_name, spec.binary_version, spec.emulation_version, age(metadata, now)]


LEASE_CANDIDATE = Printer(
    _Candidate,
    _candidate,
    NAME,
    Column("LeaseName", description="The lease that it would hold."),
    Column("BinaryVersion", description="The version that it is."),
    Column("EmulationVersion", description="The version that it acts as."),
    AGE,
)


class _PriorityClass(Object):
    value: int = 0
    global_default: bool = False
    preemption_policy: str | None = None


def _priority_class(obj: _PriorityClass, metadata: Metadata, now: float) -> list[Any]:
    return [metadata.name, obj.value, obj.global_default, age(metadata, now), obj.preemption_policy or ""]


PRIORITY_CLASS = Printer(
    _PriorityClass,
    _priority_class,
    NAME,
    Column("Value", "integer", description="Pods with a higher value go first."),
    Column("Global-Default", "boolean", description="Whether pods without a class get this one."),
    AGE,
    Column("PreemptionPolicy", description="Whether such pods may push out others: Never or PreemptLowerPriority."),
)


class _BudgetSpec(Fields):
    min_available: int | str | None = None
    max_unavailable: int | str | None = None


class _BudgetStatus(Fields):
    disruptions_allowed: int = 0


class _Budget(Object):
    spec: _BudgetSpec = msgspec.field(default_factory=_BudgetSpec)
    status: _BudgetStatus = msgspec.field(default_factory=_BudgetStatus)


def _budget(obj: _Budget, metadata: Metadata, now: float) -> list[Any]:
    least, most = obj.spec.min_available, obj.spec.max_unavailable
    return [
        metadata.name,
        "N/A" if least is None else str(least),
        "N/A" if most is None else str(most),
        obj.status.disruptions_allowed,
        age(metadata, now),
    ]


POD_DISRUPTION_BUDGET = Printer(
    _Budget,
    _budget,
    NAME,
    Column("Min Available", description="The minimum number of pods that must be available."),
    Column("Max Unavailable", description="The maximum number of pods that may be unavailable."),
    Column(
        "Allowed Disruptions",
        "integer",
        description="Calculated number of pods that may be disrupted at this time.",
    ),
    AGE,
)
