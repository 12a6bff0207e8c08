"""Approves what kubelets ask for themselves, if access rules let them: upstream's approver/sarapprove.go."""

from orlop.api.types import authorization_v1, certificates_v1
from orlop.client import copy
from orlop.control import Builder, Controller, Key, Result
from orlop.controllers.certificates.requests import KUBELET_CLIENT, Asked, add_condition, check_kubelet_client, has

REVIEW = "Auto approving {kind} after SubjectAccessReview."
KINDS = (
    ("selfnodeclient", "self kubelet client certificate"),
    ("nodeclient", "kubelet client certificate"),
)
"""The subresources that one may `create` to be approved: for the certificate one has already, and for any node's."""


class CSRApprovingController(Controller):
    """Approves requests for kubelets' client certificates; all others wait for a person."""

    name = "certificatesigningrequest-approving-controller"
    account = "certificate-controller"

    def setup(self, builder: Builder) -> None:
        self.requests = builder.for_(certificates_v1.CertificateSigningRequest)

    async def reconcile(self, key: Key) -> Result | None:
        cached = self.requests.get(*key)
        if cached is None or cached.status.certificate or has(cached, "Approved", "Denied"):
            return None
        spec = cached.spec
        if spec.signer_name != KUBELET_CLIENT:
            return None
        try:
            asked = Asked.parse(spec.request)
            check_kubelet_client(asked, spec.usages)
        except ValueError:  # Refused is one
            return None
        for subresource, words in KINDS:
            if subresource == "selfnodeclient" and spec.username != asked.common_name:
                continue
            if await self._may(spec, subresource):
                await self._approve(copy(cached), REVIEW.format(kind=words))
                return None
        self.context.log.warning("recognized, but the access review did not allow it", extra={"key": str(key)})
        return None

    async def _may(self, spec: certificates_v1.CertificateSigningRequestSpec, subresource: str) -> bool:
        attributes = authorization_v1.ResourceAttributes(
            group="certificates.k8s.io", resource="certificatesigningrequests", verb="create", subresource=subresource
        )
        review = authorization_v1.SubjectAccessReview(
            spec=authorization_v1.SubjectAccessReviewSpec(
                user=spec.username,
                uid=spec.uid,
                groups=spec.groups,
                extra=spec.extra,
                resource_attributes=attributes,
            )
        )
        return (await self.context.client.create(review)).status.allowed

    async def _approve(self, csr: certificates_v1.CertificateSigningRequest, words: str) -> None:
        add_condition(csr, "Approved", "AutoApproved", words, self.context.clock.now())
        await self.context.client.update(csr, subresource="approval")
