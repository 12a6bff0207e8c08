"""What is wrong with a server's certificate, in the words of Go's crypto/x509."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from orlop.apiserver.webhooks.failures import wrong_certificate
from orlop.pki.authority import new_key

BEGIN, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 2, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("host", "now", "words"),
    [
        ("a.default.svc", BEGIN - timedelta(days=1), "is before 2026-01-01T00:00:00Z"),
        ("a.default.svc", END + timedelta(days=1), "current time 2026-02-02T00:00:00Z is after 2026-02-01T00:00:00Z"),
        ("b.default.svc", BEGIN + timedelta(days=1), "certificate is valid for a.default.svc, not b.default.svc"),
        ("127.0.0.1", BEGIN + timedelta(days=1), "because it doesn't contain any IP SANs"),
        ("a.default.svc", BEGIN + timedelta(days=1), ""),
    ],
)
def test_a_certificate_is_told_of(host: str, now: datetime, words: str) -> None:
    key, name = new_key(), x509.Name([])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.default.svc")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    said = wrong_certificate(made.public_bytes(serialization.Encoding.DER), host, now.timestamp())
    assert said.endswith(words)
    assert bool(said) == bool(words)
