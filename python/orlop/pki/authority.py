"""Making certificates: P-256 keys, a self-signed authority, and what it signs.

Loading `cryptography.x509` takes some 30 ms and 16 MiB, so only this module does, and it is imported where something
has to be made.
"""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from orlop.clock import Clock
from orlop.pki.check import RENEW_BEFORE
from orlop.pki.identities import Identity, Names

AUTHORITY_LIFETIME = timedelta(days=3650)
CERTIFICATE_LIFETIME = timedelta(days=365)
CLOCK_SKEW = timedelta(minutes=5)
"""Certificates begin this long ago, for clients whose clock is behind."""
SHORT = timedelta(hours=8)
"""A shorter certificate lasts from now, not from its beginning: the skew would be a good part of it."""
SERIAL_BYTES = 19
"""RFC 5280 allows 20 octets for a positive serial number; 19 random ones always fit."""

SigningKey = ec.EllipticCurvePrivateKey


def new_key() -> SigningKey:
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key: SigningKey) -> bytes:
    """The key as `EC PRIVATE KEY` (RFC 5915), as Kubernetes writes it: fabric8's client takes any other for RSA."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )


def signing_key_pem(key: SigningKey) -> bytes:
    """The key in PKCS #8, which is what the extension's signer of tokens reads."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def public_pem(key: PrivateKeyTypes) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def belongs(certificate: x509.Certificate, key: PrivateKeyTypes) -> bool:
    """Whether `certificate` is for `key`."""
    return certificate.public_key() == key.public_key()


def lasts(certificate: x509.Certificate, now: float) -> bool:
    """Whether `certificate` is valid at `now` (seconds since 1970) and not due for renewal."""
    moment = datetime.fromtimestamp(now, UTC)
    return certificate.not_valid_before_utc <= moment < certificate.not_valid_after_utc - RENEW_BEFORE


def _subject(identity: Identity) -> x509.Name:
    organizations = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in identity.groups]
    return x509.Name([*organizations, x509.NameAttribute(NameOID.COMMON_NAME, identity.user)])


class Authority:
    """Signs with one key. Its certificate may be renewed with the key kept: what it has signed stays valid."""

    def __init__(self, certificate: x509.Certificate, key: SigningKey, clock: Clock) -> None:
        self.certificate = certificate
        self._key = key
        self._clock = clock

    @classmethod
    def create(cls, key: SigningKey, clock: Clock) -> "Authority":
        """A self-signed authority named `kubernetes`, as kubeadm names it."""
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
        certificate = (
            _builder(name, name, key, clock, AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=True), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        return cls(certificate, key, clock)

    @classmethod
    def load(cls, certificate: bytes, key: bytes, clock: Clock) -> "Authority":
        """From PEM. Raises ValueError."""
        loaded = serialization.load_pem_private_key(key, None)
        return cls(x509.load_pem_x509_certificate(certificate), loaded, clock)  # type: ignore[arg-type]  # RSA signs too

    def issue(self, key: SigningKey, identity: Identity, names: Names | None) -> x509.Certificate:
        """A certificate for `identity`'s `key`: a server's with `names`, a client's without."""
        purpose = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
        builder = (
            _builder(_subject(identity), self.certificate.subject, key, self._clock, CERTIFICATE_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(sign_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if names:
            alternatives: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
            alternatives += [x509.IPAddress(address) for address in names.addresses]
            builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return builder.sign(self._key, hashes.SHA256())

    def sign(self, request: bytes, usages: Collection[str], seconds: float) -> bytes:
        """The certificate (PEM) for a request (PEM): its subject, key and alternative names, nothing else of it.

        It is for `usages`, words of certificates.k8s.io, and ends after `seconds`, or with the authority. Raises
        ValueError for a request that its own key has not signed, a usage that is none, an authority that has ended.
        """
        asked = x509.load_pem_x509_csr(request)
        if not asked.is_signature_valid:
            raise ValueError("unable to verify certificate request signature")
        now = datetime.fromtimestamp(int(self._clock.now()), UTC)
        last = self.certificate.not_valid_after_utc
        if last <= now:
            raise ValueError(f"refusing to sign a certificate that expired in the past: NotAfter {last}")
        lifetime = timedelta(seconds=seconds)
        begin = now - CLOCK_SKEW
        end = (now if lifetime < SHORT else begin) + lifetime
        builder = (
            x509.CertificateBuilder()
            .subject_name(asked.subject)
            .issuer_name(self.certificate.subject)
            .public_key(asked.public_key())
            .serial_number(int.from_bytes(self._clock.token(SERIAL_BYTES)) | 1)
            .not_valid_before(begin)
            .not_valid_after(min(end, last))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        for extension, critical in _asked_usages(usages):
            builder = builder.add_extension(extension, critical=critical)
        try:
            names = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName)
            builder = builder.add_extension(names.value, critical=False)
        except x509.ExtensionNotFound:
            pass
        return certificate_pem(builder.sign(self._key, hashes.SHA256()))


_KEY_USAGES = {
    "signing": "digital_signature",
    "digital signature": "digital_signature",
    "content commitment": "content_commitment",
    "key encipherment": "key_encipherment",
    "key agreement": "key_agreement",
    "data encipherment": "data_encipherment",
    "cert sign": "key_cert_sign",
    "crl sign": "crl_sign",
    "encipher only": "encipher_only",
    "decipher only": "decipher_only",
}
_PURPOSES = {
    "any": "2.5.29.37.0",
    "server auth": "1.3.6.1.5.5.7.3.1",
    "client auth": "1.3.6.1.5.5.7.3.2",
    "code signing": "1.3.6.1.5.5.7.3.3",
    "email protection": "1.3.6.1.5.5.7.3.4",
    "s/mime": "1.3.6.1.5.5.7.3.4",
    "ipsec end system": "1.3.6.1.5.5.7.3.5",
    "ipsec tunnel": "1.3.6.1.5.5.7.3.6",
    "ipsec user": "1.3.6.1.5.5.7.3.7",
    "timestamping": "1.3.6.1.5.5.7.3.8",
    "ocsp signing": "1.3.6.1.5.5.7.3.9",
    "microsoft sgc": "1.3.6.1.4.1.311.10.3.3",
    "netscape sgc": "2.16.840.1.113730.4.1",
}
"""The words of certificates.k8s.io/v1 and what they are in RFC 5280 (4.2.1.3, 4.2.1.12)."""


def _asked_usages(usages: Collection[str]) -> list[tuple[x509.ExtensionType, bool]]:
    """The extensions that say these usages, and whether each is critical."""
    if unknown := [usage for usage in usages if usage not in _KEY_USAGES and usage not in _PURPOSES]:
        raise ValueError(f"unrecognized usage values: {unknown}")
    bits = {_KEY_USAGES[usage] for usage in usages if usage in _KEY_USAGES}
    purposes = sorted({_PURPOSES[usage] for usage in usages if usage in _PURPOSES})
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    if bits:
        if bits & {"encipher_only", "decipher_only"}:
            bits.add("key_agreement")  # RFC 5280: without it they mean nothing
        flags = {name: name in bits for name in set(_KEY_USAGES.values())}
        extensions.append((x509.KeyUsage(**flags), True))
    if purposes:
        extensions.append((x509.ExtendedKeyUsage(map(x509.ObjectIdentifier, purposes)), False))
    return extensions


def _builder(
    subject: x509.Name, issuer: x509.Name, key: SigningKey, clock: Clock, lifetime: timedelta
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(int(clock.now()), UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(clock.token(SERIAL_BYTES)) | 1)
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + lifetime)
    )


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_encipherment=sign_certificates,
        key_cert_sign=sign_certificates,
        crl_sign=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
