"""Signs approved requests with the cluster's authority: upstream's signer/signer.go."""

from typing import TYPE_CHECKING

from orlop.api.types import certificates_v1
from orlop.client import copy
from orlop.control import Builder, Controller, Key, Result
from orlop.controllers.certificates.requests import SIGNERS, Asked, Refused, add_condition, check, has

if TYPE_CHECKING:
    from orlop.pki.authority import Authority

MIN_DURATION = 600.0
"""Seconds that every certificate lasts: twice what its beginning is set back."""


class CSRSigningController(Controller):
    """Signs for `kubernetes.io/` signers. Others' requests are left to the others."""

    name = "certificatesigningrequest-signing-controller"
    account = "certificate-controller"

    def __init__(self, certificate: bytes, key: bytes, duration: float) -> None:
        """The authority in PEM; certificates last at most `duration` seconds."""
        self._certificate = certificate
        self._key = key
        self._duration = duration
        self._authority: Authority | None = None

    def setup(self, builder: Builder) -> None:
        self.requests = builder.for_(certificates_v1.CertificateSigningRequest)

    async def reconcile(self, key: Key) -> Result | None:
        cached = self.requests.get(*key)
        if cached is None or cached.spec.signer_name not in SIGNERS or cached.status.certificate:
            return None
        if not has(cached, "Approved") or has(cached, "Denied", "Failed"):
            return None
        csr = copy(cached)
        spec = csr.spec
        try:
            check(spec.signer_name, Asked.parse(spec.request), spec.usages)
        except Refused as refused:
            add_condition(csr, "Failed", "SignerValidationFailure", str(refused), self.context.clock.now())
        else:
            csr.status.certificate = self._sign(spec)
        await self.context.client.update_status(csr)
        return None

    def _sign(self, spec: certificates_v1.CertificateSigningRequestSpec) -> bytes:
        if self._authority is None:
            from orlop.pki.authority import Authority

            self._authority = Authority.load(self._certificate, self._key, self.context.clock)
        seconds = self._duration
        if spec.expiration_seconds is not None:
            seconds = min(seconds, max(MIN_DURATION, spec.expiration_seconds))
        return self._authority.sign(spec.request, spec.usages, seconds)
