"""How upstream shows a value of its own inner types in a message: as Go's names, with null for what is not set."""

from typing import Any

import msgspec

from orlop.api.types import meta_v1

_NAMES = {
    "uid": "UID",
    "tty": "TTY",
    "monitors": "CephMonitors",
    "os": "OS",
    "dnsPolicy": "DNSPolicy",
    "dnsConfig": "DNSConfig",
    "seLinuxOptions": "SELinuxOptions",
    "seLinuxChangePolicy": "SELinuxChangePolicy",
    "httpGet": "HTTPGet",
    "tcpSocket": "TCPSocket",
    "grpc": "GRPC",
    "ip": "IP",
    "serviceAccount": "DeprecatedServiceAccount",
    "apiVersion": "APIVersion",
    "apiGroup": "APIGroup",
    "gcePersistentDisk": "GCEPersistentDisk",
    "awsElasticBlockStore": "AWSElasticBlockStore",
    "nfs": "NFS",
    "iscsi": "ISCSI",
    "rbd": "RBD",
    "cephfs": "CephFS",
    "fc": "FC",
    "storageos": "StorageOS",
    "csi": "CSI",
    "fsType": "FSType",
    "fsGroup": "FSGroup",
    "fsGroupChangePolicy": "FSGroupChangePolicy",
    "diskURI": "DataDiskURI",
    "targetWWNs": "TargetWWNs",
    "wwids": "WWIDs",
    "iqn": "IQN",
    "clusterIP": "ClusterIP",
    "gmsaCredentialSpecName": "GMSACredentialSpecName",
    "gmsaCredentialSpec": "GMSACredentialSpec",
}
"""JSON names whose Go names are not the same with a capital."""


def go_form(value: Any) -> Any:
    """The value with Go's field names; lists and maps that are empty are nil there."""
    if isinstance(value, msgspec.Struct):
        if isinstance(value, meta_v1.LabelSelector):
            return msgspec.to_builtins(value)  # no inner type: it is shown as it is served
        return {
            _NAMES.get(field.encode_name, field.encode_name[:1].upper() + field.encode_name[1:]): go_form(
                getattr(value, field.name)
            )
            for field in msgspec.structs.fields(value)
        }
    if isinstance(value, list):
        return [go_form(item) for item in value] or None
    if isinstance(value, dict):
        return dict(sorted(value.items())) or None
    return value
