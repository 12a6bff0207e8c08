"""Rules of Nodes: pkg/apis/core/validation's ValidateNode and pkg/registry/core/node."""

from orlop.api import selectors
from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names, resources
from orlop.apiserver.registry.strategy import Strategy

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Nodes(Strategy):
    """A new node may bring its status; afterwards only the kubelet's subresource changes it."""

    keeps_new_status = True
    returns_deleted = True
    fields = (("spec.unschedulable", "spec.unschedulable=false"),)

    def default(self, obj: core_v1.Node) -> None:
        if obj.status.capacity and not obj.status.allocatable:
            obj.status.allocatable = dict(obj.status.capacity)
        # podCIDR is the first of podCIDRs: whichever is given makes the other.
        if obj.spec.pod_cidr and not obj.spec.pod_cidrs:
            obj.spec.pod_cidrs = [obj.spec.pod_cidr]
        elif obj.spec.pod_cidrs and not obj.spec.pod_cidr:
            obj.spec.pod_cidr = obj.spec.pod_cidrs[0]

    def validate(self, obj: core_v1.Node) -> list[FieldError]:
        errors = validate_taints(obj.spec.taints, "metadata.taints")
        for i, cidr in enumerate(obj.spec.pod_cidrs):
            errors += [invalid_value(f"spec.podCIDRs[{i}]", cidr, m) for m in names.cidr(cidr)]
        if len(obj.spec.pod_cidrs) > 2:
            errors.append(
                invalid_value(
                    "spec.podCIDRs", obj.spec.pod_cidrs, "may specify no more than one CIDR for each IP family"
                )
            )
        return errors + _status(obj)

    def validate_update(self, new: core_v1.Node, old: core_v1.Node) -> list[FieldError]:
        errors = validate_taints(new.spec.taints, "metadata.taints")
        if old.spec.pod_cidrs and new.spec.pod_cidrs != old.spec.pod_cidrs:
            errors.append(
                forbidden_field("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
            )
        if old.spec.provider_id and new.spec.provider_id != old.spec.provider_id:
            errors.append(
                forbidden_field("spec.providerID", 'node updates may not change providerID except from "" to valid')
            )
        return errors

    def validate_status(self, new: core_v1.Node, old: core_v1.Node) -> list[FieldError]:
        return _status(new)


def _status(node: core_v1.Node) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, amounts in (("capacity", node.status.capacity), ("allocatable", node.status.allocatable)):
        for name, value in amounts.items():
            path = f"status.{field}.{name}"
            errors += resources.validate_name(name, path)
            errors += resources.validate_amount(name, value, path)
    seen: set[tuple[str, str]] = set()
    for i, address in enumerate(node.status.addresses):
        if (address.type, address.address) in seen:
            errors.append(duplicate(f"status.addresses[{i}]", address))
        seen.add((address.type, address.address))
    return errors


def validate_taints(taints: list[core_v1.Taint], path: str) -> list[FieldError]:
    """What is wrong with a node's taints."""
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        where = f"{path}[{i}]"
        errors += [invalid_value(f"{where}.key", taint.key, m) for m in selectors.key_errors(taint.key)]
        errors += [invalid_value(f"{where}.value", taint.value, m) for m in selectors.value_errors(taint.value)]
        if not taint.effect:
            errors.append(required(f"{where}.effect"))
        elif taint.effect not in TAINT_EFFECTS:
            errors.append(resources.unsupported(f"{where}.effect", taint.effect, TAINT_EFFECTS))
        if (taint.key, taint.effect) in seen:
            error = duplicate(where, taint)
            errors.append(error._replace(detail="taints must be unique by key and effect pair"))
        seen.add((taint.key, taint.effect))
    return errors
