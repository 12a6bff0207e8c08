"""Rules of Nodes: pkg/apis/core/validation's ValidateNode and pkg/registry/core/node."""

from orlop.api import selectors
from orlop.api.errors import FieldError, duplicate, forbidden_field, invalid_value, required
from orlop.api.types import core_v1
from orlop.apiserver.registry import names, resources
from orlop.apiserver.registry.families import family_of
from orlop.apiserver.registry.strategy import Strategy

TAINT_EFFECTS = ("NoSchedule", "PreferNoSchedule", "NoExecute")


class Nodes(Strategy):
    """A new node may bring its status; afterwards only the kubelet's subresource changes it."""

    keeps_new_status = True
    fields = (("spec.unschedulable", "spec.unschedulable=false"),)

    def default(self, obj: core_v1.Node) -> None:
        if obj.status.capacity and not obj.status.allocatable:
            obj.status.allocatable = dict(obj.status.capacity)
        obj.spec.config_source = None  # there is no such thing any more
        # podCIDR is the first of podCIDRs: whichever is given makes the other.
        spec = obj.spec
        if spec.pod_cidr and spec.pod_cidrs[:1] != [spec.pod_cidr]:
            spec.pod_cidrs = [spec.pod_cidr]
        elif spec.pod_cidrs:
            spec.pod_cidr = spec.pod_cidrs[0]

    def validate(self, obj: core_v1.Node) -> list[FieldError]:
        errors = validate_taints(obj.spec.taints, "metadata.taints")
        return errors + _amounts(obj) + _cidrs(obj.spec.pod_cidrs)

    def validate_update(self, new: core_v1.Node, old: core_v1.Node) -> list[FieldError]:
        errors = validate_taints(new.spec.taints, "metadata.taints") + _amounts(new) + _addresses(new)
        errors += _cidrs(new.spec.pod_cidrs)
        if old.spec.pod_cidrs and new.spec.pod_cidrs != old.spec.pod_cidrs:
            errors.append(
                forbidden_field("spec.podCIDRs", 'node updates may not change podCIDR except from "" to valid')
            )
        if old.spec.provider_id and new.spec.provider_id != old.spec.provider_id:
            errors.append(
                forbidden_field("spec.providerID", 'node updates may not change providerID except from "" to valid')
            )
        if new.spec.external_id != old.spec.external_id:
            errors.append(forbidden_field("spec.externalID", "may not be updated"))
        return errors

    def warnings(self, new: core_v1.Node, old: core_v1.Node | None = None) -> list[str]:
        found = []
        if new.spec.external_id:
            found.append("spec.externalID: this field is deprecated, and is unused by Kubernetes")
        return found

    def validate_status(self, new: core_v1.Node, old: core_v1.Node) -> list[FieldError]:
        return _amounts(new) + _addresses(new)


def _cidrs(cidrs: list[str]) -> list[FieldError]:
    """A range of each family at most."""
    path = "spec.podCIDRs"
    errors = [invalid_value(f"{path}[{i}]", cidr, m) for i, cidr in enumerate(cidrs) for m in names.cidr(cidr)]
    if len(cidrs) < 2:
        return errors
    unreadable = next(((i, cidr) for i, cidr in enumerate(cidrs) if names.network(cidr) is None), None)
    if unreadable is not None:
        i, cidr = unreadable
        why = f"invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{i}]: <nil> "
        errors.append(FieldError("InternalError", path, None, f"{why}(invalid CIDR address: {cidr})"))
    if unreadable is not None or len(cidrs) > 2 or len({family_of(c) for c in cidrs}) < 2:
        errors.append(invalid_value(path, cidrs, "may specify no more than one CIDR for each IP family"))
    return errors


def _amounts(node: core_v1.Node) -> list[FieldError]:
    errors: list[FieldError] = []
    for field, amounts in (("capacity", node.status.capacity), ("allocatable", node.status.allocatable)):
        for name, value in amounts.items():
            path = f"status.{field}.{name}"
            errors += resources.validate_amount(name, value, path)
    return errors


def _addresses(node: core_v1.Node) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, address in enumerate(node.status.addresses):
        if (address.type, address.address) in seen:
            errors.append(duplicate(f"status.addresses[{i}]", {"Type": address.type, "Address": address.address}))
        seen.add((address.type, address.address))
    return errors


def validate_taints(taints: list[core_v1.Taint], path: str) -> list[FieldError]:
    """What is wrong with a node's taints."""
    errors: list[FieldError] = []
    seen: set[tuple[str, str]] = set()
    for i, taint in enumerate(taints):
        where = f"{path}[{i}]"
        errors += [invalid_value(f"{where}.key", taint.key, m) for m in selectors.key_errors(taint.key)]
        if wrong := selectors.value_errors(taint.value):
            errors.append(invalid_value(f"{where}.value", taint.value, ";".join(wrong)))
        if not taint.effect:
            errors.append(required(f"{where}.effect"))
        elif taint.effect not in TAINT_EFFECTS:
            errors.append(resources.unsupported(f"{where}.effect", taint.effect, TAINT_EFFECTS))
        if (taint.key, taint.effect) in seen:
            shown = {"Key": taint.key, "Value": taint.value, "Effect": taint.effect, "TimeAdded": taint.time_added}
            error = duplicate(where, shown)
            errors.append(error._replace(detail="taints must be unique by key and effect pair"))
        seen.add((taint.key, taint.effect))
    return errors
