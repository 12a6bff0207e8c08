"""The level restricted, beyond baseline: what hardened pods set."""

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.admission.podsecurity.baseline import PROFILES, forbidden_capabilities, proc_mount, seccomp
from orlop.apiserver.admission.podsecurity.checks import (
    Check,
    Finding,
    containers,
    context,
    counted,
    own_users,
    pod_context,
    setters,
)

Meta = meta_v1.ObjectMeta
Spec = core_v1.PodSpec

VOLUMES = (
    "config_map", "csi", "downward_api", "empty_dir", "ephemeral", "persistent_volume_claim", "projected", "secret",
    "image",
)  # fmt: skip
"""Sources of volumes that may be used."""
ADDED = frozenset({"NET_BIND_SERVICE"})
"""Capabilities that may be added."""


def on_windows(spec: Spec) -> bool:
    """Whether what is about Linux does not concern the pod (since 1.25)."""
    return spec.os is not None and spec.os.name == "windows"


def privilege_escalation(meta: Meta, spec: Spec) -> Finding | None:
    bad = [c.name for c in containers(spec) if context(c).allow_privilege_escalation is not False]
    words = f"{counted('container', bad)} must set securityContext.allowPrivilegeEscalation=false"
    return Finding("allowPrivilegeEscalation != false", words) if bad else None


def capabilities(meta: Meta, spec: Spec) -> Finding | None:
    kept = [c.name for c in containers(spec) if "ALL" not in (((own := context(c).capabilities) and own.drop) or ())]
    told = [f'{counted("container", kept)} must set securityContext.capabilities.drop=["ALL"]'] if kept else []
    added = forbidden_capabilities(spec, ADDED, "")
    told += [added.detail] if added is not None else []
    return Finding("unrestricted capabilities", "; ".join(told)) if told else None


def volumes(meta: Meta, spec: Spec) -> Finding | None:
    bad: list[str] = []
    types: set[str] = set()
    for volume in spec.volumes:
        if not any(getattr(volume, source, None) is not None for source in VOLUMES):
            bad.append(volume.name)
            types.add(_source(volume))
    if not bad:
        return None
    uses = "uses" if len(bad) == 1 else "use"
    what = counted("restricted volume type", sorted(types))
    return Finding("restricted volume types", f"{counted('volume', bad)} {uses} {what}")


def _source(volume: core_v1.Volume) -> str:
    """The kind of a volume, as the API spells it."""
    for name, spelled in zip(volume.__struct_fields__, volume.__struct_encode_fields__, strict=True):
        if name != "name" and getattr(volume, name) is not None:
            return spelled
    return "unknown"


def non_root(meta: Meta, spec: Spec) -> Finding | None:
    pod = pod_context(spec).run_as_non_root
    explicit = [c.name for c in containers(spec) if context(c).run_as_non_root is False]
    if pod is False or explicit:
        words = f"{setters(pod is False, explicit)} must not set securityContext.runAsNonRoot=false"
        return Finding("runAsNonRoot != true", words)
    implicit = [c.name for c in containers(spec) if context(c).run_as_non_root is None and not pod]
    words = f"pod or {counted('container', implicit)} must set securityContext.runAsNonRoot=true"
    return Finding("runAsNonRoot != true", words) if implicit else None


def run_as_user(meta: Meta, spec: Spec) -> Finding | None:
    pod = pod_context(spec).run_as_user == 0
    bad = [c.name for c in containers(spec) if context(c).run_as_user == 0]
    return Finding("runAsUser=0", f"{setters(pod, bad)} must not set runAsUser=0") if pod or bad else None


def seccomp_is_set(meta: Meta, spec: Spec) -> Finding | None:
    if (wrong := seccomp(meta, spec)) is not None:
        return wrong
    pod = pod_context(spec).seccomp_profile
    if pod is not None and pod.type in PROFILES:
        return None
    bad = [c.name for c in containers(spec) if context(c).seccomp_profile is None]
    who = f"pod or {counted('container', bad)}"
    words = f'{who} must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost"'
    return Finding("seccompProfile", words) if bad else None


def _on_linux(check: Check) -> Check:
    """The same since 1.25, when pods say what they run on."""

    def function(meta: Meta, spec: Spec) -> Finding | None:
        return None if on_windows(spec) else check.function(meta, spec)

    return check._replace(since=25, function=function)


def _of_others(check: Check, since: int) -> Check:
    """The same for pods whose root is root outside too."""

    def function(meta: Meta, spec: Spec) -> Finding | None:
        return None if own_users(spec) else check.function(meta, spec)

    return check._replace(since=since, function=function)


_ESCALATION = Check("allowPrivilegeEscalation", 8, privilege_escalation)
_CAPABILITIES = Check("capabilities_restricted", 22, capabilities, "capabilities_baseline")
_NON_ROOT = Check("runAsNonRoot", 0, non_root)
_USER = Check("runAsUser", 23, run_as_user)
_SECCOMP = Check("seccompProfile_restricted", 19, seccomp_is_set, "seccompProfile_baseline")

CHECKS = (
    _ESCALATION,
    _on_linux(_ESCALATION),
    _CAPABILITIES,
    _on_linux(_CAPABILITIES),
    Check("procMount_restricted", 35, proc_mount, "procMount"),
    Check("restrictedVolumes", 0, volumes, "hostPathVolumes"),
    _NON_ROOT,
    _of_others(_NON_ROOT, 35),
    _USER,
    _of_others(_USER, 35),
    _SECCOMP,
    _on_linux(_SECCOMP),
)
