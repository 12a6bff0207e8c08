"""RuntimeClass: what a pod of a class costs besides its containers, and where it can run.

As plugin/pkg/admission/runtimeclass.
"""

from orlop.api import amounts, errors, scheme
from orlop.api.types import core_v1, node_v1
from orlop.apiserver.admission.base import Admission, Attributes

_CLASS = scheme.by_resource("node.k8s.io", "v1", "runtimeclasses")
_MISMATCH = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead"
_UNDEFINED = "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead"


class RuntimeClass(Admission):
    """Gives pods their class's overhead, node selector and tolerations; refuses other overheads and unknown classes."""

    operations = ("CREATE",)
    resources = ("pods",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return () if _CLASS is None or not a.object.spec.runtime_class_name else (_CLASS.resource,)

    def _class(self, a: Attributes) -> node_v1.RuntimeClass | None:
        name = a.object.spec.runtime_class_name
        if not name:
            return None
        assert _CLASS is not None
        found: node_v1.RuntimeClass | None = self.objects.get(_CLASS, "", name)
        if found is None:
            raise _refused(a, f'pod rejected: RuntimeClass "{name}" not found')
        return found

    async def admit(self, a: Attributes) -> None:
        found = self._class(a)
        if found is None:
            return
        spec: core_v1.PodSpec = a.object.spec
        if found.overhead is not None:
            if spec.overhead and not _same(spec.overhead, found.overhead.pod_fixed):
                raise _refused(a, _MISMATCH)
            spec.overhead = dict(found.overhead.pod_fixed)
        if found.scheduling is not None:
            for key, value in found.scheduling.node_selector.items():
                own = spec.node_selector.setdefault(key, value)
                if own != value:
                    raise _refused(
                        a,
                        f"conflict: runtimeClass.scheduling.nodeSelector[{key}] = {value}; "
                        f"pod.spec.nodeSelector[{key}] = {own}",
                    )
            spec.tolerations = merged(spec.tolerations, found.scheduling.tolerations)

    async def validate(self, a: Attributes) -> None:
        found = self._class(a)
        overhead = a.object.spec.overhead
        if found is not None and found.overhead is not None:
            if not _same(overhead, found.overhead.pod_fixed):
                raise _refused(a, _MISMATCH)
        elif overhead:
            raise _refused(a, _UNDEFINED)


def _refused(a: Attributes, why: str) -> errors.Forbidden:
    return errors.forbidden("pods", "", a.name, why)


def _same(one: dict[str, str], other: dict[str, str]) -> bool:
    """Whether these are the same amounts, however they are written."""
    return amounts.parsed(one) == amounts.parsed(other)


def merged(first: list[core_v1.Toleration], second: list[core_v1.Toleration]) -> list[core_v1.Toleration]:
    """Both, without those that another one includes."""
    every = [*first, *second]
    kept: list[core_v1.Toleration] = []
    for i, one in enumerate(every):
        later = (other for other in every[i + 1 :] if other != one)
        if not any(_includes(other, one) for other in kept) and not any(_includes(other, one) for other in later):
            kept.append(one)
    return kept


def _includes(wide: core_v1.Toleration, one: core_v1.Toleration) -> bool:
    """Whether everything that one tolerates is tolerated by the other."""
    if wide == one:
        return True
    if wide.key != one.key and (wide.key or wide.operator != "Exists"):
        return False
    if wide.effect not in (one.effect, ""):
        return False
    seconds = wide.toleration_seconds
    longer = seconds is not None and (one.toleration_seconds is None or one.toleration_seconds > seconds)
    if wide.effect == "NoExecute" and longer:
        return False
    if wide.operator in ("Equal", ""):
        return one.operator == wide.operator and one.value == wide.value
    return wide.operator == "Exists"
