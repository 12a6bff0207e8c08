"""From what the Engine API tells about containers to the contract's statuses."""

import re
from calendar import timegm
from datetime import datetime
from typing import Any

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.docker import labels

START_FAILED_EXIT = 128
"""The exit code of a container that could not be started, as other runtimes report it."""

_STATES: dict[str, v.ContainerState] = {
    "created": "created",
    "running": "running",
    "paused": "running",
    "restarting": "running",
    "removing": "exited",
    "exited": "exited",
    "dead": "exited",
}
_TIME = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$")


def nanoseconds(text: str) -> int:
    """Of the engine's RFC3339Nano times; its zero time (year 1) is 0."""
    match = _TIME.match(text)
    if match is None or text.startswith("0001-"):
        return 0
    when = datetime.fromisoformat(match[1] + match[3].replace("Z", "+00:00"))
    return timegm(when.utctimetuple()) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0")[:9])


def sandbox_row(row: dict[str, Any]) -> v.PodSandbox | None:
    """One row of GET /containers/json."""
    record = labels.sandbox_record(row["Labels"])
    if record is None:
        return None
    return v.PodSandbox(
        id=row["Id"],
        metadata=record.metadata,
        state="ready" if row["State"] == "running" else "notready",
        created_at=row["Created"] * 1_000_000_000,
        labels=record.labels,
        annotations=record.annotations,
    )


def sandbox_status(found: dict[str, Any], record: labels.SandboxRecord, ips: tuple[str, ...]) -> v.PodSandboxStatus:
    """From GET /containers/ID/json."""
    state = found["State"]
    return v.PodSandboxStatus(
        id=found["Id"],
        metadata=record.metadata,
        state="ready" if state["Running"] else "notready",
        created_at=nanoseconds(found["Created"]),
        labels=record.labels,
        annotations=record.annotations,
        ips=ips,
        namespaces=record.namespaces,
        pid=state["Pid"],
    )


def container_row(row: dict[str, Any]) -> v.Container | None:
    """One row of GET /containers/json."""
    record = labels.container_record(row["Labels"])
    if record is None:
        return None
    return v.Container(
        id=row["Id"],
        pod_sandbox_id=record.sandbox_id,
        metadata=record.metadata,
        pod=record.pod,
        image=record.image,
        image_ref=row["ImageID"],
        state=_STATES.get(row["State"], "unknown"),
        created_at=row["Created"] * 1_000_000_000,
        labels=record.labels,
        annotations=record.annotations,
    )


def container_status(found: dict[str, Any], record: labels.ContainerRecord) -> v.ContainerStatus:
    """From GET /containers/ID/json."""
    state, config, host = found["State"], found["Config"], found["HostConfig"]
    status = _STATES.get(state["Status"], "unknown")
    exit_code, message = state["ExitCode"], state["Error"]
    finished_at = nanoseconds(state["FinishedAt"])
    reason = ""
    if status == "created" and (exit_code or message):
        status, exit_code, reason = "exited", START_FAILED_EXIT, "StartError"
        finished_at = finished_at or nanoseconds(found["Created"])
    elif status == "exited":
        reason = "OOMKilled" if state["OOMKilled"] else "Error" if exit_code else "Completed"
    return v.ContainerStatus(
        id=found["Id"],
        pod_sandbox_id=record.sandbox_id,
        metadata=record.metadata,
        pod=record.pod,
        image=record.image,
        image_ref=found["Image"],
        state=status,
        created_at=nanoseconds(found["Created"]),
        labels=record.labels,
        annotations=record.annotations,
        started_at=nanoseconds(state["StartedAt"]),
        finished_at=finished_at if status == "exited" else 0,
        exit_code=exit_code if status == "exited" else 0,
        reason=reason,
        message=message,
        log_path=found.get("LogPath", ""),
        pid=state["Pid"],
        mounts=record.mounts,
        resources=v.Resources(
            cpu_shares=host.get("CpuShares") or 0,
            cpu_period=host.get("CpuPeriod") or 0,
            cpu_quota=host.get("CpuQuota") or 0,
            cpuset_cpus=host.get("CpusetCpus") or "",
            cpuset_mems=host.get("CpusetMems") or "",
            memory_limit_in_bytes=host.get("Memory") or 0,
            pids_limit=host.get("PidsLimit") or 0,
            oom_score_adj=host.get("OomScoreAdj") or 0,
        ),
        stop_signal=config.get("StopSignal") or "SIGTERM",
    )


def image(found: dict[str, Any]) -> v.Image:
    """From GET /images/NAME/json, or a row of GET /images/json (which lacks the user)."""
    user = (found.get("Config") or {}).get("User", "").partition(":")[0]
    return v.Image(
        id=found["Id"],
        repo_tags=tuple(tag for tag in found.get("RepoTags") or () if tag != "<none>:<none>"),
        repo_digests=tuple(digest for digest in found.get("RepoDigests") or () if not digest.startswith("<none>")),
        size=found["Size"],
        uid=int(user) if user.isdigit() else None,
        username="" if user.isdigit() else user,
        pinned=True,  # the engine is the user's, and so are its images
    )
