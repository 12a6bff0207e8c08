"""Rules of a pod's volumes: pkg/apis/core/validation's ValidateVolumes. What each kind of volume must say is in
`volumesources`, what a projected one is put together of in `projected`."""

from collections.abc import Callable
from typing import Any

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import claims, meta, names, paths, projected, volumesources
from orlop.apiserver.registry.paths import file_mode, items
from orlop.apiserver.registry.projected import TOKEN_PROJECTION

Check = Callable[[Any, str], list[FieldError]]
ONE_TYPE = "may not specify more than 1 volume type"


def validate(
    volumes: list[core_v1.Volume], path: str, pod: meta_v1.ObjectMeta | None = None
) -> tuple[dict[str, core_v1.Volume], list[FieldError]]:
    """The volumes by name, and what is wrong with them. `pod` is the pod's metadata, None in a template: the claims of
    ephemeral volumes are named after it."""
    found: dict[str, core_v1.Volume] = {}
    errors: list[FieldError] = []
    made: set[str] = set()
    if pod is not None and pod.name:
        made = {f"{pod.name}-{v.name}" for v in volumes if v.ephemeral is not None}
    for i, volume in enumerate(volumes):
        name = volume.name
        if volume.projected == TOKEN_PROJECTION and name not in found and not names.label(name):
            found[name] = volume
            continue
        where = f"{path}[{i}]"
        wrong = _source(volume, where, pod)
        if not name:
            wrong.append(required(f"{where}.name"))
        else:
            wrong += [invalid_value(f"{where}.name", name, m) for m in names.label(name)]
        if name in found:
            wrong.append(duplicate(f"{where}.name", name))
        if not wrong:
            found[name] = volume
        errors += wrong
        claim = volume.persistent_volume_claim
        if made and claim is not None and claim.claim_name in made:
            words = "must not reference a PVC that gets created for an ephemeral volume"
            errors.append(invalid_value(f"{where}.persistentVolumeClaim.claimName", claim.claim_name, words))
    return found, errors


def _source(volume: core_v1.Volume, path: str, pod: meta_v1.ObjectMeta | None) -> list[FieldError]:
    errors: list[FieldError] = []
    chosen = False
    for attribute, json, check in _SOURCES:
        source = getattr(volume, attribute)
        if source is None:
            continue
        if chosen:
            errors.append(forbidden_field(f"{path}.{_MISNAMED.get(json, json)}", ONE_TYPE))
        else:
            errors += check(source, f"{path}.{_PATHS.get(json, json)}")
            if attribute == "ephemeral" and pod is not None and pod.name and volume.name:
                errors += _claim_name(f"{pod.name}-{volume.name}", volume.name, path)
        chosen = True
        if attribute == "iscsi" and source.initiator_name is not None:
            errors += volumesources.iscsi_names(volume.name, source, path)
    if not chosen:
        errors.append(required(path, "must specify a volume type"))
    return errors


def _claim_name(claim: str, volume: str, path: str) -> list[FieldError]:
    return [invalid_value(f"{path}.name", volume, f'PVC name "{claim}": {m}') for m in names.subdomain(claim)]


def _empty_dir(source: core_v1.EmptyDirVolumeSource, path: str) -> list[FieldError]:
    if source.size_limit is not None and parse(source.size_limit) < 0:
        return [forbidden_field(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity")]
    return []


def _secret(source: core_v1.SecretVolumeSource, path: str) -> list[FieldError]:
    errors = [] if source.secret_name else [required(f"{path}.secretName")]
    errors += file_mode(source.default_mode, f"{path}.defaultMode")
    return errors + items(source.items, f"{path}.items")


def _config_map(source: core_v1.ConfigMapVolumeSource, path: str) -> list[FieldError]:
    errors = [] if source.name else [required(f"{path}.name")]
    errors += file_mode(source.default_mode, f"{path}.defaultMode")
    return errors + items(source.items, f"{path}.items")


def _claim(source: core_v1.PersistentVolumeClaimVolumeSource, path: str) -> list[FieldError]:
    return [] if source.claim_name else [required(f"{path}.claimName")]


def _downward(source: core_v1.DownwardAPIVolumeSource, path: str) -> list[FieldError]:
    errors = file_mode(source.default_mode, f"{path}.defaultMode")
    for item in source.items:
        # Upstream names the files without their index.
        errors += projected.downward_file(item, path)
    return errors


def _ephemeral(source: core_v1.EphemeralVolumeSource, path: str) -> list[FieldError]:
    template = source.volume_claim_template
    where = f"{path}.volumeClaimTemplate"
    if template is None:
        return [required(where)]
    metadata = template.metadata
    errors = meta.validate_annotations(metadata.annotations, f"{where}.metadata.annotations")
    errors += meta.validate_labels(metadata.labels, f"{where}.metadata.labels")
    bare = meta_v1.ObjectMeta(annotations=metadata.annotations, labels=metadata.labels)
    if metadata != bare:
        errors += [
            forbidden_field(f"{where}.metadata.{json}", "cannot be set")
            for attribute, json in _NOT_IN_TEMPLATES
            if getattr(metadata, attribute) != getattr(bare, attribute)
        ]
    return errors + claims.validate_spec(template.spec, f"{where}.spec")


def _image(source: core_v1.ImageVolumeSource, path: str) -> list[FieldError]:
    errors = [] if source.reference else [required(f"{path}.reference")]
    return errors + volumesources.pull_policy(source.pull_policy, f"{path}.pullPolicy")


_NOT_IN_TEMPLATES = (
    ("name", "name"),
    ("generate_name", "generateName"),
    ("namespace", "namespace"),
    ("self_link", "selfLink"),
    ("uid", "uID"),
    ("resource_version", "resourceVersion"),
    ("generation", "generation"),
    ("creation_timestamp", "creationTimestamp"),
    ("deletion_timestamp", "deletionTimestamp"),
    ("deletion_grace_period_seconds", "deletionGracePeriodSeconds"),
    ("owner_references", "ownerReferences"),
    ("finalizers", "finalizers"),
    ("managed_fields", "managedFields"),
)
"""Metadata that a claim's template may not have, as upstream spells it."""

_SOURCES: tuple[tuple[str, str, Check], ...] = (
    ("empty_dir", "emptyDir", _empty_dir),
    ("host_path", "hostPath", volumesources.host_path),
    ("git_repo", "gitRepo", volumesources.git_repo),
    ("gce_persistent_disk", "gcePersistentDisk", volumesources.gce_disk),
    ("aws_elastic_block_store", "awsElasticBlockStore", volumesources.aws_disk),
    ("secret", "secret", _secret),
    ("nfs", "nfs", volumesources.nfs),
    ("iscsi", "iscsi", volumesources.iscsi),
    ("glusterfs", "glusterfs", volumesources.glusterfs),
    ("flocker", "flocker", volumesources.flocker),
    ("persistent_volume_claim", "persistentVolumeClaim", _claim),
    ("rbd", "rbd", volumesources.rbd),
    ("cinder", "cinder", volumesources.cinder),
    ("cephfs", "cephfs", volumesources.cephfs),
    ("quobyte", "quobyte", volumesources.quobyte),
    ("downward_api", "downwardAPI", _downward),
    ("fc", "fc", volumesources.fibre_channel),
    ("flex_volume", "flexVolume", volumesources.flex),
    ("config_map", "configMap", _config_map),
    ("azure_file", "azureFile", volumesources.azure_file),
    ("vsphere_volume", "vsphereVolume", volumesources.vsphere),
    ("photon_persistent_disk", "photonPersistentDisk", volumesources.photon),
    ("portworx_volume", "portworxVolume", volumesources.portworx),
    ("azure_disk", "azureDisk", volumesources.azure_disk),
    ("storageos", "storageos", volumesources.storageos),
    ("projected", "projected", projected.validate),
    ("scale_io", "scaleIO", volumesources.scale_io),
    ("csi", "csi", volumesources.csi),
    ("ephemeral", "ephemeral", _ephemeral),
    ("image", "image", _image),
)
"""Attribute, JSON name and rules of every kind of volume, in the order in which upstream looks at them."""
_PATHS = {"gcePersistentDisk": "persistentDisk"}
"""Where upstream's findings have another path than the field."""
_MISNAMED = {"cephfs": "cephFS", "downwardAPI": "downwarAPI"}
"""The same for `ONE_TYPE`."""

HOST_PATH_TYPES = volumesources.HOST_PATH_TYPES
no_back_steps = paths.no_back_steps
