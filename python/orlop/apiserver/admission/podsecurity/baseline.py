"""The level baseline: no known way to more privileges."""

from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.admission.podsecurity.checks import (
    Check,
    Finding,
    containers,
    context,
    counted,
    own_users,
    pod_context,
    quoted,
    setters,
)

Meta = meta_v1.ObjectMeta
Spec = core_v1.PodSpec

APPARMOR = "container.apparmor.security.beta.kubernetes.io/"
SECCOMP_POD = "seccomp.security.alpha.kubernetes.io/pod"
SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
PROFILES = ("RuntimeDefault", "Localhost")
"""Types of seccomp and AppArmor profiles that may be set."""
CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "KILL", "MKNOD", "NET_BIND_SERVICE", "SETFCAP",
        "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT",
    }
)  # fmt: skip
"""What a container has of its own."""
_SELINUX = ("", "container_t", "container_init_t", "container_kvm_t")
SELINUX_TYPES = {0: frozenset(_SELINUX), 31: frozenset((*_SELINUX, "container_engine_t"))}
"""Types that may be set, since a minor version."""
_SYSCTLS = (
    "kernel.shm_rmid_forced", "net.ipv4.ip_local_port_range", "net.ipv4.tcp_syncookies", "net.ipv4.ping_group_range",
    "net.ipv4.ip_unprivileged_port_start",
)  # fmt: skip
_SYSCTLS_27 = (*_SYSCTLS, "net.ipv4.ip_local_reserved_ports")
_SYSCTLS_29 = (
    *_SYSCTLS_27, "net.ipv4.tcp_keepalive_time", "net.ipv4.tcp_fin_timeout", "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
)  # fmt: skip
SYSCTLS = {
    0: frozenset(_SYSCTLS),
    27: frozenset(_SYSCTLS_27),
    29: frozenset(_SYSCTLS_29),
    32: frozenset((*_SYSCTLS_29, "net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem")),
}
"""Those that concern the pod alone, since a minor version."""


def apparmor(meta: Meta, spec: Spec) -> Finding | None:
    pod = pod_context(spec).app_armor_profile
    types = [pod.type] if pod is not None and pod.type not in PROFILES else []
    bad = [(c.name, p.type) for c in containers(spec) if (p := context(c).app_armor_profile) and p.type not in PROFILES]
    notes = [
        f'{key}="{value}"'
        for key, value in meta.annotations.items()
        if key.startswith(APPARMOR) and value not in ("", "runtime/default") and not value.startswith("localhost/")
    ]
    who = [setters(bool(types), [name for name, _ in bad])] if types or bad else []
    who += [f"annotation{'s' if len(notes) > 1 else ''}"] if notes else []
    values = [*sorted({*types, *(type_ for _, type_ in bad)}), *sorted(notes)]
    if not values:
        return None
    reason = f"forbidden AppArmor profile{'s' if len(values) > 1 else ''}"
    return Finding(reason, f"{' and '.join(who)} must not set AppArmor profile type to {quoted(values)}")


def capabilities(meta: Meta, spec: Spec) -> Finding | None:
    return forbidden_capabilities(spec, CAPABILITIES, "non-default capabilities")


def forbidden_capabilities(spec: Spec, allowed: frozenset[str], reason: str) -> Finding | None:
    """A finding of containers that add other capabilities than those."""
    added = [(c.name, set(own.add) - allowed) for c in containers(spec) if (own := context(c).capabilities)]
    bad = [(name, more) for name, more in added if more]
    if not bad:
        return None
    every = sorted(set().union(*(more for _, more in bad)))
    who = counted("container", [name for name, _ in bad])
    return Finding(reason, f"{who} must not include {quoted(every)} in securityContext.capabilities.add")


def host_namespaces(meta: Meta, spec: Spec) -> Finding | None:
    shared = {"hostNetwork": spec.host_network, "hostPID": spec.host_pid, "hostIPC": spec.host_ipc}
    named = [f"{name}=true" for name, on in shared.items() if on]
    return Finding("host namespaces", ", ".join(named)) if named else None


def host_path(meta: Meta, spec: Spec) -> Finding | None:
    bad = [volume.name for volume in spec.volumes if volume.host_path is not None]
    return Finding("hostPath volumes", counted("volume", bad)) if bad else None


def host_ports(meta: Meta, spec: Spec) -> Finding | None:
    used = [(c.name, {p.host_port for p in c.ports if p.host_port}) for c in containers(spec)]
    bad = [(name, ports) for name, ports in used if ports]
    if not bad:
        return None
    ports = sorted(map(str, set().union(*(of for _, of in bad))))
    uses = "uses" if len(bad) == 1 else "use"
    word = "hostPort" if len(ports) == 1 else "hostPorts"
    return Finding("hostPort", f"{counted('container', [name for name, _ in bad])} {uses} {word} {', '.join(ports)}")


def probe_hosts(meta: Meta, spec: Spec) -> Finding | None:
    bad: dict[str, set[str]] = {}
    for container in containers(spec):
        lifecycle = container.lifecycle
        hooks = [lifecycle.post_start, lifecycle.pre_stop] if lifecycle is not None else []
        for handler in (container.liveness_probe, container.readiness_probe, container.startup_probe, *hooks):
            for action in (handler.http_get, handler.tcp_socket) if handler is not None else ():
                if action is not None and action.host:
                    bad.setdefault(container.name, set()).add(action.host)
    if not bad:
        return None
    hosts = sorted(set().union(*bad.values()))
    uses = "uses" if len(bad) == 1 else "use"
    who = counted("container", sorted(bad))
    return Finding("probe or lifecycle host", f"{who} {uses} {counted('probe or lifecycle host', hosts)}")


def privileged(meta: Meta, spec: Spec) -> Finding | None:
    bad = [c.name for c in containers(spec) if context(c).privileged]
    words = f"{counted('container', bad)} must not set securityContext.privileged=true"
    return Finding("privileged", words) if bad else None


def proc_mount(meta: Meta, spec: Spec) -> Finding | None:
    set_ = [(c.name, mount) for c in containers(spec) if (mount := context(c).proc_mount) is not None]
    bad = [(name, mount) for name, mount in set_ if mount != "Default"]
    if not bad:
        return None
    who, mounts = counted("container", [name for name, _ in bad]), quoted(sorted({mount for _, mount in bad}))
    return Finding("procMount", f"{who} must not set securityContext.procMount to {mounts}")


def proc_mount_of_others(meta: Meta, spec: Spec) -> Finding | None:
    return None if own_users(spec) else proc_mount(meta, spec)


def selinux(minor: int) -> Check:
    """The check as of a minor version."""
    allowed = SELINUX_TYPES[minor]

    def check(meta: Meta, spec: Spec) -> Finding | None:
        def wrong(options: core_v1.SELinuxOptions | None) -> bool:
            return options is not None and (options.type not in allowed or bool(options.user or options.role))

        of_pod = pod_context(spec).se_linux_options
        bad = [(c.name, own) for c in containers(spec) if wrong(own := context(c).se_linux_options)]
        if not bad and not wrong(of_pod):
            return None
        options = [own for own in (of_pod if wrong(of_pod) else None, *(own for _, own in bad)) if own is not None]
        types = sorted({own.type for own in options} - allowed)
        told = [counted("type", types)] if types else []
        told += ["user may not be set"] if any(own.user for own in options) else []
        told += ["role may not be set"] if any(own.role for own in options) else []
        who = setters(wrong(of_pod), [name for name, _ in bad])
        return Finding("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(told)}")

    return Check("seLinuxOptions", minor, check)


def seccomp_annotations(meta: Meta, spec: Spec) -> Finding | None:
    keys = {SECCOMP_POD, *(f"{SECCOMP_CONTAINER}{c.name}" for c in containers(spec))}
    bad = sorted(
        f'{key}="{value}"'
        for key, value in meta.annotations.items()
        if key in keys and value not in ("runtime/default", "docker/default") and not value.startswith("localhost/")
    )
    words = f"forbidden annotation{'s' if len(bad) > 1 else ''} {', '.join(bad)}"
    return Finding("seccompProfile", words) if bad else None


def seccomp(meta: Meta, spec: Spec) -> Finding | None:
    of_pod = pod_context(spec).seccomp_profile
    pod = of_pod is not None and of_pod.type not in PROFILES
    bad = [(c.name, own.type) for c in containers(spec) if (own := context(c).seccomp_profile)]
    bad = [(name, type_) for name, type_ in bad if type_ not in PROFILES]
    if not pod and not bad:
        return None
    types = sorted({type_ for _, type_ in bad} | ({of_pod.type} if pod and of_pod is not None else set()))
    who = setters(pod, [name for name, _ in bad])
    return Finding("seccompProfile", f"{who} must not set securityContext.seccompProfile.type to {quoted(types)}")


def sysctls(minor: int) -> Check:
    """The check as of a minor version."""
    allowed = SYSCTLS[minor]

    def check(meta: Meta, spec: Spec) -> Finding | None:
        bad = [sysctl.name for sysctl in pod_context(spec).sysctls if sysctl.name not in allowed]
        return Finding("forbidden sysctls", ", ".join(bad)) if bad else None

    return Check("sysctls", minor, check)


def host_process(meta: Meta, spec: Spec) -> Finding | None:
    options = pod_context(spec).windows_options
    bad = [c.name for c in containers(spec) if (own := context(c).windows_options) and own.host_process]
    pod = options is not None and bool(options.host_process)
    words = f"{setters(pod, bad)} must not set securityContext.windowsOptions.hostProcess=true"
    return Finding("hostProcess", words) if pod or bad else None


CHECKS = (
    Check("appArmorProfile", 0, apparmor),
    Check("capabilities_baseline", 0, capabilities),
    Check("hostNamespaces", 0, host_namespaces),
    Check("hostPathVolumes", 0, host_path),
    Check("hostPorts", 0, host_ports),
    Check("hostProbesAndHostLifecycle", 34, probe_hosts),
    Check("privileged", 0, privileged),
    Check("procMount", 0, proc_mount),
    Check("procMount", 35, proc_mount_of_others),
    *(selinux(minor) for minor in SELINUX_TYPES),
    Check("seccompProfile_baseline", 0, seccomp_annotations),
    Check("seccompProfile_baseline", 19, seccomp),
    *(sysctls(minor) for minor in SYSCTLS),
    Check("windowsHostProcess", 0, host_process),
)
