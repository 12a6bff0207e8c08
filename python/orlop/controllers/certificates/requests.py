"""What a request for a certificate may say, by its signer. Upstream: pkg/apis/certificates/helpers.go."""

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from orlop.api.types import certificates_v1
from orlop.clock import rfc3339
from orlop.pki.identities import NODE_USER_PREFIX, NODES_GROUP

if TYPE_CHECKING:
    from cryptography import x509

CLIENT = "kubernetes.io/kube-apiserver-client"
KUBELET_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
KUBELET_SERVING = "kubernetes.io/kubelet-serving"
LEGACY_UNKNOWN = "kubernetes.io/legacy-unknown"
SIGNERS = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY_UNKNOWN})

_CLIENT_USAGES = ({"client auth", "digital signature"}, {"client auth", "digital signature", "key encipherment"})
_SERVING_USAGES = ({"digital signature", "server auth"}, {"digital signature", "key encipherment", "server auth"})
"""Key encipherment is for RSA keys alone."""


def add_condition(
    csr: certificates_v1.CertificateSigningRequest, type_: str, reason: str, message: str, now: float
) -> None:
    """Says of the request, which is changed, what was decided just now."""
    moment = rfc3339(now)
    csr.status.conditions.append(
        certificates_v1.CertificateSigningRequestCondition(
            type=type_,
            status="True",
            reason=reason,
            message=message,
            last_update_time=moment,
            last_transition_time=moment,
        )
    )


class Refused(ValueError):
    """The signer does not sign such a request; the text is upstream's."""


class Asked(NamedTuple):
    """What a PKCS#10 request asks for."""

    common_name: str
    organizations: tuple[str, ...]
    dns: tuple[str, ...]
    addresses: tuple[str, ...]
    emails: tuple[str, ...]
    uris: tuple[str, ...]

    @classmethod
    def parse(cls, pem: bytes) -> "Asked":
        """Raises ValueError."""
        from cryptography import x509
        from cryptography.x509.oid import NameOID

        request = x509.load_pem_x509_csr(pem)

        def of(oid: Any) -> list[str]:
            return [str(attribute.value) for attribute in request.subject.get_attributes_for_oid(oid)]

        names = of(NameOID.COMMON_NAME)
        return cls(names[-1] if names else "", tuple(of(NameOID.ORGANIZATION_NAME)), *_alternatives(request))


def _alternatives(request: "x509.CertificateSigningRequest") -> tuple[tuple[str, ...], ...]:
    from cryptography import x509

    try:
        names = request.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), (), (), ()
    return (
        tuple(names.get_values_for_type(x509.DNSName)),
        tuple(str(address) for address in names.get_values_for_type(x509.IPAddress)),
        tuple(names.get_values_for_type(x509.RFC822Name)),
        tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
    )


def check(signer: str, asked: Asked, usages: Collection[str]) -> None:
    """Whether the signer signs this. Raises Refused."""
    if signer == KUBELET_CLIENT:
        check_kubelet_client(asked, usages)
    elif signer == KUBELET_SERVING:
        _check_kubelet_serving(asked, usages)
    elif signer == CLIENT:
        _check_client(usages)


def check_kubelet_client(asked: Asked, usages: Collection[str]) -> None:
    """A node's client certificate names the node and nothing else. Raises Refused."""
    _check_organization(asked)
    for found, kind in ((asked.dns, "DNS"), (asked.emails, "Email"), (asked.addresses, "IP"), (asked.uris, "URI")):
        if found:
            raise Refused(f"{kind} subjectAltNames are not allowed")
    _check_node(asked)
    _check_usages(usages, _CLIENT_USAGES)


def _check_kubelet_serving(asked: Asked, usages: Collection[str]) -> None:
    _check_organization(asked)
    if not asked.dns and not asked.addresses:
        raise Refused("DNS or IP subjectAltName is required")
    for found, kind in ((asked.emails, "Email"), (asked.uris, "URI")):
        if found:
            raise Refused(f"{kind} subjectAltNames are not allowed")
    _check_usages(usages, _SERVING_USAGES)
    _check_node(asked)


def _check_client(usages: Collection[str]) -> None:
    for usage in usages:
        if usage not in ("digital signature", "key encipherment", "client auth"):
            raise Refused(f"invalid usage for client certificate: {usage}")
    if "client auth" not in usages:
        raise Refused("missing required usage for client certificate: client auth")


def _check_organization(asked: Asked) -> None:
    if asked.organizations != (NODES_GROUP,):
        raise Refused(f"subject organization is not {NODES_GROUP}")


def _check_node(asked: Asked) -> None:
    if not asked.common_name.startswith(NODE_USER_PREFIX):
        raise Refused(f"subject common name does not begin with {NODE_USER_PREFIX}")


def _check_usages(usages: Collection[str], allowed: tuple[set[str], ...]) -> None:
    if set(usages) not in allowed:
        raise Refused(f"usages did not match [{' '.join(sorted(allowed[-1]))}]")


def has(csr: certificates_v1.CertificateSigningRequest, *types: str) -> bool:
    """Whether one of these conditions is true."""
    return any(c.type in types and c.status == "True" for c in csr.status.conditions)
