"""AlwaysPullImages: every container pulls its image, so that nobody uses what another's credentials brought to a node.

As plugin/pkg/admission/alwayspullimages.
"""

from collections.abc import Sequence

from orlop.api import errors
from orlop.api.errors import not_supported
from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Admission, Attributes

Container = core_v1.Container | core_v1.EphemeralContainer
POLICY = "Always"


class AlwaysPullImages(Admission):
    """Changes pods that are made, and those whose images change; nothing else of a pod may say otherwise."""

    resources = ("pods",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ()

    async def admit(self, a: Attributes) -> None:
        if a.operation == "UPDATE" and _images(a.object.spec) == _images(a.old.spec):
            return
        for container in _containers(a.object.spec).values():
            container.image_pull_policy = POLICY

    async def validate(self, a: Attributes) -> None:
        if a.operation == "UPDATE" and _images(a.object.spec) == _images(a.old.spec):
            return
        for path, container in _containers(a.object.spec).items():
            if container.image_pull_policy != POLICY:
                wrong = not_supported(f"{path}.imagePullPolicy", container.image_pull_policy, [POLICY])
                raise errors.forbidden("pods", "", a.name, str(wrong))


def _containers(spec: core_v1.PodSpec) -> dict[str, Container]:
    found: dict[str, Container] = {}
    lists: tuple[tuple[str, Sequence[Container]], ...] = (
        ("initContainers", spec.init_containers),
        ("containers", spec.containers),
        ("ephemeralContainers", spec.ephemeral_containers),
    )
    for where, containers in lists:
        found |= {f"spec.{where}[{i}]": container for i, container in enumerate(containers)}
    return found


def _images(spec: core_v1.PodSpec) -> set[str]:
    return {container.image for container in _containers(spec).values()}
