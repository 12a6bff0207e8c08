"""Rules of IPAddresses and ServiceCIDRs: pkg/apis/networking/validation."""

from orlop.api.errors import IMMUTABLE, FieldError, invalid_value, required
from orlop.api.types import networking_v1
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import segment, subdomain
from orlop.apiserver.registry.families import family_of
from orlop.apiserver.registry.strategy import Strategy


class IPAddresses(Strategy):
    """An address that a Service holds, by its name."""

    def name_rule(self, name: str) -> list[str]:
        return names.canonical_ip(name)

    def validate(self, obj: networking_v1.IPAddress) -> list[FieldError]:
        ref, path = obj.spec.parent_ref, "spec.parentRef"
        if ref is None:
            return [required(path)]
        errors = subdomain(ref.group, f"{path}.group") if ref.group else []
        errors += segment(ref.resource, f"{path}.resource") + segment(ref.name, f"{path}.name")
        return errors + (segment(ref.namespace, f"{path}.namespace") if ref.namespace else [])

    def validate_update(self, new: networking_v1.IPAddress, old: networking_v1.IPAddress) -> list[FieldError]:
        ref = new.spec.parent_ref
        if ref == old.spec.parent_ref:
            return self.validate(new)
        shown = ref and {"Group": ref.group, "Resource": ref.resource, "Namespace": ref.namespace, "Name": ref.name}
        return [*self.validate(new), invalid_value("spec.parentRef", shown, IMMUTABLE)]


class ServiceCIDRs(Strategy):
    """A range that cluster IPs come from."""

    status_keeps_metadata = True

    def validate(self, obj: networking_v1.ServiceCIDR) -> list[FieldError]:
        cidrs, path = obj.spec.cidrs, "spec.cidrs"
        if not cidrs:
            return [required(path, "at least one CIDR required")]
        if len(cidrs) > 2:
            return [invalid_value(path, {"CIDRs": cidrs}, "may only hold up to 2 values")]
        errors: list[FieldError] = []
        if len(cidrs) == 2 and all(map(names.network, cidrs)) and len({family_of(c) for c in cidrs}) < 2:
            words = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64"
            errors.append(invalid_value(path, cidrs, words))
        wrong = ((i, cidr, words) for i, cidr in enumerate(cidrs) for words in names.canonical_cidr(cidr))
        return errors + [invalid_value(f"{path}[{i}]", cidr, words) for i, cidr, words in wrong]

    def validate_update(self, new: networking_v1.ServiceCIDR, old: networking_v1.ServiceCIDR) -> list[FieldError]:
        after, before = new.spec.cidrs, old.spec.cidrs
        if len(after) != len(before) and (len(before), len(after)) != (1, 2):
            return [invalid_value("spec.cidrs", after, IMMUTABLE)]
        changed = [i for i, cidr in enumerate(before) if after[i] != cidr]
        errors = [invalid_value(f"spec.cidrs[{i}]", after[i], IMMUTABLE) for i in changed]
        # A second family may come later.
        return errors + (self.validate(new) if len(after) > len(before) else [])
