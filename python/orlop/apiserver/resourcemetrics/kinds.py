"""The two kinds. They are measured, not stored: no table of stored kinds has them."""

from orlop.api.scheme import Kind

GROUP, VERSION = "metrics.k8s.io", "v1beta1"


def _kind(kind: str, plural: str, namespaced: bool) -> Kind:
    return Kind(
        group=GROUP,
        version=VERSION,
        kind=kind,
        plural=plural,
        folder="metrics",
        namespaced=namespaced,
        verbs=("get", "list"),
    )


NODE, POD = _kind("NodeMetrics", "nodes", False), _kind("PodMetrics", "pods", True)
KINDS = (NODE, POD)
