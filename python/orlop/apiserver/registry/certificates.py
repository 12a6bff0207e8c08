"""Rules of certificates.k8s.io: pkg/apis/certificates/validation, pkg/registry/certificates."""

from msgspec.structs import replace

from orlop.api.errors import (
    IMMUTABLE,
    OMITTED,
    FieldError,
    duplicate,
    forbidden_field,
    invalid_value,
    not_supported,
    required,
    too_long,
)
from orlop.api.types import certificates_v1
from orlop.apiserver.auth.user import User
from orlop.apiserver.registry import conditions, meta, names, pem
from orlop.apiserver.registry.common import duplicates, immutable, without_value
from orlop.apiserver.registry.strategy import Strategy

LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"
MIN_SECONDS = 600
MAX_SIGNER = 571
MAX_TRUST_BUNDLE = 1024 * 1024
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
ENDS = ("Issued", "Denied", "Failed")
MIN_POD_SECONDS = 3600
MAX_UID = 128


def signer_name(name: str, path: str) -> list[FieldError]:
    """What is wrong with a signer's name: a domain and a path of one part."""
    if not name:
        return [required(path)]
    domain, slash, rest = name.partition("/")
    words = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
    if not slash or "/" in rest:
        return [invalid_value(path, name, words)]
    errors = [
        invalid_value(path, domain, f'validating label "{part}": {m}')
        for part in domain.split(".")
        for m in names.label(part)
    ]
    if "." not in domain:
        errors.append(invalid_value(path, domain, "should be a domain with at least two segments separated by dots"))
    errors += [
        invalid_value(path, rest, f'validating label "{part}": {m}')
        for part in rest.split(".")
        for m in names.label(part)
    ]
    if len(name) > MAX_SIGNER:
        errors.append(FieldError("FieldValueTooLong", path, None, f"may not be more than {MAX_SIGNER} bytes"))
    return errors


class CertificateSigningRequests(Strategy):
    """A key that wants a certificate. Who asks is written in by the server."""

    fields = (("spec.signerName", "spec.signerName"),)

    def name_rule(self, name: str) -> list[str]:
        return names.path_segment(name)

    def made_by(self, obj: certificates_v1.CertificateSigningRequest, user: User) -> None:
        spec = obj.spec
        spec.username, spec.uid, spec.groups = user.name, user.uid, list(user.groups)
        spec.extra = {key: list(values) for key, values in user.extra}

    def validate(self, obj: certificates_v1.CertificateSigningRequest) -> list[FieldError]:
        spec = obj.spec
        errors: list[FieldError] = []
        if wrong := pem.request(spec.request):
            errors.append(invalid_value("spec.request", spec.request or None, wrong))
        if not spec.usages:
            errors.append(required("spec.usages"))
        for i, usage in enumerate(spec.usages):
            if usage not in USAGES:
                errors.append(not_supported(f"spec.usages[{i}]", usage, sorted(USAGES)))
        errors += [duplicate(f"spec.usages[{i}]", spec.usages[i]) for i in duplicates(spec.usages)]
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
        # What approves or denies stays as it is where there is as much of it; else that is told of.
        conditions = new.status.conditions
        for type_ in APPROVAL:
            before = [c for c in old.status.conditions if c.type == type_]
            now = [i for i, c in enumerate(conditions) if c.type == type_]
            if len(before) == len(now):
                for i, condition in zip(now, before, strict=True):
                    conditions[i] = condition

    def validate_status(
        self, new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
    ) -> list[FieldError]:
        before, after = old.status.certificate, new.status.certificate
        errors = _conditions(new.status.conditions)
        if before != after and (wrong := pem.certificates(after)):
            errors.append(invalid_value("status.certificate", "<certificate data>", wrong))
        errors += _removed(new, old)
        for type_ in APPROVAL:
            if _count(new, type_) > _count(old, type_):
                words = f'updates may not add a condition of type "{type_}"'
                errors.append(forbidden_field("status.conditions", words))
        if before and after != before:
            words = "updates may not modify existing certificate content"
            errors.append(forbidden_field("status.certificate", words))
        return errors

    def before_approval(
        self, new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
    ) -> list[FieldError]:
        """What the approval subresource may change: the conditions that approve or deny."""
        conditions = new.status.conditions
        self.carry(new, old)
        new.spec = old.spec
        new.status = replace(old.status, conditions=conditions)
        return _conditions(conditions) + _removed(new, old)


def _count(obj: certificates_v1.CertificateSigningRequest, type_: str) -> int:
    return sum(condition.type == type_ for condition in obj.status.conditions)


def _removed(
    new: certificates_v1.CertificateSigningRequest, old: certificates_v1.CertificateSigningRequest
) -> list[FieldError]:
    return [
        forbidden_field("status.conditions", f'updates may not remove a condition of type "{type_}"')
        for type_ in (*APPROVAL, "Failed")
        if _count(new, type_) < _count(old, type_)
    ]


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


class ClusterTrustBundles(Strategy):
    """Roots that pods of the cluster trust, by signer."""

    fields = (("spec.signerName", "spec.signerName"),)

    def name_rule(self, name: str) -> list[str]:
        return []  # it depends on the signer: `validate`

    def validate(self, obj: certificates_v1.ClusterTrustBundle) -> list[FieldError]:
        return self._validate(obj) + _bundle(obj.spec.trust_bundle)

    def _validate(self, obj: certificates_v1.ClusterTrustBundle) -> list[FieldError]:
        signer, name = obj.spec.signer_name, obj.metadata.name
        errors = [invalid_value("metadata.name", name, m) for m in _bundle_name(name, signer)] if name else []
        return errors + (signer_name(signer, "spec.signerName") if signer else [])

    def validate_update(
        self, new: certificates_v1.ClusterTrustBundle, old: certificates_v1.ClusterTrustBundle
    ) -> list[FieldError]:
        errors = self._validate(new)
        if new.spec.trust_bundle != old.spec.trust_bundle:
            errors += _bundle(new.spec.trust_bundle)
        return errors + immutable(new.spec.signer_name, old.spec.signer_name, "spec.signerName")


def _bundle_name(name: str, signer: str) -> list[str]:
    """A bundle's name begins with its signer's, with a colon where that has its slash."""
    if not signer:
        if ":" in name:
            return ['ClusterTrustBundle without signer name must not have ":" in its name']
        return names.subdomain(name)
    prefix = signer.replace("/", ":") + ":"
    if not name.startswith(prefix):
        return [f"ClusterTrustBundle for signerName {signer} must be named with prefix {prefix}"]
    return names.subdomain(name.removeprefix(prefix))


def _bundle(text: str) -> list[FieldError]:
    path = "spec.trustBundle"
    if len(text.encode()) > MAX_TRUST_BUNDLE:
        return [too_long(path, MAX_TRUST_BUNDLE)]
    return [invalid_value(path, "<value omitted>", wrong) for wrong in pem.trust_anchors(text)]


ONE_KEY = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set"


class PodCertificateRequests(Strategy):
    """A pod's key that wants a certificate; its kubelet asks."""

    status_keeps_metadata = True
    fields = (
        ("spec.signerName", "spec.signerName"),
        ("spec.podName", "spec.podName"),
        ("spec.nodeName", "spec.nodeName"),
    )

    def default(self, obj: certificates_v1.PodCertificateRequest) -> None:
        if obj.spec.max_expiration_seconds is None:
            obj.spec.max_expiration_seconds = 86400

    def validate(self, obj: certificates_v1.PodCertificateRequest) -> list[FieldError]:
        spec = obj.spec
        errors = signer_name(spec.signer_name, "spec.signerName")
        if spec.unverified_user_annotations:
            errors += _user_annotations(spec.unverified_user_annotations, "spec.unverifiedUserAnnotations")
        for name, value, uid_name, uid in (
            ("podName", spec.pod_name, "podUID", spec.pod_uid),
            ("serviceAccountName", spec.service_account_name, "serviceAccountUID", spec.service_account_uid),
            ("nodeName", spec.node_name, "nodeUID", spec.node_uid),
        ):
            errors += [invalid_value(f"spec.{name}", value, m) for m in names.subdomain(value)]
            if not uid:
                errors.append(invalid_value(f"spec.{uid_name}", uid, "must not be empty"))
            if len(uid.encode()) > MAX_UID:
                errors.append(too_long(f"spec.{uid_name}", MAX_UID))
        seconds, most = spec.max_expiration_seconds, _longest(spec.signer_name)
        if seconds is None:
            return [*errors, required("spec.maxExpirationSeconds", "must be set")]
        if not MIN_POD_SECONDS <= seconds <= most:
            words = f"must be in the range [{MIN_POD_SECONDS}, {most}]"
            errors.append(invalid_value("spec.maxExpirationSeconds", seconds, words))
        if not spec.stub_pkcs10_request:
            errors.append(without_value("spec", ONE_KEY))
        elif not pem.is_request(spec.stub_pkcs10_request):
            errors.append(without_value("spec.stubPKCS10Request", "must be a valid PKCS#10 CSR"))
        return errors

    def validate_update(
        self, new: certificates_v1.PodCertificateRequest, old: certificates_v1.PodCertificateRequest
    ) -> list[FieldError]:
        return [] if new.spec == old.spec else [invalid_value("spec", new.spec, IMMUTABLE)]

    def validate_status(
        self, new: certificates_v1.PodCertificateRequest, old: certificates_v1.PodCertificateRequest
    ) -> list[FieldError]:
        errors: list[FieldError] = []
        known = 0
        for i, condition in enumerate(new.status.conditions):
            path = f"status.conditions.[{i}]"  # with upstream's slip
            if condition.type not in ENDS:
                errors.append(not_supported(f"{path}.type", condition.type, ENDS))
                continue
            known += 1
            if known > 1:
                words = 'There may be at most one condition with type "Issued", "Denied", or "Failed"'
                errors.append(invalid_value(f"{path}.type", condition.type, words))
            if condition.status != "True":
                errors.append(not_supported(f"{path}.status", condition.status, ["True"]))
        # The server's time is written in afterwards.
        timed = [replace(c, last_transition_time=c.last_transition_time or "now") for c in new.status.conditions]
        errors += conditions.validate(timed, "status.conditions")
        return errors or _ended(new, old)


def _ended(new: certificates_v1.PodCertificateRequest, old: certificates_v1.PodCertificateRequest) -> list[FieldError]:
    """What a status may become: an end, once; an issued one has its certificate with it."""
    status, before = new.status, old.status
    if any(c.type in ENDS and c.status == "True" for c in before.conditions):
        words = "immutable after PodCertificateRequest is issued, denied, or failed"
        return [] if status == before else [invalid_value("status", OMITTED, words)]
    end = next((c.type for c in status.conditions if c.type in ENDS and c.status == "True"), None)
    if end is None:
        words = 'status is immutable unless transitioning to "Issued", "Denied", or "Failed"'
        return [] if status == before else [invalid_value("status", OMITTED, words)]
    if end != "Issued":
        words = "non-condition status fields must be empty when denying or failing the PodCertificateRequest"
        plain = certificates_v1.PodCertificateRequestStatus(conditions=status.conditions)
        return [] if status == plain else [invalid_value("status", OMITTED, words)]
    if wrong := pem.chain(status.certificate_chain):
        return [invalid_value("status.certificateChain", status.certificate_chain, wrong)]
    consistent = "must be present and consistent with the issued certificate"
    return [
        required(f"status.{name}", words)
        for name, value, words in (
            ("notBefore", status.not_before, consistent),
            ("notAfter", status.not_after, consistent),
            (
                "beginRefreshAt",
                status.begin_refresh_at,
                "must be present and in the range [notbefore+10min, notafter-10min]",
            ),
        )
        if not value
    ]


def _longest(signer: str) -> int:
    """Seconds that a pod's certificate may last: a day from Kubernetes' own signers, 91 from others."""
    domain = signer.partition("/")[0]
    return 24 * 3600 if domain == "kubernetes.io" or domain.endswith(".kubernetes.io") else 91 * 24 * 3600


def _user_annotations(annotations: dict[str, str], path: str) -> list[FieldError]:
    return meta.validate_annotations(annotations, path)
