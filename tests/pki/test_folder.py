import os
import ssl
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from orlop import pki
from orlop.clock import FakeClock, SystemClock
from orlop.pki.identities import Names

DAY = 86_400.0
NAMES = Names.of(["localhost", "127.0.0.1"])


def certificate(pair: pki.KeyPair) -> x509.Certificate:
    return x509.load_pem_x509_certificate(pair.certificate)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def folder(tmp_path: Path, clock: FakeClock) -> pki.Folder:
    return pki.Folder(tmp_path / "pki", clock)


def test_files_are_private_and_made_once(folder: pki.Folder, clock: FakeClock) -> None:
    first = folder.client(pki.ADMIN)
    folder.service_account_key()
    for file in folder.path.iterdir():
        assert stat.S_IMODE(os.stat(file).st_mode) == 0o600, file
    assert stat.S_IMODE(os.stat(folder.path).st_mode) == 0o700
    assert pki.Folder(folder.path, clock).client(pki.ADMIN) == first


def test_client_certificates_name_user_and_groups(folder: pki.Folder) -> None:
    subject = certificate(folder.client(pki.node("n1"))).subject
    assert subject.rfc4514_string() == "CN=system:node:n1,O=system:nodes"
    assert certificate(folder.client(pki.SCHEDULER)).subject.rfc4514_string() == "CN=system:kube-scheduler"


def test_apiserver_answers_for_the_kubernetes_service(folder: pki.Folder) -> None:
    names = pki.apiserver_names(["10.1.2.3", "0.0.0.0", "api.example"], "10.96.0.1")
    san = certificate(folder.apiserver(names)).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    dns = san.get_values_for_type(x509.DNSName)
    assert {"kubernetes.default.svc", "kubernetes.default.svc.cluster.local", "localhost", "api.example"} <= set(dns)
    addresses = {str(a) for a in san.get_values_for_type(x509.IPAddress)}
    assert addresses == {"127.0.0.1", "::1", "10.96.0.1", "10.1.2.3"}


async def test_a_certificate_near_its_end_is_renewed_with_its_key(folder: pki.Folder, clock: FakeClock) -> None:
    old = folder.apiserver(NAMES)
    await clock.advance(200 * DAY)
    assert folder.apiserver(NAMES) == old
    assert not folder.due()
    await clock.advance(100 * DAY)
    assert folder.due()
    new = folder.apiserver(NAMES)
    assert new.key == old.key
    assert certificate(new).not_valid_after_utc > certificate(old).not_valid_after_utc


def test_a_needed_name_brings_a_new_certificate(folder: pki.Folder) -> None:
    old = folder.apiserver(NAMES)
    assert folder.apiserver(Names.of(["localhost"])) == old
    assert folder.apiserver(Names.of(["localhost", "10.0.0.7"])) != old


async def test_the_authority_is_renewed_with_its_key_so_what_it_signed_stays(
    folder: pki.Folder, clock: FakeClock
) -> None:
    old = folder.ca()
    await clock.advance(3600 * DAY)
    young = pki.Folder(folder.path, clock).client(pki.ADMIN)
    assert folder.ca() != old
    certificate(young).verify_directly_issued_by(x509.load_pem_x509_certificate(folder.ca()))


def test_a_foreign_certificate_is_replaced(folder: pki.Folder, tmp_path: Path, clock: FakeClock) -> None:
    own = folder.client(pki.ADMIN)
    other = pki.Folder(tmp_path / "other", clock).client(pki.ADMIN)
    own.certificate_file.write_bytes(other.certificate)
    own.key_file.write_bytes(other.key)
    certificate(folder.client(pki.ADMIN)).verify_directly_issued_by(x509.load_pem_x509_certificate(folder.ca()))


def test_a_start_that_was_cut_short_goes_on(folder: pki.Folder, clock: FakeClock) -> None:
    folder.ca()
    (folder.path / "ca.crt").unlink()
    (folder.path / ".admin.key.new").write_bytes(b"half a k")
    pki.Folder(folder.path, clock).client(pki.ADMIN)


def test_a_lost_authority_key_is_told(folder: pki.Folder, clock: FakeClock) -> None:
    folder.ca()
    (folder.path / "ca.key").unlink()
    with pytest.raises(pki.PkiError, match=r"ca\.key is missing .* put the authority's key back"):
        pki.Folder(folder.path, clock).client(pki.ADMIN)


def test_a_spoilt_file_is_named(folder: pki.Folder) -> None:
    pair = folder.client(pki.ADMIN)
    pair.key_file.write_bytes(b"nothing")
    with pytest.raises(pki.PkiError, match=r"admin\.key holds no usable private key"):
        folder.client(pki.ADMIN)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, clock: FakeClock) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(pki.PkiError, match="cannot be used"):
        pki.Folder(tmp_path / "file" / "pki", clock).ca()


def test_the_token_key_stays(folder: pki.Folder) -> None:
    pem = folder.service_account_key()
    assert folder.service_account_key() == pem
    key = serialization.load_pem_private_key(pem, None)
    assert (folder.path / "sa.pub").read_bytes() == key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def test_strict_verification_accepts_them(tmp_path: Path) -> None:
    """Newer Pythons' default: RFC 5280 to the letter."""
    folder = pki.Folder(tmp_path / "pki", SystemClock())
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder.ca_file if folder.ca() else None)
    pair = folder.apiserver(NAMES)
    server.load_cert_chain(pair.certificate_file, pair.key_file)
    client = ssl.create_default_context(cadata=folder.ca().decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    handshake(client, server, "127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(client, server, "10.9.9.9")


def handshake(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> None:
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(to_client, to_server, server_hostname=host),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    for _ in range(4):
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass
    assert not ends


def test_keys_say_what_they_are(folder: pki.Folder) -> None:
    """fabric8's Java client tells by the heading alone; any other it reads as RSA's."""
    assert folder.client(pki.ADMIN).key.startswith(b"-----BEGIN EC PRIVATE KEY-----")


def test_kubeconfig_embeds_everything(folder: pki.Folder) -> None:
    config = pki.kubeconfig("orlop", "https://127.0.0.1:6443", folder.ca(), folder.client(pki.ADMIN))
    assert config["current-context"] == "orlop"
    assert config["contexts"][0]["context"] == {"cluster": "orlop", "user": "orlop"}
    assert "certificate-authority-data" in config["clusters"][0]["cluster"]
    assert set(config["users"][0]["user"]) == {"client-certificate-data", "client-key-data"}


def test_using_what_is_there_needs_no_library_of_certificates(tmp_path: Path) -> None:
    """`cryptography` takes each process of a cluster 16 MiB."""
    code = (
        "import sys; from pathlib import Path; from orlop import pki; from orlop.clock import SystemClock\n"
        "from orlop.pki.identities import Names\n"
        "folder = pki.Folder(Path(sys.argv[1]), SystemClock())\n"
        "folder.ca(), folder.service_account_key(), folder.client(pki.node('n1')), folder.due()\n"
        "folder.apiserver(Names.of(['localhost', '127.0.0.1', '::1']))\n"
        "print('cryptography' in sys.modules)"
    )
    told = [subprocess.check_output([sys.executable, "-c", code, str(tmp_path / "pki")], text=True) for _ in range(2)]
    assert told == ["True\n", "False\n"]
