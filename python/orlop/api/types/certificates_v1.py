"""certificates.k8s.io/v1, generated from Kubernetes' type declarations by `orlop.api.generate`."""

from msgspec import field as _f

from orlop.api.types import meta_v1
from orlop.api.types.base import ApiStruct, _none


class CertificateSigningRequestSpec(ApiStruct):
    request: bytes = _f(default_factory=bytes)
    signer_name: str = _f(default_factory=str)
    expiration_seconds: int | None = None
    usages: list[str] = _f(default_factory=list)
    username: str = ""
    uid: str = ""
    groups: list[str] = _f(default_factory=list)
    extra: dict[str, list[str]] = _f(default_factory=dict)


class CertificateSigningRequestCondition(ApiStruct):
    type: str = _f(default_factory=str)
    status: str = _f(default_factory=str)
    reason: str = ""
    message: str = ""
    last_update_time: str | None = _f(default_factory=_none)
    last_transition_time: str | None = _f(default_factory=_none)


class CertificateSigningRequestStatus(ApiStruct):
    conditions: list[CertificateSigningRequestCondition] = _f(default_factory=list)
    certificate: bytes = b""


class CertificateSigningRequest(ApiStruct):
    api_version: str = _f(default_factory=lambda: "certificates.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CertificateSigningRequest")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: CertificateSigningRequestSpec = _f(default_factory=lambda: CertificateSigningRequestSpec())
    status: CertificateSigningRequestStatus = _f(default_factory=lambda: CertificateSigningRequestStatus())


class CertificateSigningRequestList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "certificates.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "CertificateSigningRequestList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[CertificateSigningRequest] = _f(default_factory=lambda: list())


class ClusterTrustBundleSpec(ApiStruct):
    signer_name: str = ""
    trust_bundle: str = _f(default_factory=str)


class ClusterTrustBundle(ApiStruct):
    api_version: str = _f(default_factory=lambda: "certificates.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ClusterTrustBundle")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: ClusterTrustBundleSpec = _f(default_factory=lambda: ClusterTrustBundleSpec())


class ClusterTrustBundleList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "certificates.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "ClusterTrustBundleList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[ClusterTrustBundle] = _f(default_factory=lambda: list())


class PodCertificateRequestSpec(ApiStruct):
    signer_name: str = _f(default_factory=str)
    pod_name: str = _f(default_factory=str)
    pod_uid: str = _f(default_factory=str, name="podUID")
    service_account_name: str = _f(default_factory=str)
    service_account_uid: str = _f(default_factory=str, name="serviceAccountUID")
    node_name: str = _f(default_factory=str)
    node_uid: str = _f(default_factory=str, name="nodeUID")
    max_expiration_seconds: int | None = None
    stub_pkcs10_request: bytes = _f(default_factory=bytes, name="stubPKCS10Request")
    unverified_user_annotations: dict[str, str] = _f(default_factory=dict)


class PodCertificateRequestStatus(ApiStruct):
    conditions: list[meta_v1.Condition] = _f(default_factory=list)
    certificate_chain: str = ""
    not_before: str | None = None
    begin_refresh_at: str | None = None
    not_after: str | None = None


class PodCertificateRequest(ApiStruct):
    api_version: str = _f(default_factory=lambda: "certificates.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "PodCertificateRequest")
    metadata: meta_v1.ObjectMeta = _f(default_factory=lambda: meta_v1.ObjectMeta())
    spec: PodCertificateRequestSpec = _f(default_factory=lambda: PodCertificateRequestSpec())
    status: PodCertificateRequestStatus = _f(default_factory=lambda: PodCertificateRequestStatus())


class PodCertificateRequestList(ApiStruct):
    api_version: str = _f(default_factory=lambda: "certificates.k8s.io/v1")
    kind: str = _f(default_factory=lambda: "PodCertificateRequestList")
    metadata: meta_v1.ListMeta = _f(default_factory=lambda: meta_v1.ListMeta())
    items: list[PodCertificateRequest] = _f(default_factory=lambda: list())
