"""Annotations that mean something to a pod: pkg/apis/core/validation's ValidatePodSpecificAnnotations, and what says
the same as a field and must not say another thing."""

import json
import re

from orlop.api.errors import FieldError, forbidden_field, invalid_value
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.registry import scheduling
from orlop.apiserver.registry.paths import local_path
from orlop.apiserver.registry.windows import every

MIRROR = "kubernetes.io/config.mirror"
DELETION_COST = "controller.kubernetes.io/pod-deletion-cost"
TOLERATIONS = "scheduler.alpha.kubernetes.io/tolerations"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_DEFAULTS = ("runtime/default", "docker/default")
_LOCALHOST = "localhost/"
_COST = re.compile(r"(0|[+-]?[1-9][0-9]*|-0)\Z")
_MARKS = ("kubernetes.io/", "k8s.io/")


def _concern(annotations: dict[str, str]) -> bool:
    """Whether any of them may be one that is looked at."""
    return any(mark in key for key in annotations for mark in _MARKS)


def validate(annotations: dict[str, str], spec: core_v1.PodSpec, path: str, old: str | None = None) -> list[FieldError]:
    """What is wrong with a pod's or template's annotations. `old` is a deletion cost that was there before."""
    if not annotations or not _concern(annotations):
        return []
    errors: list[FieldError] = []
    mirror = annotations.get(MIRROR)
    if mirror is not None and not spec.node_name:
        words = "must set spec.nodeName if mirror pod annotation is set"
        errors.append(invalid_value(f"{path}[{MIRROR}]", mirror, words))
    if annotations.get(TOLERATIONS):
        errors += _tolerations(annotations[TOLERATIONS], path)
    cost = annotations.get(DELETION_COST)
    if cost is not None and not valid_cost(cost) and (old is None or valid_cost(old)):
        errors.append(invalid_value(f"{path}[{DELETION_COST}]", cost, "must be a 32bit integer"))
    for key, value in sorted(annotations.items(), key=lambda item: (item[0] != SECCOMP_POD, item[0])):
        if key == SECCOMP_POD or key.startswith(SECCOMP_CONTAINER):
            errors += _seccomp(value, f"{path}.{key}")
    for key, value in sorted(annotations.items()):
        if key.startswith(APP_ARMOR):
            errors += _app_armor(key.removeprefix(APP_ARMOR), value, spec, f"{path}[{key}]")
    return errors


def valid_cost(text: str) -> bool:
    """Whether it is a number that pods can be ordered by: 32 bits, without leading zeros."""
    return _COST.match(text) is not None and -(1 << 31) <= int(text) < 1 << 31 and not text.startswith("+")


def _tolerations(text: str, path: str) -> list[FieldError]:
    import msgspec

    try:
        listed = msgspec.json.decode(text, type=list[core_v1.Toleration])
    except (msgspec.ValidationError, msgspec.DecodeError, json.JSONDecodeError) as error:
        return [invalid_value(path, TOLERATIONS, str(error))]
    return scheduling.tolerations(listed, f"{path}.{TOLERATIONS}")


def _seccomp(profile: str, path: str) -> list[FieldError]:
    if profile in _DEFAULTS or profile == "unconfined":
        return []
    if profile.startswith(_LOCALHOST):
        return local_path(profile.removeprefix(_LOCALHOST), path)
    return [invalid_value(path, profile, "must be a valid seccomp profile")]


def _app_armor(container: str, profile: str, spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if all(c.name != container for c, _ in every(spec, "")):
        errors.append(invalid_value(path, container, "container not found"))
    if profile not in ("", "runtime/default", "unconfined") and not profile.startswith(_LOCALHOST):
        errors.append(invalid_value(path, profile, f'invalid AppArmor profile name: "{profile}"'))
    return errors


def validate_update(metadata: meta_v1.ObjectMeta, before: meta_v1.ObjectMeta) -> list[FieldError]:
    """What is wrong with a change of them, besides what they are now."""
    new, old, path = metadata.annotations, before.annotations, "metadata.annotations"
    if new == old or not (_concern(new) or _concern(old)):
        return []
    errors: list[FieldError] = []
    for key, value in sorted(old.items()):
        if new.get(key) == value:
            continue
        if key.startswith(APP_ARMOR):
            errors.append(forbidden_field(f"{path}[{key}]", "may not remove or update AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden_field(f"{path}[{key}]", "may not remove or update mirror pod annotation"))
    for key in sorted(new.keys() - old.keys()):
        if key.startswith(APP_ARMOR):
            errors.append(forbidden_field(f"{path}[{key}]", "may not add AppArmor annotations"))
        if key == MIRROR:
            errors.append(forbidden_field(f"{path}[{key}]", "may not add mirror pod annotation"))
    return errors


def validate_match(metadata: meta_v1.ObjectMeta, spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """Profiles that are given both as a field and as an annotation must be one."""
    annotations = metadata.annotations
    if not annotations or not _concern(annotations):
        return []
    errors: list[FieldError] = []
    context = spec.security_context
    of_pod = context.seccomp_profile if context is not None else None
    if of_pod is not None and SECCOMP_POD in annotations:
        errors += _same_seccomp(annotations[SECCOMP_POD], of_pod, f"{path}.securityContext.seccompProfile")
    for container, where in every(spec, path):
        own = container.security_context.seccomp_profile if container.security_context is not None else None
        said = annotations.get(SECCOMP_CONTAINER + container.name)
        if own is not None and said is not None:
            errors += _same_seccomp(said, own, f"{where}.securityContext.seccompProfile")
    if spec.os is not None and spec.os.name == "windows":
        return errors
    default = context.app_armor_profile if context is not None else None
    for container, where in every(spec, path):
        armor = container.security_context.app_armor_profile if container.security_context is not None else None
        said = annotations.get(APP_ARMOR + container.name)
        if (armor or default) is not None and said is not None:
            errors += _same_app_armor(said, armor or default, f"{where}.securityContext.appArmorProfile")
    return errors


def _same_seccomp(said: str, profile: core_v1.SeccompProfile, path: str) -> list[FieldError]:
    other = [forbidden_field(f"{path}.type", "seccomp type in annotation and field must match")]
    if profile.type == "Unconfined":
        return [] if said == "unconfined" else other
    if profile.type == "RuntimeDefault":
        return [] if said in _DEFAULTS else other
    if profile.type != "Localhost":
        return []
    if not said.startswith(_LOCALHOST):
        return other
    if said.removeprefix(_LOCALHOST) == profile.localhost_profile:
        return []
    return [forbidden_field(f"{path}.localhostProfile", "seccomp profile in annotation and field must match")]


def _same_app_armor(said: str, profile: core_v1.AppArmorProfile | None, path: str) -> list[FieldError]:
    assert profile is not None
    other = [forbidden_field(f"{path}.type", "apparmor type in annotation and field must match")]
    if profile.type == "Unconfined":
        return [] if said == "unconfined" else other
    if profile.type == "RuntimeDefault":
        return [] if said == "runtime/default" else other
    if profile.type != "Localhost":
        return []
    if not said.startswith(_LOCALHOST):
        return other
    if said.removeprefix(_LOCALHOST) == profile.localhost_profile:
        return []
    return [forbidden_field(f"{path}.localhostProfile", "apparmor profile in annotation and field must match")]


def fill_app_armor(annotations: dict[str, str], spec: core_v1.PodSpec) -> None:
    """Makes fields of AppArmor profiles that a new pod gives as annotations."""
    if not any(key.startswith(APP_ARMOR) for key in annotations):
        return
    if spec.os is not None and spec.os.name == "windows":
        return
    of_pod = spec.security_context.app_armor_profile if spec.security_context is not None else None
    for container, _ in every(spec, ""):
        said = annotations.get(APP_ARMOR + container.name)
        context = container.security_context
        if said is None or (context is not None and context.app_armor_profile is not None):
            continue
        profile = _field_of(said)
        if profile is not None and profile != of_pod:
            if context is None:
                context = container.security_context = core_v1.SecurityContext()
            context.app_armor_profile = profile


def _field_of(said: str) -> core_v1.AppArmorProfile | None:
    if said == "unconfined":
        return core_v1.AppArmorProfile(type="Unconfined")
    if said == "runtime/default":
        return core_v1.AppArmorProfile(type="RuntimeDefault")
    name = said.removeprefix(_LOCALHOST)
    if not said.startswith(_LOCALHOST) or not name or name != name.strip():
        return None
    return core_v1.AppArmorProfile(type="Localhost", localhost_profile=name)
