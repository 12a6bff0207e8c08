"""Which IP families a Service has: what is asked for, by the ranges the cluster has (pkg/registry/core/service)."""

from collections.abc import Sequence
from typing import Literal

from orlop.api.errors import FieldError, invalid_value
from orlop.api.types import core_v1

Family = Literal["IPv4", "IPv6"]
HEADLESS = "None"
SINGLE, REQUIRE = "SingleStack", "RequireDualStack"
_POLICY = "spec.ipFamilyPolicy"


def family_of(address: str) -> Family:
    """The family of an address or a range."""
    return "IPv6" if ":" in address else "IPv4"


def settle(service: core_v1.Service, old: core_v1.Service | None, configured: Sequence[Family]) -> list[FieldError]:
    """Fills in policy and families, or says what is wrong. `configured`: the cluster's, its default first.

    A Service never changes between one and two families unless its policy says so."""
    spec = service.spec
    if spec.type == "ExternalName" or (old is not None and _follows(service, old)):
        return []
    free = spec.cluster_ip == HEADLESS and not spec.selector
    if spec.ip_family_policy is None:
        before = old.spec.ip_family_policy if old is not None else None
        spec.ip_family_policy = before or (REQUIRE if free else SINGLE)
    errors = _narrow(service, old) if old is not None else []
    errors += _too_many(spec)
    for i, address in enumerate(spec.cluster_ips):
        if address == HEADLESS or i < len(spec.ip_families):
            continue
        family = family_of(address)
        if family in configured:
            spec.ip_families.append(family)
        else:
            why = f"{family} is not configured on this cluster"
            errors.append(invalid_value(f"spec.clusterIPs[{i}]", spec.cluster_ips, why))
    if not errors and not free:
        errors = _unconfigured(spec, configured)
    if errors:
        return errors
    if not spec.ip_families:
        spec.ip_families = [configured[0]]
    if spec.ip_family_policy != SINGLE and len(spec.ip_families) == 1 and (free or len(configured) == 2):
        spec.ip_families.append("IPv6" if spec.ip_families[0] == "IPv4" else "IPv4")
    return []


def _follows(new: core_v1.Service, old: core_v1.Service) -> bool:
    """PreferDualStack takes what the cluster had when it was asked; a cluster that changes leaves it as it is."""
    a, b = new.spec, old.spec
    same = a.ip_family_policy == b.ip_family_policy == "PreferDualStack"
    return same and a.ip_families == b.ip_families and a.cluster_ips == b.cluster_ips and a.type == b.type


def _narrow(new: core_v1.Service, old: core_v1.Service) -> list[FieldError]:
    """To one family: by the policy alone, which then releases the second."""
    spec, before = new.spec, old.spec
    if spec.ip_family_policy == SINGLE:
        if spec.cluster_ips == before.cluster_ips:
            spec.cluster_ips = spec.cluster_ips[:1]
        if spec.ip_families == before.ip_families:
            spec.ip_families = spec.ip_families[:1]
        return []
    errors = []
    if len(before.cluster_ips) == 2 and len(spec.cluster_ips) == 1:
        why = "must be 'SingleStack' to release the secondary cluster IP"
        errors.append(invalid_value(_POLICY, spec.ip_family_policy, why))
    if len(before.ip_families) == 2 and len(spec.ip_families) == 1:
        why = "must be 'SingleStack' to release the secondary IP family"
        errors.append(invalid_value(_POLICY, spec.ip_family_policy, why))
    return errors


def _too_many(spec: core_v1.ServiceSpec) -> list[FieldError]:
    if spec.ip_family_policy != SINGLE:
        return []
    why = "must be 'RequireDualStack' or 'PreferDualStack' when multiple {} are specified"
    named = (("cluster IPs", spec.cluster_ips), ("IP families", spec.ip_families))
    return [invalid_value(_POLICY, SINGLE, why.format(what)) for what, values in named if len(values) == 2]


def _unconfigured(spec: core_v1.ServiceSpec, configured: Sequence[Family]) -> list[FieldError]:
    errors = []
    if spec.ip_family_policy == REQUIRE and len(configured) < 2:
        why = "this cluster is not configured for dual-stack services"
        errors.append(invalid_value(_POLICY, REQUIRE, why))
    for i, family in enumerate(spec.ip_families):
        if family not in configured:
            errors.append(invalid_value(f"spec.ipFamilies[{i}]", family, "not configured on this cluster"))
    return errors
