"""Who may approve, sign and vouch for a signer, and what no signer of the cluster gives away.

As plugin/pkg/admission/certificates: access to the resource is not enough, the rules name signers too.
"""

from typing import Any

from orlop.api import errors
from orlop.apiserver.admission.base import Admission, Attributes
from orlop.apiserver.auth.attributes import Access, quote
from orlop.apiserver.auth.user import MASTERS, User

GROUP = "certificates.k8s.io"
CLIENT_SIGNER = "kubernetes.io/kube-apiserver-client"
_REQUESTS = (f"{GROUP}/certificatesigningrequests",)


class _OfSigners(Admission):
    """What one may do for a signer is said by rules over `signers`, by its name or by `domain/*`."""

    def permits(self, user: User, verb: str, signer: str) -> bool:
        names = (signer, f"{signer.partition('/')[0]}/*")
        rules = (Access(verb, "signers", GROUP, name=name, version="*") for name in names)
        return any(self.authorizer.authorize(user, rule).allowed for rule in rules)

    def require(self, a: Attributes, verb: str, signer: str, words: str) -> None:
        if not self.permits(a.user, verb, signer):
            why = f"user not permitted to {words} signerName {quote(signer)}"
            raise errors.forbidden(a.kind.plural, a.kind.group, a.name, why)


class CertificateApproval(_OfSigners):
    """Approving and denying needs `approve` of the signer."""

    operations = ("UPDATE",)
    resources = _REQUESTS
    subresources = ("approval",)

    async def validate(self, a: Attributes) -> None:
        self.require(a, "approve", a.old.spec.signer_name, "approve requests with")


class CertificateSigning(_OfSigners):
    """Writing a certificate or a condition needs `sign` of the signer."""

    operations = ("UPDATE",)
    resources = _REQUESTS
    subresources = ("status",)

    async def validate(self, a: Attributes) -> None:
        if _signed(a.old) != _signed(a.object):
            self.require(a, "sign", a.old.spec.signer_name, "sign requests with")


def _signed(csr: Any) -> tuple[Any, Any]:
    return csr.status.certificate, csr.status.conditions


class ClusterTrustBundleAttest(_OfSigners):
    """Publishing a signer's roots needs `attest` of it."""

    resources = (f"{GROUP}/clustertrustbundles",)

    async def validate(self, a: Attributes) -> None:
        signer = a.object.spec.signer_name
        if signer and (a.old is None or a.old != a.object):
            self.require(a, "attest", signer, "attest for")


class CertificateSubjectRestriction(Admission):
    """No client certificate makes its holder the cluster's master."""

    operations = ("CREATE",)
    resources = _REQUESTS

    async def validate(self, a: Attributes) -> None:
        if a.object.spec.signer_name == CLIENT_SIGNER and MASTERS in _organizations(a.object.spec.request):
            why = f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed"
            raise errors.forbidden(a.kind.plural, a.kind.group, a.name, why)


def _organizations(request: bytes) -> list[str]:
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        subject = x509.load_pem_x509_csr(request).subject
    except ValueError:
        return []  # validation says what is wrong with it
    return [str(o.value) for o in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
