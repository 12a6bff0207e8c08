"""Limits of local storage: emptyDir's sizeLimit, and ephemeral-storage of containers and pods."""

from orlop.api import quantity
from orlop.api.podresources import pod_limits
from orlop.api.types import core_v1
from orlop.kubelet.eviction.signals import Layout
from orlop.kubelet.eviction.usage import PodUse

EPHEMERAL_STORAGE = "ephemeral-storage"


def has_limits(pod: core_v1.Pod) -> bool:
    """Whether the pod's disks have to be measured at all."""
    if any(EPHEMERAL_STORAGE in c.resources.limits for c in (*pod.spec.containers, *pod.spec.init_containers)):
        return True
    if pod.spec.resources is not None and EPHEMERAL_STORAGE in pod.spec.resources.limits:
        return True
    return any(volume.empty_dir is not None and volume.empty_dir.size_limit for volume in pod.spec.volumes)


def exceeded(pod: core_v1.Pod, use: PodUse, layout: Layout) -> str:
    """Why the pod has to go, in upstream's words; "" while it keeps to its limits."""
    for volume in pod.spec.volumes:
        limit = volume.empty_dir.size_limit if volume.empty_dir is not None else None
        if limit and volume.name in use.volumes and 0 < quantity.parse(limit) < use.volumes[volume.name].bytes:
            return f'Usage of EmptyDir volume "{volume.name}" exceeds the limit "{limit}". '
    whole = pod_limits(pod).get(EPHEMERAL_STORAGE)
    if whole is not None and use.ephemeral_storage(pod).bytes > whole.number:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {whole}. "
    for container in pod.spec.containers:
        has = use.containers.get(container.name)
        limit = container.resources.limits.get(EPHEMERAL_STORAGE)
        if has is None or not limit or not quantity.parse(limit):
            continue
        # Where images have a disk of their own, what is written to it does not count against the node's.
        elsewhere = layout.images_apart and layout.layers_with_images
        counted = has.logs if elsewhere else has.logs + has.layer
        if counted.bytes > quantity.parse(limit):
            return f'Container {container.name} exceeded its local ephemeral storage limit "{limit}". '
    return ""
