"""DefaultTolerationSeconds: pods stay five minutes on a node that stops answering, unless they say otherwise."""

from orlop.api.types import core_v1
from orlop.apiserver.admission.base import Admission, Attributes

NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"


class DefaultTolerationSeconds(Admission):
    """Adds the tolerations for not-ready and unreachable nodes."""

    resources = ("pods",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ()

    async def admit(self, a: Attributes) -> None:
        pod: core_v1.Pod = a.object
        tolerations = pod.spec.tolerations
        seconds = self.config.default_toleration_seconds
        for taint in (NOT_READY, UNREACHABLE):
            if not any((t.key in (taint, "")) and t.effect in ("NoExecute", "") for t in tolerations):
                tolerations.append(
                    core_v1.Toleration(key=taint, operator="Exists", effect="NoExecute", toleration_seconds=seconds)
                )
