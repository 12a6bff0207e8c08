"""Objects as a Table: what `kubectl get` shows.

Columns (names, types, formats, priorities, cells) are those of k8s.io/kubernetes' pkg/printers/internalversion; their
descriptions are our own. The server renders the wide form always; a client hides what has priority 1.
"""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from orlop.api.scheme import Kind
from orlop.apiserver.table import cluster, configuration, events, network, pods, rbac, workloads
from orlop.apiserver.table.default import DEFAULT
from orlop.apiserver.table.printer import Condition, Metadata, Printer

Include = Literal["None", "Metadata", "Object"]
"""What a row carries of its object, as `includeObject` asks."""

PRINTERS: dict[str, Printer[Any]] = {
    "configmaps": configuration.CONFIG_MAP,
    "endpoints": network.ENDPOINTS,
    "events": events.EVENT,
    "namespaces": cluster.NAMESPACE,
    "nodes": cluster.NODE,
    "pods": pods.POD,
    "secrets": configuration.SECRET,
    "serviceaccounts": configuration.SERVICE_ACCOUNT,
    "services": network.SERVICE,
    "apps/controllerrevisions": workloads.CONTROLLER_REVISION,
    "apps/deployments": workloads.DEPLOYMENT,
    "apps/replicasets": workloads.REPLICA_SET,
    "autoscaling/scales": workloads.SCALE,
    "coordination.k8s.io/leases": cluster.LEASE,
    "discovery.k8s.io/endpointslices": network.ENDPOINT_SLICE,
    "networking.k8s.io/ipaddresses": network.IP_ADDRESS,
    "networking.k8s.io/servicecidrs": network.SERVICE_CIDR,
    "policy/poddisruptionbudgets": cluster.POD_DISRUPTION_BUDGET,
    "rbac.authorization.k8s.io/clusterrolebindings": rbac.CLUSTER_ROLE_BINDING,
    "rbac.authorization.k8s.io/rolebindings": rbac.ROLE_BINDING,
    "scheduling.k8s.io/priorityclasses": cluster.PRIORITY_CLASS,
}


class _Row(msgspec.Struct, gc=False, omit_defaults=True):
    cells: list[Any]
    conditions: list[dict[str, str]] = []
    object: msgspec.Raw = msgspec.Raw()


_PARTIAL = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/v1","metadata":%b}'
_metadata = msgspec.json.Decoder(Metadata).decode


def rows(
    kind: Kind,
    objects: Sequence[bytes],
    now: float,
    *,
    include: str = "Metadata",
    metadata: bytes = b"{}",
    columns: bool = True,
) -> bytes:
    """A meta.k8s.io/v1 Table in JSON of `objects` (stored JSON) as they are at `now` (seconds since 1970).

    `include` is an `Include`; `metadata` is the table's ListMeta in JSON. Without `columns` the definitions are left
    out, as a watch does after its first event.
    """
    printer = PRINTERS.get(kind.resource, DEFAULT)
    body = msgspec.json.encode([_row(printer, value, now, include) for value in objects])
    definitions = printer.definitions if columns else b"null"
    return b'{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":%b,"columnDefinitions":%b,"rows":%b}' % (
        metadata,
        definitions,
        body,
    )


def _row(printer: Printer[Any], value: bytes, now: float, include: str) -> _Row:
    part = printer.decode(value)
    row = _Row(printer.cells(part, _metadata(part.metadata), now))
    conditions: Sequence[Condition] = printer.conditions(part)
    if conditions:
        row.conditions = [condition._asdict() for condition in conditions]
    if include == "Metadata":
        row.object = msgspec.Raw(_PARTIAL % bytes(part.metadata))
    elif include == "Object":
        row.object = msgspec.Raw(value)
    return row
