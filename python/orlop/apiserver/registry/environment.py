"""Rules of a container's variables and where they come from: ValidateEnv and ValidateEnvFrom."""

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names, projected
from orlop.apiserver.registry.common import subdomain
from orlop.apiserver.registry.paths import no_back_steps
from orlop.apiserver.registry.windows import every

FIELDS = (
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
)
"""What of its pod a container may see in a variable; besides labels and annotations by their key."""
NO_SOURCE = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
ONE_SOURCE = "may not have more than one field specified at a time"


def validate(variables: list[core_v1.EnvVar], path: str) -> list[FieldError]:
    """What is wrong with a container's variables."""
    errors: list[FieldError] = []
    for i, variable in enumerate(variables):
        source = variable.value_from
        name = variable.name
        wrong = names.env_name(name) if name else None
        if source is None and wrong == []:
            continue
        where = f"{path}[{i}]"
        if wrong is None:
            errors.append(required(f"{where}.name"))
        else:
            errors += [invalid_value(f"{where}.name", name, m) for m in wrong]
        if source is not None:
            errors += _source(variable, source, f"{where}.valueFrom")
    return errors


def _source(variable: core_v1.EnvVar, source: core_v1.EnvVarSource, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    count = 0
    if source.field_ref is not None:
        count += 1
        errors += projected.field_ref(source.field_ref, f"{path}.fieldRef", FIELDS)
    if source.resource_field_ref is not None:
        count += 1
        errors += projected.resource_ref(source.resource_field_ref, f"{path}.resourceFieldRef", volume=False)
    if source.config_map_key_ref is not None:
        count += 1
        errors += _key(source.config_map_key_ref, f"{path}.configMapKeyRef")
    if source.secret_key_ref is not None:
        count += 1
        errors += _key(source.secret_key_ref, f"{path}.secretKeyRef")
    if source.file_key_ref is not None:
        count += 1
        errors += _file(source.file_key_ref, f"{path}.fileKeyRef")
    if not count:
        errors.append(invalid_value(path, "", NO_SOURCE))
    elif variable.value:
        errors.append(invalid_value(path, "", "may not be specified when `value` is not empty"))
    elif count > 1:
        errors.append(invalid_value(path, "", ONE_SOURCE))
    return errors


def _key(ref: core_v1.ConfigMapKeySelector | core_v1.SecretKeySelector, path: str) -> list[FieldError]:
    errors = subdomain(ref.name, f"{path}.name")
    if not ref.key:
        return [*errors, required(f"{path}.key")]
    return errors + [invalid_value(f"{path}.key", ref.key, m) for m in names.config_key(ref.key)]


def _file(ref: core_v1.FileKeySelector, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if not ref.key:
        errors.append(required(f"{path}.key"))
    else:
        errors += [invalid_value(f"{path}.key", ref.key, m) for m in names.env_name(ref.key)]
    if not ref.volume_name:
        errors.append(required(f"{path}.volumeName"))
    else:
        errors += [invalid_value(f"{path}.volumeName", ref.volume_name, m) for m in names.label(ref.volume_name)]
    if not ref.path:
        return [*errors, required(f"{path}.path")]
    return errors + no_back_steps(ref.path, f"{path}.path")


def validate_from(sources: list[core_v1.EnvFromSource], path: str) -> list[FieldError]:
    """What is wrong with the ConfigMaps and Secrets that are taken as a whole."""
    errors: list[FieldError] = []
    for i, source in enumerate(sources):
        where = f"{path}[{i}]"
        if source.prefix:
            errors += [invalid_value(f"{where}.prefix", source.prefix, m) for m in names.env_name(source.prefix)]
        count = 0
        for json, ref in (("configMapRef", source.config_map_ref), ("secretRef", source.secret_ref)):
            if ref is not None:
                count += 1
                # Upstream takes the name for one that something may follow, and so a dash may end it.
                named = f"{ref.name[:-2]}a" if len(ref.name) > 1 and ref.name.endswith("-") else ref.name
                if not ref.name:
                    errors.append(required(f"{where}.{json}.name"))
                else:
                    errors += [invalid_value(f"{where}.{json}.name", ref.name, m) for m in names.subdomain(named)]
        # These two are told of the list, not of its item.
        if not count:
            errors.append(invalid_value(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif count > 1:
            errors.append(invalid_value(path, "", ONE_SOURCE))
    return errors


def validate_files(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """Variables from files need volumes that containers may have written to."""
    errors: list[FieldError] = []
    for container, where in every(spec, path):
        for i, variable in enumerate(container.env):
            source = variable.value_from
            if source is not None and source.file_key_ref is not None:
                name = source.file_key_ref.volume_name
                errors += _emptied(spec, name, f"{where}.env[{i}].valueFrom.fileKeyRef.volumeName")
    return errors


def _emptied(spec: core_v1.PodSpec, name: str, path: str) -> list[FieldError]:
    found = [v for v in spec.volumes if v.name == name]
    if not found:
        return [FieldError("FieldValueNotFound", path, name, "")]
    if found[-1].empty_dir is None:
        return [invalid_value(path, name, "referenced volume must be of type emptyDir")]
    return []
