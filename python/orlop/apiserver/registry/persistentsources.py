"""What each source of a PersistentVolume must say: pkg/apis/core/validation's ValidatePersistentVolumeSpec.

They are those of pods' volumes, but name secrets and endpoints by their namespace too.
"""

from collections.abc import Callable
from typing import Any

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names, volumesources
from orlop.apiserver.registry.drivers import driver_name
from orlop.apiserver.registry.paths import no_back_steps

_Rule = Callable[[Any, str], list[FieldError]]

SECRETS = (
    "controllerPublishSecretRef",
    "controllerExpandSecretRef",
    "nodePublishSecretRef",
    "nodeExpandSecretRef",
)
"""Secrets of a CSI volume that are told by name and namespace."""


def validate(spec: core_v1.PersistentVolumeSpec, path: str) -> list[FieldError]:
    """What is wrong with a volume's source. The first of several is looked at, the others are too many."""
    errors: list[FieldError] = []
    first = True
    for attribute, json, rule in _SOURCES:
        source = getattr(spec, attribute)
        if source is None:
            continue
        if first or attribute == "flex_volume":  # upstream never finds that there is another beside this one
            # Upstream has another name for this one where it looks into it.
            where = "persistentDisk" if attribute == "gce_persistent_disk" else json
            errors += rule(source, f"{path}.{where}")
            if attribute == "local" and spec.node_affinity is None:
                errors.append(required(f"{path}.nodeAffinity", "Local volume requires node affinity"))
        else:
            where = "cephFS" if attribute == "cephfs" else json
            errors.append(forbidden_field(f"{path}.{where}", "may not specify more than 1 volume type"))
        first = False
    return [required(path, "must specify a volume type")] if first else errors


def _secret(ref: Any, path: str, *parts: str) -> list[FieldError]:
    """A secret that is told by these parts, where one is told."""
    if ref is None:
        return []
    return [required(f"{path}.secretRef.{part}") for part in parts or ("name", "namespace") if not getattr(ref, part)]


def _local(source: core_v1.LocalVolumeSource, path: str) -> list[FieldError]:
    return no_back_steps(source.path, f"{path}.path") if source.path else [required(f"{path}.path")]


def _glusterfs(source: core_v1.GlusterfsPersistentVolumeSource, path: str) -> list[FieldError]:
    errors = volumesources.needed(path, endpoints=source.endpoints, path=source.path)
    where, namespace = f"{path}.endpointsNamespace", source.endpoints_namespace
    if namespace == "":
        words = "if the endpointnamespace is set, it must be a valid namespace name"
        errors.append(invalid_value(where, namespace, words))
    elif namespace is not None:
        errors += [invalid_value(where, namespace, m) for m in names.label(namespace)]
    return errors


def _iscsi(source: core_v1.ISCSIPersistentVolumeSource, path: str) -> list[FieldError]:
    errors = volumesources.needed(path, targetPortal=source.target_portal, iqn=source.iqn)
    if source.iqn:
        errors += volumesources.iscsi_name(source.iqn, f"{path}.iqn", "")
    errors += volumesources.lun(source.lun, f"{path}.lun")
    chap = source.chap_auth_discovery or source.chap_auth_session
    if chap and source.secret_ref is None:
        errors.append(required(f"{path}.secretRef"))
    errors += _secret(source.secret_ref, path, "name")
    if source.initiator_name is not None:
        errors += volumesources.iscsi_name(source.initiator_name, f"{path}.initiatorname", "")
    return errors


def _cinder(source: core_v1.CinderPersistentVolumeSource, path: str) -> list[FieldError]:
    return volumesources.needed(path, volumeID=source.volume_id) + _secret(source.secret_ref, path)


def _azure_file(source: core_v1.AzureFilePersistentVolumeSource, path: str) -> list[FieldError]:
    errors = volumesources.needed(path, secretName=source.secret_name, shareName=source.share_name)
    if source.secret_namespace == "":
        errors.append(required(f"{path}.secretNamespace"))
    return errors


def _storageos(source: core_v1.StorageOSPersistentVolumeSource, path: str) -> list[FieldError]:
    errors = volumesources.needed(path, volumeName=source.volume_name)
    for json, value in (("volumeName", source.volume_name), ("volumeNamespace", source.volume_namespace)):
        if value:
            errors += [invalid_value(f"{path}.{json}", value, m) for m in names.label(value)]
    return errors + _secret(source.secret_ref, path)


def _csi(source: core_v1.CSIPersistentVolumeSource, path: str) -> list[FieldError]:
    errors = driver_name(source.driver, f"{path}.driver")
    if not source.volume_handle:
        errors.append(required(f"{path}.volumeHandle"))
    secrets = (
        source.controller_publish_secret_ref,
        source.controller_expand_secret_ref,
        source.node_publish_secret_ref,
        source.node_expand_secret_ref,
    )
    for name, ref in zip(SECRETS, secrets, strict=True):
        if ref is None:
            continue
        for field, value in (("name", ref.name), ("namespace", ref.namespace)):
            where = f"{path}.{name}.{field}"
            rule = names.subdomain if field == "name" else names.label
            errors += [invalid_value(where, value, m) for m in rule(value)] if value else [required(where)]
    return errors


_SOURCES: tuple[tuple[str, str, _Rule], ...] = (
    ("host_path", "hostPath", volumesources.host_path),
    ("gce_persistent_disk", "gcePersistentDisk", volumesources.gce_disk),
    ("aws_elastic_block_store", "awsElasticBlockStore", volumesources.aws_disk),
    ("glusterfs", "glusterfs", _glusterfs),
    ("flocker", "flocker", volumesources.flocker),
    ("nfs", "nfs", volumesources.nfs),
    ("rbd", "rbd", volumesources.rbd),
    ("quobyte", "quobyte", volumesources.quobyte),
    ("cephfs", "cephfs", volumesources.cephfs),
    ("iscsi", "iscsi", _iscsi),
    ("cinder", "cinder", _cinder),
    ("fc", "fc", volumesources.fibre_channel),
    ("flex_volume", "flexVolume", volumesources.flex),
    ("azure_file", "azureFile", _azure_file),
    ("vsphere_volume", "vsphereVolume", volumesources.vsphere),
    ("photon_persistent_disk", "photonPersistentDisk", volumesources.photon),
    ("portworx_volume", "portworxVolume", volumesources.portworx),
    ("azure_disk", "azureDisk", volumesources.azure_disk),
    ("scale_io", "scaleIO", volumesources.scale_io),
    ("local", "local", _local),
    ("storageos", "storageos", _storageos),
    ("csi", "csi", _csi),
)
"""Attribute, JSON name and rule of each, in the order in which they are looked at."""
