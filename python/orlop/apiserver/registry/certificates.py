"""Rules of certificates.k8s.io: pkg/apis/certificates/validation, pkg/registry/certificates."""

from orlop.api.errors import IMMUTABLE, FieldError, duplicate, forbidden_field, invalid_value, not_supported, required
from orlop.api.types import certificates_v1
from orlop.apiserver.auth.user import User
from orlop.apiserver.registry import names
from orlop.apiserver.registry.common import immutable
from orlop.apiserver.registry.strategy import Strategy

LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"
MIN_SECONDS = 600
MAX_SIGNER = 571
MAX_TRUST_BUNDLE = 1024 * 1024
BEGIN, END = b"-----BEGIN CERTIFICATE REQUEST-----", b"-----END CERTIFICATE REQUEST-----"
CERTIFICATE = "-----BEGIN CERTIFICATE-----"
USAGES = frozenset(
    {
        "signing",
        "digital signature",
        "content commitment",
        "key encipherment",
        "key agreement",
        "data encipherment",
        "cert sign",
        "crl sign",
        "encipher only",
        "decipher only",
        "any",
        "server auth",
        "client auth",
        "code signing",
        "email protection",
        "s/mime",
        "ipsec end system",
        "ipsec tunnel",
        "ipsec user",
        "timestamping",
        "ocsp signing",
        "microsoft sgc",
        "netscape sgc",
    }
)
APPROVAL = ("Approved", "Denied")


def signer_name(name: str, path: str) -> list[FieldError]:
    """What is wrong with a signer's name: a domain and a path of one part."""
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    words = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
    if not slash or "/" in rest:
        return [invalid_value(path, name, words)]
    errors = [
        invalid_value(path, domain, f"validating label {part!r}: {m}")
        for part in domain.split(".")
        for m in names.label(part)
    ]
    if "." not in domain:
        errors.append(invalid_value(path, name, "should be a domain with at least two segments separated by dots"))
    errors += [
        invalid_value(path, rest, f"validating label {part!r}: {m}")
        for part in rest.split(".")
        for m in names.label(part)
    ]
    if len(name) > MAX_SIGNER:
        errors.append(FieldError("FieldValueTooLong", path, None, f"may not be more than {MAX_SIGNER} bytes"))
    return errors


class CertificateSigningRequests(Strategy):
    """A key that wants a certificate. Who asks is written in by the server."""

    fields = (("spec.signerName", "spec.signerName"),)

    def made_by(self, obj: certificates_v1.CertificateSigningRequest, user: User) -> None:
        spec = obj.spec
        spec.username, spec.uid, spec.groups = user.name, user.uid, list(user.groups)
        spec.extra = {key: list(values) for key, values in user.extra}

    def validate(self, obj: certificates_v1.CertificateSigningRequest) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if wrong := _request(spec.request):
            errors.append(invalid_value("spec.request", _go_bytes(spec.request), wrong))
        if not spec.usages:
            errors.append(required("spec.usages", "usages must be set"))
        for i, usage in enumerate(spec.usages):
            if usage not in USAGES:
                listed = ", ".join(f'"{u}"' for u in sorted(USAGES))
                errors.append(
                    FieldError("FieldValueNotSupported", f"spec.usages[{i}]", usage, f"supported values: {listed}")
                )
            if usage in spec.usages[:i]:
                errors.append(duplicate(f"spec.usages[{i}]", usage))
        if spec.signer_name == LEGACY_UNKNOWN:
            words = "the legacy signerName is not allowed via this API version"
            errors.append(invalid_value("spec.signerName", spec.signer_name, words))
        else:
            errors += signer_name(spec.signer_name, "spec.signerName")
        if spec.expiration_seconds is not None and spec.expiration_seconds < MIN_SECONDS:
            words = f"may not specify a duration less than {MIN_SECONDS} seconds (10 minutes)"
            errors.append(invalid_value("spec.expirationSeconds", spec.expiration_seconds, words))
        return errors + _conditions(obj.status.conditions)

    def prepare_update(
        self, new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
    ) -> None:
        new.spec = old.spec

    def validate_update(
        self, new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
    ) -> list[FieldError]:
        return []

    def prepare_status(
        self, new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
    ) -> None:
        kept = [c for c in old.status.conditions if c.type in APPROVAL]
        new.status.conditions = kept + [c for c in new.status.conditions if c.type not in APPROVAL]

    def validate_status(
        self, new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
    ) -> list[FieldError]:
        errors = _conditions(new.status.conditions)
        if old.status.certificate and new.status.certificate != old.status.certificate:
            words = "updates may not change or clear existing certificate"
            errors.append(forbidden_field("status.certificate", words))
        elif new.status.certificate and CERTIFICATE.encode() not in new.status.certificate:
            errors.append(
                invalid_value("status.certificate", "<certificate data>", "must contain at least one certificate")
            )
        return errors

    def before_approval(
        self, new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
    ) -> list[FieldError]:
        """What the approval subresource may change: the conditions that approve or deny."""
        conditions = new.status.conditions
        self.carry(new, old)
        new.spec, new.status = old.spec, old.status
        new.status.conditions = conditions
        errors = _conditions(conditions)
        for type_ in APPROVAL:
            before = [c for c in old.status.conditions if c.type == type_]
            if before and not any(c.type == type_ for c in conditions):
                errors.append(
                    forbidden_field("status.conditions", f"updates may not remove a condition of type {type_!r}")
                )
        return errors


def _conditions(conditions: list[certificates_v1.CertificateSigningRequestCondition]) -> list[FieldError]:
    errors: list[FieldError] = []
    seen: set[str] = set()
    for i, condition in enumerate(conditions):
        path = f"status.conditions[{i}]"
        allowed = ("True",) if condition.type in (*APPROVAL, "Failed") else ("False", "True", "Unknown")
        if not condition.type:
            errors.append(required(f"{path}.type"))
        if not condition.status:
            errors.append(required(f"{path}.status"))
        elif condition.status not in allowed:
            errors.append(not_supported(f"{path}.status", condition.status, allowed))
        if condition.type in APPROVAL and seen & {*APPROVAL} - {condition.type}:
            words = "Approved and Denied conditions are mutually exclusive"
            errors.append(invalid_value("status.conditions", condition.type, words))
        if condition.type in seen:
            errors.append(duplicate(f"{path}.type", condition.type))
        seen.add(condition.type)
    return errors


def _go_bytes(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def _request(data: bytes) -> str:
    """What is wrong with a PEM certificate request; nothing when it is right."""
    if BEGIN not in data or END not in data:
        return "PEM block type must be CERTIFICATE REQUEST"
    from cryptography import x509  # here: it costs the server 16 MiB, and few clusters ask for certificates

    try:
        x509.load_pem_x509_csr(data)
    except ValueError as error:
        return str(error)
    return ""


class ClusterTrustBundles(Strategy):
    """Roots that pods of the cluster trust, by signer."""

    fields = (("spec.signerName", "spec.signerName"),)

    def name_rule(self, name: str) -> list[str]:
        return names.subdomain(name.rpartition(":")[2])

    def validate(self, obj: certificates_v1.ClusterTrustBundle) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        name = obj.metadata.name
        if spec.signer_name:
            errors += signer_name(spec.signer_name, "spec.signerName")
            prefix = spec.signer_name.replace("/", ":") + ":"
            if not name.startswith(prefix):
                words = f"ClusterTrustBundle for signerName {spec.signer_name} must be named with prefix {prefix}"
                errors.append(invalid_value("metadata.name", name, words))
        elif ":" in name:
            words = 'ClusterTrustBundle without signer name must not have ":" in its name'
            errors.append(invalid_value("metadata.name", name, words))
        if len(spec.trust_bundle.encode()) > MAX_TRUST_BUNDLE:
            words = f"may not be more than {MAX_TRUST_BUNDLE} bytes"
            errors.append(FieldError("FieldValueTooLong", "spec.trustBundle", None, words))
        elif CERTIFICATE not in spec.trust_bundle:
            words = "at least one trust anchor must be provided"
            errors.append(invalid_value("spec.trustBundle", "<value omitted>", words))
        else:
            from cryptography import x509

            try:
                x509.load_pem_x509_certificates(spec.trust_bundle.encode())
            except ValueError as error:
                errors.append(invalid_value("spec.trustBundle", "<value omitted>", str(error)))
        return errors

    def validate_update(
        self, new: certificates_v1.ClusterTrustBundle, old: certificates_v1.ClusterTrustBundle
    ) -> list[FieldError]:
        errors = self.validate(new)
        return errors + immutable(new.spec.signer_name, old.spec.signer_name, "spec.signerName")


class PodCertificateRequests(Strategy):
    """A pod's key that wants a certificate; its kubelet asks."""

    fields = (("spec.signerName", "spec.signerName"), ("spec.nodeName", "spec.nodeName"))

    def default(self, obj: certificates_v1.PodCertificateRequest) -> None:
        if obj.spec.max_expiration_seconds is None:
            obj.spec.max_expiration_seconds = 86400

    def validate(self, obj: certificates_v1.PodCertificateRequest) -> list[FieldError]:
        spec = obj.spec
        errors = signer_name(spec.signer_name, "spec.signerName")
        for name, value in (("podName", spec.pod_name), ("serviceAccountName", spec.service_account_name)):
            errors += [invalid_value(f"spec.{name}", value, m) for m in names.subdomain(value)]
        errors += [invalid_value("spec.nodeName", spec.node_name, m) for m in names.subdomain(spec.node_name)]
        for name, value in (
            ("podUID", spec.pod_uid),
            ("serviceAccountUID", spec.service_account_uid),
            ("nodeUID", spec.node_uid),
        ):
            if not value:
                errors.append(invalid_value(f"spec.{name}", value, f"{name} must not be empty"))
        if not spec.stub_pkcs10_request:
            errors.append(required("spec.stubPKCS10Request"))
        seconds = spec.max_expiration_seconds
        if seconds is not None and not 3600 <= seconds <= 7862400:
            words = "must be in the range [3600, 7862400]"
            errors.append(invalid_value("spec.maxExpirationSeconds", seconds, words))
        return errors

    def validate_update(
        self, new: certificates_v1.PodCertificateRequest, old: certificates_v1.PodCertificateRequest
    ) -> list[FieldError]:
        return [] if new.spec == old.spec else [invalid_value("spec", new.spec, IMMUTABLE)]
