"""Linux capabilities of containers."""

from functools import cache
from pathlib import Path

from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.values import SecurityContext

ALL = "CAP_ALL"
MKNOD = "CAP_MKNOD"

NAMES = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
"""In the kernel's order (include/uapi/linux/capability.h): the index is the bit."""

DEFAULT = frozenset(
    "CAP_" + name
    for name in [
        "CHOWN",
        "DAC_OVERRIDE",
        "FSETID",
        "FOWNER",
        "MKNOD",
        "NET_RAW",
        "SETGID",
        "SETUID",
        "SETFCAP",
        "SETPCAP",
        "NET_BIND_SERVICE",
        "SYS_CHROOT",
        "KILL",
        "AUDIT_WRITE",
    ]
)
"""Every container's, as other runtimes have it."""


@cache
def available() -> frozenset[str]:
    """What this process may pass on: its bounding set. A machine that is itself a container may lack some."""
    status = Path("/proc/self/status").read_text()
    bits = int(next(line for line in status.splitlines() if line.startswith("CapBnd:")).split()[1], 16)
    return frozenset(f"CAP_{name}" for bit, name in enumerate(NAMES) if bits >> bit & 1)


def effective(security: SecurityContext, *, devices: bool = True) -> frozenset[str]:
    """The capabilities of a container. `devices` says whether control groups guard devices: where they do not, a
    container may make none unless it asks for MKNOD by name.

    Raises RuntimeFailure for a name that is none, or one that cannot be had here.

    A privileged container gets all that this machine has.
    """
    if security.privileged:
        return available()
    add, drop = _names(security.add_capabilities), _names(security.drop_capabilities)
    every = frozenset(f"CAP_{name}" for name in NAMES)
    found = frozenset() if ALL in drop else (DEFAULT if devices else DEFAULT - {MKNOD}) & available()
    if ALL in add:
        found = every & available()
    found = (found | add) - drop - {ALL}
    unknown = found - every
    if unknown:
        raise RuntimeFailure(f"unknown capability {', '.join(sorted(unknown))}")
    missing = found - available()
    if missing:
        raise RuntimeFailure(f"this machine may not give {', '.join(sorted(missing))}: operation not permitted")
    return found


def _names(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(name if name.startswith("CAP_") else f"CAP_{name}" for name in (n.upper() for n in names))
