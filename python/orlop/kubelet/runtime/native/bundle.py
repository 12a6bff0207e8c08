"""A container's folder: config.json and shim.json for the shim, its layers, its own layer."""

import hashlib
import os
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from orlop.kubelet.runtime import values as v
from orlop.kubelet.runtime.base import RuntimeFailure
from orlop.kubelet.runtime.native import oci, records, users
from orlop.kubelet.runtime.native.images import StoredImage
from orlop.kubelet.runtime.native.records import ContainerRecord

OPAQUE = "trusted.overlay.opaque"
"""On a folder of the container's own layer: nothing of the layers below shows through (overlayfs)."""


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The image a container is made from."""

    image: StoredImage
    layers: tuple[Path, ...]
    """Topmost first."""
    masked: tuple[str, ...]
    """Paths that are not to be seen."""


def write(
    folder: Path,
    record: ContainerRecord,
    sandbox: v.PodSandboxConfig,
    source: Source,
    place: oci.Place,
    *,
    plain: bool,
    log_max: int,
    filters: Path,
) -> None:
    """Fills `folder`. In `filters` shims keep compiled seccomp filters for the next one.

    Blocks; raises RuntimeFailure for what cannot be had. On failure nothing is left.
    """
    folder.mkdir(parents=True, mode=0o700)
    try:
        _write(folder, record, sandbox, source, place, plain=plain, log_max=log_max, filters=filters)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def _write(
    folder: Path,
    record: ContainerRecord,
    sandbox: v.PodSandboxConfig,
    source: Source,
    place: oci.Place,
    *,
    plain: bool,
    log_max: int,
    filters: Path,
) -> None:
    config, image = record.config, source.image.config
    user = users.resolve(config.security, image.user, source.layers)
    env = _environment(config, image.env, sandbox)
    cwd = config.working_dir or image.working_dir or "/"
    files: list[str] = []
    overlay = ""
    if not plain:
        files = _layers(folder, source)
        overlay = ":".join(f"l/{number}" for number in range(len(source.layers)))
        overlay = f"lowerdir={overlay},upperdir=upper,workdir=work"
    place = msgspec.structs.replace(place, masked=tuple(files))
    command = [*(config.command or image.entrypoint), *(config.args or (() if config.command else image.cmd))]
    if not command:
        raise RuntimeFailure(f"no command specified: the image {config.image} has none, and neither has the container")
    spec = oci.spec(config, sandbox, user, command, env, cwd, place)
    bidirectional = any(mount.propagation == "bidirectional" for mount in config.mounts)
    options: dict[str, Any] = {
        "id": record.id,
        "log": record.log_path,
        "logMax": log_max,
        "stdin": config.stdin,
        "stdinOnce": config.stdin_once,
        "overlay": overlay,
        "cgroup": record.cgroup,
        "filter": _filter(filters, spec),
        "guardDevices": place.guarded,
        "sharedMounts": bidirectional,
        "plain": plain,
    }
    records.write(folder / "config.json", spec)
    records.write(folder / "shim.json", options)
    records.write(folder / records.RECORD, record)
    if record.log_path:
        Path(record.log_path).parent.mkdir(parents=True, exist_ok=True)


def _filter(folder: Path, spec: dict[str, Any]) -> str:
    """Where the compiled filter is kept, one file for all containers of the same profile; "" without a profile."""
    if (profile := spec["linux"].get("seccomp")) is None:
        return ""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return str(folder / hashlib.sha256(msgspec.json.encode(profile)).hexdigest())


def _environment(config: v.ContainerConfig, image_env: Sequence[str], sandbox: v.PodSandboxConfig) -> list[str]:
    values = dict(pair.partition("=")[::2] for pair in (oci.DEFAULT_PATH, *image_env))
    if config.tty:
        values["TERM"] = "xterm"
    values.setdefault("HOSTNAME", sandbox.hostname or os.uname().nodename)
    values.update(config.envs)
    return [f"{name}={value}" for name, value in values.items()]


def _layers(folder: Path, source: Source) -> list[str]:
    """Links to the image's layers and the container's own layer; returns the files that only a mount can hide.

    Links keep the mount's options short, which may have a page of memory at most.
    """
    for name in ("l", "upper", "work", "rootfs"):
        (folder / name).mkdir(mode=0o755)
    (folder / "upper").chmod(0o755)
    for number, layer in enumerate(source.layers):
        (folder / "l" / str(number)).symlink_to(layer)
    files = []
    hidden = set(source.masked)
    for path in sorted(hidden):
        if any(str(parent) in hidden for parent in Path(path).parents):
            continue
        lower = next((layer / path.lstrip("/") for layer in source.layers if (layer / path.lstrip("/")).exists()), None)
        if lower is None:
            continue
        if lower.is_dir():
            _hide(folder / "upper", source.layers, path)
        else:
            files.append(path)
    return files


def _hide(upper: Path, layers: Sequence[Path], path: str) -> None:
    """An empty folder of the container's own, with the owner and mode of the one it hides."""
    at = upper
    inside = Path()
    for part in Path(path.lstrip("/")).parts:
        at, inside = at / part, inside / part
        if at.exists():
            continue
        found = next(layer / inside for layer in layers if (layer / inside).exists()).stat()
        at.mkdir()
        os.chown(at, found.st_uid, found.st_gid)
        at.chmod(stat.S_IMODE(found.st_mode))
    try:
        os.setxattr(at, OPAQUE, b"y")
    except OSError as error:
        raise RuntimeFailure(f"cannot hide {path} from the container: {at}: {error.strerror}") from error
