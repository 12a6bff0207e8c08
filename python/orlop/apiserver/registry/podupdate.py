"""What may change of a pod that is there: pkg/apis/core/validation's ValidatePodUpdate and ValidatePodStatusUpdate."""

import difflib

import msgspec
from msgspec.structs import replace

from orlop.api.errors import FieldError, forbidden_field, invalid_value
from orlop.api.types import core_v1
from orlop.apiserver.registry import names, scheduling
from orlop.apiserver.registry.podvalidation import MAX_DEADLINE, MIRROR

ONLY = (
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
    "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
    "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
)
NO_CONTAINERS = "pod updates may not add or remove containers"


def validate_update(new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """Images, a deadline that comes nearer, tolerations added, gates taken away, a negative grace made 1."""
    if new.spec == old.spec:
        return _mirror(new, old)
    errors = _mirror(new, old)
    for json, after, before in (
        ("containers", new.spec.containers, old.spec.containers),
        ("initContainers", new.spec.init_containers, old.spec.init_containers),
    ):
        if len(after) != len(before):
            errors.append(forbidden_field(f"spec.{json}", NO_CONTAINERS))
        for i, container in enumerate(after):
            if not container.image:
                errors.append(FieldError("FieldValueRequired", f"spec.{json}[{i}].image", None, ""))
    if errors:
        return errors
    if (wrong := _deadline(new.spec, old.spec)) is not None:
        return [wrong]
    errors += _tolerations(new.spec, old.spec)
    munged = _munged(new.spec, old.spec)
    errors += _gates(new.spec, old.spec)
    if munged != old.spec:
        errors.append(forbidden_field("spec", f"{ONLY}\n{_diff(munged, old.spec)}"))
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
    if old.scheduling_gates and not old.node_name:
        # A gated pod's place may be narrowed (KEP-3838).
        if not set(old.node_selector.items()) - set(new.node_selector.items()):
            changes["node_selector"] = old.node_selector
        if old.affinity is None or old.affinity.node_affinity is None:
            affinity = new.affinity
            if affinity is not None:
                affinity = replace(affinity, node_affinity=None)
                if affinity.pod_affinity is None and affinity.pod_anti_affinity is None and old.affinity is None:
                    affinity = None
            changes["affinity"] = affinity
    return replace(new, **changes)


def _deadline(new: core_v1.PodSpec, old: core_v1.PodSpec) -> FieldError | None:
    path = "spec.activeDeadlineSeconds"
    after, before = new.active_deadline_seconds, old.active_deadline_seconds
    if after == before:
        return None
    if after is None:
        return forbidden_field(path, "must not update from a positive integer to nil value")
    if not 1 <= after <= MAX_DEADLINE:
        return invalid_value(path, after, f"must be between 1 and {MAX_DEADLINE}, inclusive")
    if before is not None and before < after:
        return invalid_value(path, after, "must be less than or equal to previous value")
    return None


def _tolerations(new: core_v1.PodSpec, old: core_v1.PodSpec) -> list[FieldError]:
    for toleration in old.tolerations:
        if not any(replace(t, toleration_seconds=toleration.toleration_seconds) == toleration for t in new.tolerations):
            return [
                forbidden_field(
                    "spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"
                )
            ]
    return scheduling.tolerations(new.tolerations, "spec.tolerations")


def _gates(new: core_v1.PodSpec, old: core_v1.PodSpec) -> list[FieldError]:
    had = {g.name for g in old.scheduling_gates}
    if any(g.name not in had for g in new.scheduling_gates):
        return [forbidden_field("spec.schedulingGates", "only deletion is allowed, but found new scheduling gate(s)")]
    return []


def _mirror(new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    after, before = new.metadata.annotations.get(MIRROR), old.metadata.annotations.get(MIRROR)
    if after == before:
        return []
    path = f"metadata.annotations[{MIRROR}]"
    if after is None:
        return [invalid_value(path, "", "may not remove mirror pod annotation")]
    if before is None:
        return [invalid_value(path, "", "may not add mirror pod annotation")]
    return [invalid_value(path, after, "may not update mirror pod annotation")]


def _diff(new: core_v1.PodSpec, old: core_v1.PodSpec) -> str:
    """What differs, as unified lines of the JSON (upstream prints Go's own form)."""

    def lines(spec: core_v1.PodSpec) -> list[str]:
        return msgspec.json.format(msgspec.json.encode(spec), indent=2).decode().splitlines()

    shown = difflib.unified_diff(lines(old), lines(new), lineterm="", n=1)
    return "\n".join(line for line in shown if not line.startswith(("---", "+++", "@@")))


def validate_status(new: core_v1.Pod, old: core_v1.Pod) -> list[FieldError]:
    """What a kubelet may not say of its pod."""
    errors: list[FieldError] = []
    status = new.status
    if status.nominated_node_name:
        errors += [
            invalid_value("status.nominatedNodeName", status.nominated_node_name, m)
            for m in names.subdomain(status.nominated_node_name)
        ]
    if old.status.qos_class and status.qos_class != old.status.qos_class:
        errors.append(invalid_value("status.qosClass", status.qos_class, "field is immutable"))
    for i, address in enumerate(status.pod_ips):
        errors += [invalid_value(f"status.podIPs[{i}]", address.ip, m) for m in names.ip(address.ip)]
    for i, host in enumerate(status.host_ips):
        errors += [invalid_value(f"status.hostIPs[{i}].ip", host.ip, m) for m in names.ip(host.ip)]
    return errors
