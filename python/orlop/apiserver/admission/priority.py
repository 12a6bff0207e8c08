"""Priority: a pod's priority class becomes its number; one PriorityClass at most is the default."""

from orlop.api import errors, scheme
from orlop.api.types import core_v1, scheduling_v1
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.registry.priorityclasses import SYSTEM_CLASSES

_CLASS = scheme.by_resource("scheduling.k8s.io", "v1", "priorityclasses")
DEFAULT_PRIORITY = 0


class Priority(Admission):
    """Resolves spec.priorityClassName, and refuses numbers that do not match it."""

    resources = ("pods", "scheduling.k8s.io/podgroups", "scheduling.k8s.io/priorityclasses")

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ("scheduling.k8s.io/priorityclasses",)

    async def admit(self, a: Attributes) -> None:
        if a.kind.plural == "podgroups":
            self._group(a)
        if a.kind.plural != "pods":
            return
        pod: core_v1.Pod = a.object
        spec = pod.spec
        if a.operation == "UPDATE":
            if a.old.spec.priority is not None and spec.priority is None:
                spec.priority = a.old.spec.priority
            if spec.preemption_policy is None:
                spec.preemption_policy = a.old.spec.preemption_policy
            return
        if spec.priority_class_name:
            found = self._class(spec.priority_class_name)
            if found is None:
                raise errors.forbidden(
                    "pods", "", a.name, f"no PriorityClass with name {spec.priority_class_name} was found"
                )
        else:
            found = self._default()
        if found is None:
            value, policy = DEFAULT_PRIORITY, None
        else:
            value, policy = found.value, found.preemption_policy
            if not spec.priority_class_name:
                spec.priority_class_name = found.metadata.name
        if spec.priority is not None and spec.priority != value:
            raise errors.forbidden(
                "pods",
                "",
                a.name,
                f"the integer value of priority ({spec.priority}) must not be provided in pod spec; priority admission "
                f"controller computed {value} from the given PriorityClass name",
            )
        spec.priority = value
        policy = policy or "PreemptLowerPriority"
        if spec.preemption_policy is not None and spec.preemption_policy != policy:
            raise errors.forbidden(
                "pods",
                "",
                a.name,
                f"the string value of PreemptionPolicy ({spec.preemption_policy}) must not be provided in pod spec; "
                f"priority admission controller computed {policy} from the given PriorityClass name",
            )
        spec.preemption_policy = policy

    def _group(self, a: Attributes) -> None:
        """The same of a new group of pods, whose number may be written if it is right."""
        spec = a.object.spec
        if a.operation != "CREATE":
            return
        found = self._class(spec.priority_class_name) if spec.priority_class_name else self._default()
        if found is None and spec.priority_class_name:
            why = f"no PriorityClass with name {spec.priority_class_name} was found"
            raise errors.forbidden(a.kind.plural, a.kind.group, a.name, why)
        value = found.value if found is not None else DEFAULT_PRIORITY
        if spec.priority is not None and spec.priority != value:
            why = (
                f"priority set in the pod group ({spec.priority}) must match the priority computed ({value}) based on "
                "the priority class set in the spec"
            )
            raise errors.forbidden(a.kind.plural, a.kind.group, a.name, why)
        if found is not None:
            spec.priority_class_name = found.metadata.name or spec.priority_class_name
        spec.priority = value

    def _class(self, name: str) -> scheduling_v1.PriorityClass | None:
        if _CLASS is None:
            return None
        found: scheduling_v1.PriorityClass | None = self.objects.get(_CLASS, "", name)
        if found is None and name in SYSTEM_CLASSES:
            return scheduling_v1.PriorityClass(value=SYSTEM_CLASSES[name])
        return found

    def _default(self) -> scheduling_v1.PriorityClass | None:
        """The class marked globalDefault; of several the one with the lowest value."""
        if _CLASS is None:
            return None
        items = self.objects.hub.list(_CLASS.resource, None, "", "", 0, None).items
        marked = [self.objects.decode(_CLASS, i) for i in items if b'"globalDefault":true' in i]
        return min((c for c in marked if c.global_default), key=lambda c: c.value, default=None)

    async def validate(self, a: Attributes) -> None:
        if a.kind.plural != "priorityclasses" or not a.object.global_default:
            return
        default = self._default()
        if default is not None and default.metadata.name != a.object.metadata.name:
            raise errors.forbidden(
                a.kind.plural,
                a.kind.group,
                a.name,
                f"PriorityClass {default.metadata.name} is already marked as default. Only one default can exist",
            )
