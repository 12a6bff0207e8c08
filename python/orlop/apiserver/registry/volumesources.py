"""What each kind of volume that is not Kubernetes' own must say: pkg/apis/core/validation's validate…VolumeSource."""

import re

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import subdomain
from orlop.apiserver.registry.paths import local_path, no_back_steps
from orlop.apiserver.registry.resources import unsupported

HOST_PATH_TYPES = (
    "",
    "BlockDevice",
    "CharDevice",
    "Directory",
    "DirectoryOrCreate",
    "File",
    "FileOrCreate",
    "Socket",
)
PULL_POLICIES = ("Always", "IfNotPresent", "Never")
MAX_PARTITION = 255
MAX_LUN = 255
MAX_ISCSI_NAME = 64
MAX_DRIVER_NAME = 63
MAX_TENANT = 64
_ISCSI = {
    "iqn": re.compile(r"iqn\.\d{4}-\d{2}\.([a-zA-Z0-9.-]+)(:[^,;*&$|\s]+)$"),
    "eui": re.compile(r"^eui.[a-zA-Z0-9]{16}$"),
    "naa": re.compile(r"^naa.[a-zA-Z0-9]{32}$"),
}
_CACHING = ("None", "ReadOnly", "ReadWrite")
_DISK_KINDS = ("Dedicated", "Managed", "Shared")
_MANAGED_URI = "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}"
_BLOB_URI = "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd"


def pull_policy(policy: str, path: str) -> list[FieldError]:
    """When an image is pulled."""
    if policy in PULL_POLICIES:
        return []
    return [unsupported(path, policy, PULL_POLICIES) if policy else required(path)]


def needed(path: str, /, **values: object) -> list[FieldError]:
    """Fields, by their JSON names, that must be there."""
    return [required(f"{path}.{json}") for json, value in values.items() if not value]


def host_path(source: core_v1.HostPathVolumeSource, path: str) -> list[FieldError]:
    """A file or folder of the node."""
    if not source.path:
        return [required(f"{path}.path")]
    errors = no_back_steps(source.path, f"{path}.path")
    if source.type is not None and source.type not in HOST_PATH_TYPES:
        errors.append(unsupported(f"{path}.type", source.type, HOST_PATH_TYPES))
    return errors


def git_repo(source: core_v1.GitRepoVolumeSource, path: str) -> list[FieldError]:
    return needed(path, repository=source.repository) + local_path(source.directory, f"{path}.directory")


def nfs(source: core_v1.NFSVolumeSource, path: str) -> list[FieldError]:
    errors = needed(path, server=source.server, path=source.path)
    if not source.path.startswith("/"):
        errors.append(invalid_value(f"{path}.path", source.path, "must be an absolute path"))
    return errors


def _disk(name: str, value: str, partition: int, path: str) -> list[FieldError]:
    errors = [] if value else [required(f"{path}.{name}")]
    if not 0 <= partition <= MAX_PARTITION:
        words = f"must be between 1 and {MAX_PARTITION}, inclusive"
        errors.append(invalid_value(f"{path}.partition", partition, words))
    return errors


def gce_disk(source: core_v1.GCEPersistentDiskVolumeSource, path: str) -> list[FieldError]:
    return _disk("pdName", source.pd_name, source.partition, path)


def aws_disk(source: core_v1.AWSElasticBlockStoreVolumeSource, path: str) -> list[FieldError]:
    return _disk("volumeID", source.volume_id, source.partition, path)


def iscsi_name(name: str, path: str, unknown: str = " starting with iqn, eui, or naa") -> list[FieldError]:
    """An initiator's or target's name: RFC 3720. `unknown` is what is added on one of no known form."""
    pattern = _ISCSI.get(name[:3])
    if pattern is None:
        return [invalid_value(path, name, f"must be valid format{unknown}")]
    return [] if pattern.search(name) else [invalid_value(path, name, "must be valid format")]


def lun(number: int, path: str) -> list[FieldError]:
    """A logical unit's number."""
    words = f"must be between 0 and {MAX_LUN}, inclusive"
    return [] if 0 <= number <= MAX_LUN else [invalid_value(path, number, words)]


def iscsi(source: core_v1.ISCSIVolumeSource, path: str) -> list[FieldError]:
    errors = needed(path, targetPortal=source.target_portal, iqn=source.iqn)
    if source.iqn:
        errors += iscsi_name(source.iqn, f"{path}.iqn")
    errors += lun(source.lun, f"{path}.lun")
    if (source.chap_auth_discovery or source.chap_auth_session) and source.secret_ref is None:
        errors.append(required(f"{path}.secretRef"))
    if source.initiator_name is not None:
        errors += iscsi_name(source.initiator_name, f"{path}.initiatorname")
    return errors


def iscsi_names(volume: str, source: core_v1.ISCSIVolumeSource, path: str) -> list[FieldError]:
    """A volume whose initiator has a name makes one of its own name and portal. `path` is the volume's."""
    if len(f"{volume}:{source.target_portal}") <= MAX_ISCSI_NAME:
        return []
    words = (
        f"Total length of <volume name>:<iscsi.targetPortal> must be under {MAX_ISCSI_NAME} characters if "
        "iscsi.initiatorName is specified."
    )
    return [invalid_value(f"{path}.name", volume, words)]


def fibre_channel(source: core_v1.FCVolumeSource, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    targets, where = source.target_wwns, f"{path}.targetWWNs"
    if not targets and not source.wwids:
        errors.append(required(where, "must specify either targetWWNs or wwids, but not both"))
    if targets and source.wwids:
        words = "targetWWNs and wwids can not be specified simultaneously"
        errors.append(invalid_value(where, targets, words))
    if targets:
        if source.lun is None:
            errors.append(required(f"{path}.lun", "lun is required if targetWWNs is specified"))
        else:
            errors += lun(source.lun, f"{path}.lun")
    return errors


def glusterfs(source: core_v1.GlusterfsVolumeSource, path: str) -> list[FieldError]:
    return needed(path, endpoints=source.endpoints, path=source.path)


def flocker(source: core_v1.FlockerVolumeSource, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not source.dataset_name and not source.dataset_uuid:
        errors.append(required(path, "one of datasetName and datasetUUID is required"))
    if source.dataset_name and source.dataset_uuid:
        words = "datasetName and datasetUUID can not be specified simultaneously"
        errors.append(invalid_value(path, "resource", words))
    if "/" in source.dataset_name:
        errors.append(invalid_value(f"{path}.datasetName", source.dataset_name, "must not contain '/'"))
    return errors


def rbd(source: core_v1.RBDVolumeSource, path: str) -> list[FieldError]:
    return needed(path, monitors=source.monitors, image=source.image)


def cinder(source: core_v1.CinderVolumeSource, path: str) -> list[FieldError]:
    errors = needed(path, volumeID=source.volume_id)
    if source.secret_ref is not None and not source.secret_ref.name:
        errors.append(required(f"{path}.secretRef.name"))
    return errors


def cephfs(source: core_v1.CephFSVolumeSource, path: str) -> list[FieldError]:
    return needed(path, monitors=source.monitors)


def quobyte(source: core_v1.QuobyteVolumeSource, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    pairs = "must be a host:port pair or multiple pairs separated by commas"
    if not source.registry:
        errors.append(required(f"{path}.registry", pairs))
    elif len(source.tenant) > MAX_TENANT:
        words = f"must be a UUID and may not exceed a length of {MAX_TENANT} characters"
        errors.append(required(f"{path}.tenant", words))
    else:
        errors += [
            invalid_value(f"{path}.registry", source.registry, pairs)
            for pair in source.registry.split(",")
            if ":" not in pair or (pair.count(":") > 1 and not (pair.startswith("[") and "]:" in pair))
        ]
    return errors + needed(path, volume=source.volume)


def flex(source: core_v1.FlexVolumeSource, path: str) -> list[FieldError]:
    errors = needed(path, driver=source.driver)
    for key in sorted(source.options):
        domain = "." + key.partition("/")[0].lower()
        if domain.endswith((".kubernetes.io", ".k8s.io")):
            words = "kubernetes.io and k8s.io namespaces are reserved"
            errors.append(invalid_value(f"{path}.options[{key}]", key, words))
    return errors


def azure_file(source: core_v1.AzureFileVolumeSource, path: str) -> list[FieldError]:
    return needed(path, secretName=source.secret_name, shareName=source.share_name)


def azure_disk(source: core_v1.AzureDiskVolumeSource, path: str) -> list[FieldError]:
    errors = needed(path, diskName=source.disk_name, diskURI=source.disk_uri)
    if source.caching_mode is not None and source.caching_mode not in _CACHING:
        errors.append(unsupported(f"{path}.cachingMode", source.caching_mode, _CACHING))
    if source.kind is None:
        return errors
    if source.kind not in _DISK_KINDS:
        errors.append(unsupported(f"{path}.kind", source.kind, _DISK_KINDS))
    start, shown = ("/subscriptions/", _MANAGED_URI) if source.kind == "Managed" else ("https://", _BLOB_URI)
    if not source.disk_uri.startswith(start):
        errors.append(unsupported(f"{path}.diskURI", source.disk_uri, (shown,)))
    return errors


def vsphere(source: core_v1.VsphereVirtualDiskVolumeSource, path: str) -> list[FieldError]:
    return needed(path, volumePath=source.volume_path)


def photon(source: core_v1.PhotonPersistentDiskVolumeSource, path: str) -> list[FieldError]:
    return needed(path, pdID=source.pd_id)


def portworx(source: core_v1.PortworxVolumeSource, path: str) -> list[FieldError]:
    return needed(path, volumeID=source.volume_id)


def scale_io(source: core_v1.ScaleIOVolumeSource, path: str) -> list[FieldError]:
    return needed(path, gateway=source.gateway, system=source.system, volumeName=source.volume_name)


def storageos(source: core_v1.StorageOSVolumeSource, path: str) -> list[FieldError]:
    errors = needed(path, volumeName=source.volume_name)
    for json, value in (("volumeName", source.volume_name), ("volumeNamespace", source.volume_namespace)):
        if value:
            errors += [invalid_value(f"{path}.{json}", value, m) for m in names.label(value)]
    if source.secret_ref is not None and not source.secret_ref.name:
        errors.append(required(f"{path}.secretRef.name"))
    return errors


def driver_name(name: str, path: str) -> list[FieldError]:
    """A CSI driver's name."""
    errors = [] if name else [required(path)]
    if len(name) > MAX_DRIVER_NAME:
        words = f"may not be more than {MAX_DRIVER_NAME} bytes"
        errors.append(FieldError("FieldValueTooLong", path, None, words))
    return errors + [invalid_value(path, name, m) for m in names.subdomain(name.lower())]


def csi(source: core_v1.CSIVolumeSource, path: str) -> list[FieldError]:
    errors = driver_name(source.driver, f"{path}.driver")
    secret = source.node_publish_secret_ref
    if secret is not None:
        errors += (
            subdomain(secret.name, f"{path}.name") if secret.name else [required(f"{path}.nodePublishSecretRef.name")]
        )
    return errors
