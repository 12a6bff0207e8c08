"""Which pods a node does without last (upstream: pkg/kubelet/types, IsCriticalPod and Preemptable)."""

from orlop.api.types import core_v1

SYSTEM_CRITICAL_PRIORITY = 2_000_000_000
"""Of the class system-cluster-critical; system-node-critical is higher (upstream: SystemCriticalPriority)."""

MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
"""The API's copy of a pod that a node runs from a file."""


def is_critical(pod: core_v1.Pod) -> bool:
    """Whether a pod is never evicted, and is admitted whatever the node's state: static, or of critical priority."""
    return MIRROR_ANNOTATION in pod.metadata.annotations or (pod.spec.priority or 0) >= SYSTEM_CRITICAL_PRIORITY


def preemptable(by: core_v1.Pod, pod: core_v1.Pod) -> bool:
    """Whether `pod` may have to go to make room for `by`."""
    if is_critical(by) and not is_critical(pod):
        return True
    return (by.spec.priority or 0) > (pod.spec.priority or 0)
