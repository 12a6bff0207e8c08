"""From the contract's configurations to the Engine API's bodies for POST /containers/create."""

from pathlib import Path
from typing import Any

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.docker import labels
from orlop.kubelet.runtime.docker.pause import NETNS, PROGRAM

PAUSE_USER = "65535:65535"
PAUSE_OOM_SCORE = -998
"""As upstream: losing the pause program would take the whole pod."""

# "" is the engine's own default: rprivate, but where a mount holds the engine's own folder (the whole machine, `/`) it
# wants rslave, and refuses rprivate said aloud.
_PROPAGATION = {"private": "", "host_to_container": "rslave", "bidirectional": "rshared"}


def sandbox_body(scope: str, image: str, config: v.PodSandboxConfig, host_netns: str = "") -> dict[str, Any]:
    """The pause container of a pod: it starts without network, which the pod network then plumbs.

    With the node's network, where the node is the namespace at `host_netns`, it moves there itself."""
    host_network = config.namespaces.network == "node"
    joins = host_network and bool(host_netns)
    mount = v.Mount(container_path=NETNS, host_path=host_netns, readonly=True)
    return {
        "Image": image,
        "Entrypoint": [PROGRAM],
        "User": "0:0" if joins else PAUSE_USER,
        "Labels": labels.sandbox_labels(scope, config),
        # The host's network means the host's name; a name of one's own there would lie.
        **({} if host_network else {"Hostname": config.hostname}),
        "HostConfig": {
            "NetworkMode": "host" if host_network and not joins else "none",
            "IpcMode": "host" if config.namespaces.ipc == "node" else "shareable",
            "PidMode": "host" if config.namespaces.pid == "node" else "",
            "UTSMode": "host" if host_network else "",
            "ReadonlyRootfs": True,
            "CapDrop": ["ALL"],
            "CapAdd": ["SYS_ADMIN"] if joins else [],
            "Mounts": [_mount(mount)] if joins else [],
            "SecurityOpt": ["no-new-privileges"],
            "OomScoreAdj": PAUSE_OOM_SCORE,
            "CgroupParent": config.cgroup_parent,
            "Sysctls": config.sysctls,
            "LogConfig": {"Type": "none", "Config": {}},
        },
    }


def container_body(
    scope: str,
    sandbox_id: str,
    config: v.ContainerConfig,
    sandbox: v.PodSandboxConfig,
    image_user: str,
    log_limits: v.LogLimits,
    extra_mounts: tuple[v.Mount, ...],
) -> dict[str, Any]:
    """A container within a sandbox; the engine itself rotates its log. Raises RuntimeFailure (a seccomp profile)."""
    security, namespaces = config.security, sandbox.namespaces
    host: dict[str, Any] = {
        "NetworkMode": f"container:{sandbox_id}",
        "IpcMode": "host" if namespaces.ipc == "node" else f"container:{sandbox_id}",
        "PidMode": _pid_mode(sandbox_id, namespaces.pid, config.pid_target),
        "UTSMode": "host" if namespaces.network == "node" else "",
        "CgroupParent": sandbox.cgroup_parent,
        "Privileged": security.privileged,
        "CapAdd": list(security.add_capabilities),
        "CapDrop": list(security.drop_capabilities),
        "ReadonlyRootfs": security.readonly_rootfs,
        "GroupAdd": [str(group) for group in security.supplemental_groups],
        "SecurityOpt": _security_options(security),
        "Mounts": [_mount(mount) for mount in (*config.mounts, *extra_mounts)],
        "Devices": [
            {
                "PathOnHost": device.host_path,
                "PathInContainer": device.container_path,
                "CgroupPermissions": device.permissions,
            }
            for device in config.devices
        ],
        "OomScoreAdj": config.resources.oom_score_adj,
        "LogConfig": {
            "Type": "json-file",
            "Config": {"max-size": str(log_limits.max_size), "max-file": str(log_limits.max_files)},
        },
        **resource_fields(config.resources),
    }
    if security.unmasked_proc:
        host |= {"MaskedPaths": [], "ReadonlyPaths": []}
    body: dict[str, Any] = {
        "Image": config.image,
        "Env": [f"{name}={value}" for name, value in config.envs],
        "WorkingDir": config.working_dir,
        "User": _user(security, image_user),
        "OpenStdin": config.stdin,
        "StdinOnce": config.stdin_once,
        "Tty": config.tty,
        "Healthcheck": {"Test": ["NONE"]},  # Kubernetes has probes of its own; the image's would only cost
        "Labels": labels.container_labels(scope, sandbox_id, config, sandbox.metadata),
        "HostConfig": host,
    }
    # Left out is not the same as empty: the engine then takes the image's own.
    if config.command:
        body["Entrypoint"] = list(config.command)
    if config.args:
        body["Cmd"] = list(config.args)
    if config.stop_signal:
        body["StopSignal"] = config.stop_signal
    return body


def _pid_mode(sandbox_id: str, mode: v.NamespaceMode, target: str) -> str:
    if target and mode == "container":
        return f"container:{target}"
    return {"node": "host", "pod": f"container:{sandbox_id}", "container": ""}[mode]


def resource_fields(resources: v.Resources) -> dict[str, Any]:
    """The limits, those that are set. Swap is not given: memory and swap together get the memory's limit."""
    fields: dict[str, Any] = {
        "CpuShares": resources.cpu_shares,
        "CpuPeriod": resources.cpu_period,
        "CpuQuota": resources.cpu_quota,
        "CpusetCpus": resources.cpuset_cpus,
        "CpusetMems": resources.cpuset_mems,
        "Memory": resources.memory_limit_in_bytes,
        "MemorySwap": resources.memory_limit_in_bytes,
        "PidsLimit": resources.pids_limit,
    }
    return {name: value for name, value in fields.items() if value}


def _user(security: v.SecurityContext, image_user: str) -> str:
    if security.run_as_user is None:
        if security.run_as_group is None:
            return ""
        return f"{image_user.partition(':')[0] or '0'}:{security.run_as_group}"
    if security.run_as_group is None:
        return str(security.run_as_user)
    return f"{security.run_as_user}:{security.run_as_group}"


def _security_options(security: v.SecurityContext) -> list[str]:
    options = ["no-new-privileges"] if security.no_new_privs else []
    if security.privileged or security.seccomp == "unconfined":
        options.append("seccomp=unconfined")
    elif security.seccomp.startswith("localhost/"):
        path = Path(security.seccomp.removeprefix("localhost/"))
        try:
            options.append(f"seccomp={path.read_text()}")
        except OSError as error:
            raise RuntimeFailure(f"failed to load seccomp profile {path}: {error.strerror}") from error
    return options


def _mount(mount: v.Mount) -> dict[str, Any]:
    return {
        "Type": "bind",
        "Source": mount.host_path,
        "Target": mount.container_path,
        "ReadOnly": mount.readonly,
        "BindOptions": {"Propagation": _PROPAGATION[mount.propagation]},
    }
