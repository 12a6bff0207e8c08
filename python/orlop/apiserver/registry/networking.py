"""Rules of IPAddresses and ServiceCIDRs: pkg/apis/networking/validation."""

import ipaddress

from orlop.api.errors import IMMUTABLE, FieldError, invalid_value, required
from orlop.api.types import networking_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.strategy import Strategy


class IPAddresses(Strategy):
    """An address that a Service holds, by its name."""

    def name_rule(self, name: str) -> list[str]:
        return names.ip(name)

    def validate(self, obj: networking_v1.IPAddress) -> list[FieldError]:
        ref = obj.spec.parent_ref
        if ref is None:
            return [required("spec.parentRef")]
        errors: list[FieldError] = []
        if not ref.resource:
            errors.append(required("spec.parentRef.resource"))
        if not ref.name:
            errors.append(required("spec.parentRef.name"))
        return errors

    def validate_update(self, new: networking_v1.IPAddress, old: networking_v1.IPAddress) -> list[FieldError]:
        errors = self.validate(new)
        if old.spec.parent_ref is not None and new.spec.parent_ref != old.spec.parent_ref:
            errors.append(invalid_value("spec.parentRef", new.spec.parent_ref, IMMUTABLE))
        return errors


class ServiceCIDRs(Strategy):
    """A range that cluster IPs come from."""

    def validate(self, obj: networking_v1.ServiceCIDR) -> list[FieldError]:
        cidrs = obj.spec.cidrs
        if not cidrs:
            return [required("spec.cidrs", "at least one CIDR required")]
        errors: list[FieldError] = []
        if len(cidrs) > 2:
            errors.append(invalid_value("spec", obj.spec, "may only hold up to 2 values"))
        for i, cidr in enumerate(cidrs):
            path = f"spec.cidrs[{i}]"
            wrong = names.cidr(cidr)
            errors += [invalid_value(path, cidr, m) for m in wrong]
            if not wrong and str(ipaddress.ip_interface(cidr).network) != cidr:
                errors.append(invalid_value(path, cidr, "must not have bits set beyond the prefix length"))
        return errors

    def validate_update(self, new: networking_v1.ServiceCIDR, old: networking_v1.ServiceCIDR) -> list[FieldError]:
        if new.spec.cidrs != old.spec.cidrs:
            return [invalid_value("spec.cidrs", new.spec.cidrs, IMMUTABLE)]
        return []
