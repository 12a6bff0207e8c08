"""Rules of Pods: pkg/registry/core/pod/strategy.go."""

from typing import Any

from orlop.api.errors import FieldError
from orlop.api.types import core_v1
from orlop.apiserver.registry import (
    ephemeral,
    names,
    podannotations,
    poddefaults,
    podfields,
    podresize,
    podstatus,
    podupdate,
    podvalidation,
    podwarnings,
    scheduling,
)
from orlop.apiserver.registry.strategy import Strategy


class Pods(Strategy):
    """Pods leave time to end, and change little once they are there."""

    graceful = True
    returns_deleted = True
    alike = True
    fills_spec = True
    fields = (
        ("spec.nodeName", "spec.nodeName"),
        ("spec.restartPolicy", "spec.restartPolicy"),
        ("spec.schedulerName", "spec.schedulerName"),
        ("spec.serviceAccountName", "spec.serviceAccountName"),
        ("spec.hostNetwork", "spec.hostNetwork=false"),
        ("status.phase", "status.phase"),
        ("status.podIP", "status.podIP"),
        ("status.nominatedNodeName", "status.nominatedNodeName"),
    )

    def plain_name(self, name: str) -> bool:
        return not names.label(name)

    def default(self, obj: core_v1.Pod) -> None:
        poddefaults.pod(obj)

    def prepare_create(self, obj: core_v1.Pod) -> None:
        obj.metadata.generation = 1
        spec = obj.spec
        obj.status = core_v1.PodStatus(phase="Pending", qos_class=poddefaults.qos_class(spec))
        podfields.drop(spec)
        _end_in_time(spec)
        if spec.scheduling_gates:
            obj.status.conditions = [
                core_v1.PodCondition(
                    type="PodScheduled",
                    status="False",
                    reason="SchedulingGated",
                    message="Scheduling is blocked due to non-empty scheduling gates",
                    last_transition_time=obj.metadata.creation_timestamp,
                )
            ]
        if spec.affinity is not None or spec.topology_spread_constraints:
            scheduling.fill_label_keys(spec, obj.metadata.labels)
        if obj.metadata.annotations:
            podannotations.fill_app_armor(obj.metadata.annotations, spec)

    def validate(self, obj: core_v1.Pod) -> list[FieldError]:
        return podvalidation.validate_pod(obj)

    def prepare_update(self, new: core_v1.Pod, old: core_v1.Pod) -> None:
        _end_in_time(new.spec)
        if new.spec != old.spec:
            podfields.drop(new.spec, old.spec)
            if new.spec != old.spec:
                new.metadata.generation = old.metadata.generation + 1

    def validate_update(self, new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
        return podupdate.validate_update(new, old)

    def before_ephemeralcontainers(self, new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
        """Prepares a change through the ephemeralcontainers subresource and says what is wrong with it."""
        ephemeral.prepare(new, old)
        self.prepare_update(new, old)
        return ephemeral.validate_update(new, old)

    def prepare_status(self, new: core_v1.Pod, old: core_v1.Pod) -> None:
        status = new.status
        status.qos_class = status.qos_class or old.status.qos_class
        status.observed_generation = status.observed_generation or old.status.observed_generation
        # There may be several conditions of one type: each keeps what the one in its turn had.
        before = [(c.type, c.observed_generation) for c in old.status.conditions if c.observed_generation]
        for condition in status.conditions if before else ():
            for i, (kind, generation) in enumerate(before):
                if kind == condition.type:
                    condition.observed_generation = condition.observed_generation or generation
                    del before[i]
                    break

    def before_resize(self, new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
        """What the resize subresource may change: its containers' resources."""
        return podresize.prepare(self, new, old)

    def validate_status(self, new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
        return podstatus.validate(new, old)

    def warnings(self, new: core_v1.Pod, old: core_v1.Pod | None = None) -> list[str]:
        if old is not None:
            return []  # updates come from components, and often
        found = []
        if problems := names.label(new.metadata.name):
            found.append(
                "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS "
                f"label is recommended: [{' '.join(problems)}]"
            )
        return found + podwarnings.warnings(new.spec, new.metadata)

    def grace(self, obj: Any, asked: int | None) -> int:
        pod: core_v1.Pod = obj
        period = asked if asked is not None else pod.spec.termination_grace_period_seconds or 0
        if not pod.spec.node_name or pod.status.phase in ("Failed", "Succeeded"):
            period = 0
        return 1 if period < 0 else period


def _end_in_time(spec: core_v1.PodSpec) -> None:
    """A negative time to end is one second."""
    if (spec.termination_grace_period_seconds or 0) < 0:
        spec.termination_grace_period_seconds = 1
