"""Who goes first: the order in which pods are evicted (upstream: eviction/helpers.go, the rank functions)."""

from collections.abc import Callable, Mapping, Sequence

from orlop.api.podresources import pod_requests
from orlop.api.types import core_v1
from orlop.kubelet.eviction import signals
from orlop.kubelet.eviction.signals import Layout
from orlop.kubelet.eviction.usage import PodUse

Uses = Mapping[str, PodUse]
"""By pod uid."""


def ranked(pods: Sequence[core_v1.Pod], uses: Uses, signal: str, layout: Layout) -> list[core_v1.Pod]:
    """The pods in the order in which they are to go for the sake of this signal.

    For memory and disk: those that use more than they asked for, then the less important, then by how far they are
    over. For processes: the less important, then by their number. A pod of which nothing is known goes before all.
    """
    if signal == signals.PIDS:
        return sorted(pods, key=lambda pod: (_priority(pod), *_unknown_first(pod, uses, lambda use: use.pids)))
    resource = signals.RESOURCE_OF[signal]
    used = _used(signal, layout)

    def key(pod: core_v1.Pod) -> tuple[bool, bool, int, int]:
        use = uses.get(pod.metadata.uid)
        if use is None:
            return (False, False, _priority(pod), 0)
        over = used(pod, use) - _request(pod, resource)
        return (True, over <= 0, _priority(pod), -over)

    return sorted(pods, key=key)


def needs_disks(signal: str) -> bool:
    """Whether the order depends on what pods have on disk."""
    return signals.CONDITION_OF[signal] == signals.DISK_PRESSURE


def _unknown_first(pod: core_v1.Pod, uses: Uses, used: Callable[[PodUse], int]) -> tuple[bool, int]:
    use = uses.get(pod.metadata.uid)
    return (use is not None, 0 if use is None else -used(use))


def _used(signal: str, layout: Layout) -> Callable[[core_v1.Pod, PodUse], int]:
    """What of a pod's use counts: on a disk of its own, only what lies there."""
    if signals.RESOURCE_OF[signal] == "memory":
        return lambda _, use: use.memory
    inodes = signals.RESOURCE_OF[signal] == "inodes"
    of_node = signal in (signals.NODEFS, signals.NODEFS_INODES)
    of_images = signal in (signals.IMAGEFS, signals.IMAGEFS_INODES)
    if not layout.images_apart:
        layers = logs_and_volumes = True
    elif layout.layers_with_images:
        layers, logs_and_volumes = not of_node, of_node
    else:
        layers = logs_and_volumes = not of_images  # nothing of a pod lies with images alone

    def used(pod: core_v1.Pod, use: PodUse) -> int:
        disk = use.disk(pod, layers=layers, logs_and_volumes=logs_and_volumes)
        return disk.inodes if inodes else disk.bytes

    return used


def _priority(pod: core_v1.Pod) -> int:
    return pod.spec.priority or 0


def _request(pod: core_v1.Pod, resource: str) -> int:
    amount = pod_requests(pod).get(resource)
    return 0 if amount is None else int(amount.number)
