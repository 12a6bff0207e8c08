"""Certificates by request: asked for, approved or denied by hand, signed by the cluster, and good for its API."""

import base64
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import NameOID

from orlop.pki.authority import key_pem, new_key
from tests.support.cluster import UpCluster, eventually

pytestmark = [pytest.mark.e2e, pytest.mark.docker]


def test_a_user_by_certificate(cluster: UpCluster, tmp_path: Path) -> None:
    key = new_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    pem = base64.b64encode(asked.public_bytes(serialization.Encoding.PEM)).decode()
    for name in ("jane", "jane-again"):
        csr = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": pem,
                "signerName": "kubernetes.io/kube-apiserver-client",
                "usages": ["client auth"],
                "expirationSeconds": 600,
            },
        }
        cluster.kubectl("create", "-f", "-", input=json.dumps(csr))
    cluster.kubectl("certificate", "approve", "jane")
    cluster.kubectl("certificate", "deny", "jane-again")
    certificate = eventually("it is signed", lambda: cluster.get("csr", "jane")["status"].get("certificate"), 20)
    shown = cluster.kubectl("get", "csr")
    assert "Approved,Issued" in shown
    assert "Denied" in shown
    files = tmp_path / "jane.crt", tmp_path / "jane.key"
    files[0].write_bytes(base64.b64decode(certificate))
    files[1].write_bytes(key_pem(key))
    cluster.kubectl("config", "set-credentials", "jane", f"--client-certificate={files[0]}", f"--client-key={files[1]}")
    assert "jane" in cluster.kubectl("--user=jane", "auth", "whoami")
    assert 'User "jane" cannot list' in cluster.kubectl_fails("--user=jane", "get", "pods")
    bundles = cluster.kubectl("get", "clustertrustbundles", "-o", "name")
    assert "kubernetes.io:kube-apiserver-serving:" in bundles
