"""DenyServiceExternalIPs: nobody claims addresses for a Service that its cluster did not give (CVE-2020-8554).

As plugin/pkg/admission/network/denyserviceexternalips.
"""

from orlop.api import errors
from orlop.apiserver.admission.base import Admission, Attributes


class DenyServiceExternalIPs(Admission):
    """Addresses that a Service has may stay and go; new ones are refused."""

    resources = ("services",)

    def looks_at(self, a: Attributes) -> tuple[str, ...] | None:
        return ()

    async def validate(self, a: Attributes) -> None:
        before = a.old.spec.external_ips if a.old is not None else ()
        if set(a.object.spec.external_ips) - set(before):
            raise errors.forbidden("services", "", a.name, "Use of external IPs is denied by admission control")
