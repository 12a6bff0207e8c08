"""Defaulting of pods and of everything that embeds a pod template: pkg/apis/core/v1/defaults.go."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from orlop.api.quantity import format_milli, milli, parse
from orlop.api.types import core_v1
from orlop.apiserver.registry import podresources

DEFAULT_MODE = 0o644
"""Permission bits of files in secret, config map, downward API and projected volumes."""
GRACE_SECONDS = 30
TOKEN_SECONDS = 3600
IMAGES = 4096
"""Names of images whose policy is remembered: a cluster's pods use few, again and again."""
_REPOSITORY = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*\Z")

_VOLUME_SOURCES = tuple(f for f in core_v1.Volume.__struct_fields__ if f != "name")


def pod(obj: core_v1.Pod) -> None:
    """Defaults of a Pod: those of its spec and those that templates do not get."""
    spec = obj.spec
    pod_spec(spec)
    for container in (*spec.containers, *spec.init_containers):
        limits = container.resources.limits
        if limits:
            requests = container.resources.requests
            for name, value in limits.items():
                requests.setdefault(name, value)
    if spec.resources is not None:
        podresources.default(spec)
    if spec.enable_service_links is None:
        spec.enable_service_links = True
    if spec.host_network:
        for container in (*spec.containers, *spec.init_containers):
            for port in container.ports:
                if not port.host_port:
                    port.host_port = port.container_port


def _round(amounts: dict[str, str]) -> None:
    """Amounts are not finer than thousandths: smaller parts are rounded up."""
    for name, value in amounts.items():
        if value[-1:] in ("n", "u"):
            amounts[name] = format_milli(milli(value))


def pod_spec(spec: core_v1.PodSpec) -> None:
    """Defaults of a pod's spec wherever it stands."""
    if not spec.dns_policy:
        spec.dns_policy = "ClusterFirst"
    if not spec.restart_policy:
        spec.restart_policy = "Always"
    if spec.security_context is None:
        spec.security_context = core_v1.PodSecurityContext()
    if spec.termination_grace_period_seconds is None:
        spec.termination_grace_period_seconds = GRACE_SECONDS
    if not spec.scheduler_name:
        spec.scheduler_name = "default-scheduler"
    # `serviceAccount` is the old name of `serviceAccountName`: both are always written.
    if spec.service_account_name:
        spec.service_account = spec.service_account_name
    elif spec.service_account:
        spec.service_account_name = spec.service_account
    if spec.overhead:
        _round(spec.overhead)
    if spec.resources is not None:
        _round(spec.resources.limits)
        _round(spec.resources.requests)
    for volume in spec.volumes:
        _volume(volume)
    for containers in (spec.init_containers, spec.containers, spec.ephemeral_containers):
        _containers(containers)  # type: ignore[arg-type]


def _containers(containers: Iterable[core_v1.Container]) -> None:
    for container in containers:
        if not container.image_pull_policy:
            container.image_pull_policy = pull_policy(container.image)
        if not container.termination_message_path:
            container.termination_message_path = "/dev/termination-log"
        if not container.termination_message_policy:
            container.termination_message_policy = "File"
        amounts = container.resources
        if amounts.limits:
            _round(amounts.limits)
        if amounts.requests:
            _round(amounts.requests)
        for port in container.ports:
            if not port.protocol:
                port.protocol = "TCP"
        for variable in container.env:
            source = variable.value_from
            if source is not None and source.field_ref is not None and not source.field_ref.api_version:
                source.field_ref.api_version = "v1"
        for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
            if probe is not None:
                _probe(probe)
        lifecycle = container.lifecycle
        if lifecycle is not None:
            for hook in (lifecycle.post_start, lifecycle.pre_stop):
                if hook is not None and hook.http_get is not None:
                    _http_get(hook.http_get)


@lru_cache(IMAGES)
def pull_policy(image: str) -> str:
    """Always for the tag `latest` (said or meant), else IfNotPresent; what is no image's name has no tag."""
    name, _, digest = image.partition("@")
    repository, slash, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    if not _REPOSITORY.match(f"{_without_host(repository)}{slash}{last}" if repository else last):
        return "IfNotPresent"
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def _without_host(repository: str) -> str:
    """The path of an image within its registry, or a word that stands for none."""
    host, slash, rest = repository.partition("/")
    if "." in host or ":" in host or host == "localhost":
        return rest if slash else "x"
    return repository


def _probe(probe: core_v1.Probe) -> None:
    probe.timeout_seconds = probe.timeout_seconds or 1
    probe.period_seconds = probe.period_seconds or 10
    probe.success_threshold = probe.success_threshold or 1
    probe.failure_threshold = probe.failure_threshold or 3
    if probe.http_get is not None:
        _http_get(probe.http_get)
    if probe.grpc is not None and probe.grpc.service is None:
        probe.grpc.service = ""


def _http_get(action: core_v1.HTTPGetAction) -> None:
    action.path = action.path or "/"
    action.scheme = action.scheme or "HTTP"


def _volume(volume: core_v1.Volume) -> None:
    if all(getattr(volume, name) is None for name in _VOLUME_SOURCES):
        volume.empty_dir = core_v1.EmptyDirVolumeSource()
        return
    source: Any
    for source in (volume.secret, volume.config_map, volume.projected, volume.downward_api):
        if source is not None and source.default_mode is None:
            source.default_mode = DEFAULT_MODE
    if volume.host_path is not None and volume.host_path.type is None:
        volume.host_path.type = ""
    if volume.downward_api is not None:
        _downward_items(volume.downward_api.items)
    if volume.projected is not None:
        for projection in volume.projected.sources:
            token = projection.service_account_token
            if token is not None and token.expiration_seconds is None:
                token.expiration_seconds = TOKEN_SECONDS
            if projection.downward_api is not None:
                _downward_items(projection.downward_api.items)
    if volume.iscsi is not None and not volume.iscsi.iscsi_interface:
        volume.iscsi.iscsi_interface = "default"
    if volume.rbd is not None:
        volume.rbd.pool = volume.rbd.pool or "rbd"
        volume.rbd.user = volume.rbd.user or "admin"
        volume.rbd.keyring = volume.rbd.keyring or "/etc/ceph/keyring"
    if volume.azure_disk is not None:
        disk = volume.azure_disk
        disk.caching_mode = disk.caching_mode or "ReadWrite"
        disk.kind = disk.kind or "Shared"
        disk.fs_type = disk.fs_type or "ext4"
        disk.read_only = bool(disk.read_only)
    if volume.scale_io is not None:
        volume.scale_io.storage_mode = volume.scale_io.storage_mode or "ThinProvisioned"
        volume.scale_io.fs_type = volume.scale_io.fs_type or "xfs"
    if volume.ephemeral is not None and volume.ephemeral.volume_claim_template is not None:
        claim = volume.ephemeral.volume_claim_template.spec
        claim.volume_mode = claim.volume_mode or "Filesystem"
    if volume.image is not None and not volume.image.pull_policy:
        volume.image.pull_policy = pull_policy(volume.image.reference)


def _downward_items(items: list[core_v1.DownwardAPIVolumeFile]) -> None:
    for item in items:
        if item.field_ref is not None and not item.field_ref.api_version:
            item.field_ref.api_version = "v1"


QOS_RESOURCES = ("cpu", "memory")


def qos_class(spec: core_v1.PodSpec) -> str:
    """Guaranteed, Burstable or BestEffort: pkg/apis/core/v1/helper/qos."""
    if spec.resources is not None and (spec.resources.requests or spec.resources.limits):
        return _qos([spec.resources])
    return _qos([c.resources for c in (*spec.containers, *spec.init_containers)])


def _qos(parts: list[core_v1.ResourceRequirements]) -> str:
    requests: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    guaranteed = True
    for part in parts:
        if not part.requests and not part.limits:
            guaranteed = False
            continue
        for name in QOS_RESOURCES:
            if name in part.requests and (amount := parse(part.requests[name])) > 0:
                requests[name] = requests.get(name, 0) + amount
            if name in part.limits and (amount := parse(part.limits[name])) > 0:
                limits[name] = limits.get(name, 0) + amount
            else:
                guaranteed = False
    if not requests and not limits:
        return "BestEffort"
    if (
        guaranteed
        and all(limits.get(name) == amount for name, amount in requests.items())
        and len(requests) == len(limits)
    ):
        return "Guaranteed"
    return "Burstable"
