"""Removes requests that nobody needs any more: upstream's cleaner/cleaner.go and pcrcleaner.go."""

from contextlib import suppress

from orlop.api import errors
from orlop.api.types import certificates_v1
from orlop.clock import parse_time
from orlop.control import Builder, Controller, Key, Result

HOUR = 3600.0
HANDLED = HOUR
"""Seconds after which an approved and signed, a denied or a failed request goes."""
PENDING = 24 * HOUR
"""Seconds after its making in which a request waits for somebody."""
POD_REQUEST = 900.0
"""Seconds after which a pod's request goes: its kubelet has taken the certificate, or makes a new request."""


class CSRCleanerController(Controller):
    """Deletes each request when its time is over."""

    name = "certificatesigningrequest-cleaner-controller"
    account = "certificate-controller"

    def setup(self, builder: Builder) -> None:
        self.requests = builder.for_(certificates_v1.CertificateSigningRequest)

    async def reconcile(self, key: Key) -> Result | None:
        csr = self.requests.get(*key)
        if csr is None or (at := due(csr)) is None:
            return None
        if (wait := at - self.context.clock.now()) > 0:
            return Result(requeue_after=wait)
        meta = csr.metadata
        with suppress(errors.NotFound):
            await self.context.client.delete(
                certificates_v1.CertificateSigningRequest,
                meta.name,
                uid=meta.uid,
                resource_version=meta.resource_version,
            )
        return None


def due(csr: certificates_v1.CertificateSigningRequest) -> float | None:
    """When the request is to go, in seconds since 1970; None while it is approved and not yet signed."""
    if not csr.status.conditions:
        return parse_time(csr.metadata.creation_timestamp) + PENDING
    times = [_expiry(csr.status.certificate)] if csr.status.certificate else []
    for condition in csr.status.conditions:
        handled = condition.type in ("Denied", "Failed") or (condition.type == "Approved" and csr.status.certificate)
        if handled and condition.last_update_time:
            times.append(parse_time(condition.last_update_time) + HANDLED)
    return min(times, default=None)


def _expiry(pem: bytes) -> float:
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificates(pem)[0].not_valid_after_utc.timestamp()
    except ValueError:
        return float("inf")  # whoever signed it wrote what nobody can read: the hour still counts


class PodCertificateRequestCleaner(Controller):
    """Deletes each pod's request a quarter of an hour after its making."""

    name = "podcertificaterequest-cleaner-controller"
    account = "podcertificaterequestcleaner"

    def setup(self, builder: Builder) -> None:
        self.requests = builder.for_(certificates_v1.PodCertificateRequest)

    async def reconcile(self, key: Key) -> Result | None:
        request = self.requests.get(*key)
        if request is None:
            return None
        meta = request.metadata
        wait = parse_time(meta.creation_timestamp) + POD_REQUEST - self.context.clock.now()
        if wait > 0:
            return Result(requeue_after=wait)
        with suppress(errors.NotFound):
            kind = certificates_v1.PodCertificateRequest
            await self.context.client.delete(kind, meta.name, meta.namespace, uid=meta.uid)
        return None
