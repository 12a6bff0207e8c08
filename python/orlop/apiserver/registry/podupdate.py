"""What may change of a pod that is there: pkg/apis/core/validation's ValidatePodUpdate."""

from collections.abc import Sequence

from msgspec.structs import replace

from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import meta, names, podannotations, podvalidation, scheduling
from orlop.apiserver.registry.containers import BLANKS
from orlop.apiserver.registry.goforms import go_form
from orlop.apiserver.registry.podvalidation import MAX_DEADLINE
from orlop.apiserver.registry.specdiff import diff

ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
NO_CONTAINERS = "pod updates may not add or remove containers"
TERMS = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms"


def validate_update(new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """Images, a deadline that comes nearer, tolerations added, gates taken away, a negative grace made 1."""
    errors = podannotations.validate_update(new.metadata, old.metadata)
    if new.spec == old.spec and new.metadata.annotations == old.metadata.annotations:
        # What was right is right.
        return errors
    errors = meta.validate(new.metadata, True, names.subdomain) + podvalidation.validate_current(new, old) + errors
    for json, after, before in (
        ("containers", new.spec.containers, old.spec.containers),
        ("initContainers", new.spec.init_containers, old.spec.init_containers),
    ):
        if len(after) != len(before):
            return [*errors, forbidden_field(f"spec.{json}", NO_CONTAINERS)]
        errors += _images(after, f"spec.{json}")
    wrong, stop = _deadline(new.spec, old.spec)
    errors += wrong
    if stop:
        return errors
    errors += _tolerations(new.spec, old.spec)
    errors += _gates(new.spec, old.spec)
    if new.spec == old.spec:
        return errors
    if old.spec.scheduling_gates:
        errors += _places(new.spec, old.spec)
    munged = _munged(new.spec, old.spec)
    if munged != old.spec:
        errors.append(forbidden_field("spec", f"{ONLY}\n{diff(old.spec, munged)}"))
    return errors


def _images(containers: Sequence[core_v1.Container], path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    for i, container in enumerate(containers):
        if not container.image:
            errors.append(required(f"{path}[{i}].image"))
        if container.image != container.image.strip():
            errors.append(invalid_value(f"{path}[{i}].image", container.image, BLANKS))
    return errors


def _munged(new: core_v1.PodSpec, old: core_v1.PodSpec) -> core_v1.PodSpec:
    """The new spec with everything that may change put back to what it was: what then differs may not."""
    changes: dict[str, object] = {
        "containers": [replace(c, image=o.image) for c, o in zip(new.containers, old.containers, strict=True)],
        "init_containers": [
            replace(c, image=o.image) for c, o in zip(new.init_containers, old.init_containers, strict=True)
        ],
        "active_deadline_seconds": old.active_deadline_seconds,
        "tolerations": old.tolerations,
        "scheduling_gates": old.scheduling_gates,
    }
    if (old.termination_grace_period_seconds or 0) < 0 and new.termination_grace_period_seconds == 1:
        changes["termination_grace_period_seconds"] = old.termination_grace_period_seconds
    if old.scheduling_gates:
        # Where a gated pod may go may be narrowed (KEP-3838).
        changes["node_selector"] = old.node_selector
        changes["affinity"] = _munged_affinity(new.affinity, old.affinity)
    return replace(new, **changes)


def _munged_affinity(new: core_v1.Affinity | None, old: core_v1.Affinity | None) -> core_v1.Affinity | None:
    before = old.node_affinity if old is not None else None
    if new is None:
        return None if before is None else core_v1.Affinity(node_affinity=before)
    if new.node_affinity == before:
        return new
    if old is None and new.pod_affinity is None and new.pod_anti_affinity is None:
        return None
    return replace(new, node_affinity=before)


def _deadline(new: core_v1.PodSpec, old: core_v1.PodSpec) -> tuple[list[FieldError], bool]:
    """What is wrong with the deadline, and whether that ends the look at the pod."""
    path = "spec.activeDeadlineSeconds"
    after, before = new.active_deadline_seconds, old.active_deadline_seconds
    if after is None:
        words = "must not update from a positive integer to nil value"
        return ([] if before is None else [invalid_value(path, None, words)]), False
    if not 0 <= after <= MAX_DEADLINE:
        return [invalid_value(path, after, f"must be between 0 and {MAX_DEADLINE}, inclusive")], True
    if before is not None and before < after:
        return [invalid_value(path, after, "must be less than or equal to previous value")], True
    return [], False


def _tolerations(new: core_v1.PodSpec, old: core_v1.PodSpec) -> list[FieldError]:
    if new.tolerations == old.tolerations:
        return scheduling.tolerations(new.tolerations, "spec.tolerations")
    for toleration in old.tolerations:
        if not any(replace(t, toleration_seconds=toleration.toleration_seconds) == toleration for t in new.tolerations):
            words = "existing toleration can not be modified except its tolerationSeconds"
            return [forbidden_field("spec.tolerations", words)]
    return scheduling.tolerations(new.tolerations, "spec.tolerations")


def _gates(new: core_v1.PodSpec, old: core_v1.PodSpec) -> list[FieldError]:
    had = {g.name for g in old.scheduling_gates}
    added = {g.name: i for i, g in enumerate(new.scheduling_gates) if g.name not in had}
    return [
        forbidden_field(
            f"spec.schedulingGates[{i}].name", f"only deletion is allowed, but found new scheduling gate '{name}'"
        )
        for name, i in added.items()
    ]


def _places(new: core_v1.PodSpec, old: core_v1.PodSpec) -> list[FieldError]:
    """Whether a gated pod's place was only narrowed."""
    errors: list[FieldError] = []
    if any(new.node_selector.get(key) != value for key, value in old.node_selector.items()):
        words = "only additions to spec.nodeSelector are allowed (no mutations or deletions)"
        errors.append(invalid_value("spec.nodeSelector", new.node_selector or None, words))
    before, after = _terms(old), _terms(new)
    if not before or before == after:
        return errors
    if len(before) != len(after):
        words = "no additions/deletions to non-empty NodeSelectorTerms list are allowed"
        return [*errors, invalid_value(TERMS, go_form(after), words)]
    words = "only additions are allowed (no mutations or deletions)"
    return errors + [
        invalid_value(f"{TERMS}[{i}]", go_form(now), words)
        for i, (was, now) in enumerate(zip(before, after, strict=True))
        if not _narrower(now, was)
    ]


def _terms(spec: core_v1.PodSpec) -> list[core_v1.NodeSelectorTerm]:
    node = spec.affinity.node_affinity if spec.affinity is not None else None
    wanted = node.required_during_scheduling_ignored_during_execution if node is not None else None
    return wanted.node_selector_terms if wanted is not None else []


def _narrower(new: core_v1.NodeSelectorTerm, old: core_v1.NodeSelectorTerm) -> bool:
    if not old.match_expressions and not old.match_fields:
        # An empty term selects nothing.
        return not new.match_expressions and not new.match_fields
    return (
        new.match_expressions[: len(old.match_expressions)] == old.match_expressions
        and new.match_fields[: len(old.match_fields)] == old.match_fields
    )
