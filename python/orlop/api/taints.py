"""Taints of nodes and devices, and what tolerates them."""

from orlop.api.types import core_v1, resource_v1


def tolerates(
    toleration: core_v1.Toleration | resource_v1.DeviceToleration, taint: core_v1.Taint | resource_v1.DeviceTaint
) -> bool:
    """Of nodes and of devices alike. Upstream: k8s.io/api core/v1, Toleration.ToleratesTaint;
    k8s.io/dynamic-resource-allocation/resourceclaim, ToleratesTaint."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    if toleration.operator == "Exists":
        return True
    return toleration.operator in ("", "Equal") and toleration.value == taint.value
