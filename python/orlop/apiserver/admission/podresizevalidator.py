"""PodResizeValidator: a pod is not resized beyond what its node has, nor where the node cannot do it.

As plugin/pkg/admission/podresize.
"""

from typing import NoReturn

from orlop.api import amounts, errors, scheme
from orlop.api.podresources import pod_requests
from orlop.api.types import core_v1, meta_v1
from orlop.apiserver.admission.base import Admission, Attributes

OS = "kubernetes.io/os"
_NODE = scheme.by_resource("", "v1", "nodes")


class PodResizeValidator(Admission):
    """Of pods on nodes, in the subresource for it."""

    operations = ("UPDATE",)
    resources = ("pods",)
    subresources = ("resize",)

    async def validate(self, a: Attributes) -> None:
        pod: core_v1.Pod = a.object
        if not pod.spec.node_name or pod.metadata.generation == a.old.metadata.generation:
            return
        assert _NODE is not None
        node: core_v1.Node | None = self.objects.get(_NODE, "", pod.spec.node_name)
        if node is None:
            raise errors.forbidden("pods", "", a.name, f'node "{pod.spec.node_name}" not found')
        system = node.metadata.labels.get(OS, "")
        if system not in ("", "linux"):
            words = f'pod resize is only supported on linux nodes, node "{node.metadata.name}" is "{system}"'
            _refuse(a, "UnsupportedPlatform", words)
        asked, has = pod_requests(pod), amounts.parsed(node.status.allocatable)
        lacking = []
        for resource, unit in (("cpu", 1000), ("memory", 1)):
            wanted, there = (int(of[resource].number * unit) if resource in of else 0 for of in (asked, has))
            if wanted > there:
                lacking.append(f"{resource}, requested: {wanted}, allocatable: {there}")
        if lacking:
            _refuse(a, "NodeCapacity", f"node didn't have enough allocatable resources: {'; '.join(lacking)}")


def _refuse(a: Attributes, reason: str, words: str) -> NoReturn:
    error = errors.forbidden("pods", "", a.name, words)
    assert error.status.details is not None
    error.status.details.causes.append(meta_v1.StatusCause(reason=reason))
    raise error
