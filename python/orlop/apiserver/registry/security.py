"""Rules of security contexts, of containers and of pods."""

from orlop.api.errors import FieldError, duplicate, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import volumes
from orlop.apiserver.registry.resources import unsupported

MAX_ID = (1 << 31) - 1


def _id(value: int | None, path: str) -> list[FieldError]:
    if value is not None and not 0 <= value <= MAX_ID:
        return [invalid_value(path, value, f"must be between 0 and {MAX_ID}, inclusive")]
    return []


def validate(context: core_v1.SecurityContext, path: str) -> list[FieldError]:
    """What is wrong with a container's security context."""
    errors = _id(context.run_as_user, f"{path}.runAsUser") + _id(context.run_as_group, f"{path}.runAsGroup")
    if context.proc_mount not in (None, "Default", "Unmasked"):
        errors.append(unsupported(f"{path}.procMount", context.proc_mount, ("Default", "Unmasked")))
    errors += _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
    if context.allow_privilege_escalation is False:
        if context.privileged:
            why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"
            errors.append(invalid_value(path, context, why))
        if context.capabilities is not None and "CAP_SYS_ADMIN" in context.capabilities.add:
            why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"
            errors.append(invalid_value(path, context, why))
    return errors


def _seccomp(profile: core_v1.SeccompProfile | None, path: str) -> list[FieldError]:
    """A seccomp profile, of a pod or a container."""
    if profile is None:
        return []
    if not profile.type:
        return [required(f"{path}.type", "type is required when seccompProfile is set")]
    if profile.type not in ("Localhost", "RuntimeDefault", "Unconfined"):
        return [unsupported(f"{path}.type", profile.type, ("Localhost", "RuntimeDefault", "Unconfined"))]
    if profile.type == "Localhost":
        if not profile.localhost_profile:
            return [required(f"{path}.localhostProfile", "must be set when seccomp type is Localhost")]
        return volumes.local_path(profile.localhost_profile, f"{path}.localhostProfile")
    if profile.localhost_profile is not None:
        return [
            invalid_value(
                f"{path}.localhostProfile",
                profile.localhost_profile,
                "can only be set when seccomp type is Localhost",
            )
        ]
    return []


def validate_pod(context: core_v1.PodSecurityContext, path: str) -> list[FieldError]:
    """A pod's own security context."""
    errors = _id(context.fs_group, f"{path}.fsGroup")
    errors += _id(context.run_as_user, f"{path}.runAsUser")
    errors += _id(context.run_as_group, f"{path}.runAsGroup")
    for i, group in enumerate(context.supplemental_groups):
        errors += _id(group, f"{path}.supplementalGroups[{i}]")
    if context.fs_group_change_policy not in (None, "OnRootMismatch", "Always"):
        errors.append(
            unsupported(f"{path}.fsGroupChangePolicy", context.fs_group_change_policy, ("Always", "OnRootMismatch"))
        )
    seen: set[str] = set()
    for i, sysctl in enumerate(context.sysctls):
        where = f"{path}.sysctls[{i}].name"
        if not sysctl.name:
            errors.append(required(where))
        elif sysctl.name in seen:
            errors.append(duplicate(where, sysctl.name))
        seen.add(sysctl.name)
    return errors + _seccomp(context.seccomp_profile, f"{path}.seccompProfile")
