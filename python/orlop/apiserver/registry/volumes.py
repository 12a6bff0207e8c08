"""Rules of a pod's volumes: pkg/apis/core/validation's ValidateVolumes."""

from collections.abc import Callable

from msgspec import structs

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import core_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.resources import unsupported

SOURCES = {
    "empty_dir": "emptyDir",
    **{field.name: field.encode_name for field in structs.fields(core_v1.Volume) if field.name != "name"},
}
"""Attributes of a Volume that are sources, with their JSON names, in the order in which upstream looks at them."""
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
MODE_MAX = 0o777
MODE_WORDS = "must be a number between 0 and 0777 (octal), both inclusive"
FIELD_PATHS = frozenset(
    {
        "metadata.name",
        "metadata.namespace",
        "metadata.labels",
        "metadata.annotations",
        "metadata.uid",
    }
)
"""What a downward API volume may show."""
RESOURCES = tuple(
    f"{when}.{what}" for when in ("limits", "requests") for what in ("cpu", "ephemeral-storage", "memory")
)
MIN_TOKEN_SECONDS = 600


TOKEN_PROJECTION = core_v1.ProjectedVolumeSource(
    sources=[
        core_v1.VolumeProjection(
            service_account_token=core_v1.ServiceAccountTokenProjection(path="token", expiration_seconds=3607)
        ),
        core_v1.VolumeProjection(
            config_map=core_v1.ConfigMapProjection(
                name="kube-root-ca.crt", items=[core_v1.KeyToPath(key="ca.crt", path="ca.crt")]
            )
        ),
        core_v1.VolumeProjection(
            downward_api=core_v1.DownwardAPIProjection(
                items=[
                    core_v1.DownwardAPIVolumeFile(
                        path="namespace",
                        field_ref=core_v1.ObjectFieldSelector(api_version="v1", field_path="metadata.namespace"),
                    )
                ]
            )
        ),
    ],
    default_mode=0o644,
)
"""What the ServiceAccount plug-in mounts into almost every pod: compared as a whole instead of looked through.

Its token asks for just over an hour, so that it is told apart from users' own 3600. Never changed: pods share it.
"""


def validate(volumes: list[core_v1.Volume], path: str) -> tuple[dict[str, core_v1.Volume], list[FieldError]]:
    """The volumes by name, and what is wrong with them."""
    found: dict[str, core_v1.Volume] = {}
    errors: list[FieldError] = []
    for i, volume in enumerate(volumes):
        where = f"{path}[{i}]"
        if volume.projected == TOKEN_PROJECTION and volume.name not in found and not names.label(volume.name):
            found[volume.name] = volume
            continue
        wrong = _source(volume, where)
        if not volume.name:
            wrong.append(required(f"{where}.name"))
        else:
            wrong += [invalid_value(f"{where}.name", volume.name, m) for m in names.label(volume.name)]
        if volume.name in found:
            wrong.append(duplicate(f"{where}.name", volume.name))
        if not wrong:
            found[volume.name] = volume
        errors += wrong
    return found, errors


def _source(volume: core_v1.Volume, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    given = [(attribute, json) for attribute, json in SOURCES.items() if getattr(volume, attribute) is not None]
    for attribute, json in given[:1]:
        check = _CHECKS.get(attribute)
        if check is not None:
            errors += check(getattr(volume, attribute), f"{path}.{json}")
    for _, json in given[1:]:
        errors.append(forbidden_field(f"{path}.{json}", "may not specify more than 1 volume type"))
    if not given:
        errors.append(required(path, "must specify a volume type"))
    return errors


def _mode(mode: int | None, path: str) -> list[FieldError]:
    if mode is not None and not 0 <= mode <= MODE_MAX:
        return [invalid_value(path, mode, MODE_WORDS)]
    return []


def local_path(value: str, path: str) -> list[FieldError]:
    """A path that stays below where it is put."""
    if value.startswith("/"):
        return [invalid_value(path, value, "must be a relative path")]
    return no_back_steps(value, path)


def no_back_steps(value: str, path: str) -> list[FieldError]:
    """A path without `..` parts."""
    if ".." in value.split("/"):
        return [invalid_value(path, value, "must not contain '..'")]
    return []


def _items(items: list[core_v1.KeyToPath], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, item in enumerate(items):
        where = f"{path}.items[{i}]"
        if not item.key:
            errors.append(required(f"{where}.key"))
        if not item.path:
            errors.append(required(f"{where}.path"))
        errors += _local_non_reserved(item.path, f"{where}.path")
        errors += _mode(item.mode, f"{where}.mode")
    return errors


def _local_non_reserved(value: str, path: str) -> list[FieldError]:
    errors = local_path(value, path)
    if value.startswith("..") and not value.startswith("../") and not errors:
        errors.append(invalid_value(path, value, "must not start with '..'"))
    return errors


def _empty_dir(source: core_v1.EmptyDirVolumeSource, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if source.size_limit is not None and parse(source.size_limit) < 0:
        errors.append(forbidden_field(f"{path}.sizeLimit", "SizeLimit field must be a valid resource quantity"))
    medium = source.medium
    if medium not in ("", "Memory", "HugePages") and not medium.startswith("HugePages-"):
        errors.append(unsupported(f"{path}.medium", medium, ("", "HugePages", "Memory")))
    return errors


def _host_path(source: core_v1.HostPathVolumeSource, path: str) -> list[FieldError]:
    if not source.path:
        return [required(f"{path}.path")]
    errors = no_back_steps(source.path, f"{path}.path")
    if source.type not in HOST_PATH_TYPES and source.type is not None:
        errors.append(unsupported(f"{path}.type", source.type, HOST_PATH_TYPES))
    return errors


def _secret(source: core_v1.SecretVolumeSource, path: str) -> list[FieldError]:
    errors = [] if source.secret_name else [required(f"{path}.secretName")]
    return errors + _mode(source.default_mode, f"{path}.defaultMode") + _items(source.items, path)


def _config_map(source: core_v1.ConfigMapVolumeSource, path: str) -> list[FieldError]:
    errors = [] if source.name else [required(f"{path}.name")]
    return errors + _mode(source.default_mode, f"{path}.defaultMode") + _items(source.items, path)


def _claim(source: core_v1.PersistentVolumeClaimVolumeSource, path: str) -> list[FieldError]:
    return [] if source.claim_name else [required(f"{path}.claimName")]


def _downward(source: core_v1.DownwardAPIVolumeSource, path: str) -> list[FieldError]:
    return _mode(source.default_mode, f"{path}.defaultMode") + _downward_items(source.items, f"{path}.items")


def _downward_items(items: list[core_v1.DownwardAPIVolumeFile], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, item in enumerate(items):
        where = f"{path}[{i}]"
        if not item.path:
            errors.append(required(f"{where}.path"))
        errors += _local_non_reserved(item.path, f"{where}.path")
        if item.field_ref is not None:
            errors += field_ref(item.field_ref, f"{where}.fieldRef", FIELD_PATHS)
            if item.resource_field_ref is not None:
                errors.append(
                    invalid_value(
                        where, "resource", "fieldRef and resourceFieldRef can not be specified simultaneously"
                    )
                )
        elif item.resource_field_ref is not None:
            errors += resource_ref(item.resource_field_ref, f"{where}.resourceFieldRef", True)
        else:
            errors.append(required(where, "one of fieldRef and resourceFieldRef is required"))
        errors += _mode(item.mode, f"{where}.mode")
    return errors


def field_ref(ref: core_v1.ObjectFieldSelector, path: str, allowed: frozenset[str]) -> list[FieldError]:
    """A field of the pod that its containers may see."""
    if not ref.api_version:
        return [required(f"{path}.apiVersion")]
    if not ref.field_path:
        return [required(f"{path}.fieldPath")]
    base, bracket, key = ref.field_path.partition("['")
    if bracket and base in ("metadata.labels", "metadata.annotations") and key.endswith("']"):
        from orlop.api.selectors import key_errors

        return [invalid_value(path, key[:-2], m) for m in key_errors(key[:-2].lower())]
    if ref.field_path not in KNOWN_PATHS:
        why = f"error converting fieldPath: field label not supported: {ref.field_path}"
        return [invalid_value(f"{path}.fieldPath", ref.field_path, why)]
    if ref.field_path not in allowed:
        return [unsupported(f"{path}.fieldPath", ref.field_path, sorted(allowed))]
    return []


KNOWN_PATHS = FIELD_PATHS | {
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "spec.hostNetwork",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.nominatedNodeName",
    "status.podIP",
    "status.podIPs",
}
"""Fields that have a label at all."""


def resource_ref(ref: core_v1.ResourceFieldSelector, path: str, volume: bool) -> list[FieldError]:
    """A container's limit or request that containers may see."""
    errors: list[FieldError] = []
    if volume and not ref.container_name:
        errors.append(required(f"{path}.containerName"))
    elif not ref.resource:
        errors.append(required(f"{path}.resource"))
    elif ref.resource not in RESOURCES and ".hugepages-" not in ref.resource:
        errors.append(unsupported(f"{path}.resource", ref.resource, sorted(RESOURCES)))
    return errors


PROJECTIONS = {
    "secret": "secret",
    "downward_api": "downwardAPI",
    "config_map": "configMap",
    "service_account_token": "serviceAccountToken",
    "cluster_trust_bundle": "clusterTrustBundle",
    "pod_certificate": "podCertificate",
}


def _projected(source: core_v1.ProjectedVolumeSource, path: str) -> list[FieldError]:
    errors = _mode(source.default_mode, f"{path}.defaultMode")
    paths: set[str] = set()
    for i, projection in enumerate(source.sources):
        where = f"{path}.sources[{i}]"
        given = [(a, j) for a, j in PROJECTIONS.items() if getattr(projection, a) is not None]
        for _, json in given[1:]:
            errors.append(forbidden_field(f"{where}.{json}", "may not specify more than 1 volume type"))
        if not given:
            errors.append(required(where, "must specify at least one"))
            continue
        errors += _projection(projection, where)
        for name in _paths_of(projection):
            if name in paths:
                errors.append(invalid_value(where, name, "conflicting duplicate paths"))
            paths.add(name)
    return errors


def _paths_of(projection: core_v1.VolumeProjection) -> list[str]:
    listed: list[str] = []
    for source in (projection.secret, projection.config_map):
        if source is not None:
            listed += [item.path for item in source.items]
    if projection.downward_api is not None:
        listed += [item.path for item in projection.downward_api.items]
    if projection.service_account_token is not None:
        listed.append(projection.service_account_token.path)
    return [name for name in listed if name]


def _projection(projection: core_v1.VolumeProjection, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for json, source in (("secret", projection.secret), ("configMap", projection.config_map)):
        if source is not None:
            if not source.name:
                errors.append(required(f"{path}.{json}.name"))
            errors += _items(source.items, f"{path}.{json}")
    if projection.downward_api is not None:
        errors += _downward_items(projection.downward_api.items, f"{path}.downwardAPI.items")
    token = projection.service_account_token
    if token is not None:
        where = f"{path}.serviceAccountToken"
        if token.expiration_seconds is not None and token.expiration_seconds < MIN_TOKEN_SECONDS:
            errors.append(
                invalid_value(
                    f"{where}.expirationSeconds",
                    token.expiration_seconds,
                    "may not specify a duration less than 10 minutes",
                )
            )
        if token.expiration_seconds is not None and token.expiration_seconds > 1 << 32:
            errors.append(
                invalid_value(
                    f"{where}.expirationSeconds",
                    token.expiration_seconds,
                    "may not specify a duration larger than 2^32 seconds",
                )
            )
        if not token.path:
            errors.append(required(f"{where}.path"))
        else:
            errors += _local_non_reserved(token.path, f"{where}.path")
    return errors


def _nfs(source: core_v1.NFSVolumeSource, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not source.server:
        errors.append(required(f"{path}.server"))
    if not source.path:
        errors.append(required(f"{path}.path"))
    elif not source.path.startswith("/"):
        errors.append(invalid_value(f"{path}.path", source.path, "must be an absolute path"))
    return errors


_CHECKS: dict[str, Callable[..., list[FieldError]]] = {
    "empty_dir": _empty_dir,
    "host_path": _host_path,
    "secret": _secret,
    "config_map": _config_map,
    "persistent_volume_claim": _claim,
    "downward_api": _downward,
    "projected": _projected,
    "nfs": _nfs,
}
