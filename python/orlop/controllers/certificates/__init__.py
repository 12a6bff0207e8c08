"""Certificates: requests approved, signed and removed, roots published. Upstream: pkg/controller/certificates.

`requests` are the rules, without any I/O; `approving`, `signing`, `cleaning` and `trustbundle` are a controller each.
"""

from orlop.controllers.certificates.approving import CSRApprovingController as CSRApprovingController
from orlop.controllers.certificates.cleaning import (
    CSRCleanerController as CSRCleanerController,
    PodCertificateRequestCleaner as PodCertificateRequestCleaner,
)
from orlop.controllers.certificates.signing import CSRSigningController as CSRSigningController
from orlop.controllers.certificates.trustbundle import TrustBundlePublisher as TrustBundlePublisher
