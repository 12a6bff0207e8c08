"""Rules of RuntimeClasses: pkg/apis/node/v1/defaults.go and validation."""

from orlop.api.errors import FieldError, invalid_value, required
from orlop.api.types import core_v1, node_v1
from orlop.apiserver.registry import meta, names, nodelabels, resources, scheduling
from orlop.apiserver.registry.common import immutable
from orlop.apiserver.registry.strategy import Strategy


class RuntimeClasses(Strategy):
    """Which handler of a node's runtime runs a pod."""

    create_on_update = True
    unconditional_update = False

    def validate(self, obj: node_v1.RuntimeClass) -> list[FieldError]:
        errors = [] if obj.handler else [required("handler")]
        if obj.handler:
            errors += [invalid_value("handler", obj.handler, m) for m in names.label(obj.handler)]
        if obj.overhead is not None:
            # Upstream checks them as limits, and says so.
            amounts = core_v1.ResourceRequirements(limits=obj.overhead.pod_fixed)
            errors += resources.validate_requirements(amounts, "overhead")
        if obj.scheduling is not None:
            errors += meta.validate_labels(obj.scheduling.node_selector, "scheduling.nodeSelector")
            errors += scheduling.tolerations(obj.scheduling.tolerations, "scheduling.tolerations")
        return errors

    def validate_update(self, new: node_v1.RuntimeClass, old: node_v1.RuntimeClass) -> list[FieldError]:
        return immutable(new.handler, old.handler, "handler")

    def warnings(self, new: node_v1.RuntimeClass, old: node_v1.RuntimeClass | None = None) -> list[str]:
        if new.scheduling is None:
            return []
        old_labels = sorted(nodelabels.OLD_LABELS.keys() & new.scheduling.node_selector)
        return [f"scheduling.nodeSelector: {nodelabels.newer(label)}" for label in old_labels]
