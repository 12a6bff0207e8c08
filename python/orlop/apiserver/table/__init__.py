"""Objects as a Table: what `kubectl get` shows.

Columns (names, types, formats, priorities, cells) are those of k8s.io/kubernetes' pkg/printers/internalversion; their
descriptions are our own. The server renders the wide form always; a client hides what has priority 1.
"""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import msgspec

from orlop.api.scheme import Kind
from orlop.apiserver.table import (
    autoscaling,
    batch,
    cluster,
    configuration,
    events,
    extensions,
    network,
    pods,
    policy,
    rbac,
    storage,
    workloads,
)
from orlop.apiserver.table.default import DEFAULT
from orlop.apiserver.table.printer import Condition, Metadata, Printer

Include = Literal["None", "Metadata", "Object"]
INCLUDES: tuple[Include, ...] = get_args(Include)
"""What a row carries of its object, as `includeObject` asks."""

PRINTERS: dict[str, Printer[Any]] = {
    "componentstatuses": policy.COMPONENT_STATUS,
    "configmaps": configuration.CONFIG_MAP,
    "endpoints": network.ENDPOINTS,
    "events": events.EVENT,
    "namespaces": cluster.NAMESPACE,
    "nodes": cluster.NODE,
    "persistentvolumeclaims": storage.CLAIM,
    "persistentvolumes": storage.PERSISTENT_VOLUME,
    "pods": pods.POD,
    "podtemplates": workloads.POD_TEMPLATE,
    "replicationcontrollers": workloads.REPLICATION_CONTROLLER,
    "resourcequotas": policy.RESOURCE_QUOTA,
    "secrets": configuration.SECRET,
    "serviceaccounts": configuration.SERVICE_ACCOUNT,
    "services": network.SERVICE,
    "admissionregistration.k8s.io/mutatingadmissionpolicies": policy.MUTATING_POLICY,
    "admissionregistration.k8s.io/mutatingadmissionpolicybindings": policy.POLICY_BINDING,
    "admissionregistration.k8s.io/mutatingwebhookconfigurations": policy.WEBHOOKS,
    "admissionregistration.k8s.io/validatingadmissionpolicies": policy.VALIDATING_POLICY,
    "admissionregistration.k8s.io/validatingadmissionpolicybindings": policy.POLICY_BINDING,
    "admissionregistration.k8s.io/validatingwebhookconfigurations": policy.WEBHOOKS,
    "apiextensions.k8s.io/customresourcedefinitions": extensions.DEFINITION,
    "apiregistration.k8s.io/apiservices": policy.API_SERVICE,
    "apps/controllerrevisions": workloads.CONTROLLER_REVISION,
    "apps/daemonsets": workloads.DAEMON_SET,
    "apps/deployments": workloads.DEPLOYMENT,
    "apps/replicasets": workloads.REPLICA_SET,
    "apps/statefulsets": workloads.STATEFUL_SET,
    "autoscaling/horizontalpodautoscalers": autoscaling.AUTOSCALER,
    "autoscaling/scales": workloads.SCALE,
    "batch/cronjobs": batch.CRON_JOB,
    "batch/jobs": batch.JOB,
    "certificates.k8s.io/certificatesigningrequests": policy.SIGNING_REQUEST,
    "certificates.k8s.io/clustertrustbundles": policy.TRUST_BUNDLE,
    "certificates.k8s.io/podcertificaterequests": policy.POD_CERTIFICATE,
    "coordination.k8s.io/leasecandidates": cluster.LEASE_CANDIDATE,
    "coordination.k8s.io/leases": cluster.LEASE,
    "discovery.k8s.io/endpointslices": network.ENDPOINT_SLICE,
    "flowcontrol.apiserver.k8s.io/flowschemas": policy.FLOW_SCHEMA,
    "flowcontrol.apiserver.k8s.io/prioritylevelconfigurations": policy.PRIORITY_LEVEL,
    "networking.k8s.io/ingressclasses": network.INGRESS_CLASS,
    "networking.k8s.io/ingresses": network.INGRESS,
    "networking.k8s.io/networkpolicies": network.NETWORK_POLICY,
    "networking.k8s.io/ipaddresses": network.IP_ADDRESS,
    "networking.k8s.io/servicecidrs": network.SERVICE_CIDR,
    "node.k8s.io/runtimeclasses": policy.RUNTIME_CLASS,
    "policy/poddisruptionbudgets": cluster.POD_DISRUPTION_BUDGET,
    "rbac.authorization.k8s.io/clusterrolebindings": rbac.CLUSTER_ROLE_BINDING,
    "rbac.authorization.k8s.io/rolebindings": rbac.ROLE_BINDING,
    "resource.k8s.io/deviceclasses": policy.PLAIN,
    "resource.k8s.io/devicetaintrules": policy.DEVICE_TAINT_RULE,
    "resource.k8s.io/resourceclaims": policy.RESOURCE_CLAIM,
    "resource.k8s.io/resourceclaimtemplates": policy.PLAIN,
    "resource.k8s.io/resourceslices": policy.RESOURCE_SLICE,
    "scheduling.k8s.io/priorityclasses": cluster.PRIORITY_CLASS,
    "storage.k8s.io/csidrivers": storage.CSI_DRIVER,
    "storage.k8s.io/csinodes": storage.CSI_NODE,
    "storage.k8s.io/storageclasses": storage.STORAGE_CLASS,
    "storage.k8s.io/volumeattachments": storage.VOLUME_ATTACHMENT,
    "storage.k8s.io/volumeattributesclasses": storage.VOLUME_ATTRIBUTES_CLASS,
    "storagemigration.k8s.io/storageversionmigrations": storage.MIGRATION,
}


_NOTHING = msgspec.Raw(b"null")
"""Upstream's field is no pointer: it is written where nothing is in it."""


class _Row(msgspec.Struct, gc=False, omit_defaults=True):
    cells: list[Any]
    conditions: list[dict[str, str]] = []
    object: msgspec.Raw = msgspec.field(default_factory=lambda: _NOTHING)


_PARTIAL = b'{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/%b","metadata":%b}'
_metadata = msgspec.json.Decoder(Metadata).decode


def rows(
    kind: Kind,
    objects: Sequence[bytes],
    now: float,
    *,
    include: str = "Metadata",
    metadata: bytes = b"{}",
    columns: bool = True,
    version: str = "v1",
) -> bytes:
    """A meta.k8s.io Table in JSON of `objects` (stored JSON) as they are at `now` (seconds since 1970).

    `include` is an `Include`; `metadata` is the table's ListMeta in JSON. Without `columns` the definitions are left
    out, as a watch does after its first event.
    """
    printer = getattr(kind, "printer", None) or PRINTERS.get(kind.resource, DEFAULT)
    gv = version.encode()
    if printer.order is not None:
        objects = sorted(objects, key=lambda value: _place(printer, value))
    body = msgspec.json.encode([_row(printer, value, now, include, gv) for value in objects])
    definitions = printer.definitions if columns else b"null"
    return b'{"kind":"Table","apiVersion":"meta.k8s.io/%b","metadata":%b,"columnDefinitions":%b,"rows":%b}' % (
        gv,
        metadata,
        definitions,
        body,
    )


def _place(printer: Printer[Any], value: bytes) -> Any:
    part = printer.decode(value)
    assert printer.order is not None
    return printer.order(part, _metadata(part.metadata))


def _row(printer: Printer[Any], value: bytes, now: float, include: str, version: bytes) -> _Row:
    part = printer.decode(value)
    row = _Row(printer.cells(part, _metadata(part.metadata), now))
    conditions: Sequence[Condition] = printer.conditions(part)
    if conditions:
        row.conditions = [condition._asdict() for condition in conditions]
    if include == "Metadata":
        row.object = msgspec.Raw(_PARTIAL % (version, bytes(part.metadata)))
    elif include == "Object":
        row.object = msgspec.Raw(value)
    else:
        row.object = msgspec.Raw(b"null")
    return row
