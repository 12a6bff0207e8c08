"""Rules of security contexts, of containers and of pods."""

import re

from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import windows
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.paths import local_path
from orlop.apiserver.registry.resources import unsupported

MAX_ID = (1 << 31) - 1
MAX_PROFILE = 4095
"""Bytes of an AppArmor profile's name: PATH_MAX without its end."""
PROFILE_TYPES = ("Localhost", "RuntimeDefault", "Unconfined")
PROC_MOUNTS = ("Default", "Unmasked")
MAX_SYSCTL = 253
SYSCTL = "^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$"
_SYSCTL = re.compile(SYSCTL[:-1] + r"\Z")
_IPC_SYSCTLS = frozenset({"kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni", "kernel.shm_rmid_forced"})
"""Of the IPC namespace, besides those that begin with `kernel.msg` and `fs.mqueue.`."""


def _id(value: int | None, path: str) -> list[FieldError]:
    if value is not None and not 0 <= value <= MAX_ID:
        return [invalid_value(path, value, f"must be between 0 and {MAX_ID}, inclusive")]
    return []


def validate(context: core_v1.SecurityContext, path: str, host_users: bool = True) -> list[FieldError]:
    """What is wrong with a container's security context."""
    errors = _id(context.run_as_user, f"{path}.runAsUser") + _id(context.run_as_group, f"{path}.runAsGroup")
    if context.proc_mount is not None:
        if context.proc_mount not in PROC_MOUNTS:
            errors.append(unsupported(f"{path}.procMount", context.proc_mount, PROC_MOUNTS))
        if host_users and context.proc_mount == "Unmasked":
            words = "`hostUsers` must be false to use `Unmasked`"
            errors.append(invalid_value(f"{path}.procMount", context.proc_mount, words))
    errors += _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
    if context.allow_privilege_escalation is False:
        if context.privileged:
            words = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(invalid_value(path, go_form(context), words))
        added = context.capabilities.add if context.capabilities is not None else ()
        words = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
        errors += [invalid_value(path, go_form(context), words) for one in added if one == "CAP_SYS_ADMIN"]
    if context.windows_options is not None:
        errors += windows.validate(context.windows_options, f"{path}.windowsOptions")
    return errors + _app_armor(context.app_armor_profile, f"{path}.appArmorProfile")


def _seccomp(profile: core_v1.SeccompProfile | None, path: str) -> list[FieldError]:
    """A seccomp profile, of a pod or a container."""
    if profile is None:
        return []
    errors: list[FieldError] = []
    where = f"{path}.localhostProfile"
    if not profile.type:
        errors.append(required(f"{path}.type", "type is required when seccompProfile is set"))
    elif profile.type not in PROFILE_TYPES:
        errors.append(unsupported(f"{path}.type", profile.type, PROFILE_TYPES))
    if profile.type == "Localhost":
        if profile.localhost_profile is None:
            errors.append(required(where, "must be set when seccomp type is Localhost"))
        else:
            errors += local_path(profile.localhost_profile, where)
    elif profile.localhost_profile is not None:
        words = "can only be set when seccomp type is Localhost"
        errors.append(invalid_value(where, go_form(profile), words))
    return errors


def _app_armor(profile: core_v1.AppArmorProfile | None, path: str) -> list[FieldError]:
    """An AppArmor profile, of a pod or a container."""
    if profile is None:
        return []
    name, where = profile.localhost_profile, f"{path}.localhostProfile"
    if profile.type == "Localhost":
        missing = required(where, "must be set when AppArmor type is Localhost")
        if name is None:
            return [missing]
        errors: list[FieldError] = []
        if name != name.strip():
            errors.append(invalid_value(where, name, "must not be padded with whitespace"))
        elif not name:
            errors.append(missing)
        if len(name) > MAX_PROFILE:
            words = f"may not be more than {MAX_PROFILE} bytes"
            errors.append(FieldError("FieldValueTooLong", where, None, words))
        return errors
    if not profile.type:
        return [required(f"{path}.type", "type is required when appArmorProfile is set")]
    if profile.type not in PROFILE_TYPES:
        return [unsupported(f"{path}.type", profile.type, PROFILE_TYPES)]
    if name is not None:
        return [invalid_value(where, name, "can only be set when AppArmor type is Localhost")]
    return []


def validate_pod(context: core_v1.PodSecurityContext, spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """A pod's own security context."""
    errors = _id(context.fs_group, f"{path}.fsGroup")
    errors += _id(context.run_as_user, f"{path}.runAsUser")
    errors += _id(context.run_as_group, f"{path}.runAsGroup")
    for i, group in enumerate(context.supplemental_groups):
        errors += _id(group, f"{path}.supplementalGroups[{i}]")
    errors += shared_processes(spec, path.removesuffix(".securityContext"))
    errors += _sysctls(context.sysctls, spec, f"{path}.sysctls")
    policy = context.fs_group_change_policy
    if policy is not None and policy not in ("Always", "OnRootMismatch"):
        errors.append(unsupported(f"{path}.fsGroupChangePolicy", policy, ("Always", "OnRootMismatch")))
    errors += _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
    if context.windows_options is not None:
        errors += windows.validate(context.windows_options, f"{path}.windowsOptions")
    errors += _app_armor(context.app_armor_profile, f"{path}.appArmorProfile")
    policy = context.supplemental_groups_policy
    if policy is not None and policy not in ("Merge", "Strict"):
        errors.append(unsupported(f"{path}.supplementalGroupsPolicy", policy, ("Merge", "Strict")))
    policy = context.se_linux_change_policy
    if policy is not None and policy not in ("MountOption", "Recursive"):
        errors.append(unsupported(f"{path}.seLinuxChangePolicy", policy, ("MountOption", "Recursive")))
    return errors


def shared_processes(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """One process namespace of the pod, or the host's. `path` is the spec's."""
    if not spec.share_process_namespace or not spec.host_pid:
        return []
    words = "ShareProcessNamespace and HostPID cannot both be enabled"
    return [invalid_value(f"{path}.shareProcessNamespace", True, words)]


def _sysctls(sysctls: list[core_v1.Sysctl], spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, sysctl in enumerate(sysctls):
        where, name = f"{path}[{i}].name", sysctl.name
        if not name:
            errors.append(required(where))
        elif len(name) > MAX_SYSCTL or not _SYSCTL.match(name):
            words = f"must have at most {MAX_SYSCTL} characters and match regex {SYSCTL}"
            errors.append(invalid_value(where, name, words))
        elif name in seen:
            errors.append(duplicate(where, name))
        if spec.host_network and _dotted(name).startswith("net."):
            errors.append(invalid_value(where, name, "may not be specified when 'hostNetwork' is true"))
        elif spec.host_ipc and _of_ipc(_dotted(name)):
            errors.append(invalid_value(where, name, "may not be specified when 'hostIPC' is true"))
        seen.add(name)
    return errors


def _dotted(name: str) -> str:
    """`net/ipv4/conf.x` → `net.ipv4.conf/x`: the first of both signs is what separates."""
    for sign in name:
        if sign in "./":
            return name if sign == "." else name.translate({ord("/"): ".", ord("."): "/"})
    return name


def _of_ipc(name: str) -> bool:
    return name in _IPC_SYSCTLS or name.startswith(("kernel.msg", "fs.mqueue."))


def validate_host_users(spec: core_v1.PodSpec, path: str) -> list[FieldError]:
    """What a pod with users of its own cannot have."""
    if spec.host_users is not False:
        return []
    words = "when `hostUsers` is false"
    # Upstream spells two of these as in Go.
    errors = [
        forbidden_field(f"{path}.{json}", words)
        for json, value in (("hostNetwork", spec.host_network), ("HostPID", spec.host_pid), ("HostIPC", spec.host_ipc))
        if value
    ]
    for container, where in windows.every(spec, path):
        if container.volume_devices:
            errors.append(forbidden_field(f"{where}.volumeDevices", words))
    return errors
