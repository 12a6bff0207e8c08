"""Fields of pods that Kubernetes has but does not serve by default: dropped from what clients send, unless the object
had them before (pkg/api/pod's DropDisabledPodFields, pkg/features of 1.37).

Each is alpha, or beta and off: AtomicWriteVolumeUserFields, ContainerStopSignals, EmptyDirVolumeMode,
EvictionRequestAPI, GenericWorkload (on where scheduling.k8s.io/v1beta1 is served), GRPCContainerProbeTLS,
H2CContainerProbe, ImageVolumeWithDigest, VolumeBindMountOptions.
"""

from collections.abc import Iterable

from orlop.api import scheme
from orlop.api.types import core_v1
from orlop.apiserver.registry.mounts import AnyContainer
from orlop.apiserver.registry.projected import TOKEN_PROJECTION


def drop(spec: core_v1.PodSpec, old: core_v1.PodSpec | None = None) -> None:
    """Takes the fields out of a spec that is new, or had none of them."""
    grouped = scheme.by_kind("scheduling.k8s.io/v1beta1", "PodGroup") is not None
    if spec.scheduling_group is not None and not grouped and (old is None or old.scheduling_group is None):
        spec.scheduling_group = None
    if spec.eviction_responders and (old is None or not old.eviction_responders):
        spec.eviction_responders = []
    if spec.volumes and not (old is not None and any(map(_volume_in_use, old.volumes))):
        for volume in spec.volumes:
            _volume(volume)
    if old is None or not any(_container_in_use(c) for c in _all(old)):
        for container in _all(spec):
            _container(container)


def _all(spec: core_v1.PodSpec) -> Iterable[AnyContainer]:
    if not spec.init_containers and not spec.ephemeral_containers:
        return spec.containers
    return (*spec.init_containers, *spec.containers, *spec.ephemeral_containers)


def _container(container: AnyContainer) -> None:
    lifecycle = container.lifecycle
    if lifecycle is not None:
        stopped, lifecycle.stop_signal = lifecycle.stop_signal, None
        for hook in (lifecycle.post_start, lifecycle.pre_stop):
            if hook is not None and hook.http_get is not None:
                hook.http_get.protocol = None
        if stopped is not None and lifecycle == core_v1.Lifecycle():
            container.lifecycle = None
    for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
        if probe is not None:
            if probe.http_get is not None:
                probe.http_get.protocol = None
            if probe.grpc is not None:
                probe.grpc.mode = None
    for mount in container.volume_mounts:
        if mount.bind_mount_options:
            mount.bind_mount_options = []


def _container_in_use(container: AnyContainer) -> bool:
    if container.lifecycle is not None and container.lifecycle.stop_signal is not None:
        return True
    for probe in (container.liveness_probe, container.readiness_probe, container.startup_probe):
        if probe is not None and (
            (probe.http_get is not None and probe.http_get.protocol is not None)
            or (probe.grpc is not None and probe.grpc.mode is not None)
        ):
            return True
    return any(mount.bind_mount_options for mount in container.volume_mounts)


def _owned(volume: core_v1.Volume) -> list[core_v1.KeyToPath | core_v1.DownwardAPIVolumeFile]:
    """The files of a volume that could have owners."""
    listed: list[core_v1.KeyToPath | core_v1.DownwardAPIVolumeFile] = []
    for source in (volume.secret, volume.config_map, volume.downward_api):
        if source is not None:
            listed += source.items
    if volume.projected is not None:
        for part in volume.projected.sources:
            for projection in (part.secret, part.config_map, part.downward_api):
                if projection is not None:
                    listed += projection.items
    return listed


def _volume(volume: core_v1.Volume) -> None:
    if volume.empty_dir is not None:
        volume.empty_dir.mode = None
        return
    for source in (volume.secret, volume.config_map, volume.downward_api):
        if source is not None and source.default_user is not None:
            source.default_user = None
    projected = volume.projected
    if projected is not None:
        if projected == TOKEN_PROJECTION:
            return
        projected.default_user = None
        for part in projected.sources:
            for one in (part.service_account_token, part.cluster_trust_bundle, part.pod_certificate):
                if one is not None and one.user is not None:
                    one.user = None
    for file in _owned(volume):
        if file.user is not None:
            file.user = None


def _volume_in_use(volume: core_v1.Volume) -> bool:
    if volume.empty_dir is not None:
        return volume.empty_dir.mode is not None
    for source in (volume.secret, volume.config_map, volume.downward_api, volume.projected):
        if source is not None and source.default_user is not None:
            return True
    if volume.projected is not None and volume.projected != TOKEN_PROJECTION:
        for part in volume.projected.sources:
            for one in (part.service_account_token, part.cluster_trust_bundle, part.pod_certificate):
                if one is not None and one.user is not None:
                    return True
    return any(file.user is not None for file in _owned(volume))
