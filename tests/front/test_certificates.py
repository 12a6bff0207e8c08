"""Which certificate is shown to whom, and from when on."""

import asyncio
import ssl
from pathlib import Path

import pytest
from tests.front.conftest import Serve, Served
from tests.front.test_http1 import LIMIT, echo

from orlop import native, pki
from orlop.apiserver.front import Tls, listener as front_listener
from orlop.apiserver.front.tls import SniCertificate
from orlop.clock import FakeClock
from orlop.pki.identities import Names


async def shown(served: Served, name: str | None = None) -> bytes:
    """The certificate (DER) that a client sees who asks for `name`."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context, server_hostname=name)
    der: bytes = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return der


def der(pair: pki.KeyPair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


async def test_by_the_name_that_is_asked_for(serve: Serve, folder: pki.Folder, tmp_path: Path) -> None:
    other = pki.Folder(tmp_path / "other", folder._clock)
    own = other.apiserver(Names.of(["api.example.com"]))
    wild = other.kubelet("n", Names.of(["x.example.org"]))
    others = (
        SniCertificate(own.certificate_file, own.key_file),
        SniCertificate(wild.certificate_file, wild.key_file, ("*.example.org",)),
    )
    async with serve(echo, others=others) as served:
        default = await shown(served)
        assert await shown(served, "api.example.com") == der(own)
        assert await shown(served, "API.example.com") == der(own)
        assert await shown(served, "a.example.org") == der(wild)
        assert await shown(served, "a.b.example.org") == default
        assert await shown(served, "elsewhere.test") == default
        assert default not in (der(own), der(wild))


async def test_a_renewed_certificate_without_a_restart(serve: Serve, tmp_path: Path) -> None:
    clock = FakeClock()
    folder = pki.Folder(tmp_path / "pki", clock)
    async with serve(echo, clock) as served:
        first = await shown(served)
        served.listener._tls._serving = lambda: folder.apiserver(Names.of(["renewed.test"]))
        await clock.advance(front_listener.RENEWAL_INTERVAL + 1)
        async with asyncio.timeout(LIMIT):
            while await shown(served) == first:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


async def test_what_cannot_be_read_again_changes_nothing(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    async with serve(echo) as served:
        first = await shown(served)
        served.listener._tls._client_ca = lambda: b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
        await served.listener.reload()
        assert await shown(served) == first
    assert "client CA" in caplog.text


def front(
    certificates: list[tuple[bytes, bytes, list[str]]], client_ca: bytes, suites: list[str] | None = None
) -> native.Front:
    suites = suites or []
    return native.Front(
        certificates,
        client_ca,
        only_tls13=False,
        cipher_suites=suites,
        alpn=[],
        threads=1,
        connections=1,
        streams=1,
        handshake_seconds=1.0,
        header_seconds=1.0,
        idle_seconds=1.0,
    )


def test_what_cannot_be_used_is_named(folder: pki.Folder) -> None:
    ca = folder.ca()
    pair, other = folder.apiserver(Names.of(["a"])), folder.client(pki.ADMIN)
    for certificates, authority, what in (
        ([], ca, "serving certificate"),
        ([(b"", pair.key, [])], ca, "serving certificate"),
        ([(pair.certificate, b"", [])], ca, "serving key"),
        ([(pair.certificate, other.key, [])], ca, "serving key: it does not belong to the certificate"),
        ([(pair.certificate, pair.key, [])], b"", "client CA"),
    ):
        with pytest.raises(ValueError, match=what):
            front(certificates, authority)


def test_an_unknown_cipher_suite_is_named_with_those_there_are(folder: pki.Folder) -> None:
    pair = folder.apiserver(Names.of(["a"]))
    with pytest.raises(ValueError, match=r"cipher suite TLS_RSA_WITH_RC4_128_SHA: .* TLS_AES_128_GCM_SHA256"):
        front([(pair.certificate, pair.key, [])], folder.ca(), ["TLS_RSA_WITH_RC4_128_SHA"])


async def test_versions_and_cipher_suites_are_what_was_asked_for(serve: Serve, folder: pki.Folder) -> None:
    """The suites are TLS 1.2's: those of 1.3 stay, as in Go."""
    names = Names.of(["127.0.0.1"])

    def tls(*suites: str, only_tls13: bool = False) -> Tls:
        return Tls(lambda: folder.apiserver(names), folder.ca, only_tls13=only_tls13, cipher_suites=suites)

    async def spoken(served: Served, version: ssl.TLSVersion, cipher: str = "") -> str:
        context = served.context()
        context.minimum_version = context.maximum_version = version
        if cipher:
            context.set_ciphers(cipher)
        _, writer = await asyncio.open_connection("127.0.0.1", served.port, ssl=context)
        name: str = writer.get_extra_info("cipher")[0]
        writer.close()
        return name

    old, new = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
    async with serve(echo, tls=tls("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256")) as served:
        assert await spoken(served, old) == "ECDHE-ECDSA-AES128-GCM-SHA256"
        assert (await spoken(served, new)).startswith("TLS_")
        with pytest.raises(ssl.SSLError):
            await spoken(served, old, "ECDHE-ECDSA-AES256-GCM-SHA384")
    async with serve(echo, tls=tls(only_tls13=True)) as served:
        assert (await spoken(served, new)).startswith("TLS_")
        with pytest.raises(ssl.SSLError):
            await spoken(served, old)


async def test_names_that_were_given_count_before_those_of_a_certificate(
    serve: Serve, folder: pki.Folder, tmp_path: Path
) -> None:
    first = pki.Folder(tmp_path / "first", folder._clock).apiserver(Names.of(["api.example.com"]))
    second = pki.Folder(tmp_path / "second", folder._clock).apiserver(Names.of(["else.example.com"]))
    others = (
        SniCertificate(first.certificate_file, first.key_file),
        SniCertificate.parse(f"{second.certificate_file},{second.key_file}:api.example.com,*.example.com"),
    )
    async with serve(echo, others=others) as served:
        assert await shown(served, "api.example.com") == der(second)
        assert await shown(served, "any.example.com") == der(second)


@pytest.mark.parametrize("text", ["", "a", "a,", ",b", "a:b,c"])
def test_a_pair_of_files_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="expected CERTIFICATE,KEY"):
        SniCertificate.parse(text)
