"""Rules of projected volumes, which put several sources into one folder: pkg/apis/core/validation's
validateProjectionSources; and of what a pod may show of itself there and in variables."""

from orlop.api import selectors
from orlop.api.errors import FieldError, forbidden_field, invalid_value, required
from orlop.api.quantity import parse
from orlop.api.types import core_v1
from orlop.apiserver.registry import certificates, labelselectors, meta, names
from orlop.apiserver.registry.paths import file_mode, key_to_path, local_non_reserved
from orlop.apiserver.registry.resources import unsupported

FIELD_PATHS = ("metadata.annotations", "metadata.labels", "metadata.name", "metadata.namespace", "metadata.uid")
"""What a downward API volume may show."""
KNOWN_PATHS = frozenset(FIELD_PATHS) | {
    "spec.hostname",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.schedulerName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.phase",
    "status.podIP",
    "status.podIPs",
}
"""Fields that have a name in the downward API at all."""
KINDS_OF_AMOUNTS = ("cpu", "ephemeral-storage", "memory")
RESOURCES = tuple(f"{when}.{what}" for when in ("limits", "requests") for what in KINDS_OF_AMOUNTS)
HUGE_PAGES = ("limits.hugepages-", "requests.hugepages-")
DIVISORS = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")

MIN_TOKEN_SECONDS = 600
MAX_TOKEN_SECONDS = 1 << 32
KEY_TYPES = ("RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519")
MIN_CERTIFICATE_SECONDS = 3600
MAX_CERTIFICATE_SECONDS = 91 * 24 * 3600
MAX_KUBERNETES_CERTIFICATE_SECONDS = 24 * 3600
"""Of the signers whose names begin with `kubernetes.io/`."""
CLASH = "conflicting duplicate paths"

TOKEN_PROJECTION = core_v1.ProjectedVolumeSource(
    sources=[
        core_v1.VolumeProjection(
            service_account_token=core_v1.ServiceAccountTokenProjection(path="token", expiration_seconds=3607)
        ),
        core_v1.VolumeProjection(
            config_map=core_v1.ConfigMapProjection(
                name="kube-root-ca.crt", items=[core_v1.KeyToPath(key="ca.crt", path="ca.crt")]
            )
        ),
        core_v1.VolumeProjection(
            downward_api=core_v1.DownwardAPIProjection(
                items=[
                    core_v1.DownwardAPIVolumeFile(
                        path="namespace",
                        field_ref=core_v1.ObjectFieldSelector(api_version="v1", field_path="metadata.namespace"),
                    )
                ]
            )
        ),
    ],
    default_mode=0o644,
)
"""What the ServiceAccount plug-in mounts into almost every pod: compared as a whole instead of looked through.

Its token asks for just over an hour, so that it is told apart from users' own 3600. Never changed: pods share it.
"""


def validate(source: core_v1.ProjectedVolumeSource, path: str) -> list[FieldError]:
    """What is wrong with a projected volume."""
    errors = file_mode(source.default_mode, f"{path}.defaultMode")
    taken: set[str] = set()
    for i, projection in enumerate(source.sources):
        errors += _projection(projection, f"{path}.sources[{i}]", path, taken)
    return errors


def _take(file: str, shown: str, path: str, taken: set[str]) -> list[FieldError]:
    if file in taken:
        return [invalid_value(path, shown, CLASH)]
    taken.add(file)
    return []


def _projection(projection: core_v1.VolumeProjection, where: str, path: str, taken: set[str]) -> list[FieldError]:
    """One source. `taken` are the files so far; findings about them, and about a token's, are told of the volume."""
    errors: list[FieldError] = []
    count = 0
    for json, source in (("secret", projection.secret), ("configMap", projection.config_map)):
        if source is None:
            continue
        count += 1
        if not source.name:
            errors.append(required(f"{where}.{json}.name"))
        for i, item in enumerate(source.items):
            errors += key_to_path(item, f"{where}.{json}.items[{i}]")
            if item.path:
                errors += _take(item.path, source.name, path, taken)
    if projection.downward_api is not None:
        count += 1
        for file in projection.downward_api.items:
            errors += downward_file(file, f"{where}.downwardAPI")
            if file.path:
                errors += _take(file.path, file.path, path, taken)
    if projection.service_account_token is not None:
        count += 1
        errors += _token(projection.service_account_token, f"{where}.serviceAccountToken", path)
    if projection.cluster_trust_bundle is not None:
        count += 1
        bundle = projection.cluster_trust_bundle
        errors += _trust_bundle(bundle, f"{where}.clusterTrustBundle")
        errors += _take(bundle.path, bundle.path, path, taken)
    if projection.pod_certificate is not None:
        count += 1
        errors += _certificate(projection.pod_certificate, f"{where}.podCertificate", path, taken)
    if count > 1:
        errors.append(forbidden_field(where, "may not specify more than 1 volume type per source"))
    return errors


def _token(token: core_v1.ServiceAccountTokenProjection, where: str, path: str) -> list[FieldError]:
    errors: list[FieldError] = []
    seconds = token.expiration_seconds or 0
    if seconds < MIN_TOKEN_SECONDS:
        words = "may not specify a duration less than 10 minutes"
        errors.append(invalid_value(f"{where}.expirationSeconds", seconds, words))
    if seconds > MAX_TOKEN_SECONDS:
        words = "may not specify a duration larger than 2^32 seconds"
        errors.append(invalid_value(f"{where}.expirationSeconds", seconds, words))
    if not token.path:
        return [*errors, required(f"{path}.path")]
    return errors + local_non_reserved(token.path, f"{path}.path")


def _trust_bundle(bundle: core_v1.ClusterTrustBundleProjection, where: str) -> list[FieldError]:
    errors: list[FieldError] = []
    if bundle.name is not None and bundle.signer_name is not None:
        errors.append(invalid_value(where, bundle, "only one of name and signerName may be used"))
    elif bundle.name is not None:
        if not bundle.name:
            errors.append(required(f"{where}.name", "must be a valid object name"))
        errors += [
            invalid_value(f"{where}.name", bundle.name, f"not a valid clustertrustbundlename: {m}")
            for m in names.subdomain(bundle.name.rpartition(":")[2])
        ]
        if bundle.label_selector is not None:
            words = "labelSelector must be unset if name is specified"
            errors.append(invalid_value(f"{where}.labelSelector", bundle.label_selector, words))
    elif bundle.signer_name is not None:
        if not bundle.signer_name:
            errors.append(required(f"{where}.signerName", "must be a valid signer name"))
        errors += certificates.signer_name(bundle.signer_name, f"{where}.signerName")
        if bundle.label_selector is not None:
            errors += labelselectors.validate_selector(bundle.label_selector, f"{where}.labelSelector")
    else:
        errors.append(required(where, "either name or signerName must be specified"))
    if not bundle.path:
        errors.append(required(f"{where}.path"))
    return errors + local_non_reserved(bundle.path, f"{where}.path")


def _certificate(
    certificate: core_v1.PodCertificateProjection, where: str, path: str, taken: set[str]
) -> list[FieldError]:
    errors = certificates.signer_name(certificate.signer_name, f"{where}.signerName")
    if certificate.key_type not in KEY_TYPES:
        errors.append(unsupported(f"{where}.keyType", certificate.key_type, KEY_TYPES))
    seconds = certificate.max_expiration_seconds
    if seconds is not None:
        if seconds < MIN_CERTIFICATE_SECONDS:
            words = f"if provided, maxExpirationSeconds must be >= {MIN_CERTIFICATE_SECONDS}"
            errors.append(invalid_value(f"{where}.maxExpirationSeconds", seconds, words))
        own = certificate.signer_name.startswith("kubernetes.io/")
        most = MAX_KUBERNETES_CERTIFICATE_SECONDS if own else MAX_CERTIFICATE_SECONDS
        if seconds > most:
            words = f"if provided, maxExpirationSeconds must be <= {most}"
            errors.append(invalid_value(f"{where}.maxExpirationSeconds", seconds, words))
    files = (
        ("credentialBundlePath", certificate.credential_bundle_path),
        ("keyPath", certificate.key_path),
        ("certificateChainPath", certificate.certificate_chain_path),
    )
    for json, file in files:
        if file:
            errors += local_non_reserved(file, f"{where}.{json}")
            errors += _take(file, file, path, taken)
    if not any(file for _, file in files):
        words = "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"
        errors.append(required(where, words))
    return errors


def downward_file(item: core_v1.DownwardAPIVolumeFile, path: str) -> list[FieldError]:
    """A file that shows something of the pod."""
    errors = [] if item.path else [required(f"{path}.path")]
    errors += local_non_reserved(item.path, f"{path}.path")
    if item.field_ref is not None:
        errors += field_ref(item.field_ref, f"{path}.fieldRef", FIELD_PATHS)
        if item.resource_field_ref is not None:
            words = "fieldRef and resourceFieldRef can not be specified simultaneously"
            errors.append(invalid_value(path, "resource", words))
    elif item.resource_field_ref is not None:
        errors += resource_ref(item.resource_field_ref, f"{path}.resourceFieldRef", volume=True)
    else:
        errors.append(required(path, "one of fieldRef and resourceFieldRef is required"))
    return errors + file_mode(item.mode, f"{path}.mode")


def field_ref(ref: core_v1.ObjectFieldSelector, path: str, allowed: tuple[str, ...]) -> list[FieldError]:
    """A field of the pod that its containers may see. `allowed` is in the order in which it is told."""
    field = ref.field_path
    if ref.api_version == "v1" and field in allowed:
        return []
    if not ref.api_version:
        return [required(f"{path}.apiVersion")]
    if not field:
        return [required(f"{path}.fieldPath")]
    if ref.api_version != "v1":
        words = f"error converting fieldPath: unsupported pod version: {ref.api_version}"
        return [invalid_value(f"{path}.fieldPath", field, words)]
    base, bracket, key = field.partition("['")
    subscripted = bool(bracket) and key.endswith("']")
    if (base if subscripted else field) not in KNOWN_PATHS:
        words = f"error converting fieldPath: field label not supported: {base if subscripted else field}"
        return [invalid_value(f"{path}.fieldPath", field, words)]
    if not subscripted:
        return [unsupported(f"{path}.fieldPath", field, allowed)]
    key = key[:-2]
    if base == "metadata.annotations":
        return [invalid_value(path, key.lower(), m) for m in selectors.key_errors(key.lower())]
    if base == "metadata.labels":
        return [invalid_value(path, key, m) for m in meta.key_errors(key)]
    words = f"error converting fieldPath: field label does not support subscript: {base}"
    return [invalid_value(f"{path}.fieldPath", field, words)]


def resource_ref(ref: core_v1.ResourceFieldSelector, path: str, *, volume: bool) -> list[FieldError]:
    """A container's limit or request that containers may see."""
    errors: list[FieldError] = []
    if volume and not ref.container_name:
        errors.append(required(f"{path}.containerName"))
    elif not ref.resource:
        errors.append(required(f"{path}.resource"))
    elif ref.resource not in RESOURCES and not ref.resource.startswith(HUGE_PAGES):
        errors.append(unsupported(f"{path}.resource", ref.resource, RESOURCES))
    if ref.divisor not in ("", "0") and parse(ref.divisor) != 0:
        errors += _divisor(ref.resource, ref.divisor, f"{path}.divisor")
    return errors


def _divisor(resource: str, divisor: str, path: str) -> list[FieldError]:
    what = resource.partition(".")[2]
    if resource in RESOURCES and what == "cpu":
        if divisor in ("1m", "1"):
            return []
        return [invalid_value(path, resource, "only divisor's values 1m and 1 are supported with the cpu resource")]
    of = {"memory": "memory", "ephemeral-storage": "local ephemeral storage"}.get(what)
    if resource not in RESOURCES or of is None:
        of = "hugepages" if resource.startswith(HUGE_PAGES) else None
    if of is None or divisor in DIVISORS:
        return []
    words = f"only divisor's values {', '.join(DIVISORS)} are supported with the {of} resource"
    return [invalid_value(path, resource, words)]
